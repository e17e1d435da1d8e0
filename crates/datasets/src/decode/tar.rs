//! Tar archives of pictures: what lies where. Nothing is unpacked; pictures are read from their places.
//!
//! The forms ustar, pax and GNU are read, with long names and sizes; sparse files are refused. Links are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use tar::{Archive, EntryType};

use crate::blob::Blob;
use crate::decode::gzip;
use crate::decode::zip::{foreign_image_ending, is_image_name};
use crate::manifest::is_inside;

/// A block of an archive: headers and files begin at multiples of it.
const BLOCK: u64 = 512;
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

/// The archive itself, where it is packed by gzip.
pub(crate) fn unpacked(blob: &Blob) -> Result<Blob, String> {
    let head = blob.slice(0, blob.len().min(2)).map_err(|error| error.to_string())?;
    if *head != [0x1f, 0x8b] {
        return Ok(blob.clone());
    }
    gzip::spool(blob, u64::MAX)
}

/// Lists the pictures of an archive that is not packed. With `label`, the text of the file `<key>.<label>` beside each is
/// read; the key is the picture's path up to the first point of its file name, as WebDataset has it.
///
/// # Errors
/// A damaged or truncated archive, a path that leaves it, a picture twice, without its label, sparse or of a kind that nothing
/// here reads.
pub(crate) fn contents(blob: &Blob, label: Option<&str>) -> Result<Contents, String> {
    let damaged = |error: std::io::Error| format!("damaged or truncated tar file: {error}");
    let mut archive = Archive::new(blob.reader());
    let (mut found, mut texts, mut end) = (Contents::default(), BTreeMap::new(), 0);
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|error| format!("entry {:?}: its name is not UTF-8", String::from_utf8_lossy(error.as_bytes())))?;
        let name = name.trim_start_matches("./");
        end = offset
            .checked_add(size)
            .filter(|&end| end <= blob.len())
            .and_then(|end| end.checked_next_multiple_of(BLOCK))
            .ok_or_else(|| format!("truncated tar file: {size} bytes of {name:?} are not all there"))?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Link | EntryType::Symlink => {
                found.links += 1;
                continue;
            }
            EntryType::GNUSparse => return Err(format!("entry {name:?} is a sparse file")),
            _ => continue,
        }
        let extensions = entry.pax_extensions().map_err(damaged)?;
        let sparse = |extension: Result<tar::PaxExtension<'_>, _>| {
            extension.is_ok_and(|extension| extension.key_bytes().starts_with(b"GNU.sparse"))
        };
        if extensions.into_iter().flatten().any(sparse) {
            return Err(format!("entry {name:?} is a sparse file"));
        }
        let (key, ending) = key_and_ending(name);
        if label.is_some() && label == ending {
            if size > LARGEST_LABEL {
                return Err(format!("entry {name:?}: {size} bytes are no label"));
            }
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(|error| format!("entry {name:?}: {error}"))?;
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
    // A whole archive ends in blocks of zeros; one that was cut between two files does not.
    let mark = blob.slice(end, BLOCK).map_err(|_| "truncated tar file: it has no end mark")?;
    if mark.iter().any(|&byte| byte != 0) {
        return Err("damaged tar file: no end mark behind its last entry".into());
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
