//! What the end of a Parquet file says: its columns, and where the pieces of each lie.

use super::thrift::{Kind, Reader};
use crate::blob::Blob;

const MAGIC: &[u8] = b"PAR1";
/// Groups nested deeper than this are refused.
const DEEPEST: u32 = 32;
/// A file has at most so many rows for each of its bytes: long runs of one label are packed to nearly nothing, pictures and paths
/// are not.
const MOST_ROWS_A_BYTE: u64 = 16;
/// All paths together may be so many times as long as the footer: there every column stands with its own name only, and yet a
/// real file has each path again beside each piece of the column.
const MOST_PATHS_A_BYTE: usize = 64;
/// Bytes that a name takes in memory beside its letters.
const NAME: usize = std::mem::size_of::<String>();

/// A column without columns below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Names from the outermost group to its own.
    pub path: Vec<String>,
    /// None where nothing here reads its type.
    pub stored: Option<Stored>,
    /// How many of these names may be absent: the level at which there is a value.
    pub levels: u32,
    /// It lies in a list: a row has any number of values.
    pub repeated: bool,
}

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    I32,
    I64,
    Bytes,
}

/// A part of the rows.
#[derive(Debug)]
pub(super) struct Group {
    pub rows: u64,
    /// One a leaf.
    pub pieces: Vec<Piece>,
}

/// The values of a column in a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub codec: u64,
    pub values: u64,
    pub start: u64,
    pub length: u64,
}

#[derive(Debug)]
pub(super) struct Footer {
    pub leaves: Vec<Leaf>,
    pub groups: Vec<Group>,
    pub rows: u64,
}

pub(super) fn read(blob: &Blob) -> Result<Footer, String> {
    let short = || "damaged or truncated Parquet file".to_owned();
    let length = blob.len();
    let slice = |offset, length| blob.slice(offset, length).map_err(|error| error.to_string());
    let tail = slice(length.checked_sub(8).ok_or_else(short)?, 8)?;
    let (size, magic) = tail.split_at(4);
    let size = size.first_chunk().map_or(0, |size| u64::from(u32::from_le_bytes(*size)));
    if magic == b"PARE" {
        return Err("an encrypted Parquet file".into());
    }
    if magic != MAGIC || slice(0, 4)?.as_ref() != MAGIC {
        return Err(short());
    }
    let start = length.checked_sub(8 + size).filter(|&start| start >= 4).ok_or_else(short)?;
    let footer = parse(&slice(start, size)?)?;
    if footer.rows > length.saturating_mul(MOST_ROWS_A_BYTE) {
        return Err(format!("a file of {length} bytes cannot hold {} rows", footer.rows));
    }
    let all: Option<u64> = footer.groups.iter().try_fold(0u64, |sum, group| sum.checked_add(group.rows));
    if all != Some(footer.rows) {
        return Err(format!("its row groups have not the {} rows that it has", footer.rows));
    }
    for piece in footer.groups.iter().flat_map(|group| &group.pieces) {
        if piece.start.checked_add(piece.length).is_none_or(|end| end > start) {
            return Err("a piece of a column lies outside of the file".into());
        }
    }
    Ok(footer)
}

