//! numpy's `.npy`: one array behind a header that is a Python dictionary, of which only the written form is understood.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

use std::io::Read;

use crate::{FormatError, Number};

/// A header larger than this is refused; numpy's own are below a kilobyte.
const LARGEST_HEADER: usize = 1 << 16;

/// What the elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers; truth values are read as u8.
    Number(Number),
    /// `<U`: so many UTF-32 code points an element.
    Unicode(usize),
    /// `|S`: so many bytes an element.
    Bytes(usize),
}

/// The header of one array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the elements are.
    pub kind: Kind,
    /// The type as the file names it: `|u1`, `<f4`.
    pub descr: String,
    /// Each element's most significant byte comes first.
    pub big_endian: bool,
    /// The first axis changes fastest.
    pub fortran_order: bool,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Bytes before the elements.
    pub size_bytes: u64,
}

impl Header {
    /// Bytes of all elements.
    ///
    /// # Errors
    /// When that is beyond any file.
    pub fn data_bytes(&self) -> Result<u64, FormatError> {
        let element = match self.kind {
            Kind::Number(number) => number.size_bytes(),
            Kind::Unicode(length) => length.saturating_mul(4),
            Kind::Bytes(length) => length,
        };
        let bytes = elements(&self.shape)?.checked_mul(element);
        bytes.map(|bytes| bytes as u64).ok_or_else(|| bad(format!("shape {:?} is too large", self.shape)))
    }
}

fn bad(what: impl std::fmt::Display) -> FormatError {
    FormatError(format!("not a numpy array: {what}"))
}

/// The product of a shape.
///
/// # Errors
/// When it is beyond any file.
pub fn elements(shape: &[usize]) -> Result<usize, FormatError> {
    let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    product.ok_or_else(|| FormatError(format!("shape {shape:?} is too large")))
}

/// Reads magic, version and header, and nothing behind them.
///
/// # Errors
/// When it is not a numpy array, or one of a type that is not supported (Python objects, several fields, complex numbers).
pub fn read_header(input: &mut impl Read) -> Result<Header, FormatError> {
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
fn parse(text: &str, size_bytes: u64) -> Result<Header, FormatError> {
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
    Ok(Header { kind, descr: descr.to_owned(), big_endian, fortran_order, shape, size_bytes })
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn kind(descr: &str) -> Result<(Kind, bool), FormatError> {
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

/// The header of an array that is written: version 1, padded so that the elements begin at a multiple of 64.
#[must_use]
pub fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = header("<u2", &[3, 4]);
        let read = read_header(&mut bytes.as_slice()).expect("valid");
        assert_eq!((read.kind, read.shape.as_slice()), (Kind::Number(Number::U16), &[3, 4][..]));
        assert_eq!((read.size_bytes, read.data_bytes()), (bytes.len() as u64, Ok(24)));
        assert!(!read.fortran_order && !read.big_endian && bytes.len().is_multiple_of(64));
        for length in 0..bytes.len() {
            assert!(read_header(&mut &bytes[..length]).is_err());
        }
    }

    #[test]
    fn sizes_beyond_any_file_are_errors() {
        let read =
            |shape: &[usize]| read_header(&mut header("<f8", shape).as_slice()).and_then(|header| header.data_bytes());
        assert!(read(&[usize::MAX, 2]).is_err() && read(&[usize::MAX / 4]).is_err());
        assert_eq!(read(&[]), Ok(8));
    }
}
