//! Number types of binary files.

/// A number type of the binary formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed, 1 byte.
    I8,
    /// Signed, 2 bytes.
    I16,
    /// Signed, 4 bytes.
    I32,
    /// Signed, 8 bytes.
    I64,
    /// Unsigned, 1 byte.
    U8,
    /// Unsigned, 2 bytes.
    U16,
    /// Unsigned, 4 bytes.
    U32,
    /// Unsigned, 8 bytes.
    U64,
}

impl Number {
    /// Bytes of one number.
    #[must_use]
    pub fn size_bytes(self) -> usize {
        match self {
            Number::I8 | Number::U8 => 1,
            Number::F16 | Number::Bf16 | Number::I16 | Number::U16 => 2,
            Number::F32 | Number::I32 | Number::U32 => 4,
            Number::F64 | Number::I64 | Number::U64 => 8,
        }
    }

    /// One whole number of [`Number::size_bytes`] bytes; `None` for a floating-point type, another count of bytes, and what is
    /// beyond an i64.
    #[must_use]
    pub fn integer(self, bytes: &[u8], big_endian: bool) -> Option<i64> {
        let size = self.size_bytes();
        if bytes.len() != size {
            return None;
        }
        // The least significant byte first; shorter signed numbers are widened below.
        let mut le = [0; 8];
        le[..size].copy_from_slice(bytes);
        if big_endian {
            le[..size].reverse();
        }
        let wide = u64::from_le_bytes(le);
        match self {
            Number::I8 => Some(i64::from(wide as i8)),
            Number::I16 => Some(i64::from(wide as i16)),
            Number::I32 => Some(i64::from(wide as i32)),
            Number::I64 => Some(wide as i64),
            Number::U8 | Number::U16 | Number::U32 | Number::U64 => i64::try_from(wide).ok(),
            Number::F16 | Number::Bf16 | Number::F32 | Number::F64 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn integers_of_every_width_and_order() {
        assert_eq!(Number::I16.integer(&[0xff, 0xfe], true), Some(-2));
        assert_eq!(Number::I16.integer(&[0xfe, 0xff], false), Some(-2));
        assert_eq!(Number::U16.integer(&[0xfe, 0xff], false), Some(65_534));
        assert_eq!(Number::I32.integer(&[0xff; 4], false), Some(-1));
        assert_eq!(Number::I64.integer(&[0xff; 8], true), Some(-1));
        assert_eq!(Number::U64.integer(&[0xff; 8], true), None);
        assert_eq!((Number::I8.integer(&[0x80], false), Number::U8.integer(&[0x80], false)), (Some(-128), Some(128)));
        assert_eq!((Number::F32.integer(&[0; 4], false), Number::U8.integer(&[], false)), (None, None));
    }
}
