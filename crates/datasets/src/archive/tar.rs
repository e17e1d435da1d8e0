//! Tar files: POSIX, GNU and old ones.

use std::io::{self, BufReader, Read};

use ::tar::EntryType;
use flate2::bufread::MultiGzDecoder;

use super::folder::Folder;
use crate::decode::tar::header::{BLOCK, Block, Headers, Member, padded};
use crate::error::DatasetError;

pub(super) fn unpack_gz(file: impl Read, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    unpack(MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file)), folder)
}

pub(super) fn unpack(stream: impl Read, folder: &mut Folder<'_>) -> Result<(), DatasetError> {
    let mut stream = BufReader::with_capacity(1 << 18, stream);
    let mut headers = Headers::default();
    let mut block = [0; BLOCK as usize];
    loop {
        stream.read_exact(&mut block).map_err(|error| damaged(folder, &error))?;
        let Member { kind, size, name, shown, link } = match headers.block(&block).map_err(|what| folder.error(what))? {
            Block::End => return rest(stream, folder),
            Block::Entry(member) => member,
            Block::Names(kind, size) => {
                let mut bytes = vec![0; padded(size) as usize];
                stream.read_exact(&mut bytes).map_err(|error| damaged(folder, &error))?;
                headers.names(kind, &bytes[..size as usize]).map_err(|what| folder.error(what))?;
                continue;
            }
        };
        let Some(name) = name else {
            folder.leave_out(format!("{shown}: the name is not UTF-8, left out"))?;
            skip(&mut stream, padded(size), folder)?;
            continue;
        };
        let Some(path) = folder.entry(&name)? else {
            skip(&mut stream, padded(size), folder)?;
            continue;
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
            EntryType::Symlink => folder.symlink(&path, &link)?,
            EntryType::Link => folder.hard_link(&path, &link)?,
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

fn damaged(folder: &Folder<'_>, error: &io::Error) -> DatasetError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => folder.error("truncated: it ends before its closing blocks"),
        _ => folder.error(format!("damaged or truncated: {error}")),
    }
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
