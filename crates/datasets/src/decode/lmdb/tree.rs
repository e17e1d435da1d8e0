//! The tree of a database's main table, as LMDB 0.9 keeps it (`mdb.c`: `MDB_page`, `MDB_meta`, `MDB_db`, `MDB_node`).

use std::borrow::Cow;
use std::cell::Cell;

use super::Failure;
use crate::blob::Blob;

/// Bytes of a page's header.
const HEADER: usize = 16;
/// Bytes of a node's header.
const NODE: usize = 8;
const MAGIC: u32 = 0xbeef_c0de;
const VERSION: u32 = 1;
/// No page.
const NONE: u64 = u64::MAX;
/// LMDB's own bound.
const DEEPEST: u32 = 32;

/// Kinds of pages.
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// Kinds of nodes: the value lies on pages of its own; it is a table of its own.
const BIG: u16 = 0x01;

/// What is done with a key and its value.
pub(super) type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Failure> + 'a;

/// The newest state of a database.
pub(super) struct Tree {
    blob: Blob,
    page: u64,
    /// Pages in use.
    pages: u64,
    root: u64,
    depth: u32,
    entries: u64,
}

/// A description of the database; there are two, written in turn.
struct Meta {
    page: u64,
    /// How the main table is kept; 0 is plain.
    flags: u16,
    depth: u16,
    entries: u64,
    root: u64,
    last: u64,
    transaction: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    let value = bytes.get(at..).and_then(|rest| rest.first_chunk());
    value.map(|value| u16::from_le_bytes(*value)).ok_or_else(cut)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let value = bytes.get(at..).and_then(|rest| rest.first_chunk());
    value.map(|value| u32::from_le_bytes(*value)).ok_or_else(cut)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    let value = bytes.get(at..).and_then(|rest| rest.first_chunk());
    value.map(|value| u64::from_le_bytes(*value)).ok_or_else(cut)
}

fn cut() -> String {
    "a damaged LMDB database: a page ends too early".into()
}

fn meta(blob: &Blob, at: u64) -> Result<Meta, String> {
    let none = || "not an LMDB database of a 64-bit little-endian machine, or a truncated one".to_owned();
    let bytes = blob.slice(at, 152).map_err(|_| none())?;
    if u32_at(&bytes, 16)? != MAGIC {
        return Err(none());
    }
    let version = u32_at(&bytes, 20)?;
    if version != VERSION {
        return Err(format!("an LMDB database of version {version}, expected {VERSION}"));
    }
    Ok(Meta {
        page: u64::from(u32_at(&bytes, 40)?),
        flags: u16_at(&bytes, 92)?,
        depth: u16_at(&bytes, 94)?,
        entries: u64_at(&bytes, 120)?,
        root: u64_at(&bytes, 128)?,
        last: u64_at(&bytes, 136)?,
        transaction: u64_at(&bytes, 144)?,
    })
}

impl Tree {
    pub fn open(blob: &Blob) -> Result<Tree, String> {
        let first = meta(blob, 0)?;
        if !first.page.is_power_of_two() || !(512..=1 << 16).contains(&first.page) {
            return Err(format!("a damaged LMDB database: pages of {} bytes", first.page));
        }
        let second = meta(blob, first.page)?;
        let page = first.page;
        let newest = if second.transaction > first.transaction { second } else { first };
        if newest.page != page {
            return Err(format!("a damaged LMDB database: pages of {page} and of {} bytes", newest.page));
        }
        let there = blob.len() / page;
        if newest.last >= there {
            return Err(format!("a truncated LMDB database: {there} pages of {}", newest.last.saturating_add(1)));
        }
        if newest.flags != 0 {
            return Err("an LMDB database with several values a key, or with numbers as keys".into());
        }
        if u32::from(newest.depth) > DEEPEST || newest.entries > blob.len() {
            return Err("a damaged LMDB database: it cannot be so large".into());
        }
        Ok(Tree {
            blob: blob.clone(),
            page,
            pages: newest.last + 1,
            root: newest.root,
            depth: u32::from(newest.depth),
            entries: newest.entries,
        })
    }

