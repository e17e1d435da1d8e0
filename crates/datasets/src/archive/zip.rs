//! Zip files.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use ::zip::ZipArchive;

use super::folder::Folder;
use crate::error::DatasetError;

/// A link's target that is longer is refused.
const LONGEST_TARGET: u64 = 4096;
/// Bytes of an entry in the list of files, at least.
const LISTED: u64 = 46;
/// Bytes of the end record, and the longest comment behind it.
const END: u64 = 22;
const LONGEST_COMMENT: u64 = 65_535;

/// Kinds of files as Unix counts them.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

pub(super) fn unpack(mut file: impl Read + Seek, size: u64, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    let damaged = |folder: &Folder<'_>, error: &dyn std::fmt::Display| {
        folder.error(format!("damaged or truncated zip file: {error}"))
    };
    let claimed = claimed_entries(&mut file, size).map_err(|error| damaged(folder, &error))?;
    if claimed > folder.most_entries() || claimed.saturating_mul(LISTED) > size {
        let most = folder.most_entries().min(size / LISTED);
        return Err(folder.error(format!("it claims {claimed} entries, at most {most} expected of {size} bytes")));
    }
    let stream = BufReader::with_capacity(1 << 16, file);
    let mut archive = ZipArchive::new(stream).map_err(|error| damaged(folder, &error))?;
    if archive.has_duplicate_names() {
        return Err(folder.error("two entries have the same name; nothing of the archive is used"));
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| folder.error(format!("entry {index}: {error}")))?;
        let name = entry.name().map_err(|error| folder.error(format!("entry {index}: {error}")))?.into_owned();
        let Some(path) = folder.entry(&name)? else { continue };
        match entry.unix_mode().unwrap_or(0) & KIND {
            LINK => {
                let mut target = Vec::new();
                let read = (&mut entry).take(LONGEST_TARGET + 1).read_to_end(&mut target);
                read.map_err(|error| folder.error(format!("{name:?}: {error}")))?;
                let target = String::from_utf8(target).ok().filter(|target| target.len() as u64 <= LONGEST_TARGET);
                let target = target.ok_or_else(|| folder.error(format!("{name:?} is a link to no name")))?;
                folder.symlink(&path, &target)?;
            }
            _ if entry.is_dir() => folder.folder(&path)?,
            0 | REGULAR | FOLDER => folder.file(&path, entry.size(), &mut entry)?,
            _ => return Err(folder.error(format!("{name:?} is a device or a pipe; nothing of the archive is used"))),
        }
    }
    Ok(())
}

/// How many entries the end of the file claims, read before anything is made room for.
fn claimed_entries(file: &mut (impl Read + Seek), size: u64) -> io::Result<u64> {
    let no_end = || io::Error::other("no list of files at its end");
    let tail = size.min(END + LONGEST_COMMENT);
    file.seek(SeekFrom::Start(size - tail))?;
    let mut bytes = vec![0; tail as usize];
    file.read_exact(&mut bytes)?;
    let at = bytes.windows(4).rposition(|four| four == b"PK\x05\x06").ok_or_else(no_end)?;
    let number = |at: usize| Some(u64::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let claimed = number(at + 10).ok_or_else(no_end)?;
    // A larger number stands in a record of its own, before which its place stands.
    let locator =
        at.checked_sub(20).and_then(|start| bytes.get(start..at)).filter(|four| four.starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else {
        file.seek(SeekFrom::Start(0))?;
        return Ok(claimed);
    };
    let place = u64::from_le_bytes(locator[8..16].try_into().map_err(io::Error::other)?);
    file.seek(SeekFrom::Start(place))?;
    let mut record = [0; 40];
    file.read_exact(&mut record)?;
    let claimed = u64::from_le_bytes(record[32..40].try_into().map_err(io::Error::other)?);
    file.seek(SeekFrom::Start(0))?;
    Ok(claimed)
}
