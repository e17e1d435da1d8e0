//! numpy's `.npz`: a zip file of `.npy` arrays `features`, `logits`, `labels`, `ids`, `layers`, or one array a layer.

use std::io::{Read, Seek, SeekFrom, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::array::{Array, Arrays, Values};
use super::npy;
use super::safetensors::layers_text;
use crate::{FeatureError, FeatureTable};

/// Packed arrays may be this many times larger than the file ..
const LARGEST_RATIO: u64 = 64;
/// .. and so much more: a small file may hold nothing but zeros.
const ALWAYS_ALLOWED: u64 = 16 << 20;
/// From this size on an entry needs the format's 64-bit extension.
const LARGE: u64 = u32::MAX as u64;

fn bad(what: impl std::fmt::Display) -> FeatureError {
    FeatureError::Format(format!("not an npz file: {what}"))
}

/// An open file: only its directory was read.
pub struct NpzFile<R> {
    archive: ZipArchive<R>,
    names: Vec<String>,
    allowed: u64,
}

impl<R: Read + Seek> NpzFile<R> {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it is damaged, or two entries have one name.
    pub fn open(mut input: R) -> Result<NpzFile<R>, FeatureError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        let damaged = |error| bad(format!("damaged or truncated zip: {error}"));
        let mut archive = ZipArchive::new(input).map_err(damaged)?;
        if archive.has_overlapping_files().map_err(damaged)? {
            return Err(bad("two arrays share their bytes"));
        }
        let mut names = Vec::new();
        for index in 0..archive.len() {
            let Some(Ok(name)) = archive.name_for_index(index) else { return Err(bad("a name that is not text")) };
            names.extend(name.strip_suffix(".npy").map(str::to_owned));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(bad(format!("two arrays are named {twice:?}")));
        }
        let allowed = length.saturating_mul(LARGEST_RATIO).saturating_add(ALWAYS_ALLOWED);
        Ok(NpzFile { archive, names, allowed })
    }

    fn entry(&mut self, name: &str) -> Result<Array, FeatureError> {
        let mut entry = self.archive.by_name(&format!("{name}.npy")).map_err(bad)?;
        let header = npy::read_header(&mut entry)?;
        let (expected, found) = (header.data_bytes()?, entry.size().saturating_sub(header.size_bytes));
        if expected != found {
            return Err(bad(format!("{expected} bytes of elements expected, {found} there")));
        }
        let packed = entry.compressed_size();
        let stored = entry.compression() == CompressionMethod::Stored;
        if expected > if stored { packed } else { self.allowed } {
            return Err(bad(format!("{packed} packed bytes become {expected}; save it with numpy.savez, unpacked")));
        }
        let array = npy::read_values(&header, &mut entry)?;
        // The checksum is compared when the end is read.
        let more = entry.read(&mut [0]).map_err(|error| bad(format!("damaged data: {error}")))?;
        if more > 0 { Err(bad("bytes behind the elements")) } else { Ok(array) }
    }
}

impl<R: Read + Seek> Arrays for NpzFile<R> {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn read(&mut self, name: &str) -> Result<Array, FeatureError> {
        self.entry(name).map_err(|error| match error {
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
        archive.write_all(&npy::header("<f4", &[rows, columns]))?;
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
        archive.write_all(&npy::header("<i8", &[rows]))?;
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
