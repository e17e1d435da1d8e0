//! Zip files of images.

use std::collections::BTreeSet;

use oodlab_base::Key;
use rayon::prelude::*;

use super::{Part, Source, check_size};
use crate::blob::Blob;
use crate::decode::picture;
use crate::decode::zip::{self, Entry};
use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::manifest::{EqualImages, Manifest};
use crate::reading::Reading;

/// Entries that are hashed at once when an archive is opened.
const AT_ONCE: usize = 256;

/// Decodes every picture of an archive: see [`super::inspect`].
pub(super) fn inspect(manifest: &Manifest, blob: &Blob) -> Result<(), String> {
    let problem = zip::entries_of(blob)?.par_iter().find_map_first(|entry| {
        let image = read(blob, entry).and_then(|file| picture::decode(&file, Reading::default()));
        image.and_then(|image| check_size(manifest, &image)).err().map(|what| format!("{}: {what}", entry.name))
    });
    problem.map_or(Ok(()), Err)
}

fn read(blob: &Blob, entry: &Entry) -> Result<Vec<u8>, String> {
    zip::unpack(&zip::packed(blob, entry).map_err(|error| error.to_string())?, entry)
}

pub(super) struct ZipImages {
    archives: Vec<(Part, Blob)>,
    images: Vec<Image>,
}

struct Image {
    archive: usize,
    entry: Entry,
    content: Key,
}

impl ZipImages {
    pub fn open(equal: EqualImages, parts: &[Part], limit: usize) -> Result<ZipImages, DatasetError> {
        let mut set = ZipImages { archives: Vec::new(), images: Vec::new() };
        let mut seen = BTreeSet::new();
        for part in parts {
            if set.images.len() >= limit {
                break;
            }
            let blob = part.blob()?;
            let mut entries = zip::entries_of(&blob).map_err(|what| part.error(what))?.into_iter();
            while set.images.len() < limit {
                let some: Vec<Entry> = entries.by_ref().take(AT_ONCE.min(limit - set.images.len())).collect();
                if some.is_empty() {
                    break;
                }
                let key = |entry: &Entry| {
                    let file = read(&blob, entry).map_err(|what| part.error(format!("{}: {what}", entry.name)))?;
                    Ok(Key::of_bytes(&file))
                };
                let keys: Vec<Result<Key, DatasetError>> = some.par_iter().map(key).collect();
                for (entry, content) in some.into_iter().zip(keys) {
                    let content = content?;
                    if seen.insert(content) || equal == EqualImages::Each {
                        set.images.push(Image { archive: set.archives.len(), entry, content });
                    }
                }
            }
            set.archives.push((part.clone(), blob));
        }
        Ok(set)
    }

    fn error(&self, image: &Image, what: String) -> DatasetError {
        self.archives[image.archive].0.error(format!("{}: {what}", image.entry.name))
    }
}

impl Source for ZipImages {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn id(&self, index: usize) -> String {
        let image = &self.images[index];
        format!("{}#{}", self.archives[image.archive].0.path, image.entry.name)
    }

    fn fetch(&self, index: usize) -> Result<Option<Vec<u8>>, DatasetError> {
        let Image { archive, entry, .. } = &self.images[index];
        match &self.archives[*archive].1 {
            Blob::Memory(_) => Ok(None),
            blob => Ok(Some(zip::packed(blob, entry)?.into_owned())),
        }
    }

    fn decode(&self, index: usize, fetched: Option<Vec<u8>>, reading: Reading) -> Result<RgbImage, DatasetError> {
        let image = &self.images[index];
        let packed = match fetched {
            Some(bytes) => bytes.into(),
            None => zip::packed(&self.archives[image.archive].1, &image.entry)?,
        };
        let file = zip::unpack(&packed, &image.entry).map_err(|what| self.error(image, what))?;
        picture::decode(&file, reading).map_err(|what| self.error(image, what))
    }

    fn label(&self, _index: usize) -> Option<u32> {
        None
    }

    fn content(&self, index: usize) -> Key {
        self.images[index].content
    }
}