    /// Number of keys.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Hands each key and its value to a function, in the order of the keys.
    pub fn walk(&self, each: &mut Each<'_>) -> Result<(), Failure> {
        let left =
            Left { pages: Cell::new(self.pages), entries: Cell::new(self.entries), bytes: Cell::new(self.blob.len()) };
        if self.root != NONE {
            self.below(self.root, self.depth, &left, each)?;
        }
        if left.entries.get() != 0 {
            let missing = left.entries.get();
            return Err(Failure::Database(format!(
                "a damaged LMDB database: {missing} of {} keys are missing",
                self.entries
            )));
        }
        Ok(())
    }

    fn below(&self, number: u64, depth: u32, left: &Left, each: &mut Each<'_>) -> Result<(), Failure> {
        let wrong = |what: &str| Failure::Database(format!("a damaged LMDB database: page {number} {what}"));
        // Each page belongs to a tree once: one that is met again leads in a circle.
        let depth = depth.checked_sub(1).ok_or_else(|| wrong("lies too deep"))?;
        left.take(&left.pages, 1).ok_or_else(|| wrong("is met again"))?;
        let page = self.page(number).map_err(Failure::Database)?;
        let kind = u16_at(&page, 10).map_err(Failure::Database)?;
        let end = usize::from(u16_at(&page, 12).map_err(Failure::Database)?);
        // A page of 64 KiB that is full ends at 65536, which reads 0 here.
        let pointers = page.get(HEADER..end).ok_or_else(|| wrong("has no nodes"))?.as_chunks::<2>().0;
        for &pointer in pointers {
            let node = page.get(usize::from(u16::from_le_bytes(pointer))..).unwrap_or_default();
            let (head, rest) = node.split_first_chunk::<NODE>().ok_or_else(|| wrong("has a node outside of it"))?;
            let field = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
            let (low, high, flags, key) = (field(0), field(2), field(4), usize::from(field(6)));
            let (key, rest) = rest.split_at_checked(key).ok_or_else(|| wrong("has a node outside of it"))?;
            let length = u64::from(low) | u64::from(high) << 16;
            match (kind, depth) {
                (BRANCH, 1..) => self.below(length | u64::from(flags) << 32, depth, left, each)?,
                (LEAF, 0) => {
                    left.take(&left.entries, 1).ok_or_else(|| wrong("has more keys than there are"))?;
                    // Values lie in the file once each.
                    left.take(&left.bytes, length).ok_or_else(|| wrong("has values that are larger than the file"))?;
                    match flags {
                        0 => {
                            let value = rest.get(..length as usize);
                            each(key, value.ok_or_else(|| wrong("has a node outside of it"))?)?;
                        }
                        BIG => {
                            let first = u64_at(rest, 0).map_err(Failure::Database)?;
                            each(key, &self.big(first, length).map_err(Failure::Database)?)?;
                        }
                        _ => return Err(Failure::Database("an LMDB database with tables inside of tables".into())),
                    }
                }
                _ => return Err(wrong("is of another kind than its place")),
            }
        }
        Ok(())
    }

    fn page(&self, number: u64) -> Result<Cow<'_, [u8]>, String> {
        let wrong = || format!("a damaged LMDB database: no page {number}");
        if number >= self.pages {
            return Err(wrong());
        }
        let page = self.blob.slice(number * self.page, self.page).map_err(|error| error.to_string())?;
        if u64_at(&page, 0)? == number { Ok(page) } else { Err(wrong()) }
    }

    /// A value on pages of its own.
    fn big(&self, first: u64, length: u64) -> Result<Cow<'_, [u8]>, String> {
        let head = self.page(first)?;
        let pages = (HEADER as u64 + length).div_ceil(self.page);
        let whole = first.checked_add(pages).is_some_and(|end| end <= self.pages);
        if u16_at(&head, 10)? != OVERFLOW || u64::from(u32_at(&head, 12)?) < pages || !whole {
            return Err(format!("a damaged LMDB database: no value of {length} bytes at page {first}"));
        }
        self.blob.slice(first * self.page + HEADER as u64, length).map_err(|error| error.to_string())
    }
}

/// What of the database was not met yet.
struct Left {
    pages: Cell<u64>,
    entries: Cell<u64>,
    bytes: Cell<u64>,
}

impl Left {
    fn take(&self, of: &Cell<u64>, count: u64) -> Option<()> {
        of.set(of.get().checked_sub(count)?);
        Some(())
    }
}
