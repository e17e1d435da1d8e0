//! Writing files so that none is ever seen half-written: into a folder of their own, synced, then renamed into place.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use oodlab_base::Cancel;

use crate::error::DatasetError;
use crate::hash::{Digest, Hasher};
use crate::index::{sync_folder, write_synced};

static COUNTER: AtomicU64 = AtomicU64::new(0);
/// Bytes that are copied at once.
const BLOCK: usize = 1 << 20;

/// The size and hashes of a file.
pub(super) struct Sums {
    pub size: u64,
    pub blake3: Digest,
    pub sha256: Digest,
}

/// Reads a file from front to back, whatever its size: its hashes.
pub(super) fn sums_of(path: &Path, cancel: &Cancel) -> Result<Sums, DatasetError> {
    pass(path, None, cancel)
}

fn pass(path: &Path, mut into: Option<&mut fs_err::File>, cancel: &Cancel) -> Result<Sums, DatasetError> {
    let mut file = fs_err::File::open(path)?;
    let (mut hasher, mut size, mut block) = (Hasher::default(), 0, vec![0; BLOCK]);
    loop {
        cancel.check()?;
        let count = file.read(&mut block)?;
        if count == 0 {
            let (blake3, sha256) = hasher.finish();
            return Ok(Sums { size, blake3, sha256 });
        }
        hasher.update(&block[..count]);
        if let Some(into) = into.as_mut() {
            into.write_all(&block[..count])?;
        }
        size += count as u64;
    }
}

/// Files on their way into a set's folder. Dropping it removes whatever was not committed.
pub(super) struct Stage {
    set: PathBuf,
    folder: PathBuf,
}

impl Stage {
    /// An empty stage beside the files of a set. Stages that a killed process left behind are removed.
    pub fn new(set: &Path) -> Result<Stage, DatasetError> {
        fs_err::create_dir_all(set)?;
        remove_abandoned(set)?;
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = set.join(format!(".staging-{}-{number}", std::process::id()));
        fs_err::create_dir(&folder)?;
        Ok(Stage { set: set.to_owned(), folder })
    }

    /// The folder that everything lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a file of the stage lies; folders above it are made.
    pub fn place(&self, path: &str) -> Result<PathBuf, DatasetError> {
        let target = self.folder.join(path);
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        Ok(target)
    }

    /// Copies a file block by block, hashing it on the way.
    pub fn copy(&self, path: &str, source: &Path, cancel: &Cancel) -> Result<Sums, DatasetError> {
        let mut target = fs_err::File::create(self.place(path)?)?;
        let sums = pass(source, Some(&mut target), cancel)?;
        target.sync_all()?;
        Ok(sums)
    }

    /// Gives a file a second name on the stage, where the file system can: `false` where it cannot.
    pub fn link(&self, path: &str, source: &Path) -> Result<bool, DatasetError> {
        let target = self.place(path)?;
        // A symbolic link would be linked itself: what it leads to is what is wanted.
        let source = fs_err::canonicalize(source)?;
        if fs_err::hard_link(source, &target).is_err() {
            return Ok(false);
        }
        fs_err::File::open(target)?.sync_all()?;
        Ok(true)
    }

    /// Writes one file, to the disk. `path` is relative and inside, as manifests and plans guarantee.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<(), DatasetError> {
        Ok(write_synced(&self.place(path)?, bytes)?)
    }

    /// Moves files into `files/`.
    pub fn commit<'a>(&self, paths: impl Iterator<Item = &'a str>) -> Result<(), DatasetError> {
        let files = self.set.join("files");
        let mut folders = BTreeSet::from([files.clone(), self.set.clone()]);
        fs_err::create_dir_all(&files)?;
        for path in paths {
            let target = files.join(path);
            for folder in target.ancestors().skip(1).take_while(|folder| **folder != files) {
                folders.insert(folder.to_owned());
            }
            if let Some(parent) = target.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::rename(self.folder.join(path), target)?;
        }
        for folder in folders {
            sync_folder(&folder)?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.folder);
        // A set of which nothing was imported leaves no folder behind; this fails, as it should, when anything is in it.
        let _ = fs_err::remove_dir(&self.set);
    }
}

/// Removes the stages of processes that are gone. Where processes cannot be looked up, stages are left alone.
fn remove_abandoned(set: &Path) -> Result<(), DatasetError> {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return Ok(());
    }
    for entry in fs_err::read_dir(set)? {
        let entry = entry?;
        let name = entry.file_name();
        let process =
            name.to_str().and_then(|name| name.strip_prefix(".staging-")).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| process.parse::<u32>().is_ok() && !processes.join(process).exists()) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
