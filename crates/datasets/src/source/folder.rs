//! Image folders: one file an image, in byte order of their paths, or those that a list names, in its order.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_base::Key;

use super::list::{self, Listed};
use super::{Part, Place, Source, check_size};
use crate::blob::Blob;
use crate::decode::picture;
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::manifest::{FolderClasses, Manifest, Role};
use crate::reading::Reading;

/// Decodes a picture: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, blob: &Blob) -> Result<(), String> {
    let bytes = blob.whole().map_err(|error| error.to_string())?;
    check_size(manifest, &picture::decode(&bytes, Reading::default())?)
}

pub(super) struct Folder {
    files: Vec<Part>,
    contents: Vec<Key>,
    labels: Vec<Option<u32>>,
    /// Images that the split's list names.
    listed: Option<usize>,
}

/// The class folder of a path inside a split: its first part below the split's folder.
pub(crate) fn class_of<'a>(path: &'a str, split_folder: &str) -> Option<&'a str> {
    let below = if split_folder == "." { path } else { path.strip_prefix(split_folder)?.strip_prefix('/')? };
    below.split_once('/').map(|(class, _)| class)
}

impl Folder {
    pub fn open(manifest: &Manifest, split: &str, mut parts: Vec<Part>) -> Result<Folder, DatasetError> {
        parts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        let options = manifest.split(split)?;
        let folder = options.folders.first().map_or(".", String::as_str);
        let listed = options.list.as_ref().map(|spec| list::read(manifest, spec, &parts)).transpose()?;
        let labels = folder_labels(manifest, manifest.folder_classes(split), folder, &parts);
        let chosen = match &listed {
            Some(listed) => choose(listed, folder, &parts, &labels)?,
            None => (0..parts.len()).zip(labels).collect(),
        };
        let listed = listed.map(|listed| listed.list.rows.len());
        let mut parts: Vec<Option<Part>> = parts.into_iter().map(Some).collect();
        let mut set =
            Folder { files: Vec::with_capacity(chosen.len()), contents: Vec::new(), labels: Vec::new(), listed };
        for (at, label) in chosen {
            set.files.extend(parts[at].take());
            set.labels.push(label);
        }
        set.contents = set.files.iter().map(content).collect::<Result<_, _>>()?;
        Ok(set)
    }
}

/// Labels by the folders that the images lie in: in the manifest's order of names, or else in the byte order of the folders
/// that are there. Where these are not as many as the manifest states ([`other_folders`]), nobody has a label: one that is
/// missing would give all behind it the labels of others.
fn folder_labels(manifest: &Manifest, classes: FolderClasses, folder: &str, parts: &[Part]) -> Vec<Option<u32>> {
    if classes == FolderClasses::None {
        return vec![None; parts.len()];
    }
    let mut names: BTreeMap<&str, u32> = manifest.class_names.iter().map(String::as_str).zip(0..).collect();
    if names.is_empty() {
        let found = class_folders(folder, parts);
        if manifest.classes.is_some_and(|stated| stated as usize != found.len()) {
            return vec![None; parts.len()];
        }
        names = found.into_iter().zip(0..).collect();
    }
    let label = |part: &Part| class_of(&part.path, folder).and_then(|class| names.get(class).copied());
    parts.iter().map(label).collect()
}

/// How many class folders a split of images has, and how many it should have, where that differs and labels would be numbered
/// over them.
pub(crate) fn other_folders(manifest: &Manifest, split: &str, parts: &[Part]) -> Option<(usize, u32)> {
    if manifest.folder_classes(split) == FolderClasses::None || !manifest.class_names.is_empty() {
        return None;
    }
    let folders = &manifest.splits.get(split)?.folders;
    let found = class_folders(folders.first().map_or(".", String::as_str), parts).len();
    manifest.classes.filter(|&stated| stated as usize != found && found > 0).map(|stated| (found, stated))
}

/// The folders of classes that have images.
fn class_folders<'a>(folder: &str, parts: &'a [Part]) -> BTreeSet<&'a str> {
    let images = parts.iter().filter(|part| part.role == Role::Images);
    images.filter_map(|part| class_of(&part.path, folder)).collect()
}

/// The images that a list names and that are there, in its order, with their labels: the list's own, or those of the folders.
fn choose(
    listed: &Listed<'_>,
    folder: &str,
    parts: &[Part],
    labels: &[Option<u32>],
) -> Result<Vec<(usize, Option<u32>)>, DatasetError> {
    let find = |path: &str| {
        let found = parts.binary_search_by(|part| part.path.as_bytes().cmp(path.as_bytes())).ok();
        found.filter(|&at| parts[at].role == Role::Images)
    };
    let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
    let mut chosen = Vec::new();
    for (row, image) in listed.list.rows.iter().enumerate() {
        let path: &str = &image.path;
        // The folder may stand in front of the listed paths, or be left out.
        let at = if folder == "." {
            find(path)
        } else {
            let inside = path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            find(&format!("{folder}/{path}")).or_else(|| find(path).filter(|_| inside))
        };
        let Some(at) = at else { continue };
        if let Some(before) = lines.insert(at, image.line) {
            return Err(listed.part.error(format!("line {}: {path:?} is in line {before} already", image.line)));
        }
        chosen.push((at, listed.labels.as_ref().map_or(labels[at], |labels| labels[row])));
    }
    Ok(chosen)
}

/// The key of a file's bytes, the same wherever they lie.
fn content(part: &Part) -> Result<Key, DatasetError> {
    Ok(match &part.place {
        Place::Disk { blake3, .. } => Key::of_bytes(blake3.to_string().as_bytes()),
        Place::Embedded(_) => Key::of_bytes(Digest::blake3(&part.load()?).to_string().as_bytes()),
    })
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn expected(&self) -> Option<usize> {
        self.listed
    }

    fn id(&self, index: usize) -> String {
        self.files[index].path.clone()
    }

    fn fetch(&self, index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        self.files[index].fetch()
    }

    fn decode(&self, index: usize, fetched: Option<Vec<u8>>, reading: Reading) -> Result<RgbImage, DatasetError> {
        let part = &self.files[index];
        let bytes = match fetched {
            Some(bytes) => part.proven(bytes)?.into(),
            None => part.load()?,
        };
        picture::decode(&bytes, reading).map_err(|what| part.error(what))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels[index]
    }

    fn content(&self, index: usize) -> Key {
        self.contents[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded;

    #[test]
    fn equal_bytes_have_one_key_wherever_they_lie() {
        let part = |path: &str, place| Part { path: path.into(), role: Role::Images, place };
        let embedded = |path: &str| part(path, Place::Embedded(path.into()));
        let (one, other) = ("sample/cifar10_test.bin.gz", "sample/fashion_mnist_test_labels.idx.gz");
        let blake3 = Digest::blake3(embedded::file(one).expect("embedded"));
        let folder = std::path::Path::new("elsewhere").into();
        let disk = part("elsewhere.bin", Place::Disk { folder, file: None, blake3 });
        let key = content(&embedded(one)).expect("embedded");
        assert_eq!(content(&disk).expect("a recorded hash"), key);
        assert_ne!(content(&embedded(other)).expect("embedded"), key);
        assert!(content(&embedded("sample/none.png")).is_err());
    }
}
