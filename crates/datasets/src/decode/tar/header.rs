//! Headers of tar files: POSIX, GNU and old ones, block by block.
//!
//! Blocks are read here rather than by the `tar` crate, which reads long names into memory whatever their length.

use std::collections::BTreeMap;

use tar::{EntryType, Header};

/// Headers and files begin at multiples of it.
pub(crate) const BLOCK: u64 = 512;
/// A header of names that is longer is refused.
const LONGEST_NAMES: u64 = 1 << 16;

/// What a block says.
pub(crate) enum Block {
    /// The archive ends.
    End,
    /// So many bytes follow that say something of the next entry: see [`Headers::names`].
    Names(EntryType, u64),
    Entry(Member),
}

/// A file, folder or link.
pub(crate) struct Member {
    pub kind: EntryType,
    /// Of its content.
    pub size: u64,
    /// None where it is not UTF-8.
    pub name: Option<String>,
    /// The name as the block has it, for messages.
    pub shown: String,
    /// Where a link leads to.
    pub link: String,
}

/// Reads headers, and remembers what those in front of an entry say of it.
#[derive(Default)]
pub(crate) struct Headers {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    /// A name that is not UTF-8.
    foreign: bool,
}

impl Headers {
    /// Reads the block at which an entry begins.
    pub fn block(&mut self, block: &[u8; BLOCK as usize]) -> Result<Block, String> {
        if block.iter().all(|&byte| byte == 0) {
            return Ok(Block::End);
        }
        let header = Header::from_byte_slice(block);
        check_sum(header, block)?;
        let size = header.entry_size().map_err(|error| format!("damaged header: {error}"))?;
        let kind = header.entry_type();
        let is_long_name = matches!(kind, EntryType::GNULongName | EntryType::GNULongLink);
        if is_long_name || matches!(kind, EntryType::XHeader | EntryType::XGlobalHeader) {
            if size > LONGEST_NAMES {
                return Err(format!("a header of names of {size} bytes, at most {LONGEST_NAMES} expected"));
            }
            return Ok(Block::Names(kind, size));
        }
        let before = std::mem::take(self);
        let own = || String::from_utf8(header.path_bytes().into_owned()).ok();
        let own_link = || header.link_name_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Block::Entry(Member {
            kind,
            size: before.size.unwrap_or(size),
            name: before.path.or_else(own).filter(|_| !before.foreign),
            shown: String::from_utf8_lossy(&header.path_bytes()).into_owned(),
            link: before.link.or_else(own_link).unwrap_or_default(),
        }))
    }

    /// Takes in the bytes behind a block of names.
    pub fn names(&mut self, kind: EntryType, bytes: &[u8]) -> Result<(), String> {
        match kind {
            EntryType::GNULongName => self.set_path(bytes),
            EntryType::GNULongLink => self.set_link(bytes),
            EntryType::XHeader => self.records(bytes)?,
            // What a global header says (a comment, as git writes) concerns no name.
            _ => {}
        }
        Ok(())
    }

    fn set_path(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(until_nul(bytes)).ok();
        self.foreign |= text.is_none();
        self.path = text.map(str::to_owned);
    }

    fn set_link(&mut self, bytes: &[u8]) {
        self.link = Some(String::from_utf8_lossy(until_nul(bytes)).into_owned());
    }

    /// The records `LENGTH KEY=VALUE\n` of a POSIX header.
    fn records(&mut self, bytes: &[u8]) -> Result<(), String> {
        for (key, value) in parse_records(bytes).ok_or("damaged header of names")? {
            match key {
                "path" => self.set_path(value),
                "linkpath" => self.set_link(value),
                "size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or("damaged header: a size that is none")?);
                }
                key if key.starts_with("GNU.sparse") => {
                    return Err("sparse files are not unpacked; pack it again without them".into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn parse_records(mut bytes: &[u8]) -> Option<BTreeMap<&str, &[u8]>> {
    let mut found = BTreeMap::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        found.insert(std::str::from_utf8(&record[..equals]).ok()?, &record[equals + 1..]);
        bytes = &bytes[length..];
    }
    Some(found)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

/// A size up to the beginning of the next block.
pub(crate) fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

fn check_sum(header: &Header, block: &[u8; BLOCK as usize]) -> Result<(), String> {
    // The sum is made with blanks in its own place.
    let sum: u32 =
        block.iter().enumerate().map(|(at, &b)| u32::from(if (148..156).contains(&at) { b' ' } else { b })).sum();
    match header.cksum() {
        Ok(expected) if expected == sum => Ok(()),
        _ => Err("not a tar file, or damaged: a header has a wrong checksum".into()),
    }
}
