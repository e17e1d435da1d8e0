//! Where the images of a split come from: one kind a format.

mod cifar;
mod folder;
mod generated;
mod idx;
mod zip;

use std::borrow::Cow;
use std::path::PathBuf;

use oodlab_base::Key;

use crate::embedded;
use crate::error::DatasetError;
use crate::hash;
use crate::image::RgbImage;
use crate::index::IndexedFile;
use crate::manifest::{Format, Manifest, Role};

/// The images of a split, by position.
pub(crate) trait Source: Send + Sync {
    fn len(&self) -> usize;
    /// Stable name of a sample; `index < len()` here and below.
    fn id(&self, index: usize) -> String;
    fn read(&self, index: usize) -> Result<RgbImage, DatasetError>;
    fn label(&self, index: usize) -> Option<u32>;
    /// Hash of the image's bytes as its file holds them.
    fn content(&self, index: usize) -> Key;
}

/// A file of a split, wherever it lies.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Path in the manifest: part of the sample ids.
    pub path: String,
    pub role: Role,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Compiled in, under this path.
    Embedded(String),
    /// On disk, with the hash that it must have.
    Disk { path: PathBuf, blake3: String },
}

impl Part {
    /// A file that was imported; `folder` is the set's `files/`.
    pub fn imported(file: &IndexedFile, folder: &std::path::Path) -> Part {
        let place = Place::Disk { path: folder.join(&file.path), blake3: file.blake3.clone() };
        Part { path: file.path.clone(), role: file.role, place }
    }

    /// The whole file, its hash proven.
    pub fn load(&self) -> Result<Cow<'static, [u8]>, DatasetError> {
        match &self.place {
            Place::Embedded(path) => embedded::file(path).map(Cow::Borrowed),
            Place::Disk { path, blake3 } => {
                let bytes = fs_err::read(path)?;
                let found = hash::blake3(&bytes);
                if found != *blake3 {
                    let path = path.display().to_string();
                    return Err(DatasetError::Changed { path, expected: blake3.clone(), found });
                }
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// The file's name in errors.
    pub fn shown(&self) -> String {
        match &self.place {
            Place::Embedded(path) => format!("embedded {path}"),
            Place::Disk { path, .. } => path.display().to_string(),
        }
    }

    pub fn error(&self, what: impl Into<String>) -> DatasetError {
        DatasetError::decode(self.shown(), what)
    }
}

/// Opens the images of a split: all of its parts, or as many as `limit` images need.
pub(crate) fn open(
    manifest: &Manifest,
    split: &str,
    parts: &[Part],
    limit: Option<usize>,
) -> Result<Box<dyn Source>, DatasetError> {
    let limit = limit.unwrap_or(usize::MAX);
    Ok(match &manifest.format {
        Format::CifarBinary { .. } => Box::new(cifar::Cifar::open(manifest, parts, limit)?),
        Format::Idx {} => Box::new(idx::IdxImages::open(manifest, parts, limit)?),
        Format::ImageFolder { classes } => Box::new(folder::Folder::open(manifest, split, *classes, parts)?),
        Format::ZipImages { equal_images } => Box::new(zip::ZipImages::open(*equal_images, parts, limit)?),
        Format::Generated { seed, pattern } => Box::new(generated::Generated::open(manifest, split, *seed, pattern)?),
    })
}

pub(crate) use cifar::layout as cifar_layout;
pub(crate) use folder::class_of;
