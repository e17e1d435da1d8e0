//! The pages of a column.

use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;

use super::footer::{Piece, Stored};
use super::thrift::Reader;
use super::values;
use crate::blob::Blob;
use crate::decode::gzip::LARGEST_RATIO;

/// A page may be as large as this, however few bytes it is packed into.
const ALWAYS_ALLOWED: u64 = 1 << 20;
/// How much of a file is read in search of a page's header, in turn.
const HEADER_WINDOWS: [u64; 3] = [1 << 9, 1 << 16, 1 << 24];

/// A column: where its pages lie.
#[derive(Debug)]
pub(crate) struct Column {
    blob: Blob,
    stored: Stored,
    /// The level at which there is a value.
    levels: u32,
    pieces: Vec<Chunk>,
    pages: Vec<Page>,
    /// The dictionary that was read last, and the piece that it is of.
    dictionary: Mutex<Option<(u32, Arc<Values>)>>,
}

/// A piece of a column.
#[derive(Debug)]
struct Chunk {
    codec: u64,
    dictionary: Option<Page>,
}

#[derive(Debug, Clone)]
struct Page {
    /// The first row.
    row: u64,
    count: u32,
    piece: u32,
    /// Place and length of what follows the header.
    body: u64,
    packed: u32,
    /// Length when unpacked.
    size: u32,
    encoding: u64,
    levels: Levels,
}

/// How the levels of a page are kept: in front of the values and packed with them, or apart.
#[derive(Debug, Clone, Copy)]
enum Levels {
    Within,
    Apart { definition: u32, repetition: u32, packed: bool },
}

/// Values of a page.
#[derive(Debug)]
pub(crate) enum Values {
    Numbers(Vec<Option<i64>>),
    /// Byte strings: each a start and a length in the bytes of a page or a dictionary.
    Bytes {
        heap: Arc<Vec<u8>>,
        spans: Vec<Option<(u32, u32)>>,
    },
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Absent,
    Number(i64),
    Bytes(&'a [u8]),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::Numbers(numbers) => numbers.len(),
            Values::Bytes { spans, .. } => spans.len(),
        }
    }

    /// A value; absent past the end.
    pub fn get(&self, index: usize) -> Value<'_> {
        match self {
            Values::Numbers(numbers) => numbers.get(index).copied().flatten().map_or(Value::Absent, Value::Number),
            Values::Bytes { heap, spans } => {
                let span = spans.get(index).copied().flatten();
                let bytes = span.and_then(|(start, length)| heap.get(start as usize..)?.get(..length as usize));
                bytes.map_or(Value::Absent, Value::Bytes)
            }
        }
    }
}

impl Column {
    /// Walks from header to header; the values are not read.
    pub(super) fn open<'a>(
        blob: &Blob,
        stored: Stored,
        levels: u32,
        groups: impl Iterator<Item = (u64, &'a Piece)>,
    ) -> Result<Column, String> {
        let mut column = Column {
            blob: blob.clone(),
            stored,
            levels,
            pieces: Vec::new(),
            pages: Vec::new(),
            dictionary: Mutex::new(None),
        };
        let mut row = 0;
        for (rows, piece) in groups {
            if piece.values != rows {
                return Err(format!("{} values in {rows} rows", piece.values));
            }
            column.walk(row, piece)?;
            row += rows;
        }
        Ok(column)
    }

