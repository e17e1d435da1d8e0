//! One file of an import.

use std::path::Path;

use super::recognise::Pick;
use super::scan::Scan;
use super::stage::Stage;
use crate::decode::{gzip, idx::Idx, picture, zip};
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::index::{Index, IndexedFile};
use crate::manifest::{Format, Manifest, Role};
use crate::source::cifar_layout;
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
    pub scan: &'a Scan,
    /// The checksums of single files that the manifest names.
    pub sums: Option<&'a Sums>,
    /// What was imported before.
    pub before: &'a Index,
    /// The set's folder in the data root.
    pub folder: &'a Path,
    pub stage: Stage,
}

impl Import<'_> {
    /// Reads, proves and decodes one file, and puts it on the stage unless it is there already.
    pub fn take(&self, pick: &Pick<'_>) -> Result<Outcome, DatasetError> {
        let source = &self.scan.files[pick.file];
        let path = self.scan.path(source);
        let bytes = fs_err::read(&path)?;
        let mut file = IndexedFile {
            path: pick.path.clone(),
            split: pick.split.to_owned(),
            role: pick.role,
            size: bytes.len() as u64,
            blake3: Digest::blake3(&bytes),
            sha256: Digest::sha256(&bytes),
            unreadable: None,
        };
        let shown = path.display().to_string();
        if let (Some(known), Some(digests)) = (pick.known, &source.digests)
            && known.has_checksum()
            && digests.sha256 != file.sha256.to_string()
        {
            return Err(DatasetError::Checksum {
                path: shown,
                set: self.manifest.name.clone(),
                file: known.path.clone(),
                expected: format!("sha256 {}", digests.sha256),
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
            let there = fs_err::read(self.folder.join("files").join(&before.path)).unwrap_or_default();
            if !replaced && Digest::blake3(&there) == before.blake3 {
                return Ok(Outcome::Kept);
            }
        }
        match self.inspect(pick.role, &pick.path, &bytes) {
            Ok(()) => {
                self.stage.put(&pick.path, &bytes)?;
                Ok(Outcome::Added(file))
            }
            Err(what) if matches!(self.manifest.format, Format::ImageFolder { .. }) => {
                file.unreadable = Some(what);
                Ok(Outcome::Unreadable(file))
            }
            Err(what) => Err(DatasetError::decode(shown, what)),
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

    /// Decodes a whole file.
    fn inspect(&self, role: Role, path: &str, bytes: &[u8]) -> Result<(), String> {
        let fits = |image: &crate::image::RgbImage| match self.manifest.image_size {
            Some(size) if size != (image.width, image.height) => {
                Err(format!("expected {} x {}, found {} x {}", size.0, size.1, image.width, image.height))
            }
            _ => Ok(()),
        };
        match &self.manifest.format {
            Format::CifarBinary { .. } => {
                let layout = cifar_layout(self.manifest).ok_or("a manifest without a layout")?;
                if path.ends_with(".gz") {
                    layout.count(&gzip::unpack(bytes, u64::MAX)?).map(drop)
                } else {
                    layout.count(bytes).map(drop)
                }
            }
            Format::Idx {} => Idx::parse(bytes.to_vec(), if role == Role::Labels { 1 } else { 3 }).map(drop),
            Format::ImageFolder { .. } => fits(&picture::decode(bytes)?),
            Format::ZipImages { .. } => {
                for entry in zip::entries(bytes)? {
                    let named = |what: String| format!("{}: {what}", entry.name);
                    let image = zip::read(bytes, &entry).and_then(|file| picture::decode(&file)).map_err(named)?;
                    fits(&image).map_err(named)?;
                }
                Ok(())
            }
            Format::Generated { .. } => Err("a generated set has no files".into()),
        }
    }
}
