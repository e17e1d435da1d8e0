//! Named arrays, as every format gives them before anybody knows what they mean.

use std::io::Read;

use oodlab_formats::Number;

use crate::FeatureError;

/// Values are converted in pieces of this many bytes, so that a file is never held beside its values.
const PIECE_BYTES: usize = 1 << 16;
/// Room is made for so many values before any was read.
const FIRST_ROOM: usize = 1 << 15;

/// The numbers or texts of one array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Floating-point numbers, narrowed to f32 where they were f64.
    Floats(Vec<f32>),
    /// Whole numbers of any width.
    Integers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Values {
    /// What it holds, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Values::Floats(_) => "floating-point numbers",
            Values::Integers(_) => "whole numbers",
            Values::Texts(_) => "texts",
        }
    }
}

/// One array of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Rows first.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub values: Values,
}

/// A file as named arrays that are read one by one: what is not asked for is not read.
pub trait Arrays {
    /// Every name, in the order in which layers are taken from the file.
    fn names(&self) -> Vec<String>;

    /// The array of that name, its shape and values in agreement.
    ///
    /// # Errors
    /// When the array does not exist, is damaged, or has a type that is not supported.
    fn read(&mut self, name: &str) -> Result<Array, FeatureError>;

    /// Text of that name that the format keeps beside its arrays.
    fn text(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Reads `count` numbers. Too large a `count` is an error when the input ends.
pub(super) fn read_numbers(
    number: Number,
    input: &mut impl Read,
    count: usize,
    big_endian: bool,
) -> Result<Values, FeatureError> {
    // Shifting into a u64 serves both orders and every width.
    macro_rules! numbers {
        ($values:ident, $width:literal, |$bytes:ident| $value:expr) => {
            numbers(input, count, big_endian, |$bytes: [u8; $width]| Ok($value)).map(Values::$values)
        };
    }
    match number {
        Number::F16 => numbers!(Floats, 2, |b| half::f16::from_le_bytes(b).to_f32()),
        Number::Bf16 => numbers!(Floats, 2, |b| half::bf16::from_le_bytes(b).to_f32()),
        Number::F32 => numbers!(Floats, 4, |b| f32::from_le_bytes(b)),
        Number::F64 => numbers!(Floats, 8, |b| f64::from_le_bytes(b) as f32),
        Number::I8 => numbers!(Integers, 1, |b| i64::from(i8::from_le_bytes(b))),
        Number::I16 => numbers!(Integers, 2, |b| i64::from(i16::from_le_bytes(b))),
        Number::I32 => numbers!(Integers, 4, |b| i64::from(i32::from_le_bytes(b))),
        Number::I64 => numbers!(Integers, 8, |b| i64::from_le_bytes(b)),
        Number::U8 => numbers!(Integers, 1, |b| i64::from(u8::from_le_bytes(b))),
        Number::U16 => numbers!(Integers, 2, |b| i64::from(u16::from_le_bytes(b))),
        Number::U32 => numbers!(Integers, 4, |b| i64::from(u32::from_le_bytes(b))),
        Number::U64 => numbers(input, count, big_endian, |bytes: [u8; 8]| {
            let value = u64::from_le_bytes(bytes);
            i64::try_from(value).map_err(|_| FeatureError::Format(format!("{value} is too large a number")))
        })
        .map(Values::Integers),
    }
}

fn numbers<const WIDTH: usize, T>(
    input: &mut impl Read,
    count: usize,
    big_endian: bool,
    convert: impl Fn([u8; WIDTH]) -> Result<T, FeatureError>,
) -> Result<Vec<T>, FeatureError> {
    let mut values = Vec::new();
    let mut piece = vec![0; PIECE_BYTES.min(count.saturating_mul(WIDTH))];
    while values.len() < count {
        let bytes = (count - values.len()).saturating_mul(WIDTH).min(piece.len());
        let piece = &mut piece[..bytes];
        input.read_exact(piece)?;
        grow(&mut values, bytes / WIDTH, count)?;
        for number in piece.as_chunks::<WIDTH>().0 {
            let mut number = *number;
            if big_endian {
                number.reverse();
            }
            values.push(convert(number)?);
        }
    }
    Ok(values)
}

/// Makes room; that there is none is an error of this file, not the end of the program.
pub(super) fn reserve<T>(values: &mut Vec<T>, count: usize) -> Result<(), FeatureError> {
    values.try_reserve_exact(count).map_err(|_| FeatureError::Format(format!("no memory for {count} values")))
}

/// Makes room for `more` values of `count` in all: for as many again as are there, so that it is paid for by what was read.
pub(super) fn grow<T>(values: &mut Vec<T>, more: usize, count: usize) -> Result<(), FeatureError> {
    if values.capacity() - values.len() >= more {
        return Ok(());
    }
    let room = more.max(values.len()).max(FIRST_ROOM).min(count - values.len());
    reserve(values, room)
}
