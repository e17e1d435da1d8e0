//! numpy's `.npy`: one array behind a header that is a Python dictionary, of which only the written form is understood.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

use std::io::{Read, Seek, SeekFrom, Write};

use super::array::{Array, Arrays, Number, Values, elements, grow, reserve};
use crate::FeatureError;

/// A header larger than this is refused; numpy's own are below a kilobyte.
const LARGEST_HEADER: usize = 1 << 16;

/// What the elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number(Number),
    /// `<U`: so many UTF-32 code points an element.
    Unicode(usize),
    /// `|S`: so many bytes an element.
    Bytes(usize),
}

/// The header of one array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    kind: Kind,
    big_endian: bool,
    fortran_order: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes before the elements.
    pub(super) size_bytes: u64,
}

impl Header {
    /// Bytes of all elements.
    pub(super) fn data_bytes(&self) -> Result<u64, FeatureError> {
        let element = match self.kind {
            Kind::Number(number) => number.size_bytes(),
            Kind::Unicode(length) => length.saturating_mul(4),
            Kind::Bytes(length) => length,
        };
        let bytes = elements(&self.shape)?.checked_mul(element);
        bytes.map(|bytes| bytes as u64).ok_or_else(|| bad(format!("shape {:?} is too large", self.shape)))
    }
}

fn bad(what: impl std::fmt::Display) -> FeatureError {
    FeatureError::Format(format!("not a numpy array: {what}"))
}

/// Reads magic, version and header.
pub(super) fn read_header(input: &mut impl Read) -> Result<Header, FeatureError> {
    let mut start = [0; 8];
    input.read_exact(&mut start).map_err(|_| bad("cut short"))?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(bad("it does not begin with \\x93NUMPY"));
    }
    let mut length = [0; 4];
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        other => return Err(bad(format!("version {other}, expected 1, 2 or 3"))),
    };
    input.read_exact(&mut length[..width]).map_err(|_| bad("cut short"))?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LARGEST_HEADER {
        return Err(bad(format!("a header of {length} bytes, expected at most {LARGEST_HEADER}")));
    }
    let mut text = vec![0; length];
    input.read_exact(&mut text).map_err(|_| bad("cut short"))?;
    let text = std::str::from_utf8(&text).map_err(|_| bad("a header that is not text"))?;
    parse(text, (8 + width + length) as u64)
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: keys in any order, each once.
fn parse(text: &str, size_bytes: u64) -> Result<Header, FeatureError> {
    let unexpected = || bad(format!("the header {:?}", text.trim_end()));
    let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(unexpected)?.trim();
    let (mut descr, mut order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(unexpected)?;
        let after = after.trim_start().strip_prefix(':').ok_or_else(unexpected)?.trim_start();
        rest = match key {
            "descr" if descr.is_none() => {
                if after.starts_with('[') {
                    return Err(bad("it has fields of several types; save a plain array"));
                }
                let (value, after) = quoted(after).ok_or_else(unexpected)?;
                descr = Some(value);
                after
            }
            "fortran_order" if order.is_none() => {
                let value = after.starts_with("True");
                order = Some(value);
                after.strip_prefix(if value { "True" } else { "False" }).ok_or_else(unexpected)?
            }
            "shape" if shape.is_none() => {
                let (sizes, after) = after.strip_prefix('(').and_then(|t| t.split_once(')')).ok_or_else(unexpected)?;
                let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                shape = Some(sizes.map(str::parse).collect::<Result<Vec<usize>, _>>().map_err(|_| unexpected())?);
                after
            }
            _ => return Err(unexpected()),
        };
        rest = rest.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.is_empty() => rest,
            None => return Err(unexpected()),
        };
    }
    let (Some(descr), Some(fortran_order), Some(shape)) = (descr, order, shape) else { return Err(unexpected()) };
    let (kind, big_endian) = kind(descr)?;
    Ok(Header { kind, big_endian, fortran_order, shape, size_bytes })
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn kind(descr: &str) -> Result<(Kind, bool), FeatureError> {
    let unsupported = || {
        let hint =
            if descr.contains('O') { "; it holds Python objects: save numbers or texts (dtype `U`)" } else { "" };
        bad(format!("type {descr:?} is not supported{hint}"))
    };
    let big_endian = descr.starts_with('>');
    let plain = descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(descr);
    let size = plain.get(1..).and_then(|size| size.parse::<usize>().ok());
    let kind = match (plain.chars().next(), size) {
        (Some('f'), Some(2)) => Kind::Number(Number::F16),
        (Some('f'), Some(4)) => Kind::Number(Number::F32),
        (Some('f'), Some(8)) => Kind::Number(Number::F64),
        (Some('i'), Some(1)) => Kind::Number(Number::I8),
        (Some('i'), Some(2)) => Kind::Number(Number::I16),
        (Some('i'), Some(4)) => Kind::Number(Number::I32),
        (Some('i'), Some(8)) => Kind::Number(Number::I64),
        (Some('u' | 'b'), Some(1)) => Kind::Number(Number::U8),
        (Some('u'), Some(2)) => Kind::Number(Number::U16),
        (Some('u'), Some(4)) => Kind::Number(Number::U32),
        (Some('u'), Some(8)) => Kind::Number(Number::U64),
        (Some('U'), Some(length)) => Kind::Unicode(length),
        (Some('S'), Some(length)) => Kind::Bytes(length),
        _ => return Err(unsupported()),
    };
    Ok((kind, big_endian))
}

/// Reads the elements behind a header whose `data_bytes` the caller has compared with what is there.
pub(super) fn read_values(header: &Header, input: &mut impl Read) -> Result<Array, FeatureError> {
    let count = elements(&header.shape)?;
    let values = match header.kind {
        Kind::Number(number) => number.read(input, count, header.big_endian)?,
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

/// The header of an array that is written: version 1, padded so that the elements begin at a multiple of 64.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
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
