//! Scores in numpy's `.npz`: one array a column.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use oodlab_formats::npy::{Header, Kind, elements};
use oodlab_formats::npz::Npz;
use oodlab_formats::{FormatError, Number};

use super::cells::{Cells, Columns};

/// Elements converted at once: memory grows with what was read, not with what a header says.
const PIECE: usize = 1 << 14;

fn bad(what: impl std::fmt::Display) -> FormatError {
    FormatError(what.to_string())
}

/// The names of all arrays, and those that are selected, with their rows.
pub(super) fn read(
    input: impl Read + Seek,
    select: &dyn Fn(&str) -> bool,
) -> Result<(Vec<String>, Columns), FormatError> {
    let mut file = Npz::open(input)?;
    let names = file.names().to_vec();
    let mut columns = Columns::new();
    for name in names.iter().filter(|name| select(name)) {
        let column = file.read(name, |header, elements| column(header, elements));
        columns.insert(name.clone(), column.map_err(|error: FormatError| bad(format!("array {name:?}: {error}")))?);
    }
    Ok((names, columns))
}

fn column(header: &Header, input: &mut dyn Read) -> Result<(usize, Cells), FormatError> {
    let (rows, width) = match header.shape.as_slice() {
        [rows] => (*rows, 1),
        [rows, width] if !header.fortran_order || *width == 1 => (*rows, *width),
        [_, _] => return Err(bad("column-major order; save numpy.ascontiguousarray of it")),
        other => return Err(bad(format!("expected one or two dimensions, found shape {other:?}"))),
    };
    let count = elements(&header.shape)?;
    match header.kind {
        Kind::Number(number) => {
            let values =
                values(input, count, number.size_bytes(), |bytes| number_of(number, bytes, header.big_endian))?;
            Ok((rows, Cells::Numbers { width, values, absent: BTreeSet::new() }))
        }
        Kind::Unicode(_) | Kind::Bytes(_) if width != 1 => Err(bad("texts in two dimensions")),
        Kind::Unicode(length) => {
            let text = |bytes: &[u8]| {
                let code = |bytes: &[u8; 4]| {
                    char::from_u32(if header.big_endian {
                        u32::from_be_bytes(*bytes)
                    } else {
                        u32::from_le_bytes(*bytes)
                    })
                };
                let text: Option<String> = bytes.as_chunks::<4>().0.iter().map(code).collect();
                text.map(|text| Some(text.trim_end_matches('\0').to_owned()))
            };
            Ok((rows, Cells::Texts(values(input, count, length.saturating_mul(4), text)?)))
        }
        Kind::Bytes(length) => {
            let text =
                |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(|text| Some(text.trim_end_matches('\0').to_owned()));
            Ok((rows, Cells::Texts(values(input, count, length, text)?)))
        }
    }
}

/// Reads `count` elements of `size` bytes. Too large a count is an error when the input ends.
fn values<T>(
    input: &mut dyn Read,
    count: usize,
    size: usize,
    convert: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>, FormatError> {
    // Elements of no bytes cost a file nothing: their number is not bounded by it.
    if size == 0 && count > 0 {
        return Err(bad("texts of no length"));
    }
    let mut values = Vec::new();
    let mut bytes = Vec::new();
    while values.len() < count {
        let wanted = PIECE.min(count - values.len()).saturating_mul(size);
        bytes.clear();
        input.take(wanted as u64).read_to_end(&mut bytes).map_err(|error| bad(format!("damaged data: {error}")))?;
        if bytes.len() < wanted {
            return Err(bad("cut short"));
        }
        for element in bytes.chunks_exact(size) {
            values.push(convert(element).ok_or_else(|| bad("a value that is no number or text"))?);
        }
    }
    Ok(values)
}

fn number_of(number: Number, bytes: &[u8], big_endian: bool) -> Option<f64> {
    let mut le = [0; 8];
    le[..bytes.len()].copy_from_slice(bytes);
    if big_endian {
        le[..bytes.len()].reverse();
    }
    let bits = u64::from_le_bytes(le);
    Some(match number {
        Number::F64 => f64::from_bits(bits),
        Number::F32 => f64::from(f32::from_bits(bits as u32)),
        Number::Bf16 => f64::from(f32::from_bits((bits as u32) << 16)),
        Number::F16 => half(bits as u16),
        Number::U64 => bits as f64,
        integer => integer.integer(bytes, big_endian)? as f64,
    })
}

/// IEEE half precision: 1 bit of sign, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let size = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let halves = [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00, 0x3555];
        let want = [
            0.0,
            -0.0,
            2f64.powi(-24),
            1023.0 * 2f64.powi(-24),
            2f64.powi(-14),
            1.0,
            -2.0,
            65_504.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.333_251_953_125,
        ];
        assert_eq!(halves.map(|bits| half(bits).to_bits()), want.map(f64::to_bits));
        assert!(half(0x7c01).is_nan());
    }
}
