//! MATLAB's MAT-files of version 5 (`save -v6` and `-v7`), numeric arrays only: what SVHN is published in.
//!
//! The format is that of "MAT-File Format" (The MathWorks, R2021a): a header of 128 bytes, then elements of a tag (type and
//! length) and data, either byte order. Arrays are elements `miMATRIX` of elements (flags, dimensions, name, values), which may be
//! packed by zlib as a whole (`miCOMPRESSED`); values may be stored in a smaller type than the array's class. Everything
//! else in a file is passed over.
//!
//! Why not a crate: `matfile` calls itself alpha, and reads whole files into memory. Here a packed array goes through
//! `Blob::spool`, so that SVHN's `extra_32x32.mat` (1.6 GB unpacked) takes no such memory, and nothing is allocated
//! before the bytes are there.

mod element;

use std::io::{BufReader, Read, Seek, SeekFrom};

use flate2::read::ZlibDecoder;

use crate::blob::{Blob, BlobReader};
pub(crate) use element::Kind;
use element::{ByteOrder, Tag};

/// Bytes of the file's header.
const HEADER: u64 = 128;
/// How a file of version 7.3 (HDF5) begins, there or behind a block of 512 bytes.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// zlib cannot make more than this of one byte (1032, rounded up).
const LARGEST_RATIO: u64 = 1040;
/// Most axes of an array that is looked at.
const MOST_AXES: u64 = 32;
/// Longest name (MATLAB: 63).
const LONGEST_NAME: u64 = 255;

/// A numeric array of a file.
#[derive(Debug)]
pub(crate) struct Array {
    /// Length of each axis; the first changes fastest.
    pub shape: Vec<u64>,
    /// MATLAB's name of the class: `uint8`, `double`.
    pub class: &'static str,
    /// How the values are stored.
    pub kind: Kind,
    order: ByteOrder,
    /// Where the values are.
    pub bytes: Blob,
    /// First byte of the first value.
    pub offset: u64,
    /// Number of values: the product of the shape, all of them there.
    pub count: u64,
}

impl Array {
    /// All values as whole numbers, which they must be.
    pub fn integers(&self) -> Result<Vec<u32>, String> {
        let size = self.kind.size();
        let bytes = self.bytes.slice(self.offset, self.count * size).map_err(|error| error.to_string())?;
        let value = |(index, bytes): (usize, &[u8])| {
            let value = self.kind.value(bytes, self.order);
            // Every u32 is an f64.
            let whole = (0.0..=f64::from(u32::MAX)).contains(&value) && value.fract() == 0.0;
            if whole { Ok(value as u32) } else { Err(format!("value {index} is {value}, expected a whole number")) }
        };
        bytes.chunks_exact(size as usize).enumerate().map(value).collect()
    }
}

/// Reads the arrays of these names; `None` for one that is not there.
///
/// # Errors
/// When the file is of another version or damaged, or a wanted array is not numeric, or there are two of its name.
pub(crate) fn read(file: &Blob, wanted: &[&str]) -> Result<Vec<Option<Array>>, String> {
    let order = check_header(file)?;
    let mut found: Vec<Option<Array>> = wanted.iter().map(|_| None).collect();
    let mut at = HEADER;
    while at < file.len() {
        let cut = |what: String| format!("{what} (element at byte {at})");
        let mut reader = file.reader();
        reader.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        let tag = Tag::read(&mut reader, order).map_err(cut)?;
        let data = at + Tag::SIZE;
        // A packed element is not padded.
        let padded = if tag.kind == Kind::Compressed { tag.length } else { tag.padded() };
        let end = data.checked_add(padded).filter(|&end| end <= file.len());
        // The padding of the last element may be missing.
        let end = end.or_else(|| data.checked_add(tag.length).filter(|&end| end == file.len()));
        let Some(end) = end else {
            return Err(cut(format!("{} bytes announced and the file ends: it was cut off", tag.length)));
        };
        let array = match tag.kind {
            _ if tag.length == 0 => Ok(None),
            Kind::Compressed => unpacked(reader.take(tag.length), tag.length, order, wanted),
            Kind::Matrix => plain(file, reader, data, tag.length, order, wanted),
            _ => Ok(None),
        };
        if let Some((place, array)) = array.map_err(cut)?
            && found[place].replace(array).is_some()
        {
            return Err(cut(format!("a second array {:?}", wanted[place])));
        }
        at = end;
    }
    Ok(found)
}

/// Proves the version and finds the byte order.
fn check_header(file: &Blob) -> Result<ByteOrder, String> {
    let begin = file.slice(0, file.len().min(512 + HDF5.len() as u64)).map_err(|error| error.to_string())?;
    let is_hdf5 = begin.starts_with(HDF5) || begin.get(512..).is_some_and(|rest| rest.starts_with(HDF5));
    if is_hdf5 || begin.starts_with(b"MATLAB 7.3") {
        return Err("a MAT-file of version 7.3 (HDF5), which is not read: save it in MATLAB with `-v7`".into());
    }
    let Some(&[v0, v1, e0, e1]) = begin.get(124..128).and_then(|bytes| bytes.first_chunk::<4>()) else {
        return Err(format!("{} bytes are too short for a MAT-file", file.len()));
    };
    let (order, version) = match &[e0, e1] {
        b"IM" => (ByteOrder::Little, u16::from_le_bytes([v0, v1])),
        b"MI" => (ByteOrder::Big, u16::from_be_bytes([v0, v1])),
        _ => return Err("not a MAT-file of version 5 (a file of version 4: save it in MATLAB with `-v7`)".into()),
    };
    if version >> 8 != 1 {
        return Err(format!("a MAT-file of version {version:#06x}, expected 0x0100: save it in MATLAB with `-v7`"));
    }
    Ok(order)
}

