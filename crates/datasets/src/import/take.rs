//! One file of an import.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use oodlab_base::Cancel;

use super::recognise::Pick;
use super::stage::{Stage, Sums as FileSums, sums_of};
use crate::blob::{Blob, IN_MEMORY};
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::index::{Index, IndexedFile};
use crate::manifest::{Format, Manifest, Role};
use crate::source;
use crate::sums::{Sums, as_many};

/// What became of one file.
pub(super) enum Outcome {
    /// It was there already.
    Kept,
    /// It was copied.
    Added(IndexedFile),
    /// Nothing reads it; it was not copied.
    Unreadable(IndexedFile),
}

impl Outcome {
    /// Path and reason of a file that nothing reads.
    pub fn unreadable(&self) -> Option<(String, String)> {
        match self {
            Outcome::Unreadable(file) => Some((file.path.clone(), file.unreadable.clone().unwrap_or_default())),
            Outcome::Kept | Outcome::Added(_) => None,
        }
    }
}

/// One import under way.
pub(super) struct Import<'a> {
    pub manifest: &'a Manifest,
    /// The checksums of single files that the manifest names.
    pub sums: Option<&'a Sums>,
    /// What was imported before.
    pub before: &'a Index,
    /// The set's folder in the data root.
    pub folder: &'a Path,
    pub stage: Stage,
    /// Files get a second name instead of a copy.
    pub link: bool,
    /// Files that could not be linked, and were copied.
    pub copied_instead: AtomicUsize,
    pub cancel: &'a Cancel,
}

/// Bytes of a file that is being taken in, wherever they are.
enum Held {
    /// Small: in memory, and not on the stage yet.
    Memory(Blob),
    /// Large: hashed, and not on the stage yet.
    Source,
    /// Large: on the stage already, hashed on the way.
    Stage,
}

