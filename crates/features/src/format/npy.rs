//! numpy's `.npy` as features: the elements behind the header that [`oodlab_formats::npy`] reads.

use std::io::{Read, Seek, SeekFrom, Write};

use oodlab_formats::npy::{Header, Kind, elements, header, read_header};

use super::array::{Array, Arrays, Values, grow, read_numbers, reserve};
use crate::FeatureError;

fn bad(what: impl std::fmt::Display) -> FeatureError {
    FeatureError::Format(format!("not a numpy array: {what}"))
}

/// Reads the elements behind a header whose `data_bytes` the caller has compared with what is there.
pub(super) fn read_values(header: &Header, input: &mut impl Read) -> Result<Array, FeatureError> {
    let count = elements(&header.shape)?;
    let values = match header.kind {
        Kind::Number(number) => read_numbers(number, input, count, header.big_endian)?,
        Kind::Unicode(length) => Values::Texts(texts(input, count, length.saturating_mul(4), |bytes| {
            let code = |bytes: &[u8; 4]| {
                let code = if header.big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) };
                char::from_u32(code)
            };
            let points = bytes.as_chunks::<4>().0;
            let end = points.iter().rposition(|point| *point != [0; 4]).map_or(0, |last| last + 1);
            points[..end].iter().map(code).collect()
        })?),
        Kind::Bytes(length) => Values::Texts(texts(input, count, length, |bytes| {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            String::from_utf8(bytes[..end].to_vec()).ok()
        })?),
    };
    let values = match (header.fortran_order, header.shape.as_slice()) {
        // Of rows without columns there may be any number.
        (true, &[rows, columns]) if count > 0 => transposed(values, rows, columns)?,
        (true, shape) if shape.len() > 2 => return Err(bad("column-major order with more than two dimensions")),
        _ => values,
    };
    Ok(Array { shape: header.shape.clone(), values })
}

fn texts(
    input: &mut impl Read,
    count: usize,
    size_bytes: usize,
    convert: impl Fn(&[u8]) -> Option<String>,
) -> Result<Vec<String>, FeatureError> {
    let mut values = Vec::new();
    if count == 0 {
        return Ok(values);
    }
    // Elements of no bytes at all cost a file nothing: their number is not bounded by it.
    if size_bytes == 0 {
        return Err(bad("texts of no length"));
    }
    let mut bytes = Vec::new();
    for _ in 0..count {
        bytes.clear();
        input.by_ref().take(size_bytes as u64).read_to_end(&mut bytes)?;
        if bytes.len() < size_bytes {
            return Err(bad("cut short"));
        }
        grow(&mut values, 1, count)?;
        values.push(convert(&bytes).ok_or_else(|| bad("a text that is not Unicode"))?);
    }
    Ok(values)
}

/// From column-major to row-major.
fn transposed(values: Values, rows: usize, columns: usize) -> Result<Values, FeatureError> {
    fn turn<T: Clone>(values: &[T], rows: usize, columns: usize) -> Result<Vec<T>, FeatureError> {
        let mut turned = Vec::new();
        reserve(&mut turned, values.len())?;
        for row in 0..rows {
            turned.extend((0..columns).map(|column| values[column * rows + row].clone()));
        }
        Ok(turned)
    }
    Ok(match values {
        Values::Floats(values) => Values::Floats(turn(&values, rows, columns)?),
        Values::Integers(values) => Values::Integers(turn(&values, rows, columns)?),
        Values::Texts(values) => Values::Texts(turn(&values, rows, columns)?),
    })
}

/// A file of one array; its name is `features`.
pub struct NpyFile<R> {
    input: R,
    header: Header,
}

impl<R: Read + Seek> NpyFile<R> {
    /// Reads the header and checks it against the file's length.
    ///
    /// # Errors
    /// When the header is damaged or says another length than the file has.
    pub fn open(mut input: R) -> Result<NpyFile<R>, FeatureError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        let header = read_header(&mut input)?;
        let (expected, found) = (header.data_bytes()?, length - header.size_bytes);
        if expected != found {
            return Err(bad(format!("{expected} bytes of elements expected, {found} there")));
        }
        Ok(NpyFile { input, header })
    }
}

impl<R: Read + Seek> Arrays for NpyFile<R> {
    fn names(&self) -> Vec<String> {
        vec!["features".to_owned()]
    }

    fn read(&mut self, _name: &str) -> Result<Array, FeatureError> {
        self.input.seek(SeekFrom::Start(self.header.size_bytes))?;
        read_values(&self.header, &mut self.input)
    }
}

/// Writes texts as `<U`; an empty `shape` is a single text.
pub(super) fn write_texts(output: &mut impl Write, texts: &[String], shape: &[usize]) -> Result<(), FeatureError> {
    let length = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    output.write_all(&header(&format!("<U{length}"), shape))?;
    for text in texts {
        let points = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(length);
        output.write_all(&points.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(file) = NpyFile::open(std::io::Cursor::new(bytes)) {
        super::fuzz_arrays(file);
    }
}
