//! Thrift's compact protocol, as far as Parquet's headers need it.

/// Structures nested deeper than this are refused.
const DEEPEST: u32 = 32;

/// Reads values one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What a field, or an element of a list, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    const TRUE: Kind = Kind(1);
    const FALSE: Kind = Kind(2);
    const I64: Kind = Kind(6);
    const BINARY: Kind = Kind(8);
    const LIST: Kind = Kind(9);
    const STRUCT: Kind = Kind(12);
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.at).copied().ok_or("a header is cut off")?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of a header has more than 64 bits".into())
    }

    fn signed(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Reads a structure: the function is given each field's number and kind, and reads it or answers false, whereupon it is
    /// passed over.
    pub fn fields(
        &mut self,
        mut each: impl FnMut(&mut Reader<'a>, i16, Kind) -> Result<bool, String>,
    ) -> Result<(), String> {
        let mut number = 0i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            number = match head >> 4 {
                0 => self.signed()? as i16,
                step => number.wrapping_add(i16::from(step)),
            };
            let kind = Kind(head & 0x0f);
            if !each(self, number, kind)? {
                self.skip(kind, DEEPEST)?;
            }
        }
    }

    /// A whole number that is not negative.
    pub fn number(&mut self, kind: Kind) -> Result<u64, String> {
        u64::try_from(self.integer(kind)?).map_err(|_| "a negative number in a header".into())
    }

    /// A whole number of 16, 32 or 64 bits.
    pub fn integer(&mut self, kind: Kind) -> Result<i64, String> {
        if (4..=Kind::I64.0).contains(&kind.0) { self.signed() } else { Err(unexpected(kind, "a number")) }
    }

    /// A truth value, which is in its kind.
    pub fn truth(&mut self, kind: Kind) -> Result<bool, String> {
        match kind {
            Kind::TRUE => Ok(true),
            Kind::FALSE => Ok(false),
            other => Err(unexpected(other, "a truth value")),
        }
    }

    /// A text.
    pub fn text(&mut self, kind: Kind) -> Result<&'a str, String> {
        if kind != Kind::BINARY {
            return Err(unexpected(kind, "a text"));
        }
        let length = self.varint()?;
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let bytes = end.and_then(|end| self.bytes.get(self.at..end)).ok_or("a header is cut off")?;
        self.at += bytes.len();
        std::str::from_utf8(bytes).map_err(|_| "a text of a header is not UTF-8".into())
    }

    /// Reads a list element by element.
    pub fn list(
        &mut self,
        kind: Kind,
        mut each: impl FnMut(&mut Reader<'a>, Kind) -> Result<(), String>,
    ) -> Result<(), String> {
        if kind != Kind::LIST {
            return Err(unexpected(kind, "a list"));
        }
        let (count, kind) = self.list_head()?;
        (0..count).try_for_each(|_| each(self, kind))
    }

    /// Checks that a value to be read by [`Reader::fields`] is a structure.
    pub fn structure(&self, kind: Kind) -> Result<(), String> {
        if kind == Kind::STRUCT { Ok(()) } else { Err(unexpected(kind, "a structure")) }
    }

    /// The count of a list and the kind of its elements, each of which takes a byte at least.
    fn list_head(&mut self) -> Result<(u64, Kind), String> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        if count > (self.bytes.len() - self.at) as u64 {
            return Err("a list of a header is cut off".into());
        }
        Ok((count, Kind(head & 0x0f)))
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Result<(), String> {
        let below = depth.checked_sub(1).ok_or("a header is nested too deeply")?;
        match kind.0 {
            // The value of a field is in its kind.
            1 | 2 => {}
            3 => _ = self.byte()?,
            4..=6 => _ = self.varint()?,
            7 => (0..8).try_for_each(|_| self.byte().map(drop))?,
            8 => {
                let length = self.varint()?;
                let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
                self.at = end.filter(|&end| end <= self.bytes.len()).ok_or("a header is cut off")?;
            }
            9 | 10 => {
                let (count, kind) = self.list_head()?;
                (0..count).try_for_each(|_| self.skip_element(kind, below))?;
            }
            11 => {
                let count = self.varint()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..count {
                        self.skip_element(Kind(kinds >> 4), below)?;
                        self.skip_element(Kind(kinds & 0x0f), below)?;
                    }
                }
            }
            12 => loop {
                let head = self.byte()?;
                if head == 0 {
                    break;
                }
                if head >> 4 == 0 {
                    self.varint()?;
                }
                self.skip(Kind(head & 0x0f), below)?;
            },
            other => return Err(format!("a header has a value of the unknown kind {other}")),
        }
        Ok(())
    }

    /// As [`Reader::skip`]; a truth value that is no field takes a byte.
    fn skip_element(&mut self, kind: Kind, depth: u32) -> Result<(), String> {
        match kind {
            Kind::TRUE | Kind::FALSE => self.byte().map(drop),
            kind => self.skip(kind, depth),
        }
    }
}

fn unexpected(kind: Kind, expected: &str) -> String {
    format!("a header has a value of kind {}, expected {expected}", kind.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field 1 = 150 (zigzag 300), field 3 = [1, -2], field 4 = a structure of a text, then the end.
    const SMALL: &[u8] = &[0x15, 0xac, 0x02, 0x29, 0x25, 0x02, 0x03, 0x1c, 0x18, 0x02, b'h', b'i', 0x00, 0x00];

    #[test]
    fn values_are_read_and_others_passed_over() {
        let mut reader = Reader::new(SMALL);
        let (mut number, mut list) = (0, Vec::new());
        let result = reader.fields(|reader, field, kind| {
            match field {
                1 => number = reader.number(kind)?,
                3 => reader.list(kind, |reader, kind| reader.integer(kind).map(|value| list.push(value)))?,
                _ => return Ok(false),
            }
            Ok(true)
        });
        assert_eq!((result, number, list, reader.position()), (Ok(()), 150, vec![1, -2], SMALL.len()));
    }

    #[test]
    fn cut_and_deep_headers_are_errors() {
        for length in 0..SMALL.len() {
            assert!(Reader::new(&SMALL[..length]).fields(|_, _, _| Ok(false)).is_err(), "{length}");
        }
        assert!(Reader::new(&[0x1c; 4000]).fields(|_, _, _| Ok(false)).is_err_and(|what| what.contains("deep")));
        // A list that claims to have more elements than there are bytes, a map likewise.
        assert!(Reader::new(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0x0f]).fields(|_, _, _| Ok(false)).is_err());
        assert!(Reader::new(&[0x1b, 0xff, 0xff, 0xff, 0x0f, 0x11]).fields(|_, _, _| Ok(false)).is_err());
    }
}
