//! One artifact: its parts, and the note that it is finished.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use oodlab_base::Key;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::root::Root;
use crate::{file, part};

/// The name of the file that says that an artifact is finished.
pub(crate) const DONE: &str = "done.json";

/// The format of [`DONE`]; a file of another format counts as absent.
pub(crate) const FORMAT: u32 = 1;

/// The output of one stage under one key.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub(crate) root: Arc<Root>,
    stage: String,
    key: Key,
    pub(crate) folder: PathBuf,
}

/// What is known of a finished artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How many parts it has: indices `0..parts`.
    pub parts: usize,
    /// What the stage noted.
    pub note: BTreeMap<String, String>,
}

/// The file [`DONE`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {
    pub(crate) format: u32,
    stage: String,
    pub(crate) key: String,
    pub(crate) parts: Vec<DonePart>,
    pub(crate) note: BTreeMap<String, String>,
}

/// One part in [`DONE`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DonePart {
    size_bytes: u64,
    pub(crate) blake3: String,
}

impl Artifact {
    pub(crate) fn new(root: Arc<Root>, stage: &str, key: Key) -> Artifact {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        let name: String = stage.chars().map(plain).collect();
        let name = if name.is_empty() { "_" } else { &name };
        let hex = key.hex();
        let folder = root.path.join(name).join(&hex[..2]).join(&hex);
        Artifact { root, stage: stage.to_owned(), key, folder }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where the parts are: `<root>/<stage>/<first two digits>/<key>`. It may not exist yet.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The payload of a part, its checksum compared; none when the part is absent. A damaged part is reported as a
    /// warning in the log, removed together with the note that the artifact is finished, and counts as absent: whoever
    /// needs it computes it again.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is damaged and cannot be removed.
    pub fn read_part(&self, index: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.part_path(index);
        let Some(bytes) = file::read(&path).map_err(StoreError::io("reading a part", &path))? else {
            return Ok(None);
        };
        match part::open(bytes) {
            Ok(payload) => Ok(Some(payload)),
            Err(reason) => self.discard(&path, &reason),
        }
    }

    /// Writes a part: into a temporary file, made durable, then renamed. Readers see the old part, or none, or the new
    /// one. Several writers of one part may run at once; the last rename stays.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no space, [`StoreError::Gone`] when the store's folder disappeared,
    /// [`StoreError::Io`] otherwise. Nothing half-written is left.
    pub fn write_part(&self, index: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_file(&self.part_path(index), "writing a part", bytes.len(), |file| part::write(file, bytes))
    }

    /// The indices of the parts that are there, ascending. They are not opened: [`Artifact::read_part`] may still find
    /// one damaged.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn parts(&self) -> Result<Vec<usize>, StoreError> {
        let operation = "listing the parts of an artifact";
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(StoreError::io(operation, &self.folder))?,
        };
        let mut indices = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io(operation, &self.folder))?;
            indices.extend(entry.file_name().to_str().and_then(part::index_of));
        }
        indices.sort_unstable();
        Ok(indices)
    }

    /// Whether a part is there, judged by its end alone: [`Artifact::read_part`] may still find it damaged.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn has_part(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.trailer(index)?.is_some())
    }

    /// Removes a part that is not needed any more (a checkpoint that a later one replaced). That it is not there is no
    /// error.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn remove_part(&self, index: usize) -> Result<(), StoreError> {
        let path = self.part_path(index);
        file::remove(&path).map_err(StoreError::io("removing a part", &path))
    }

    /// Notes that the artifact is finished and has the parts `0..parts`, with what the stage wants to remember. Written
    /// last, atomically.
    ///
    /// # Errors
    /// [`StoreError::MissingParts`] when one of the parts is absent or its end is damaged; else as
    /// [`Artifact::write_part`].
    pub fn finish(&self, parts: usize, note: &BTreeMap<String, String>) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        let mut list = Vec::new();
        for index in 0..parts {
            match self.trailer(index)? {
                Some(trailer) => list
                    .push(DonePart { size_bytes: trailer.size_bytes, blake3: trailer.checksum.to_hex().to_string() }),
                None => missing.push(index),
            }
        }
        if !missing.is_empty() {
            return Err(StoreError::MissingParts { folder: self.folder.clone(), parts, missing });
        }
        let done =
            Done { format: FORMAT, stage: self.stage.clone(), key: self.key.hex(), parts: list, note: note.clone() };
        let path = self.folder.join(DONE);
        let operation = "noting that an artifact is finished";
        let json = serde_json::to_vec_pretty(&done)
            .map_err(|error| StoreError::io(operation, &path)(io::Error::other(error)))?;
        self.write_file(&path, operation, json.len(), |file| io::Write::write_all(file, &json))
    }

    /// Whether the artifact is finished, and with what note. All parts must be there with the sizes and checksums that
    /// they say they had when it was finished; their payloads are not read here but compared in
    /// [`Artifact::read_part`]. A note that does not fit is reported in the log, removed, and counts as absent.
    ///
    /// # Errors
    /// When the note or a part is there and cannot be read.
    pub fn finished(&self) -> Result<Option<Finished>, StoreError> {
        let path = self.folder.join(DONE);
        let bytes =
            file::read(&path).map_err(StoreError::io("reading the note that an artifact is finished", &path))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let reason = match serde_json::from_slice::<Done>(&bytes) {
            Err(error) => error.to_string(),
            Ok(done) if done.format != FORMAT => format!("it has format {}, this build reads {FORMAT}", done.format),
            Ok(done) if done.key != self.key.hex() || done.stage != self.stage => {
                format!("it belongs to {} {}", done.stage, done.key)
            }
            Ok(done) => match self.misfit(&done)? {
                None => return Ok(Some(Finished { parts: done.parts.len(), note: done.note })),
                Some(reason) => reason,
            },
        };
        tracing::warn!(path = %path.display(), reason, "an artifact is not finished as it says; it is computed again");
        file::remove(&path).map_err(StoreError::io("removing a note that does not fit", &path))?;
        Ok(None)
    }

    /// What contradicts a note, if anything.
    fn misfit(&self, done: &Done) -> Result<Option<String>, StoreError> {
        for (index, noted) in done.parts.iter().enumerate() {
            let Some(trailer) = self.trailer(index)? else {
                return Ok(Some(format!("part {index} is missing or damaged")));
            };
            if trailer.size_bytes != noted.size_bytes || trailer.checksum.to_hex().as_str() != noted.blake3 {
                return Ok(Some(format!("part {index} is not the one that was there when it was finished")));
            }
        }
        Ok(None)
    }

    /// The trailer of a part; none when the part is absent or its end is damaged.
    fn trailer(&self, index: usize) -> Result<Option<part::Trailer>, StoreError> {
        let path = self.part_path(index);
        let failed = StoreError::io("reading the end of a part", &path);
        match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
            Ok(file) => Ok(part::peek(file).map_err(failed)?.ok()),
        }
    }

    /// Takes a damaged part away. Another process may have replaced it by a sound one since it was read, so it is moved
    /// aside first and looked at again there.
    fn discard(&self, path: &Path, reason: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let operation = "taking a damaged part away";
        let aside = self.root.temporary_for(path, operation)?;
        match fs::rename(path, aside.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(StoreError::io(operation, path))?,
        }
        let again = file::read(aside.path()).map_err(StoreError::io(operation, path))?.unwrap_or_default();
        if let Ok(payload) = part::open(again) {
            fs::rename(aside.path(), path).map_err(StoreError::io(operation, path))?;
            return Ok(Some(payload));
        }
        tracing::warn!(path = %path.display(), reason, "a stored part is damaged; it was removed and is computed again");
        let done = self.folder.join(DONE);
        file::remove(&done).map_err(StoreError::io(operation, &done))?;
        Ok(None)
    }

    /// Writes a file of the artifact atomically.
    fn write_file(
        &self,
        path: &Path,
        operation: &'static str,
        size_bytes: usize,
        write: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.root.make_folder(&self.folder, operation)?;
        self.root.temporary_for(path, operation)?.commit(path, operation, size_bytes, write).map_err(
            |error| match error {
                StoreError::Io { .. } if !self.root.path.is_dir() => {
                    StoreError::Gone { root: self.root.path.clone(), operation }
                }
                other => other,
            },
        )
    }

    fn part_path(&self, index: usize) -> PathBuf {
        self.folder.join(part::file_name(index))
    }
}
