//! What has arrived of a file: beside its final place, locked, hashed as it grows.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use oodlab_base::Cancel;

use crate::checksum::{Checksum, Hasher, Hashes};
use crate::error::FetchError;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1 << 18;

/// So much is looked at to know a web page.
const PAGE_BYTES: u64 = 4096;

const OPERATION: &str = "preparing a download";

/// A file that is not whole yet. Its name holds the first digits of the checksum: what belongs to another version of the
/// file is never gone on with.
pub(crate) struct Partial {
    label: String,
    file: File,
    path: PathBuf,
    target: PathBuf,
    checksum: Checksum,
    hasher: Hasher,
    length: u64,
}

impl Partial {
    /// Opens what an earlier attempt left, or begins anew. The lock on it goes when this value does, or the process. None when
    /// another finished or removed it meanwhile: the file may be at its place now.
    pub(crate) fn open(
        label: &str,
        target: &Path,
        checksum: &Checksum,
        cancel: &Cancel,
    ) -> Result<Option<Partial>, FetchError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}.part", checksum.short()));
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs_err::create_dir_all(folder).map_err(FetchError::io(OPERATION))?;
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(named).map_err(FetchError::io(OPERATION))?;
        let mut partial = Partial {
            label: label.to_owned(),
            file,
            path,
            target: target.to_owned(),
            checksum: checksum.clone(),
            hasher: Hasher::new(checksum),
            length: 0,
        };
        if !partial.lock()? {
            return Ok(None);
        }
        partial.reread(cancel)?;
        Ok(Some(partial))
    }

    /// Locks the open file; false when its name is another file's by now, or nobody's. Between opening and locking, the one who
    /// had the lock may have given the file its final name, under which nobody may write.
    fn lock(&self) -> Result<bool, FetchError> {
        match self.file.try_lock() {
            // Some shared file systems know no locks: the checksum is what correctness rests on.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FetchError::Busy { label: self.label.clone(), path: self.target.clone() });
            }
        }
        is_named(&self.file, &self.path).map_err(FetchError::io(OPERATION))
    }

    /// Hashes what is there already.
    fn reread(&mut self, cancel: &Cancel) -> Result<(), FetchError> {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            cancel.check()?;
            match self.file.read(&mut buffer).map_err(FetchError::io("reading what has arrived"))? {
                0 => return Ok(()),
                count => {
                    self.hasher.update(&buffer[..count]);
                    self.length += count as u64;
                }
            }
        }
    }

    /// Bytes that have arrived.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What they hash to.
    pub(crate) fn hashes(&self) -> Hashes {
        self.hasher.clone().finish()
    }

    /// Adds bytes at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.hasher.update(bytes);
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> Result<(), FetchError> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared.map_err(FetchError::io("beginning a download anew"))?;
        self.hasher = Hasher::new(&self.checksum);
        self.length = 0;
        Ok(())
    }

    /// Whether what has arrived begins as a page for people does.
    pub(crate) fn is_web_page(&mut self) -> Result<bool, FetchError> {
        let mut begin = Vec::new();
        let mut read = || {
            self.file.seek(SeekFrom::Start(0))?;
            (&self.file).take(PAGE_BYTES).read_to_end(&mut begin)?;
            self.file.seek(SeekFrom::End(0))
        };
        read().map_err(FetchError::io("looking at a download"))?;
        Ok(begins_a_page(&begin))
    }

    /// Puts what it unpacks to (as gzip, at most so many bytes) in its own place; `false` when it does not.
    pub(crate) fn unpack(&mut self, most: u64, cancel: &Cancel) -> Result<bool, FetchError> {
        self.file.seek(SeekFrom::Start(0)).map_err(FetchError::io(OPERATION))?;
        let mut name = self.path.clone().into_os_string();
        name.push(".unpacked");
        let path = PathBuf::from(name);
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(true).open(&path);
        let mut unpacked = Partial {
            label: self.label.clone(),
            file: opened.map_err(FetchError::io(OPERATION))?,
            path,
            target: self.target.clone(),
            checksum: self.checksum.clone(),
            hasher: Hasher::new(&self.checksum),
            length: 0,
        };
        // The lock of the one goes with its file.
        unpacked.lock()?;
        let mut reader = flate2::bufread::MultiGzDecoder::new(io::BufReader::with_capacity(PIECE_BYTES, &self.file));
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let count = cancel.check().map(|()| reader.read(&mut buffer));
            match count {
                Ok(Ok(0)) => break,
                Ok(Ok(count)) if unpacked.length.saturating_add(count as u64) <= most => {
                    if let Err(error) = unpacked.write(&buffer[..count]) {
                        unpacked.discard();
                        return Err(error);
                    }
                }
                Ok(_) => {
                    unpacked.discard();
                    return Ok(false);
                }
                Err(cancelled) => {
                    unpacked.discard();
                    return Err(cancelled.into());
                }
            }
        }
        drop(reader);
        fs_err::rename(&unpacked.path, &self.path).map_err(FetchError::io("unpacking a download"))?;
        unpacked.path = self.path.clone();
        *self = unpacked;
        Ok(true)
    }

    /// Gives the file its own name; its checksum was found right.
    pub(crate) fn finish(self) -> Result<(), FetchError> {
        if let Err(error) = self.file.sync_all() {
            return Err(self.refused(error));
        }
        fs_err::rename(&self.path, &self.target).map_err(FetchError::io("finishing a download"))
    }

    /// Removes it: what has arrived is of no use.
    pub(crate) fn discard(self) {
        // Whatever is left is found wrong by its checksum later; the error that led here is the one to tell.
        let _ = fs_err::remove_file(&self.path);
    }

    fn refused(&self, error: io::Error) -> FetchError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FetchError::Full {
                label: self.label.clone(),
                folder: self.target.parent().unwrap_or(Path::new(".")).to_owned(),
                arrived_bytes: self.length,
            },
            kind => FetchError::Io {
                operation: "writing a download",
                source: io::Error::new(kind, format!("{}: {error}", self.path.display())),
            },
        }
    }
}

