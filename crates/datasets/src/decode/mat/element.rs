//! The elements that a MAT-file is made of.

use std::io::Read;

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// Types of elements (`mi..`), as far as they matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
    Matrix,
    Compressed,
    /// Texts, and numbers that are none of a type.
    Other(u32),
}

impl Kind {
    fn of(number: u32) -> Kind {
        match number {
            1 => Kind::I8,
            2 => Kind::U8,
            3 => Kind::I16,
            4 => Kind::U16,
            5 => Kind::I32,
            6 => Kind::U32,
            7 => Kind::F32,
            9 => Kind::F64,
            12 => Kind::I64,
            13 => Kind::U64,
            14 => Kind::Matrix,
            15 => Kind::Compressed,
            other => Kind::Other(other),
        }
    }

    /// Bytes of a number; 0 for what is none.
    pub fn size(self) -> u64 {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::F64 | Kind::I64 | Kind::U64 => 8,
            Kind::Matrix | Kind::Compressed | Kind::Other(_) => 0,
        }
    }

    /// A number of [`Kind::size`] bytes; NaN for what is none. Numbers beyond 2^53 are rounded.
    pub fn value(self, bytes: &[u8], order: ByteOrder) -> f64 {
        // The least significant byte first, whatever the file has.
        let mut le = [0; 8];
        let length = bytes.len().min(8);
        le[..length].copy_from_slice(&bytes[..length]);
        if order == ByteOrder::Big {
            le[..length].reverse();
        }
        let [b0, b1, b2, b3, ..] = le;
        match self {
            Kind::I8 => f64::from(b0 as i8),
            Kind::U8 => f64::from(b0),
            Kind::I16 => f64::from(i16::from_le_bytes([b0, b1])),
            Kind::U16 => f64::from(u16::from_le_bytes([b0, b1])),
            Kind::I32 => f64::from(i32::from_le_bytes([b0, b1, b2, b3])),
            Kind::U32 => f64::from(u32::from_le_bytes([b0, b1, b2, b3])),
            Kind::F32 => f64::from(f32::from_le_bytes([b0, b1, b2, b3])),
            Kind::F64 => f64::from_le_bytes(le),
            Kind::I64 => i64::from_le_bytes(le) as f64,
            Kind::U64 => u64::from_le_bytes(le) as f64,
            Kind::Matrix | Kind::Compressed | Kind::Other(_) => f64::NAN,
        }
    }
}

/// What stands before the data of an element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub kind: Kind,
    /// Bytes of data, without padding.
    pub length: u64,
    /// Up to four bytes of data that are part of the tag itself.
    pub small: Option<[u8; 4]>,
}

impl Tag {
    /// Bytes of a tag.
    pub const SIZE: u64 = 8;

    /// Reads a tag.
    pub fn read(stream: &mut impl Read, order: ByteOrder) -> Result<Tag, String> {
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes).map_err(|error| format!("no tag of an element: {error}"))?;
        let [a, b, c, d, e, f, g, h] = bytes;
        let (first, second) = (order.u32([a, b, c, d]), [e, f, g, h]);
        // A small element keeps its length in the upper half of the type.
        let (kind, length) = match first >> 16 {
            0 => return Ok(Tag { kind: Kind::of(first), length: order.u32(second).into(), small: None }),
            length => (Kind::of(first & 0xffff), length),
        };
        if length > 4 {
            return Err(format!("a small element of {length} bytes, expected at most 4"));
        }
        Ok(Tag { kind, length: length.into(), small: Some(second) })
    }

    /// Bytes behind the tag up to the next element.
    pub fn padded(&self) -> u64 {
        if self.small.is_some() { 0 } else { self.length.next_multiple_of(8) }
    }
}

/// Reads a whole element of one type and at most `most` bytes, with its padding.
pub(crate) fn read(stream: &mut impl Read, order: ByteOrder, kind: Kind, most: u64) -> Result<Vec<u8>, String> {
    let tag = Tag::read(stream, order)?;
    if tag.kind != kind || tag.length > most {
        return Err(format!("{} bytes of {:?} found, expected at most {most} of {kind:?}", tag.length, tag.kind));
    }
    if let Some(small) = tag.small {
        return Ok(small[..tag.length as usize].to_vec());
    }
    let mut bytes = vec![0; tag.padded() as usize];
    stream.read_exact(&mut bytes).map_err(|error| format!("the file ends: {error}"))?;
    bytes.truncate(tag.length as usize);
    Ok(bytes)
}