    fn walk(&mut self, first: u64, piece: &Piece) -> Result<(), String> {
        let (mut at, end) = (piece.start, piece.start + piece.length);
        let mut chunk = Chunk { codec: piece.codec, dictionary: None };
        let mut row = first;
        while row < first + piece.values {
            let (header, length) = header(&self.blob, at, end)?;
            let body = at + length;
            at = body.checked_add(u64::from(header.packed)).filter(|&at| at <= end).ok_or("a page is cut off")?;
            let page = Page {
                row,
                count: header.count,
                piece: self.pieces.len() as u32,
                body,
                packed: header.packed,
                size: header.size,
                encoding: header.encoding,
                levels: header.levels.unwrap_or(Levels::Within),
            };
            let largest = ALWAYS_ALLOWED.max(u64::from(page.packed).saturating_mul(LARGEST_RATIO));
            if u64::from(page.size) > largest {
                return Err(format!("{} bytes cannot hold a page of {}", page.packed, page.size));
            }
            match header.kind {
                0 | 3 => {
                    row += u64::from(page.count);
                    if row > first + piece.values {
                        return Err("more values in pages than in their row group".into());
                    }
                    if page.count > 0 {
                        self.pages.push(page);
                    }
                }
                2 => chunk.dictionary = Some(page),
                _ => {}
            }
        }
        self.pieces.push(chunk);
        Ok(())
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The page of a row, and the page's first row.
    pub fn page_of(&self, row: u64) -> Option<(usize, u64)> {
        let page = self.pages.partition_point(|page| page.row <= row).checked_sub(1)?;
        let first = self.pages[page].row;
        (row - first < u64::from(self.pages[page].count)).then_some((page, first))
    }

    /// Memory that a page takes when it is read.
    pub fn size_of(&self, page: usize) -> u64 {
        self.pages.get(page).map_or(0, |page| u64::from(page.size) + 16 * u64::from(page.count))
    }

    /// Reads the values of a page.
    pub fn read(&self, page: usize) -> Result<Values, String> {
        let page = self.pages.get(page).ok_or("no such page")?;
        let chunk = self.pieces.get(page.piece as usize).ok_or("no such piece")?;
        let body = self.blob.slice(page.body, u64::from(page.packed)).map_err(|error| error.to_string())?;
        let count = page.count as usize;
        let (levels, body) = match page.levels {
            Levels::Within => {
                let body = unpack(chunk.codec, body, page.size)?;
                if self.levels == 0 {
                    (None, body)
                } else {
                    let mut rest: &[u8] = &body;
                    let length = values::take_u32(&mut rest)?;
                    let levels = self.present(values::take(&mut rest, u64::from(length))?, count)?;
                    let front = body.len() - rest.len();
                    (Some(levels), without_front(body, front))
                }
            }
            Levels::Apart { definition, repetition, packed } => {
                let mut rest: &[u8] = &body;
                values::take(&mut rest, u64::from(repetition))?;
                let levels = values::take(&mut rest, u64::from(definition))?;
                let levels = (self.levels > 0).then(|| self.present(levels, count)).transpose()?;
                let front = body.len() - rest.len();
                let size = page.size.checked_sub(front as u32).ok_or("a page smaller than its levels")?;
                let body = without_front(body, front);
                (levels, if packed { unpack(chunk.codec, body, size)? } else { body })
            }
        };
        let present = levels.as_ref().map_or(count, |levels| levels.iter().filter(|&&there| there).count());
        let values = self.values(page, chunk, body, present)?;
        match levels {
            Some(levels) if present < count => Ok(spread(values, &levels)),
            _ => Ok(values),
        }
    }

    /// Which rows have a value.
    fn present(&self, levels: &[u8], count: usize) -> Result<Vec<bool>, String> {
        let width = u32::BITS - self.levels.leading_zeros();
        Ok(values::hybrid(levels, width, count)?.into_iter().map(|level| level == self.levels).collect())
    }

    /// `count` values, without the absent ones.
    fn values(&self, page: &Page, chunk: &Chunk, body: Cow<'_, [u8]>, count: usize) -> Result<Values, String> {
        let values = match (page.encoding, self.stored) {
            (0, Stored::I32) => numbers(values::plain_integers(&body, 4, count)?),
            (0, Stored::I64) => numbers(values::plain_integers(&body, 8, count)?),
            (0, Stored::Bytes) => {
                let spans = values::plain_spans(&body, count)?;
                byte_strings(body, spans)
            }
            (5, Stored::I32 | Stored::I64) => numbers(values::differences(&mut &*body, count)?),
            (6, Stored::Bytes) => {
                let spans = values::spans_behind_lengths(&body, count)?;
                byte_strings(body, spans)
            }
            (2 | 8, _) => {
                let dictionary = self.dictionary(page.piece, chunk)?;
                let mut rest: &[u8] = &body;
                let width = if count == 0 { 0 } else { u32::from(values::take(&mut rest, 1)?[0]) };
                let places = values::hybrid(rest, width, count)?;
                if places.iter().any(|&place| place as usize >= dictionary.len()) {
                    return Err(format!("a value that is not in the dictionary of {}", dictionary.len()));
                }
                match &*dictionary {
                    Values::Numbers(all) => Values::Numbers(places.iter().map(|&place| all[place as usize]).collect()),
                    Values::Bytes { heap, spans } => Values::Bytes {
                        heap: heap.clone(),
                        spans: places.iter().map(|&place| spans[place as usize]).collect(),
                    },
                }
            }
            (other, _) => return Err(format!("encoding {} is not read", encoding_name(other))),
        };
        if values.len() != count {
            return Err(format!("{} values in a page of {count}", values.len()));
        }
        Ok(values)
    }

    fn dictionary(&self, piece: u32, chunk: &Chunk) -> Result<Arc<Values>, String> {
        let mut last = self.dictionary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, dictionary)) = &*last
            && *of == piece
        {
            return Ok(dictionary.clone());
        }
        let page = chunk.dictionary.as_ref().ok_or("no dictionary before a page that needs one")?;
        if !matches!(page.encoding, 0 | 2) {
            return Err(format!("encoding {} of a dictionary is not read", encoding_name(page.encoding)));
        }
        let body = self.blob.slice(page.body, u64::from(page.packed)).map_err(|error| error.to_string())?;
        let page = Page { encoding: 0, ..page.clone() };
        let body = unpack(chunk.codec, body, page.size)?;
        let dictionary = Arc::new(self.values(&page, chunk, body, page.count as usize)?);
        *last = Some((piece, dictionary.clone()));
        Ok(dictionary)
    }
}

