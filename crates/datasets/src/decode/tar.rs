//! Tar archives of pictures: what lies where. Nothing is unpacked; pictures are read from their places.
//!
//! The forms ustar, pax and GNU are read, with long names and sizes; sparse files are refused. Links are passed over.

pub(crate) mod header;

use std::collections::{BTreeMap, BTreeSet};

use tar::EntryType;

use crate::archive::Bounds;
use crate::blob::Blob;
use crate::decode::gzip;
use crate::decode::zip::{foreign_image_ending, is_image_name};
use crate::manifest::is_inside;
use header::{BLOCK, Block, Headers, Member, padded};

/// A picture larger than this is refused.
const LARGEST_ENTRY: u64 = 1 << 30;
/// A label is a number, or the name of a class.
const LARGEST_LABEL: u64 = 256;

/// A picture in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Path inside the archive.
    pub name: Box<str>,
    /// Place of its first byte.
    pub offset: u64,
    pub size: u64,
}

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// In the archive's order.
    pub pictures: Vec<Entry>,
    /// Text of the file beside each picture, where labels were asked for.
    pub labels: Vec<Box<str>>,
    /// Hard and symbolic links, which are passed over.
    pub links: usize,
}

/// The archive itself, where it is packed by gzip; it may become as large as one that is unpacked into a folder.
pub(crate) fn unpacked(blob: &Blob) -> Result<Blob, String> {
    let head = blob.slice(0, blob.len().min(2)).map_err(|error| error.to_string())?;
    if *head != [0x1f, 0x8b] {
        return Ok(blob.clone());
    }
    gzip::spool(blob, Bounds::default().total(blob.len()))
}

/// Lists the pictures of an archive that is not packed. With `label`, the text of the file `<key>.<label>` beside each is
/// read; the key is the picture's path up to the first point of its file name, as WebDataset has it.
///
/// # Errors
/// A damaged or truncated archive, a path that leaves it, a picture twice, without its label, sparse or of a kind that nothing
/// here reads.
pub(crate) fn contents(blob: &Blob, label: Option<&str>) -> Result<Contents, String> {
    let (mut found, mut texts) = (Contents::default(), BTreeMap::new());
    let (mut headers, mut at) = (Headers::default(), 0);
    loop {
        let block = blob.slice(at, BLOCK).map_err(|_| "truncated tar file: it has no end mark")?;
        let block = block.first_chunk().ok_or("truncated tar file")?;
        let offset = at + BLOCK;
        let Member { kind, size, name, shown, .. } = match headers.block(block)? {
            // A whole archive ends in blocks of zeros; one that was cut between two files does not.
            Block::End => break,
            Block::Entry(member) => member,
            Block::Names(kind, size) => {
                let bytes = blob.slice(offset, size).map_err(|_| "truncated tar file: a name is not all there")?;
                headers.names(kind, &bytes)?;
                at = offset + padded(size);
                continue;
            }
        };
        let name = name.ok_or_else(|| format!("entry {shown:?}: its name is not UTF-8"))?;
        let name = name.trim_start_matches("./");
        at = offset
            .checked_add(size)
            .filter(|&end| end <= blob.len())
            .map(padded)
            .ok_or_else(|| format!("truncated tar file: {size} bytes of {name:?} are not all there"))?;
        match kind {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Link | EntryType::Symlink => {
                found.links += 1;
                continue;
            }
            EntryType::GNUSparse => return Err(format!("entry {name:?} is a sparse file")),
            _ => continue,
        }
        let (key, ending) = key_and_ending(name);
        if label.is_some() && label == ending {
            if size > LARGEST_LABEL {
                return Err(format!("entry {name:?}: {size} bytes are no label"));
            }
            let bytes = blob.slice(offset, size).map_err(|error| format!("entry {name:?}: {error}"))?;
            let text = std::str::from_utf8(&bytes).map_err(|error| format!("entry {name:?}: {error}"))?;
            if texts.insert(key.to_owned(), Box::from(text.trim())).is_some() {
                return Err(format!("entry {name:?} is there twice"));
            }
        } else if is_image_name(name) {
            if !is_inside(name) {
                return Err(format!("entry {name:?} leaves the archive"));
            }
            if size > LARGEST_ENTRY {
                return Err(format!("entry {name:?}: a picture of {size} bytes"));
            }
            found.pictures.push(Entry { name: name.into(), offset, size });
        } else if let Some(ending) = foreign_image_ending(name) {
            return Err(format!("entry {name:?}: pictures of the kind {ending} are not read"));
        }
    }
    let mut seen = BTreeSet::new();
    if let Some(again) = found.pictures.iter().find(|entry| !seen.insert(&entry.name)) {
        return Err(format!("entry {:?} is there twice", again.name));
    }
    if let Some(label) = label {
        let text = |entry: &Entry| {
            let key = key_and_ending(&entry.name).0;
            texts.get(key).cloned().ok_or_else(|| format!("entry {:?}: no {key}.{label} beside it", entry.name))
        };
        found.labels = found.pictures.iter().map(text).collect::<Result<_, _>>()?;
    }
    Ok(found)
}

/// A path up to the first point of its file name, and what is behind it.
fn key_and_ending(name: &str) -> (&str, Option<&str>) {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].find('.') {
        Some(point) => (&name[..file + point], Some(&name[file + point + 1..])),
        None => (name, None),
    }
}

/// Runs the reader on arbitrary bytes.
pub fn fuzz(bytes: &[u8]) {
    let Ok(blob) = unpacked(&Blob::memory(bytes.to_vec())) else { return };
    for label in [None, Some("cls")] {
        let Ok(contents) = contents(&blob, label) else { continue };
        for entry in &contents.pictures {
            assert!(is_inside(&entry.name), "a path that leaves the archive");
            assert!(blob.slice(entry.offset, entry.size).is_ok(), "a picture outside of the archive");
        }
    }
}

#[cfg(test)]
mod tests;
