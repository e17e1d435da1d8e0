//! Tar files: POSIX, GNU and old ones.
//!
//! Blocks are walked here rather than by the `tar` crate, which reads long names into memory whatever their length.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use ::tar::{EntryType, Header};
use flate2::bufread::MultiGzDecoder;

use super::folder::Folder;
use crate::error::DatasetError;

const BLOCK: u64 = 512;
/// A header of names that is longer is refused.
const LONGEST_HEADER: u64 = 1 << 16;

/// What headers in front of an entry say of it.
#[derive(Default)]
struct Before {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    /// A name that is not UTF-8.
    foreign: bool,
}

pub(super) fn unpack_gz(file: impl Read, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    unpack(MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file)), folder)
}

pub(super) fn unpack(stream: impl Read, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    let mut stream = BufReader::with_capacity(1 << 18, stream);
    let mut before = Before::default();
    let mut block = [0; BLOCK as usize];
    loop {
        read_block(&mut stream, &mut block, folder)?;
        if block.iter().all(|&byte| byte == 0) {
            return rest(stream, folder);
        }
        let header = Header::from_byte_slice(&block);
        check_sum(header, &block, folder)?;
        let bad = |error: io::Error| folder.error(format!("damaged header: {error}"));
        let mut size = header.entry_size().map_err(bad)?;
        let kind = header.entry_type();
        let is_name = matches!(kind, EntryType::GNULongName | EntryType::GNULongLink);
        if is_name || matches!(kind, EntryType::XHeader | EntryType::XGlobalHeader) {
            let bytes = header_text(&mut stream, size, folder)?;
            match kind {
                EntryType::GNULongName => before.set_path(&bytes),
                EntryType::GNULongLink => before.set_link(&bytes),
                EntryType::XHeader => before.records(&bytes, folder)?,
                // What a global header says (a comment, as git writes) concerns no name.
                _ => {}
            }
            continue;
        }
        let before = std::mem::take(&mut before);
        size = before.size.unwrap_or(size);
        let name = match &before.path {
            Some(path) => Some(path.clone()),
            None => String::from_utf8(header.path_bytes().into_owned()).ok(),
        };
        let Some(name) = name.filter(|_| !before.foreign) else {
            let shown = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            folder.leave_out(format!("{shown}: the name is not UTF-8, left out"))?;
            skip(&mut stream, padded(size), folder)?;
            continue;
        };
        let Some(path) = folder.entry(&name)? else {
            skip(&mut stream, padded(size), folder)?;
            continue;
        };
        let link = || {
            let own = header.link_name_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            before.link.clone().or(own).unwrap_or_default()
        };
        match kind {
            EntryType::Directory => {
                folder.folder(&path)?;
                skip(&mut stream, padded(size), folder)?;
            }
            // Before POSIX a name with a closing stroke was a folder.
            EntryType::Regular if name.ends_with('/') => folder.folder(&path)?,
            EntryType::Regular | EntryType::Continuous => {
                folder.file(&path, size, (&mut stream).take(size))?;
                skip(&mut stream, padded(size) - size, folder)?;
            }
            EntryType::Symlink => folder.symlink(&path, &link())?,
            EntryType::Link => folder.hard_link(&path, &link())?,
            EntryType::Block | EntryType::Char | EntryType::Fifo => {
                return Err(folder.error(format!("{name:?} is a device or a pipe; nothing of the archive is used")));
            }
            other => {
                let kind = char::from(other.as_byte());
                return Err(folder.error(format!("{name:?}: entries of kind {kind:?} are not known")));
            }
        }
    }
}

impl Before {
    fn set_path(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(until_nul(bytes)).ok();
        self.foreign |= text.is_none();
        self.path = text.map(str::to_owned);
    }

    fn set_link(&mut self, bytes: &[u8]) {
        self.link = Some(String::from_utf8_lossy(until_nul(bytes)).into_owned());
    }

    /// The records `LENGTH KEY=VALUE\n` of a POSIX header.
    fn records(&mut self, bytes: &[u8], folder: &Folder<'_>) -> Result<(), DatasetError> {
        let records = parse_records(bytes).ok_or_else(|| folder.error("damaged header of names"))?;
        for (key, value) in records {
            match key {
                "path" => self.set_path(value),
                "linkpath" => self.set_link(value),
                "size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or_else(|| folder.error("damaged header: a size that is none"))?);
                }
                key if key.starts_with("GNU.sparse") => {
                    return Err(folder.error("sparse files are not unpacked; pack it again without them"));
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

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

fn check_sum(header: &Header, block: &[u8; 512], folder: &Folder<'_>) -> Result<(), DatasetError> {
    // The sum is made with blanks in its own place.
    let sum: u32 =
        block.iter().enumerate().map(|(at, &b)| u32::from(if (148..156).contains(&at) { b' ' } else { b })).sum();
    match header.cksum() {
        Ok(expected) if expected == sum => Ok(()),
        _ => Err(folder.error("not a tar file, or damaged: a header has a wrong checksum")),
    }
}

fn damaged(folder: &Folder<'_>, error: &io::Error) -> DatasetError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => folder.error("truncated: it ends before its closing blocks"),
        _ => folder.error(format!("damaged or truncated: {error}")),
    }
}

fn read_block(stream: &mut impl Read, block: &mut [u8; 512], folder: &Folder<'_>) -> Result<(), DatasetError> {
    stream.read_exact(block).map_err(|error| damaged(folder, &error))
}

fn header_text(stream: &mut impl Read, size: u64, folder: &Folder<'_>) -> Result<Vec<u8>, DatasetError> {
    if size > LONGEST_HEADER {
        return Err(folder.error(format!("a header of names of {size} bytes, at most {LONGEST_HEADER} expected")));
    }
    let mut bytes = vec![0; padded(size) as usize];
    stream.read_exact(&mut bytes).map_err(|error| damaged(folder, &error))?;
    bytes.truncate(size as usize);
    Ok(bytes)
}

fn skip(stream: &mut impl Read, count: u64, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    folder.skipped(count)?;
    match io::copy(&mut stream.take(count), &mut io::sink()) {
        Ok(found) if found == count => Ok(()),
        Ok(_) => Err(damaged(folder, &io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(damaged(folder, &error)),
    }
}

/// Reads what follows the end, so that the checksum of packed data is looked at; only zeros may come.
fn rest(mut stream: impl Read, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    let mut block = [0; 4096];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                folder.skipped(count as u64)?;
                if block[..count].iter().any(|&byte| byte != 0) {
                    return Err(folder.error("something follows the archive's end: damaged, or several in one file"));
                }
            }
            Err(error) => return Err(damaged(folder, &error)),
        }
    }
}