/// An array that lies in the file as it is.
fn plain(
    file: &Blob,
    mut reader: BlobReader,
    at: u64,
    length: u64,
    order: ByteOrder,
    wanted: &[&str],
) -> Result<Option<(usize, Array)>, String> {
    let mut counted = Counted { stream: BufReader::with_capacity(256, &mut reader).take(length), count: 0 };
    let Some((place, head)) = Head::read(&mut counted, order, wanted)? else { return Ok(None) };
    let needed = head.check(length - counted.count)?;
    Ok(Some((place, head.array(order, file.clone(), at + counted.count, needed))))
}

/// An array in a packed element.
fn unpacked(
    packed: std::io::Take<BlobReader>,
    length: u64,
    order: ByteOrder,
    wanted: &[&str],
) -> Result<Option<(usize, Array)>, String> {
    let mut stream = ZlibDecoder::new(packed);
    let tag = Tag::read(&mut stream, order)?;
    if tag.kind != Kind::Matrix {
        return Ok(None);
    }
    let most = length.saturating_mul(LARGEST_RATIO);
    if tag.length > most {
        return Err(format!("{length} packed bytes announce {} bytes", tag.length));
    }
    let mut counted = Counted { stream: (&mut stream).take(tag.length), count: 0 };
    let Some((place, head)) = Head::read(&mut counted, order, wanted)? else { return Ok(None) };
    let needed = head.check(tag.length - counted.count)?;
    let apart = if head.small.is_some() { 0 } else { needed };
    let bytes = Blob::spool((&mut counted).take(apart), apart).map_err(|error| format!("damaged data: {error}"))?;
    if bytes.len() < apart {
        return Err(format!("{apart} bytes of values expected, {} there", bytes.len()));
    }
    // The checksum is compared when the end is read. Behind the values there is padding, and nothing else.
    let rest = std::io::copy(&mut stream.take(8), &mut std::io::sink());
    match rest.map_err(|error| format!("damaged data: {error}"))? {
        0..8 => Ok(Some((place, head.array(order, bytes, 0, needed)))),
        _ => Err("bytes behind the array".into()),
    }
}

/// Counts what was read.
struct Counted<R> {
    stream: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(out)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// What an array says before its values.
struct Head {
    class: &'static str,
    shape: Vec<u64>,
    /// The tag of the values.
    values: Tag,
    /// Values in the tag itself, where there are few.
    small: Option<[u8; 4]>,
}

impl Head {
    /// Reads up to the values; `None` when nobody wants the array.
    fn read(stream: &mut impl Read, order: ByteOrder, wanted: &[&str]) -> Result<Option<(usize, Head)>, String> {
        let flags = element::read(stream, order, Kind::U32, 8)?;
        let flags = flags.first_chunk::<4>().map_or(0, |word| order.u32(*word));
        // Newer kinds of values (tables, texts of class `string`) are laid out otherwise.
        if !(1..=16).contains(&(flags & 0xff)) {
            return Ok(None);
        }
        let shape = element::read(stream, order, Kind::I32, 4 * MOST_AXES)?;
        let name = element::read(stream, order, Kind::I8, LONGEST_NAME)?;
        let Some(place) = wanted.iter().position(|wanted| wanted.as_bytes() == name) else { return Ok(None) };
        let name = wanted[place];
        let class = match flags & 0xff {
            6 => "double",
            7 => "single",
            8 => "int8",
            9 => "uint8",
            10 => "int16",
            11 => "uint16",
            12 => "int32",
            13 => "uint32",
            14 => "int64",
            15 => "uint64",
            other => return Err(format!("array {name:?} is of class {other}, expected numbers")),
        };
        if flags & 0x0800 != 0 {
            return Err(format!("array {name:?} is complex"));
        }
        let shape: Option<Vec<u64>> =
            shape.as_chunks::<4>().0.iter().map(|&length| u64::try_from(order.u32(length) as i32).ok()).collect();
        let shape = shape.ok_or_else(|| format!("array {name:?} has an axis of negative length"))?;
        let values = Tag::read(stream, order)?;
        let small = values.small;
        Ok(Some((place, Head { class, shape, values, small })))
    }

    /// Bytes of the values, which must be as many as the shape demands and lie in the `left` bytes of the array.
    fn check(&self, left: u64) -> Result<u64, String> {
        let size = self.values.kind.size();
        if size == 0 {
            return Err(format!("values of type {:?}, expected numbers", self.values.kind));
        }
        let needed = self.shape.iter().try_fold(size, |product, &length| product.checked_mul(length));
        let there = if self.small.is_some() { self.values.length } else { self.values.length.min(left) };
        match needed {
            Some(needed) if needed == self.values.length && needed == there => Ok(needed),
            _ => Err(format!("an array of shape {:?} with {there} bytes of {:?}", self.shape, self.values.kind)),
        }
    }

    fn array(self, order: ByteOrder, bytes: Blob, offset: u64, length: u64) -> Array {
        let kind = self.values.kind;
        let count = length / kind.size().max(1);
        let (bytes, offset) = match self.small {
            Some(small) => (Blob::memory(small.to_vec()), 0),
            None => (bytes, offset),
        };
        Array { shape: self.shape, class: self.class, kind, order, bytes, offset, count }
    }
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    for array in read(&Blob::memory(bytes.to_vec()), &["X", "y"]).into_iter().flatten().flatten() {
        let _ = array.integers();
    }
}

#[cfg(test)]
mod tests;
