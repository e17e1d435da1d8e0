//! The store's folder.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use oodlab_base::Key;

use crate::artifact::Artifact;
use crate::error::StoreError;
use crate::file::Temporary;
use crate::holder::Process;

/// The folder for files that are being written, below the root: on the same file system, and quick to clean.
const TEMPORARIES: &str = ".tmp";

/// A leftover of a machine whose processes cannot be asked after is removed when it is this old.
const LEFTOVER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A folder of artifacts. Any number of processes may have it open.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) root: Arc<Root>,
}

impl Store {
    /// Opens a store, making its folder when it is not there, and removes what writers that died left half-written.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`] when the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        let not_writable = |source| StoreError::NotWritable { root: root.to_owned(), source };
        fs::create_dir_all(root.join(TEMPORARIES)).map_err(not_writable)?;
        // Working folders change; a store that was opened does not.
        let absolute = fs::canonicalize(root).map_err(not_writable)?;
        let root = Root { temporaries: absolute.join(TEMPORARIES), path: absolute, swept: Mutex::default() };
        let probe = root.temporary().map_err(not_writable)?;
        root.remove_leftovers(&probe);
        drop(probe);
        Ok(Store { root: Arc::new(root) })
    }

    /// The store's folder, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root.path
    }

    /// The artifact of a stage under a key, whether it exists or not; nothing is read or written. Characters of `stage`
    /// that are not letters, digits, `-` or `_` become `_` in its folder's name.
    #[must_use]
    pub fn artifact(&self, stage: &str, key: &Key) -> Artifact {
        Artifact::new(Arc::clone(&self.root), stage, *key)
    }
}

/// What artifacts know of their store.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) temporaries: PathBuf,
    /// Folders of artifacts out of which dead claims were taken.
    swept: Mutex<BTreeSet<PathBuf>>,
}

impl Root {
    /// A new file in the folder for unfinished ones; its name says whose it is.
    pub(crate) fn temporary(&self) -> io::Result<Temporary> {
        Temporary::create(self.temporary_name())
    }

    /// As [`Root::temporary`], for a folder that other programs may empty or remove.
    pub(crate) fn temporary_for(&self, target: &Path, operation: &'static str) -> Result<Temporary, StoreError> {
        self.temporary()
            .or_else(|error| {
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(error);
                }
                fs::create_dir(&self.temporaries)?;
                self.temporary()
            })
            .map_err(|error| self.error(operation, target, error))
    }

    /// Makes folders below the root, never the root itself: one that disappeared (unmounted, say) is not made anew in
    /// its place.
    pub(crate) fn make_folder(&self, folder: &Path, operation: &'static str) -> Result<(), StoreError> {
        if folder.is_dir() {
            return Ok(());
        }
        let below = folder.strip_prefix(&self.path).unwrap_or(Path::new(""));
        let mut current = self.path.clone();
        for name in below {
            current.push(name);
            match fs::create_dir(&current) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(self.error(operation, &current, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The error of a write: says that the store is gone when that is the reason.
    fn error(&self, operation: &'static str, path: &Path, error: io::Error) -> StoreError {
        if error.kind() == io::ErrorKind::NotFound && !self.path.is_dir() {
            return StoreError::Gone { root: self.path.clone(), operation };
        }
        StoreError::write(operation, path, 0)(error)
    }

    /// Whether dead claims were not looked for in this folder yet; asking counts as looking.
    pub(crate) fn begin_sweep(&self, folder: &Path) -> bool {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned())
    }

    /// The file system's own time: ages of its files are measured against it, whatever this machine's clock says.
    pub(crate) fn now(&self, operation: &'static str) -> Result<SystemTime, StoreError> {
        let probe = self.temporary_for(&self.temporaries, operation)?;
        fs::metadata(probe.path())
            .and_then(|data| data.modified())
            .map_err(StoreError::io(operation, &self.temporaries))
    }

    /// A name in the folder for unfinished things, on which nothing stands.
    pub(crate) fn temporary_name(&self) -> PathBuf {
        self.temporaries.join(format!("{}-{}", Process::this().tag(), crate::token::fresh()))
    }

    /// Removes temporary files (and folders that were on their way out) whose writers are dead. Ages are measured against
    /// the time stamp of `probe`, a file just made: both stamps come from the file system's clock.
    fn remove_leftovers(&self, probe: &Temporary) {
        let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        let now = modified(probe.path());
        let Ok(entries) = fs::read_dir(&self.temporaries) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let lives = entry.file_name().to_str().and_then(Process::from_tag).and_then(|process| process.lives());
            let old = || {
                let age = now.zip(modified(&path)).and_then(|(now, then)| now.duration_since(then).ok());
                age.is_some_and(|age| age > LEFTOVER_AGE)
            };
            if !lives.unwrap_or_else(|| !old()) {
                tracing::debug!(path = %path.display(), "removing what a writer that died left");
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { crate::file::remove(&path) };
                if let Err(error) = removed {
                    tracing::warn!(%error, "a leftover cannot be removed");
                }
            }
        }
    }
}
