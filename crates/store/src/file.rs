//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::error::StoreError;

/// A file that is being written under a name that nobody reads; removed when dropped before it is committed.
pub(crate) struct Temporary {
    file: fs::File,
    path: PathBuf,
}

impl Temporary {
    /// Creates an empty file of that name, which nobody else may have.
    pub(crate) fn create(path: PathBuf) -> io::Result<Temporary> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Temporary { file, path })
    }

    /// Where it is for now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub(crate) fn file(&mut self) -> &mut fs::File {
        &mut self.file
    }

    /// Writes with `write`, makes the bytes durable, and gives the file its name: visible from then on, and whole.
    pub(crate) fn commit(
        mut self,
        target: &Path,
        operation: &'static str,
        size_bytes: usize,
        write: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        write(&mut self.file)
            .and_then(|()| self.file.flush())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.path, target))
            .map_err(StoreError::write(operation, target, size_bytes))?;
        sync_folder_of(target);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a commit the name is gone already; nobody else uses it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a rename durable. Some file systems cannot sync a folder; the rename is atomic all the same.
fn sync_folder_of(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(folder) = fs::File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// Removes a file; that it is not there is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reads a file; none when it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_clear_error_and_leaves_nothing() {
        // /dev/full answers every write with ENOSPC, as a full disk does.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("temporary");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a symbolic link");
        let file = fs::OpenOptions::new().write(true).open(&path).expect("opening /dev/full");
        let temporary = Temporary { file, path };
        let target = folder.path().join("part-00003");
        let error = temporary
            .commit(&target, "writing a part", 7, |file| crate::part::write(file, b"payload"))
            .expect_err("the disk is full");
        assert!(matches!(&error, StoreError::Full { path, size_bytes: 7, .. } if *path == target), "{error}");
        let message = error.to_string();
        assert!(message.contains("no space left") && message.contains("part-00003"), "{message}");
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "something was left");
    }
}
