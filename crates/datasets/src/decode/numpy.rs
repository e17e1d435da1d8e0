//! numpy's arrays of images and labels: `.npy`, and one array of an `.npz`.

use std::io::{BufReader, Read};

use oodlab_formats::npy::{self, Header, Kind};
use oodlab_formats::npz::Npz;
use oodlab_formats::{FormatError, Number};

use crate::blob::Blob;

/// How an `.npz` file begins, one with arrays and one without.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// Bytes of images that are turned together.
const BLOCK: usize = 16 << 20;

/// An array whose elements are read where they are needed.
#[derive(Debug)]
pub(crate) struct Array {
    header: Header,
    /// Where the elements are, all of them.
    values: Blob,
    offset: u64,
}

/// Whether a file is an `.npz`.
pub(crate) fn is_npz(file: &Blob) -> bool {
    file.slice(0, 4).is_ok_and(|begin| ZIP.contains(&begin.as_ref()))
}

/// Opens the array of a `.npy`, or the one of this name of an `.npz`; the name is not needed where there is only one.
///
/// # Errors
/// When the file is damaged, or there is no such array; the message lists those that there are.
pub(crate) fn open(file: &Blob, name: Option<&str>) -> Result<Array, String> {
    let text = |error: FormatError| error.to_string();
    if !is_npz(file) {
        let header = npy::read_header(&mut BufReader::new(file.reader())).map_err(text)?;
        let (expected, found) = (header.data_bytes().map_err(text)?, file.len().saturating_sub(header.size_bytes));
        if expected != found {
            return Err(format!("{expected} bytes of elements expected, {found} there"));
        }
        let offset = header.size_bytes;
        return Ok(Array { header, values: file.clone(), offset });
    }
    let mut arrays = Npz::open(BufReader::new(file.reader())).map_err(text)?;
    let name = chosen(arrays.names(), name)?;
    // What lies in the file as it is needs no copy: the whole file's hash was proven.
    if let Some((header, offset)) = arrays.stored(&name).map_err(text)?
        && header.data_bytes().is_ok_and(|bytes| offset.checked_add(bytes).is_some_and(|end| end <= file.len()))
    {
        return Ok(Array { header, values: file.clone(), offset });
    }
    let unpacked = arrays.read(&name, |header, elements| {
        let bytes = header.data_bytes()?;
        let values = Blob::spool(elements.take(bytes), bytes);
        let values = values.map_err(|error| FormatError(format!("damaged data: {error}")))?;
        if values.len() < bytes {
            return Err(FormatError(format!("{bytes} bytes of elements expected, {} there", values.len())));
        }
        Ok((header.clone(), values))
    });
    let (header, values) = unpacked.map_err(text)?;
    Ok(Array { header, values, offset: 0 })
}

/// Compares the checksum of the array that [`open`] opens. That leaves out those that are not packed, lest every opening read
/// all of them: once, when the file is taken in, is enough. A `.npy` has none.
///
/// # Errors
/// When the checksum is another, or as [`open`].
pub(crate) fn prove(file: &Blob, name: Option<&str>) -> Result<(), String> {
    if !is_npz(file) {
        return Ok(());
    }
    let mut arrays = Npz::open(BufReader::new(file.reader())).map_err(|error| error.to_string())?;
    let name = chosen(arrays.names(), name)?;
    let read = arrays.read(&name, |_, elements| {
        std::io::copy(elements, &mut std::io::sink()).map_err(|error| FormatError(format!("damaged data: {error}")))
    });
    read.map(drop).map_err(|error| format!("array {name:?}: {error}"))
}