fn parse(bytes: &[u8]) -> Result<Footer, String> {
    let (mut elements, mut groups, mut rows) = (Vec::new(), Vec::new(), 0);
    Reader::new(bytes).fields(|reader, field, kind| {
        match field {
            2 => reader.list(kind, |reader, kind| element(reader, kind).map(|element| elements.push(element)))?,
            3 => rows = reader.number(kind)?,
            4 => reader.list(kind, |reader, kind| group(reader, kind).map(|group| groups.push(group)))?,
            8 => return Err("an encrypted Parquet file".into()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (mut leaves, mut elements) = (Vec::new(), elements.into_iter());
    let root = elements.next().ok_or("a Parquet file without a schema")?;
    let above = Leaf { path: Vec::new(), stored: None, levels: 0, repeated: false };
    let mut room = bytes.len().saturating_mul(MOST_PATHS_A_BYTE);
    for _ in 0..root.children {
        below(&mut elements, &above, DEEPEST, &mut leaves, &mut room)?;
    }
    if let Some(group) = groups.iter().find(|group: &&Group| group.pieces.len() != leaves.len()) {
        return Err(format!("a row group has {} columns, the schema {}", group.pieces.len(), leaves.len()));
    }
    Ok(Footer { leaves, groups, rows })
}

#[derive(Default)]
struct Element {
    name: String,
    stored: Option<u64>,
    /// 0 required, 1 optional, 2 repeated.
    repetition: u64,
    children: u64,
}

fn element(reader: &mut Reader<'_>, kind: Kind) -> Result<Element, String> {
    reader.structure(kind)?;
    let mut element = Element::default();
    reader.fields(|reader, field, kind| {
        match field {
            1 => element.stored = Some(reader.number(kind)?),
            3 => element.repetition = reader.number(kind)?,
            4 => element.name = reader.text(kind)?.to_owned(),
            5 => element.children = reader.number(kind)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(element)
}

/// Collects the leaves of the next element; elements stand in the order of a walk through the tree. `room` is what their paths
/// may still take.
fn below(
    elements: &mut impl Iterator<Item = Element>,
    above: &Leaf,
    depth: u32,
    leaves: &mut Vec<Leaf>,
    room: &mut usize,
) -> Result<(), String> {
    let depth = depth.checked_sub(1).ok_or("a schema that is nested too deeply")?;
    let element = elements.next().ok_or("a schema that is cut off")?;
    let path = NAME + element.name.len() + above.path.iter().map(|name| NAME + name.len()).sum::<usize>();
    *room = room.checked_sub(path).ok_or_else(|| {
        format!("a schema whose names of columns take more than {MOST_PATHS_A_BYTE} times as much as it")
    })?;
    let mut leaf = above.clone();
    leaf.path.push(element.name);
    leaf.levels += u32::from(element.repetition != 0);
    leaf.repeated |= element.repetition == 2;
    match element.stored {
        Some(stored) => {
            leaf.stored = match stored {
                1 => Some(Stored::I32),
                2 => Some(Stored::I64),
                6 => Some(Stored::Bytes),
                _ => None,
            };
            leaves.push(leaf);
            Ok(())
        }
        None => (0..element.children).try_for_each(|_| below(elements, &leaf, depth, leaves, room)),
    }
}

fn group(reader: &mut Reader<'_>, kind: Kind) -> Result<Group, String> {
    reader.structure(kind)?;
    let mut group = Group { rows: 0, pieces: Vec::new() };
    reader.fields(|reader, field, kind| {
        match field {
            1 => reader.list(kind, |reader, kind| piece(reader, kind).map(|piece| group.pieces.push(piece)))?,
            3 => group.rows = reader.number(kind)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(group)
}

fn piece(reader: &mut Reader<'_>, kind: Kind) -> Result<Piece, String> {
    reader.structure(kind)?;
    let (mut piece, mut data, mut dictionary) = (Piece::default(), None, None);
    reader.fields(|reader, field, kind| {
        match field {
            1 => return Err("a column lies in another file".into()),
            3 => {
                reader.structure(kind)?;
                reader.fields(|reader, field, kind| {
                    match field {
                        4 => piece.codec = reader.number(kind)?,
                        5 => piece.values = reader.number(kind)?,
                        7 => piece.length = reader.number(kind)?,
                        9 => data = Some(reader.number(kind)?),
                        11 => dictionary = Some(reader.number(kind)?),
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
            }
            8 => return Err("an encrypted column".into()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let data = data.ok_or("a column without a place in the file")?;
    // Some writers put 0 where there is no dictionary.
    piece.start = dictionary.filter(|&dictionary| dictionary > 0 && dictionary < data).unwrap_or(data);
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    /// A schema of one group with a name of this length, and so many columns below it.
    fn schema(name: usize, columns: usize) -> Vec<u8> {
        let group = |name: usize, children: usize| {
            [vec![0x48], varint(name), vec![b'n'; name], vec![0x15], varint(2 * children), vec![0]].concat()
        };
        let column = [0x15, 2, 0x38, 1, b'c', 0].repeat(columns);
        let count = varint(columns + 2);
        [vec![0x29, 0xfc], count, group(0, 1), group(name, columns), column, vec![0]].concat()
    }

    #[test]
    fn a_long_name_above_many_columns_takes_no_memory() {
        let footer = parse(&schema(40, 1000)).expect("valid");
        assert_eq!((footer.leaves.len(), footer.leaves[999].path.join(".").len()), (1000, 42));
        let message = parse(&schema(500_000, 80_000)).expect_err("40 GB of names");
        assert!(message.contains("names of columns take more than 64 times"), "{message}");
    }
}
