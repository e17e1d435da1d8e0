//! numpy's `.npz`: a zip file of `.npy` arrays `features`, `logits`, `labels`, `ids`, `layers`, or one array a layer.

use std::io::{Read, Seek, Write};

use oodlab_formats::npy::header;
use oodlab_formats::npz::Npz;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::array::{Array, Arrays, Values};
use super::npy;
use super::safetensors::layers_text;
use crate::{FeatureError, FeatureTable};

/// From this size on an entry needs the format's 64-bit extension.
const LARGE: u64 = u32::MAX as u64;

/// An open file: only its directory was read.
pub struct NpzFile<R>(Npz<R>);

impl<R: Read + Seek> NpzFile<R> {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it is damaged, or two entries have one name.
    pub fn open(input: R) -> Result<NpzFile<R>, FeatureError> {
        Ok(NpzFile(Npz::open(input)?))
    }
}

impl<R: Read + Seek> Arrays for NpzFile<R> {
    fn names(&self) -> Vec<String> {
        self.0.names().to_vec()
    }

    fn read(&mut self, name: &str) -> Result<Array, FeatureError> {
        self.0.read(name, |header, mut elements| npy::read_values(header, &mut elements)).map_err(|error| match error {
            FeatureError::Format(what) => FeatureError::Format(format!("array {name:?}: {what}")),
            other => other,
        })
    }
}

/// Writes a table: arrays `features` <f4, `logits` <f4, `labels` <i8, `ids` <U, and `layers`, one text that is the JSON of the
/// layer spans; unpacked, as `numpy.savez` does. The same table gives the same bytes.
///
/// # Errors
/// Those of `output`.
pub fn write(table: &FeatureTable, output: &mut (impl Write + Seek)) -> Result<(), FeatureError> {
    let features = table.features();
    let rows = features.rows();
    let mut archive = ZipWriter::new(output);
    let start = |archive: &mut ZipWriter<_>, name: &str, bytes: usize| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes as u64 >= LARGE / 2);
        archive.start_file(format!("{name}.npy"), options).map_err(|error| FeatureError::Io(error.into()))
    };
    let matrix = |archive: &mut ZipWriter<_>, columns: usize, values: &[f32]| {
        archive.write_all(&header("<f4", &[rows, columns]))?;
        super::write_numbers(archive, values, |value| value.to_le_bytes())
    };
    start(&mut archive, "features", 4 * features.values().len())?;
    matrix(&mut archive, features.width(), features.values())?;
    if let Some(logits) = features.logits() {
        start(&mut archive, "logits", 4 * logits.values.len())?;
        matrix(&mut archive, logits.classes, &logits.values)?;
    }
    if let Some(labels) = table.labels() {
        start(&mut archive, "labels", 8 * rows)?;
        archive.write_all(&header("<i8", &[rows]))?;
        super::write_numbers(&mut archive, &labels.0, |&label| i64::from(label).to_le_bytes())?;
    }
    let longest = features.ids().iter().map(|id| id.chars().count()).max().unwrap_or(0);
    start(&mut archive, "ids", 4 * longest.saturating_mul(rows))?;
    npy::write_texts(&mut archive, features.ids(), &[rows])?;
    start(&mut archive, "layers", 0)?;
    npy::write_texts(&mut archive, &[layers_text(features.layers())?], &[])?;
    archive.finish().map_err(|error| FeatureError::Io(error.into()))?;
    Ok(())
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(file) = NpzFile::open(std::io::Cursor::new(bytes)) {
        super::fuzz_arrays(file);
    }
}

/// The single text of an array without dimensions.
pub(super) fn single_text(array: &Array) -> Option<&str> {
    match &array.values {
        Values::Texts(texts) => texts.first().filter(|_| texts.len() == 1).map(String::as_str),
        _ => None,
    }
}
