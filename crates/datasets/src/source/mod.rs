//! Where the images of a split come from: one kind a format.

mod arrays;
mod cifar;
mod classes;
mod folder;
mod fuzz;
mod generated;
mod idx;
mod list;
mod mat;
mod numpy;
mod parquet;
mod planes;
mod tar;
mod zip;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oodlab_base::Key;

use crate::blob::{Blob, IN_MEMORY};
use crate::embedded;
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::index::IndexedFile;
use crate::manifest::{Format, Manifest, Role};
use crate::reading::Reading;

/// The images of a split, by position.
pub(crate) trait Source: Send + Sync {
    fn len(&self) -> usize;
    /// Images of the complete split, where the files themselves say so.
    fn expected(&self) -> Option<usize> {
        None
    }
    /// Stable name of a sample; `index < len()` here and below.
    fn id(&self, index: usize) -> String;
    /// Reads the image's file, and nothing more: what takes time because a disk or a network does. Nothing where the bytes
    /// are in memory.
    fn fetch(&self, _index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        Ok(None)
    }
    /// Decodes what [`Source::fetch`] gave for the same image: what takes time because the processor does.
    fn decode(&self, index: usize, fetched: Option<Vec<u8>>, reading: Reading) -> Result<RgbImage, DatasetError>;
    fn label(&self, index: usize) -> Option<u32>;
    /// How bytes become pixels, where the manifest decides it: the same bytes read otherwise are other images.
    fn layout(&self) -> Option<String> {
        None
    }
    /// Hash that stands for the image's bytes: of the bytes themselves, or, in a large container, of the container's proven hash
    /// and the image's place in it.
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
    Disk {
        /// The set's `files/`, shared by all of its parts.
        folder: Arc<Path>,
        /// Path below it where that is not the part's own.
        file: Option<String>,
        blake3: Digest,
    },
}

impl Part {
    /// A file that was imported; `folder` is the set's `files/`.
    pub fn imported(file: &IndexedFile, folder: &Arc<Path>) -> Part {
        let place = Place::Disk { folder: folder.clone(), file: None, blake3: file.blake3 };
        Part { path: file.path.clone(), role: file.role, place }
    }

    /// Gives the part another path in sample ids; its file stays where it is.
    pub fn rename(&mut self, path: &str) {
        let own = std::mem::replace(&mut self.path, path.to_owned());
        if let Place::Disk { file, .. } = &mut self.place
            && file.is_none()
            && own != path
        {
            *file = Some(own);
        }
    }

    /// The path of a file on disk below its folder, and that folder.
    pub fn place_mut(&mut self) -> Option<(&str, &mut Arc<Path>)> {
        match &mut self.place {
            Place::Embedded(_) => None,
            Place::Disk { folder, file, .. } => Some((file.as_deref().unwrap_or(&self.path), folder)),
        }
    }

