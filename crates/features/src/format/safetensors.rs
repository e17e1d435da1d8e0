//! safetensors: tensors `features`, `logits`, `labels`, `ids` (the UTF-8 bytes of a JSON list), or one tensor a layer; metadata
//! `layers`.

use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;

use oodlab_formats::Number;
use safetensors::tensor::{Dtype, Metadata};

use super::array::{Array, Arrays, Values, read_numbers};
use super::natural;
use crate::{FeatureError, FeatureTable, Layer};

/// As the format allows.
const LARGEST_HEADER: u64 = 100_000_000;

/// An open file: only its header was read.
pub struct SafetensorsFile<R> {
    input: R,
    header: Metadata,
    start: u64,
}

impl<R: Read + Seek> SafetensorsFile<R> {
    /// Reads the header and checks it against the file's length.
    ///
    /// # Errors
    /// When the header is damaged or says other lengths than the file has.
    pub fn open(mut input: R) -> Result<SafetensorsFile<R>, FeatureError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        let mut size = [0; 8];
        let found = |what: String| FeatureError::Format(format!("not safetensors: {what}"));
        input.read_exact(&mut size).map_err(|_| found(format!("{length} bytes are too few")))?;
        let size = u64::from_le_bytes(size);
        if size > LARGEST_HEADER || size > length - 8 {
            return Err(found(format!("a header of {size} bytes in a file of {length}")));
        }
        let mut bytes = vec![0; size as usize];
        input.read_exact(&mut bytes)?;
        let header: Metadata = serde_json::from_slice(&bytes).map_err(|error| found(error.to_string()))?;
        let (start, data) = (8 + size, header.data_len() as u64);
        if start.checked_add(data) != Some(length) {
            return Err(found(format!("{data} bytes of tensors announced, {} there", length - start)));
        }
        Ok(SafetensorsFile { input, header, start })
    }

    /// The shape of a tensor, where there is one of that name; nothing is read.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.header.info(name)?.shape)
    }

    /// Some rows of an F32 matrix; nothing else is read.
    ///
    /// # Errors
    /// When there is no such matrix, or not so many rows.
    pub fn rows(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<f32>, FeatureError> {
        let missing = || FeatureError::Format(format!("no F32 matrix {name:?} with the rows {rows:?}"));
        let info = self.header.info(name).filter(|info| info.dtype == Dtype::F32).ok_or_else(missing)?;
        let (&[count, width], (begin, _)) = (info.shape.as_slice(), info.data_offsets) else { return Err(missing()) };
        if rows.start > rows.end || rows.end > count {
            return Err(missing());
        }
        self.input.seek(SeekFrom::Start(self.start + begin as u64 + 4 * (rows.start * width) as u64))?;
        match read_numbers(Number::F32, &mut self.input, rows.len() * width, false)? {
            Values::Floats(values) => Ok(values),
            _ => Err(missing()),
        }
    }
}

