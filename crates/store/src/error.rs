//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use oodlab_base::Cancelled;

/// An error of the store. The artifact that it concerns is as it was before the call.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{operation}: {source}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer, with the path.
        source: io::Error,
    },
    /// The disk is full, or a quota is used up. Nothing half-written was left.
    #[error(
        "no space left for {} ({size_bytes} bytes) while {operation}; free some space, or choose another store with \
         `--store DIR` or OODLAB_STORE",
        path.display()
    )]
    Full {
        /// What was being done.
        operation: &'static str,
        /// The file that should have been written.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
    /// The store folder cannot be made or written.
    #[error(
        "the store folder {} cannot be written ({source}); choose another with `--store DIR` or OODLAB_STORE",
        root.display()
    )]
    NotWritable {
        /// The store's folder.
        root: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The store folder was there and is not any more.
    #[error("the store folder {} disappeared while it was in use (while {operation})", root.display())]
    Gone {
        /// The store's folder.
        root: PathBuf,
        /// What was being done.
        operation: &'static str,
    },
    /// An artifact cannot be finished: it has not all its parts.
    #[error("{} cannot be finished: of {parts} parts {missing:?} are missing or damaged", folder.display())]
    MissingParts {
        /// The artifact's folder.
        folder: PathBuf,
        /// How many parts it should have.
        parts: usize,
        /// The indices that are not there.
        missing: Vec<usize>,
    },
    /// The work was asked to stop while it waited.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl StoreError {
    /// Wraps an error of the file system.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { operation, path, source }
    }

    /// Wraps an error of writing `size_bytes` bytes.
    pub(crate) fn write(
        operation: &'static str,
        path: &Path,
        size_bytes: usize,
    ) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full { operation, path, size_bytes: size_bytes as u64 }
            }
            _ => StoreError::Io { operation, path, source },
        }
    }
}
