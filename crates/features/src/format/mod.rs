//! Feature files of any program: safetensors, npz, npy, and tables of columns (Parquet, read elsewhere).
//!
//! Every format is read as named [`Arrays`]; [`assemble`] says what the names mean, in one place for all of them:
//!
//! | name | shape | type | |
//! |---|---|---|---|
//! | `features` | `[rows, columns]` | f16, bf16, f32, f64 | all layers side by side |
//! | `layers` | a text | | which columns belong to which layer: `stage1=64,stage2=128`, or JSON spans `[{"name", "start", "end"}]` |
//! | `layer.NAME` | `[rows, width]` | as `features` | instead of both: one array a layer |
//! | `ids` or `id` | `[rows]` | texts or whole numbers | optional: `0`, `1`, .. when absent |
//! | `labels` or `label` | `[rows]` | whole numbers | optional; all -1 means none |
//! | `logits` | `[rows, classes]` | as `features` | optional |
//!
//! Values are kept as f32. Binary files are not trusted: room is made for what was read and as much again, whatever a header
//! says, and a packed npz array may be at most 64 times the file (and 16 MiB) large.

mod array;
mod assemble;
mod columns;
pub mod npy;
pub mod npz;
pub mod safetensors;

use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::str::FromStr;

pub use array::{Array, Arrays, Values};
pub use assemble::{Options, ReadTable, assemble, parse_layers};
pub use columns::{Column, ColumnTable, to_columns};

use crate::{FeatureError, FeatureTable};

/// A format, by the ending of a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.safetensors`
    Safetensors,
    /// `.npz`
    Npz,
    /// `.npy`: features alone, read only.
    Npy,
    /// `.parquet`: a table of columns, for which this crate has no reader.
    Parquet,
}

impl Format {
    /// The format that a file's name says.
    ///
    /// # Errors
    /// When the ending is none of a known format.
    pub fn of(path: &Path) -> Result<Format, FeatureError> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        ending.parse().map_err(|error| in_file(path, error))
    }
}

impl FromStr for Format {
    type Err = FeatureError;

    fn from_str(ending: &str) -> Result<Format, FeatureError> {
        match ending {
            "safetensors" => Ok(Format::Safetensors),
            "npz" => Ok(Format::Npz),
            "npy" => Ok(Format::Npy),
            "parquet" => Ok(Format::Parquet),
            _ => Err(FeatureError::UnknownFormat),
        }
    }
}

/// Reads a file of binary arrays (not Parquet).
///
/// # Errors
/// When the file cannot be read or is not what its name says, or its arrays do not fit together; the file is named.
pub fn read(path: &Path, options: &Options) -> Result<ReadTable, FeatureError> {
    let input = BufReader::new(fs_err::File::open(path)?);
    let read = match Format::of(path)? {
        Format::Safetensors => safetensors::SafetensorsFile::open(input).and_then(|mut f| assemble(&mut f, options)),
        Format::Npz => npz::NpzFile::open(input).and_then(|mut f| assemble(&mut f, options)),
        Format::Npy => npy::NpyFile::open(input).and_then(|mut f| assemble(&mut f, options)),
        Format::Parquet => Err(FeatureError::UnknownFormat),
    };
    read.map_err(|error| in_file(path, error))
}

/// Writes a table whole or not at all, as safetensors or npz by the file's name.
///
/// # Errors
/// When the file cannot be written, or its name says another format.
pub fn write(path: &Path, table: &FeatureTable) -> Result<(), FeatureError> {
    let format = Format::of(path)?;
    oodlab_base::file::fill_atomic(path, FeatureError::from, |file| {
        let mut output = BufWriter::new(file);
        match format {
            Format::Safetensors => safetensors::write(table, &mut output)?,
            Format::Npz => npz::write(table, &mut output)?,
            Format::Npy | Format::Parquet => return Err(in_file(path, FeatureError::UnknownFormat)),
        }
        Ok(output.flush()?)
    })
}

/// The error of a file.
pub(crate) fn in_file(path: &Path, error: FeatureError) -> FeatureError {
    match error {
        FeatureError::File { .. } => error,
        other => FeatureError::File { path: path.to_owned(), source: Box::new(other) },
    }
}

/// A name in the order in which people count: `stage2` before `stage10`.
pub(crate) fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest[letters..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| letters + at);
        parts.push((rest[..letters].to_owned(), rest[letters..digits].parse().unwrap_or(u64::MAX)));
        rest = &rest[digits..];
    }
    parts
}

/// Writes numbers in pieces, so that their bytes are never all held beside them.
fn write_numbers<T, const WIDTH: usize>(
    output: &mut impl Write,
    values: &[T],
    bytes: impl Fn(&T) -> [u8; WIDTH],
) -> Result<(), FeatureError> {
    let mut piece = Vec::with_capacity(1 << 16);
    for values in values.chunks((1 << 16) / WIDTH) {
        piece.clear();
        piece.extend(values.iter().flat_map(&bytes));
        output.write_all(&piece)?;
    }
    Ok(())
}

/// What a reader of foreign files does with any bytes.
fn fuzz_arrays(mut file: impl Arrays) {
    for name in file.names() {
        let _ = file.read(&name);
    }
    let _ = assemble(&mut file, &Options::default());
}