impl Import<'_> {
    /// Reads, proves and decodes one file, and puts it on the stage unless it is there already.
    pub fn take(&self, pick: &Pick<'_>) -> Result<Outcome, DatasetError> {
        let path = pick.source.as_path();
        let (sums, held) = self.read(pick, path)?;
        let mut file = IndexedFile {
            path: pick.path.clone(),
            split: pick.split.to_owned(),
            role: pick.role,
            size: sums.size,
            blake3: sums.blake3,
            sha256: sums.sha256,
            unreadable: None,
        };
        let shown = path.display().to_string();
        if let (Some(known), Some(sha256)) = (pick.known, &pick.sha256)
            && known.has_checksum()
            && *sha256 != file.sha256.to_string()
        {
            return Err(DatasetError::Checksum {
                path: shown,
                set: self.manifest.name.clone(),
                file: known.path.clone(),
                expected: format!("sha256 {sha256}"),
                found: format!("sha256 {} a moment later", file.sha256),
            });
        }
        if let Some(refused) = &pick.refused {
            file.unreadable = Some(refused.what());
            return Ok(Outcome::Unreadable(file));
        }
        if let Some(sums) = self.sums
            && let Some(expected) = sums.refuse(&pick.path, &file.sha256.to_string())
        {
            return Err(DatasetError::Checksum {
                path: shown,
                set: self.manifest.name.clone(),
                file: pick.path.clone(),
                expected: format!("sha256 {expected} (of {})", sums.file),
                found: format!("sha256 {}", as_many(&file.sha256.to_string(), expected)),
            });
        }
        let proven = self.is_proven(pick);
        if let Some(before) = self.earlier(pick) {
            let unchanged = before.blake3 == file.blake3 || proven;
            if !unchanged {
                return Err(DatasetError::Conflict {
                    path: pick.path.clone(),
                    before: before.blake3.to_string(),
                    now: file.blake3.to_string(),
                    folder: self.folder.display().to_string(),
                });
            }
            // A proven file replaces another content of its path; packed and unpacked are the same content.
            let replaced = before.path == pick.path && before.blake3 != file.blake3;
            if !replaced && self.is_there(before)? {
                return Ok(Outcome::Kept);
            }
        }
        let blob = match &held {
            Held::Memory(blob) => blob.clone(),
            // Put on the stage first: what is looked at is what is kept.
            Held::Source => self.stage_large(pick, path, &file)?,
            Held::Stage => self.staged(pick)?,
        };
        match source::inspect(self.manifest, pick.role, &pick.path, &blob) {
            Ok(()) => {
                if let Held::Memory(blob) = &held
                    && !self.linked(pick, path)?
                {
                    self.stage.put(&pick.path, &blob.whole()?)?;
                }
                Ok(Outcome::Added(file))
            }
            Err(what) if pick.role != Role::List && matches!(self.manifest.format, Format::ImageFolder { .. }) => {
                file.unreadable = Some(what);
                Ok(Outcome::Unreadable(file))
            }
            Err(what) => Err(DatasetError::decode(shown, what)),
        }
    }

    /// The hashes of a file. Only small ones are held in memory; a large one that is new is copied on the way.
    fn read(&self, pick: &Pick<'_>, path: &Path) -> Result<(FileSums, Held), DatasetError> {
        if fs_err::metadata(path)?.len() <= IN_MEMORY {
            let bytes = fs_err::read(path)?;
            let (blake3, sha256) = (Digest::blake3(&bytes), Digest::sha256(&bytes));
            let sums = FileSums { size: bytes.len() as u64, blake3, sha256 };
            return Ok((sums, Held::Memory(Blob::memory(bytes))));
        }
        if pick.refused.is_some() || self.earlier(pick).is_some() {
            return Ok((sums_of(path, self.cancel)?, Held::Source));
        }
        if self.linked(pick, path)? {
            return Ok((sums_of(&self.stage.place(&pick.path)?, self.cancel)?, Held::Stage));
        }
        Ok((self.stage.copy(&pick.path, path, self.cancel)?, Held::Stage))
    }

    /// Puts a large file on the stage, whose hashes are known.
    fn stage_large(&self, pick: &Pick<'_>, path: &Path, file: &IndexedFile) -> Result<Blob, DatasetError> {
        if !self.linked(pick, path)? {
            let sums = self.stage.copy(&pick.path, path, self.cancel)?;
            if sums.blake3 != file.blake3 {
                return Err(DatasetError::decode(path.display().to_string(), "it changes while it is imported"));
            }
        }
        self.staged(pick)
    }

    fn staged(&self, pick: &Pick<'_>) -> Result<Blob, DatasetError> {
        let file = fs_err::File::open(self.stage.place(&pick.path)?)?;
        Ok(Blob::file(file.into_parts().0)?)
    }

    /// Links a file onto the stage, where that is wanted and possible.
    fn linked(&self, pick: &Pick<'_>, path: &Path) -> Result<bool, DatasetError> {
        if !(self.link || pick.own) {
            return Ok(false);
        }
        let linked = self.stage.link(&pick.path, path)?;
        if !linked && !pick.own {
            self.copied_instead.fetch_add(1, Ordering::Relaxed);
        }
        Ok(linked)
    }

    /// Whether an indexed file is in its place with its own bytes.
    fn is_there(&self, file: &IndexedFile) -> Result<bool, DatasetError> {
        match sums_of(&self.folder.join("files").join(&file.path), self.cancel) {
            Ok(found) => Ok(found.blake3 == file.blake3),
            Err(DatasetError::Cancelled(cancelled)) => Err(cancelled.into()),
            // Gone or not readable: it is put there anew.
            Err(_) => Ok(false),
        }
    }

    /// Whether a checksum stands for the bytes of a pick: its own in the manifest, or one of the list beside it.
    pub fn is_proven(&self, pick: &Pick<'_>) -> bool {
        pick.known.is_some_and(|known| known.has_checksum()) || self.sums.is_some_and(|sums| sums.lists(&pick.path))
    }

    /// The indexed file that a pick would repeat: the same path, or the same known file packed or unpacked.
    fn earlier(&self, pick: &Pick<'_>) -> Option<&IndexedFile> {
        let other_form = pick.known.and_then(|known| {
            let unpacked = known.path.strip_suffix(".gz")?;
            Some(if pick.path == known.path { unpacked } else { &known.path })
        });
        let readable = |file: &&IndexedFile| file.unreadable.is_none();
        self.before.file(&pick.path).filter(readable).or_else(|| self.before.file(other_form?).filter(readable))
    }
}
