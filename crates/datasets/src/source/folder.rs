//! Image folders: one file an image, in byte order of their paths.

use std::collections::BTreeSet;

use oodlab_base::Key;

use super::{Part, Place, Source};
use crate::decode::picture;
use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::manifest::{FolderClasses, Manifest};

pub(super) struct Folder {
    files: Vec<Part>,
    labels: Vec<Option<u32>>,
}

/// The class folder of a path inside a split: its first part below the split's folder.
pub(crate) fn class_of<'a>(path: &'a str, split_folder: &str) -> Option<&'a str> {
    let below = if split_folder == "." { path } else { path.strip_prefix(split_folder)?.strip_prefix('/')? };
    below.split_once('/').map(|(class, _)| class)
}

impl Folder {
    pub fn open(
        manifest: &Manifest,
        split: &str,
        classes: FolderClasses,
        parts: &[Part],
    ) -> Result<Folder, DatasetError> {
        let mut files = parts.to_vec();
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        let folder = manifest.split(split)?.folders.first().map_or(".", String::as_str);
        let class = |part: &Part| match classes {
            FolderClasses::None => None,
            FolderClasses::Folder => class_of(&part.path, folder).map(str::to_owned),
        };
        // Labels follow the manifest's order of names, or else the byte order of the folders that are there.
        let names: Vec<String> = if manifest.class_names.is_empty() {
            files.iter().filter_map(class).collect::<BTreeSet<_>>().into_iter().collect()
        } else {
            manifest.class_names.clone()
        };
        let label = |part: &Part| {
            let class = class(part)?;
            names.iter().position(|name| *name == class).map(|label| label as u32)
        };
        let labels = files.iter().map(label).collect();
        Ok(Folder { files, labels })
    }
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn id(&self, index: usize) -> String {
        self.files[index].path.clone()
    }

    fn read(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let part = &self.files[index];
        picture::decode(&part.load()?).map_err(|what| part.error(what))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels[index]
    }

    fn content(&self, index: usize) -> Key {
        match &self.files[index].place {
            Place::Disk { blake3, .. } => Key::of_bytes(blake3.as_bytes()),
            Place::Embedded(path) => Key::of_bytes(path.as_bytes()),
        }
    }
}
