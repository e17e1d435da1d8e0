//! Taking things out of a store while others work in it.
//!
//! An artifact leaves in one rename, into the folder of unfinished things, and is deleted there: whoever looks finds all of it
//! or nothing, and what a killed collector left there is removed when the store is next opened.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fs_err as fs;

use crate::error::StoreError;
use crate::file;
use crate::holder::Process;
use crate::lease::Holding;
use crate::place;
use crate::root::Store;
use crate::survey::{DeadLease, Stored};

const OPERATION: &str = "collecting";

/// Something that a writer left half-written, and that nobody finishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The file, or the folder that was on its way out.
    pub path: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
}

impl Store {
    /// Deletes an artifact, unless somebody works on it: then says who. One that is gone already counts as deleted.
    ///
    /// Whoever begins to work on it at the same moment loses at most what it had stored, notices it, and computes it again.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub fn delete(&self, stored: &Stored) -> Result<Result<(), Holding>, StoreError> {
        let failed = || StoreError::io(OPERATION, &stored.folder);
        if let Some(holding) = &stored.in_use {
            return Ok(Err(holding.clone()));
        }
        // Somebody may have begun since it was looked at.
        let entries = match fs::read_dir(&stored.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(())),
            other => other.map_err(failed())?,
        };
        for entry in entries {
            let path = entry.map_err(failed())?.path();
            if !path.file_name().and_then(|name| name.to_str()).is_some_and(place::is_lease) {
                continue;
            }
            let Some(place::Seen { bytes, holding, lives }) = place::look(&path)? else { continue };
            // Found dead, and no sign of life since, nor another in its place.
            let known_dead = || stored.dead_leases.iter().any(|dead| dead.path == path && dead.bytes == bytes);
            if lives != Some(false) && !known_dead() {
                return Ok(Err(holding));
            }
        }
        let aside = self.root.temporary_name();
        match fs::rename(&stored.folder, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(())),
            other => other.map_err(failed())?,
        }
        fs::remove_dir_all(&aside).map_err(failed())?;
        // The folder of the first two digits goes with its last artifact; this fails, as it should, when others are in it.
        if let Some(parent) = stored.folder.parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(Ok(()))
    }

    /// Removes the leases that dead holders left on an artifact, and their claims, where they are still as they were found;
    /// returns how many.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub fn remove_dead_leases(&self, stored: &Stored) -> Result<usize, StoreError> {
        // Claims first: while one stands, the lease that it is on cannot be removed.
        let is_claim =
            |dead: &&DeadLease| dead.path.file_name().and_then(|name| name.to_str()).is_some_and(place::is_claim);
        let (claims, leases): (Vec<_>, Vec<_>) = stored.dead_leases.iter().partition(is_claim);
        let mut removed = 0;
        for dead in claims.into_iter().chain(leases) {
            removed += usize::from(place::remove_dead(&self.root, &dead.path, &dead.bytes)?);
        }
        Ok(removed)
    }

    /// What writers left half-written: theirs of whom this machine knows that they are dead (most of it goes when a store is
    /// opened), and what is older than `age` and of machines that cannot be asked.
    ///
    /// # Errors
    /// When the folder of unfinished things cannot be read.
    pub fn leftovers(&self, age: Duration) -> Result<Vec<Leftover>, StoreError> {
        let now = self.root.now(OPERATION)?;
        let mut found = Vec::new();
        let failed = || StoreError::io(OPERATION, &self.root.temporaries);
        for entry in fs::read_dir(&self.root.temporaries).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let Ok(data) = entry.metadata() else { continue };
            let lives = entry.file_name().to_str().and_then(Process::from_tag).and_then(|process| process.lives());
            let then = data.modified().ok();
            let old = then.and_then(|then| now.duration_since(then).ok()).is_some_and(|since| since > age);
            if !lives.unwrap_or(!old) {
                let size_bytes = if data.is_dir() { size_of(&entry.path()) } else { data.len() };
                found.push(Leftover { path: entry.path(), size_bytes });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Deletes a leftover. That it is gone is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete_leftover(&self, leftover: &Leftover) -> Result<(), StoreError> {
        let path = &leftover.path;
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { file::remove(path) };
        removed.map_err(StoreError::io(OPERATION, path))
    }
}

/// Bytes of the files directly in a folder: artifacts have no folders in them.
fn size_of(folder: &std::path::Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
}