/// Whether bytes begin with what HTML does, behind a declaration of XML and comments that may stand first.
fn begins_a_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).to_ascii_lowercase();
    let mut rest = text.trim_ascii_start();
    while let Some(behind) = behind(rest, b"<?xml", b"?>").or_else(|| behind(rest, b"<!--", b"-->")) {
        rest = behind.trim_ascii_start();
    }
    rest.starts_with(b"<!doctype html") || rest.starts_with(b"<html")
}

/// What follows something that begins and ends so, where that is what stands first.
fn behind<'a>(text: &'a [u8], begin: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let inside = text.strip_prefix(begin)?;
    inside.windows(end.len()).position(|window| window == end).map(|at| &inside[at + end.len()..])
}

/// Whether the file that stands at a path is the open one.
#[cfg(unix)]
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let there = match fs_err::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// Systems that are not Unix do not rename a file that another has open.
#[cfg(not(unix))]
fn is_named(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The hashes of a file, if it is there.
pub(crate) fn hashes_of(path: &Path, checksum: &Checksum, cancel: &Cancel) -> Result<Option<Hashes>, FetchError> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut file = fs_err::File::open(path).map_err(FetchError::io("reading a file that is there already"))?;
    let mut hasher = Hasher::new(checksum);
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        cancel.check()?;
        match file.read(&mut buffer).map_err(FetchError::io("reading a file that is there already"))? {
            0 => return Ok(Some(hasher.finish())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn pages_are_known_behind_what_may_stand_before_them() {
        for (text, is_page) in [
            ("<!DOCTYPE html>", true),
            ("\u{feff} \n<HTML lang=\"en\">", true),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html PUBLIC \"x\">", true),
            ("<!-- saved -->\n<!----><html>", true),
            ("<?xml version=\"1.0\"?><!-- <html> --><annotation/>", false),
            ("<!-- it never ends <html>", false),
            ("a,b\n<html>", false),
            ("", false),
        ] {
            assert_eq!(begins_a_page(text.as_bytes()), is_page, "{text}");
        }
    }

    #[test]
    fn who_locks_what_another_has_finished_begins_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("file");
        let checksum = Checksum::Sha256("0".repeat(8));
        let open = || Partial::open("the file", &target, &checksum, &Cancel::new());
        for finishes in [true, false] {
            let mut first = open().expect("nobody has it").expect("it is at its place");
            assert!(matches!(open(), Err(FetchError::Busy { .. })), "it is locked");
            // Opened while the first has the lock, locked when it has let go.
            let late = File::options().read(true).write(true).open(&first.path).expect("it is there");
            let late = Partial {
                label: first.label.clone(),
                file: late,
                path: first.path.clone(),
                target: target.clone(),
                checksum: checksum.clone(),
                hasher: Hasher::new(&checksum),
                length: 0,
            };
            first.write(b"whole").expect("there is space");
            if finishes {
                first.finish().expect("its name is free")
            } else {
                first.discard()
            }
            assert!(!late.lock().expect("nobody has it"), "finished: {finishes}");
            // Another began anew under the same name: still not the same file.
            let again = open().expect("the other lock is on another file").expect("it is at its place");
            assert_eq!(again.length(), 0);
            assert!(!late.lock().expect("its own file"), "finished: {finishes}");
            again.discard();
        }
        assert_eq!(fs_err::read(&target).expect("the finished file"), b"whole");
    }

    #[test]
    fn a_full_disk_is_said_to_be_full() {
        let checksum = Checksum::Sha256("0".repeat(8));
        let mut partial = Partial {
            label: "the file".to_owned(),
            // The system's own full device.
            file: File::options().write(true).open("/dev/full").expect("Linux has it"),
            path: "/dev/full".into(),
            target: "folder/file".into(),
            hasher: Hasher::new(&checksum),
            checksum,
            length: 7,
        };
        let error = partial.write(b"x").expect_err("full");
        assert!(matches!(error, FetchError::Full { arrived_bytes: 7, .. }), "{error}");
        assert!(error.to_string().contains("no space left for the file in folder"), "{error}");
    }
}