fn numbers(numbers: Vec<i64>) -> Values {
    Values::Numbers(numbers.into_iter().map(Some).collect())
}

/// A page holds less than 2 GiB, so places in it need 32 bits.
fn byte_strings(body: Cow<'_, [u8]>, spans: Vec<(usize, usize)>) -> Values {
    let spans = spans.into_iter().map(|(start, length)| Some((start as u32, length as u32))).collect();
    Values::Bytes { heap: Arc::new(body.into_owned()), spans }
}

/// Puts absent values where the levels say.
fn spread(values: Values, levels: &[bool]) -> Values {
    fn among<T>(values: Vec<Option<T>>, levels: &[bool]) -> Vec<Option<T>> {
        let mut values = values.into_iter();
        levels.iter().map(|&there| if there { values.next().flatten() } else { None }).collect()
    }
    match values {
        Values::Numbers(numbers) => Values::Numbers(among(numbers, levels)),
        Values::Bytes { heap, spans } => Values::Bytes { heap, spans: among(spans, levels) },
    }
}

fn without_front(bytes: Cow<'_, [u8]>, front: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(front..).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.drain(..front.min(bytes.len()));
            Cow::Owned(bytes)
        }
    }
}

/// Unpacks what must become `size` bytes; [`Column::open`] has seen to it that these are not too many.
fn unpack(codec: u64, bytes: Cow<'_, [u8]>, size: u32) -> Result<Cow<'_, [u8]>, String> {
    let size = size as usize;
    let unpacked = match codec {
        0 => bytes,
        1 => {
            let length = snap::raw::decompress_len(&bytes).map_err(|error| format!("damaged Snappy data: {error}"))?;
            if length != size {
                return Err(wrong_size(size, length));
            }
            let unpacked = snap::raw::Decoder::new().decompress_vec(&bytes);
            Cow::Owned(unpacked.map_err(|error| format!("damaged Snappy data: {error}"))?)
        }
        2 => {
            let mut out = Vec::new();
            let result = MultiGzDecoder::new(&*bytes).take(size as u64 + 1).read_to_end(&mut out);
            result.map_err(|error| format!("damaged gzip data: {error}"))?;
            Cow::Owned(out)
        }
        6 => {
            let unpacked = zstd::bulk::decompress(&bytes, size);
            Cow::Owned(unpacked.map_err(|error| format!("damaged Zstandard data: {error}"))?)
        }
        other => {
            let names = ["LZO", "Brotli", "LZ4", "", "LZ4 (raw)"];
            let name = other.checked_sub(3).and_then(|at| names.get(at as usize)).copied().unwrap_or("unknown");
            return Err(format!("codec {other} ({name}) is not read, expected Snappy, gzip, Zstandard or none"));
        }
    };
    if unpacked.len() != size { Err(wrong_size(size, unpacked.len())) } else { Ok(unpacked) }
}

fn wrong_size(expected: usize, found: usize) -> String {
    format!("a page of {found} bytes, expected {expected}")
}

fn encoding_name(number: u64) -> String {
    let names = ["plain", "", "dictionary", "run-length", "bit-packed", "differences", "", "prefixes", "dictionary"];
    match names.get(number as usize) {
        Some(name) if !name.is_empty() => format!("{number} ({name})"),
        _ => number.to_string(),
    }
}

#[derive(Default)]
struct Header {
    kind: u64,
    size: u32,
    packed: u32,
    count: u32,
    encoding: u64,
    levels: Option<Levels>,
}

/// The header of a page, and its length.
fn header(blob: &Blob, at: u64, end: u64) -> Result<(Header, u64), String> {
    let there = end.checked_sub(at).filter(|&there| there > 0).ok_or("a column ends before its last value")?;
    let mut failure = String::new();
    for window in HEADER_WINDOWS {
        let bytes = blob.slice(at, window.min(there)).map_err(|error| error.to_string())?;
        match parse(&bytes) {
            Ok((header, length)) => return Ok((header, length as u64)),
            Err(what) => failure = what,
        }
        if window >= there {
            break;
        }
    }
    Err(format!("the header of a page: {failure}"))
}

fn parse(bytes: &[u8]) -> Result<(Header, usize), String> {
    let small = |number: u64| {
        let fits = i32::try_from(number).ok().and_then(|number| u32::try_from(number).ok());
        fits.ok_or_else(|| "a number of more than 31 bits".to_owned())
    };
    let mut header = Header::default();
    let mut reader = Reader::new(bytes);
    reader.fields(|reader, field, kind| {
        match field {
            1 => header.kind = reader.number(kind)?,
            2 => header.size = small(reader.number(kind)?)?,
            3 => header.packed = small(reader.number(kind)?)?,
            // Data page, dictionary page: the number of values, their encoding.
            5 | 7 => {
                reader.structure(kind)?;
                reader.fields(|reader, field, kind| {
                    match field {
                        1 => header.count = small(reader.number(kind)?)?,
                        2 => header.encoding = reader.number(kind)?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
            }
            // Data page of version 2.
            8 => {
                let (mut definition, mut repetition, mut packed) = (0, 0, true);
                reader.structure(kind)?;
                reader.fields(|reader, field, kind| {
                    match field {
                        1 => header.count = small(reader.number(kind)?)?,
                        4 => header.encoding = reader.number(kind)?,
                        5 => definition = small(reader.number(kind)?)?,
                        6 => repetition = small(reader.number(kind)?)?,
                        7 => packed = reader.truth(kind)?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                header.levels = Some(Levels::Apart { definition, repetition, packed });
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((header, reader.position()))
}
