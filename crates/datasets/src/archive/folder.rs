//! The folder that an archive is unpacked into: what every entry must fulfil, whatever the kind of archive.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use oodlab_base::Cancel;

use super::{Bounds, Unpacked};
use crate::error::DatasetError;

/// Bytes that are copied at once.
const BLOCK: usize = 1 << 18;
/// Paths of more parts, or longer ones, are refused.
const DEEPEST: usize = 32;
const LONGEST: usize = 1024;
/// What file systems allow a part of a path.
const LONGEST_PART: usize = 255;
/// Links to links are followed so often.
const LINK_PASSES: usize = 8;
/// Notes of one kind that are kept.
const SHOWN: usize = 5;

pub(super) struct Folder<'a> {
    /// The archive, for messages.
    archive: String,
    into: &'a Path,
    bounds: Bounds,
    total: u64,
    entries: u64,
    passed_over: u64,
    cancel: &'a Cancel,
    /// Hashes of the paths in lower case: enough for a note on those that some file systems cannot tell apart.
    lower: HashSet<u64>,
    clashes: Vec<String>,
    left_out: Vec<String>,
    /// Links, made into copies at the end: path and target, both inside.
    links: Vec<(String, String)>,
    done: Unpacked,
    block: Vec<u8>,
}

impl<'a> Folder<'a> {
    pub fn new(archive: String, into: &'a Path, bounds: Bounds, packed: u64, cancel: &'a Cancel) -> Folder<'a> {
        Folder {
            archive,
            into,
            bounds,
            total: bounds.total(packed),
            entries: 0,
            passed_over: 0,
            cancel,
            lower: HashSet::new(),
            clashes: Vec::new(),
            left_out: Vec::new(),
            links: Vec::new(),
            done: Unpacked::default(),
            block: vec![0; BLOCK],
        }
    }

    pub fn error(&self, what: impl Into<String>) -> DatasetError {
        DatasetError::decode(self.archive.clone(), what)
    }

    pub fn most_entries(&self) -> u64 {
        self.bounds.entries
    }

    /// Counts an entry, and gives its path below the folder; `None` for the folder itself.
    pub fn entry(&mut self, name: &str) -> Result<Option<String>, DatasetError> {
        self.cancel.check()?;
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(self.error(format!("more than the {} entries allowed", self.bounds.entries)));
        }
        let fail = |what: &str| Err(self.error(format!("entry {name:?} {what}; nothing of the archive is used")));
        // A drive's letter would leave the folder on Windows.
        let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if name.starts_with('/') || name.contains('\\') || drive {
            return fail("is an absolute path, or one of another system");
        }
        if name.contains('\0') {
            return fail("has a name that no file can have");
        }
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return fail("leaves the archive's folder");
        }
        let path = parts.join("/");
        if parts.len() > DEEPEST || path.len() > LONGEST || parts.iter().any(|part| part.len() > LONGEST_PART) {
            let cut: String = name.chars().take(80).collect();
            return Err(self.error(format!("entry {cut:?}..: the path is too long or too deep")));
        }
        Ok((!path.is_empty()).then_some(path))
    }

    /// Counts an entry that is left out.
    pub fn leave_out(&mut self, what: String) -> Result<(), DatasetError> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(self.error(format!("more than the {} entries allowed", self.bounds.entries)));
        }
        if self.left_out.len() < SHOWN {
            self.left_out.push(what);
        }
        Ok(())
    }

    /// Counts bytes that are read and not kept, lest an archive be nothing else without end.
    pub fn skipped(&mut self, bytes: u64) -> Result<(), DatasetError> {
        self.cancel.check()?;
        self.passed_over = self.passed_over.saturating_add(bytes);
        if self.passed_over > self.total {
            return Err(self.error(format!("more than {} bytes that belong to no file", self.total)));
        }
        Ok(())
    }

    pub fn folder(&mut self, path: &str) -> Result<(), DatasetError> {
        fs_err::create_dir_all(self.into.join(path)).map_err(|error| self.taken(path, error))
    }

    /// Writes a file of which `size` bytes are announced.
    pub fn file(&mut self, path: &str, size: u64, mut bytes: impl Read) -> Result<(), DatasetError> {
        // An announcement is believed only so far that too much of it is not begun with.
        self.room_for(path, size)?;
        let mut file = self.create(path)?;
        let mut written = 0;
        loop {
            self.cancel.check()?;
            let read = bytes.read(&mut self.block);
            let count = match read {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(format!("{path:?}: damaged or truncated: {error}"))),
            };
            written += count as u64;
            self.room_for(path, written)?;
            file.write_all(&self.block[..count])?;
        }
        if written != size {
            return Err(self.error(format!("{path:?}: {size} bytes announced, found {written}: damaged or truncated")));
        }
        self.done.files += 1;
        self.done.bytes += written;
        Ok(())
    }

    /// Remembers a symbolic link; `target` as it stands in the archive.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), DatasetError> {
        let above = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let Some(target) = resolved(above, target) else {
            return Err(self.error(format!("{path:?} is a link to {target:?}, outside of the archive's folder")));
        };
        self.links.push((path.to_owned(), target));
        Ok(())
    }

    /// A second name of a file that came before becomes a copy.
    pub fn hard_link(&mut self, path: &str, target: &str) -> Result<(), DatasetError> {
        let Some(inside) = resolved("", target) else {
            return Err(self.error(format!("{path:?} is a link to {target:?}, outside of the archive's folder")));
        };
        if !self.copy(&inside, path)? {
            return Err(self.error(format!("{path:?} is a second name of {target:?}, which is no file of the archive")));
        }
        Ok(())
    }

    /// Makes the links, and tells what was done.
    pub fn finish(mut self) -> Result<Unpacked, DatasetError> {
        let mut links = std::mem::take(&mut self.links);
        for _ in 0..LINK_PASSES {
            let before = links.len();
            let mut open = Vec::new();
            for (path, target) in links {
                if !self.copy(&target, &path)? {
                    open.push((path, target));
                }
            }
            links = open;
            if links.is_empty() || links.len() == before {
                break;
            }
        }
        if let Some((path, _)) = links.iter().find(|(path, _)| self.into.join(path).symlink_metadata().is_ok()) {
            return Err(self.error(format!("two entries are named {path:?}, or one is a link and the other a folder")));
        }
        let mut notes = Vec::new();
        if let Some((path, target)) = links.first() {
            notes.push(format!(
                "{} links to folders or to nothing left out, the first: {path} -> {target}",
                links.len()
            ));
        }
        if !self.clashes.is_empty() {
            let first = self.clashes.join(", ");
            notes.push(format!("names that differ from others only in case: {first}"));
        }
        notes.append(&mut self.left_out);
        self.done.notes = notes;
        Ok(self.done)
    }

    /// Copies a file inside; `false` where there is none.
    fn copy(&mut self, from: &str, to: &str) -> Result<bool, DatasetError> {
        self.cancel.check()?;
        let source = self.into.join(from);
        match source.symlink_metadata() {
            Ok(data) if data.is_file() => {
                let file = fs_err::File::open(&source)?;
                self.file(to, data.len(), file)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn room_for(&self, path: &str, more: u64) -> Result<(), DatasetError> {
        if self.done.bytes.saturating_add(more) <= self.total {
            return Ok(());
        }
        let (total, ratio) = (self.total, self.bounds.ratio);
        Err(self.error(format!(
            "{path:?}: unpacks to more than the {total} bytes allowed (at most {ratio} for each packed byte): no archive of images does"
        )))
    }

    /// A new file. There are no links in the folder, so that joining paths cannot leave it.
    fn create(&mut self, path: &str) -> Result<fs_err::File, DatasetError> {
        let target: PathBuf = self.into.join(path);
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent).map_err(|error| self.taken(path, error))?;
        }
        let mut options = fs_err::OpenOptions::new();
        let file = options.write(true).create_new(true).open(&target).map_err(|error| self.taken(path, error))?;
        let mut hasher = DefaultHasher::new();
        path.to_lowercase().hash(&mut hasher);
        if !self.lower.insert(hasher.finish()) && self.clashes.len() < SHOWN {
            self.clashes.push(path.to_owned());
        }
        Ok(file)
    }

    /// What stands where an entry should go is another entry, for the folder was empty.
    fn taken(&self, path: &str, error: io::Error) -> DatasetError {
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
                self.error(format!("two entries are named {path:?}, or one is a file and the other a folder"))
            }
            _ => error.into(),
        }
    }
}

/// The path below the top folder that a link in `folder` leads to; `None` when that is outside.
fn resolved(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') || target.contains(['\\', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolved;

    #[test]
    fn links_are_followed_by_their_words_only() {
        assert_eq!(resolved("a/b", "../c.png").as_deref(), Some("a/c.png"));
        assert_eq!(resolved("a", "./x//y").as_deref(), Some("a/x/y"));
        for (folder, target) in [("a", "../../x"), ("", ".."), ("a", "/x"), ("a", "..\\x"), ("a", "../../a/x")] {
            assert_eq!(resolved(folder, target), None, "{folder} {target}");
        }
    }
}
