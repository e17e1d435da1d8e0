//! Image folders: one file an image, in byte order of their paths.

use std::collections::BTreeSet;

use oodlab_base::Key;

use super::{Part, Place, Source};
use crate::decode::picture;
use crate::error::DatasetError;
use crate::hash;
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
        let contents = files.iter().map(content).collect::<Result<_, _>>()?;
        Ok(Folder { files, contents, labels })
    }
}

/// The key of a file's bytes, the same wherever they lie.
fn content(part: &Part) -> Result<Key, DatasetError> {
    Ok(match &part.place {
        Place::Disk { blake3, .. } => Key::of_bytes(blake3.as_bytes()),
        Place::Embedded(_) => Key::of_bytes(hash::blake3(&part.load()?).as_bytes()),
    })
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
        let blake3 = hash::blake3(embedded::file(one).expect("embedded"));
        let disk = part("elsewhere.bin", Place::Disk { path: "elsewhere.bin".into(), blake3 });
        let key = content(&embedded(one)).expect("embedded");
        assert_eq!(content(&disk).expect("a recorded hash"), key);
        assert_ne!(content(&embedded(other)).expect("embedded"), key);
        assert!(content(&embedded("sample/none.png")).is_err());
    }
}