impl<R: Read + Seek> Arrays for SafetensorsFile<R> {
    /// Sorted as people count: writers of this format order tensors by type and name, so the file's order means nothing.
    fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort_by(|a, b| natural(a).cmp(&natural(b)).then_with(|| a.cmp(b)));
        names
    }

    fn read(&mut self, name: &str) -> Result<Array, FeatureError> {
        let info = self.header.info(name).ok_or_else(|| FeatureError::Format(format!("no tensor {name:?}")))?;
        let number = match info.dtype {
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            Dtype::I8 => Number::I8,
            Dtype::I16 => Number::I16,
            Dtype::I32 => Number::I32,
            Dtype::I64 => Number::I64,
            Dtype::BOOL | Dtype::U8 => Number::U8,
            Dtype::U16 => Number::U16,
            Dtype::U32 => Number::U32,
            Dtype::U64 => Number::U64,
            other => return Err(FeatureError::Format(format!("{name:?} has type {other:?}, which is not supported"))),
        };
        let (shape, dtype, (begin, end)) = (info.shape.clone(), info.dtype, info.data_offsets);
        self.input.seek(SeekFrom::Start(self.start + begin as u64))?;
        let values = read_numbers(number, &mut self.input, (end - begin) / number.size_bytes(), false)?;
        if let (Dtype::U8, 1, Values::Integers(bytes)) = (dtype, shape.len(), &values) {
            // Bytes that are a JSON list of texts are that; anything else is numbers.
            let bytes: Vec<u8> = bytes.iter().map(|&byte| byte as u8).collect();
            if let (true, Ok(texts)) = (bytes.starts_with(b"["), serde_json::from_slice::<Vec<String>>(&bytes)) {
                return Ok(Array { shape: vec![texts.len()], values: Values::Texts(texts) });
            }
        }
        Ok(Array { shape, values })
    }

    fn text(&self, name: &str) -> Option<String> {
        let metadata = self.header.metadata().as_ref()?;
        if let Some(text) = metadata.get(name) {
            return Some(text.clone());
        }
        // As the stages' own artifacts keep it.
        let about: serde_json::Value = serde_json::from_str(metadata.get("oodlab")?).ok()?;
        Some(about.get(name)?.as_str()?.to_owned())
    }
}

/// Writes a table: tensors `labels` I64, `features` F32, `logits` F32, `ids` U8; metadata `layers` and `provenance`. The same
/// table gives the same bytes.
///
/// # Errors
/// Those of `output`.
pub fn write(table: &FeatureTable, output: &mut impl Write) -> Result<(), FeatureError> {
    let features = table.features();
    let ids = serde_json::to_vec(features.ids()).map_err(|e| FeatureError::Format(e.to_string()))?;
    let rows = features.rows();
    // By falling alignment, as the format's other writers do: eight bytes, four, one.
    let mut tensors: Vec<(&str, &str, Vec<usize>, usize)> = Vec::new();
    if table.labels().is_some() {
        tensors.push(("labels", "I64", vec![rows], 8 * rows));
    }
    tensors.push(("features", "F32", vec![rows, features.width()], 4 * features.values().len()));
    if let Some(logits) = features.logits() {
        tensors.push(("logits", "F32", vec![rows, logits.classes], 4 * logits.values.len()));
    }
    tensors.push(("ids", "U8", vec![ids.len()], ids.len()));
    let mut metadata = serde_json::Map::new();
    metadata.insert("layers".into(), layers_text(features.layers())?.into());
    if !features.provenance.is_empty() {
        let provenance =
            serde_json::to_string(&features.provenance).map_err(|e| FeatureError::Format(e.to_string()))?;
        metadata.insert("provenance".into(), provenance.into());
    }
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), metadata.into());
    let mut at = 0;
    for (name, dtype, shape, bytes) in &tensors {
        let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes] });
        header.insert((*name).to_owned(), entry);
        at += bytes;
    }
    let mut header = serde_json::Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    if header.len() as u64 > LARGEST_HEADER {
        return Err(FeatureError::Format(format!(
            "a header of {} bytes is more than safetensors allows",
            header.len()
        )));
    }
    output.write_all(&(header.len() as u64).to_le_bytes())?;
    output.write_all(header.as_bytes())?;
    if let Some(labels) = table.labels() {
        super::write_numbers(output, &labels.0, |&label| i64::from(label).to_le_bytes())?;
    }
    super::write_numbers(output, features.values(), |value| value.to_le_bytes())?;
    if let Some(logits) = features.logits() {
        super::write_numbers(output, &logits.values, |value| value.to_le_bytes())?;
    }
    Ok(output.write_all(&ids)?)
}

/// The JSON of layer spans.
pub(super) fn layers_text(layers: &[Layer]) -> Result<String, FeatureError> {
    serde_json::to_string(layers).map_err(|error| FeatureError::Format(error.to_string()))
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(file) = SafetensorsFile::open(std::io::Cursor::new(bytes)) {
        super::fuzz_arrays(file);
    }
}