/// The name of an array of an `.npz`, where it has one of this name, or only one.
fn chosen(names: &[String], name: Option<&str>) -> Result<String, String> {
    match (name, names) {
        (Some(name), names) if names.iter().any(|known| known == name) => Ok(name.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (name, names) => {
            let wanted = name.map_or("a name is needed".into(), |name| format!("no array {name:?}"));
            Err(format!("{wanted}; the arrays of the file: {}", names.join(", ").escape_debug()))
        }
    }
}

impl Array {
    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The elements as u8, the last axis fastest: where they are, and the first byte.
    ///
    /// # Errors
    /// When they are of another type, which is named.
    pub fn into_u8(self) -> Result<(Blob, u64), String> {
        // Truth values have the size of u8, and are no images.
        if self.header.kind != Kind::Number(Number::U8) || self.header.descr.contains('b') {
            return Err(format!("elements of type {:?}, expected u8 (\"|u1\")", self.header.descr));
        }
        if !self.header.fortran_order || self.header.shape.len() < 2 {
            return Ok((self.values, self.offset));
        }
        let length = self.header.data_bytes().map_err(|error| error.to_string())?;
        let turned = Blob::spool(Turned::new(&self), length).map_err(|error| error.to_string())?;
        Ok((turned, 0))
    }

    /// Elements of an array `[n]` or `[n, 1]` as labels.
    ///
    /// # Errors
    /// When they are no whole numbers in the range of u32, or there are other axes.
    pub fn labels(&self) -> Result<Vec<u32>, String> {
        let Header { shape, kind, descr, big_endian, .. } = &self.header;
        let number = match kind {
            Kind::Number(number) if number.integer(&vec![0; number.size_bytes()], false).is_some() => *number,
            _ => return Err(format!("labels of type {descr:?}, expected whole numbers")),
        };
        if !matches!(shape.as_slice(), [_] | [_, 1]) {
            return Err(format!("labels of shape {shape:?}, expected [n]"));
        }
        let bytes = self.header.data_bytes().map_err(|error| error.to_string())?;
        let bytes = self.values.slice(self.offset, bytes).map_err(|error| error.to_string())?;
        let label = |(index, bytes): (usize, &[u8])| {
            let value = number.integer(bytes, *big_endian);
            let label = value.and_then(|value| u32::try_from(value).ok());
            let found = || value.map_or("beyond every class".into(), |value| value.to_string());
            label.ok_or_else(|| format!("label {index} is {}, expected 0 or more", found()))
        };
        bytes.chunks_exact(number.size_bytes()).enumerate().map(label).collect()
    }
}

/// Reads an array of u8 whose first axis changes fastest with its last axis fastest, some entries of the first axis at a time.
struct Turned<'a> {
    array: &'a Array,
    /// Entries of the first axis.
    rows: usize,
    /// Elements of each.
    width: usize,
    /// Rows that were turned.
    done: usize,
    block: Vec<u8>,
    /// What was given of the block.
    given: usize,
}

impl<'a> Turned<'a> {
    fn new(array: &'a Array) -> Turned<'a> {
        let (rows, rest) = array.header.shape.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        // All elements are there: a product beyond the range stands beside an axis of length 0, and there is nothing to turn.
        let width = rest.iter().try_fold(1, |width: usize, &length| width.checked_mul(length)).unwrap_or(0);
        Turned { array, rows, width, done: 0, block: Vec::new(), given: 0 }
    }

    /// Where the element of a row stands among the elements of a row, when the first axis is the fastest.
    fn place(&self, mut at: usize) -> usize {
        let (mut place, mut step) = (0, self.width);
        for &length in self.array.header.shape[1..].iter().rev() {
            step /= length;
            place += at % length * step;
            at /= length;
        }
        place
    }

    fn turn(&mut self) -> std::io::Result<()> {
        let rows = (BLOCK / self.width.max(1)).max(1).min(self.rows - self.done);
        self.block.clear();
        self.block.resize(rows * self.width, 0);
        for at in 0..self.width {
            let begin = self.array.offset + (self.place(at) * self.rows + self.done) as u64;
            let column = self.array.values.slice(begin, rows as u64)?;
            for (row, value) in column.iter().enumerate() {
                self.block[row * self.width + at] = *value;
            }
        }
        self.done += rows;
        self.given = 0;
        Ok(())
    }
}

impl Read for Turned<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.given == self.block.len() && self.done < self.rows && self.width > 0 {
            self.turn()?;
        }
        let count = out.len().min(self.block.len() - self.given);
        out[..count].copy_from_slice(&self.block[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// Runs the readers on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    let file = Blob::memory(bytes.to_vec());
    for name in [None, Some("data"), Some("targets")] {
        if let Ok(array) = open(&file, name) {
            let _ = array.labels();
            if let Ok((values, offset)) = array.into_u8() {
                let _ = values.slice(offset, 3072);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_the_range_beside_none_are_no_elements() {
        let text = "{'descr': '|u1', 'fortran_order': True, 'shape': (0, 4294967295, 4294967295, 3), }";
        let file = [b"\x93NUMPY\x01\0\x76\0".as_slice(), format!("{text:<117}\n").as_bytes()].concat();
        let array = open(&Blob::memory(file), None).expect("an empty array");
        assert_eq!(Turned::new(&array).width, 0, "nothing to turn");
        assert_eq!(array.into_u8().expect("an empty array").0.len(), 0);
    }

    #[test]
    fn a_flipped_byte_of_a_stored_array_is_found() {
        let whole = include_bytes!("../../tests/fixtures/arrays/both.npz").as_slice();
        let file = Blob::memory(whole);
        let names = Npz::open(std::io::Cursor::new(whole)).expect("valid").names().to_vec();
        for name in &names {
            prove(&file, Some(name)).expect("valid");
            let array = open(&file, Some(name)).expect("valid");
            let mut damaged = whole.to_vec();
            damaged[array.offset as usize] ^= 1;
            let damaged = Blob::memory(damaged);
            open(&damaged, Some(name)).expect("its elements are not read");
            let message = prove(&damaged, Some(name)).expect_err("another checksum");
            assert!(message.contains(&format!("array {name:?}: ")) && message.contains("damaged data"), "{message}");
        }
        assert!(prove(&file, Some("none")).is_err_and(|what| what.contains("no array \"none\"")));
    }
}