    /// The whole file, its hash proven.
    pub fn load(&self) -> Result<Cow<'static, [u8]>, DatasetError> {
        match self.fetch()? {
            Some(bytes) => self.proven(bytes).map(Cow::Owned),
            None => self.carried().map(Cow::Borrowed),
        }
    }

    /// The bytes of a file on disk, not proven yet.
    pub fn fetch(&self) -> Result<Option<Vec<u8>>, DatasetError> {
        Ok(self.on_disk().map(fs_err::read).transpose()?)
    }

    /// The file as bytes to be read at any place, its hash proven: in memory when it is small, else read once from front to back.
    pub fn blob(&self) -> Result<Blob, DatasetError> {
        let (Some(path), Place::Disk { blake3, .. }) = (self.on_disk(), &self.place) else {
            return self.carried().map(Blob::memory);
        };
        let file = fs_err::File::open(&path)?;
        if file.metadata()?.len() <= IN_MEMORY {
            drop(file);
            return self.load().map(Blob::memory);
        }
        let found = Digest::blake3_of(&file)?;
        if found != *blake3 {
            let (expected, found) = (blake3.to_string(), found.to_string());
            return Err(DatasetError::Changed { path: self.shown(), expected, found });
        }
        Ok(Blob::file(file.into_parts().0)?)
    }

    /// The hash of the whole file.
    pub fn digest(&self) -> Result<Digest, DatasetError> {
        match &self.place {
            Place::Disk { blake3, .. } => Ok(*blake3),
            Place::Embedded(_) => Ok(Digest::blake3(self.carried()?)),
        }
    }

    /// Bytes that [`Part::fetch`] gave, their hash proven.
    pub fn proven(&self, bytes: Vec<u8>) -> Result<Vec<u8>, DatasetError> {
        match &self.place {
            Place::Disk { blake3, .. } if Digest::blake3(&bytes) != *blake3 => {
                let (expected, found) = (blake3.to_string(), Digest::blake3(&bytes).to_string());
                Err(DatasetError::Changed { path: self.shown(), expected, found })
            }
            _ => Ok(bytes),
        }
    }

    /// The bytes of a file that is compiled in.
    fn carried(&self) -> Result<&'static [u8], DatasetError> {
        match &self.place {
            Place::Embedded(path) => embedded::file(path),
            Place::Disk { .. } => Err(self.error("not compiled in")),
        }
    }

    fn on_disk(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Embedded(_) => None,
            Place::Disk { folder, file, .. } => Some(folder.join(file.as_deref().unwrap_or(&self.path))),
        }
    }

    /// The file's name in errors.
    pub fn shown(&self) -> String {
        match &self.place {
            Place::Embedded(path) => format!("embedded {path}"),
            Place::Disk { folder, file, .. } => {
                folder.join(file.as_deref().unwrap_or(&self.path)).display().to_string()
            }
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
    parts: Vec<Part>,
    limit: Option<usize>,
) -> Result<Box<dyn Source>, DatasetError> {
    let limit = limit.unwrap_or(usize::MAX);
    Ok(match &manifest.format {
        Format::CifarBinary { .. } => Box::new(cifar::open(manifest, &parts, limit)?),
        Format::Idx { .. } => Box::new(idx::open(manifest, split, &parts, limit)?),
        Format::Mat { .. } => Box::new(mat::open(manifest, &parts, limit)?),
        Format::Planes { .. } => Box::new(planes::open(manifest, split, &parts, limit)?),
        Format::Numpy { .. } => Box::new(numpy::open(manifest, split, &parts, limit)?),
        Format::TarImages { label } => Box::new(tar::TarImages::open(manifest, &parts, label.as_deref(), limit)?),
        Format::ParquetImages { image, label } => {
            Box::new(parquet::ParquetImages::open(manifest, &parts, image, label.as_deref(), limit)?)
        }
        Format::ImageFolder { .. } => Box::new(folder::Folder::open(manifest, split, parts)?),
        Format::ZipImages { equal_images } => Box::new(zip::ZipImages::open(*equal_images, &parts, limit)?),
        Format::Generated { seed, pattern } => Box::new(generated::Generated::open(manifest, split, *seed, pattern)?),
    })
}

pub(crate) use cifar::layout as cifar_layout;
pub(crate) use folder::{class_of, other_folders};
pub use fuzz::fuzz_inspect;

/// Decodes a whole file, or reads a list, before it is taken in; the message says what is wrong.
pub(crate) fn inspect(manifest: &Manifest, role: Role, path: &str, blob: &Blob) -> Result<(), String> {
    match &manifest.format {
        _ if role == Role::Marker => Ok(()),
        _ if role == Role::List => list::inspect(manifest, path, blob),
        Format::CifarBinary { .. } => cifar::inspect(manifest, path, blob),
        Format::Idx { .. } => idx::inspect(manifest, role, blob),
        Format::Mat { .. } => mat::inspect(manifest, role, blob),
        Format::Planes { .. } => planes::inspect(manifest, role, blob),
        Format::Numpy { .. } => numpy::inspect(manifest, role, blob),
        Format::ImageFolder { .. } => folder::inspect(manifest, blob),
        Format::ZipImages { .. } => zip::inspect(manifest, blob),
        Format::TarImages { label } => tar::inspect(manifest, label.as_deref(), blob),
        Format::ParquetImages { image, label } => parquet::inspect(manifest, image, label.as_deref(), blob),
        Format::Generated { .. } => Err("a generated set has no files".into()),
    }
}

/// Whether an image has the size that the manifest states.
fn check_size(manifest: &Manifest, image: &RgbImage) -> Result<(), String> {
    match manifest.image_size {
        Some(size) if size != (image.width, image.height) => {
            Err(format!("expected {} x {}, found {} x {}", size.0, size.1, image.width, image.height))
        }
        _ => Ok(()),
    }
}
