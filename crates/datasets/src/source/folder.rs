//! Image folders: one file an image, in byte order of their paths.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_base::Key;

use super::{Part, Place, Source};
use crate::decode::picture;
use crate::error::DatasetError;
use crate::hash::Digest;
use crate::image::RgbImage;
use crate::manifest::{FolderClasses, Manifest};

pub(super) struct Folder {
    files: Vec<Part>,
    contents: Vec<Key>,
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
        mut files: Vec<Part>,
    ) -> Result<Folder, DatasetError> {
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        let folder = manifest.split(split)?.folders.first().map_or(".", String::as_str);
        fn class<'a>(part: &'a Part, classes: FolderClasses, folder: &str) -> Option<&'a str> {
            match classes {
                FolderClasses::None => None,
                FolderClasses::Folder => class_of(&part.path, folder),
            }
        }
        // Labels follow the manifest's order of names, or else the byte order of the folders that are there.
        let mut names: BTreeMap<&str, u32> =
            (0..).zip(&manifest.class_names).map(|(label, name)| (name.as_str(), label)).collect();
        if names.is_empty() {
            let found: BTreeSet<&str> = files.iter().filter_map(|part| class(part, classes, folder)).collect();
            names = found.into_iter().zip(0..).collect();
        }
        let label = |part: &Part| class(part, classes, folder).and_then(|class| names.get(class).copied());
        let labels = files.iter().map(label).collect();
        let contents = files.iter().map(content).collect::<Result<_, _>>()?;
        Ok(Folder { files, contents, labels })
    }
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

    fn id(&self, index: usize) -> String {
        self.files[index].path.clone()
    }

    fn fetch(&self, index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        self.files[index].fetch()
    }

    fn decode(&self, index: usize, fetched: Option<Vec<u8>>) -> Result<RgbImage, DatasetError> {
        let part = &self.files[index];
        let bytes = match fetched {
            Some(bytes) => part.proven(bytes)?.into(),
            None => part.load()?,
        };
        picture::decode(&bytes).map_err(|what| part.error(what))
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
    use crate::manifest::Role;

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
