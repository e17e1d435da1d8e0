//! Zip files of images.

use std::borrow::Cow;
use std::collections::BTreeSet;

use oodlab_base::Key;

use super::{Part, Source};
use crate::decode::picture;
use crate::decode::zip::{self, Entry};
use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::manifest::EqualImages;

pub(super) struct ZipImages {
    archives: Vec<(Part, Cow<'static, [u8]>)>,
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
            let bytes = part.load()?;
            for entry in zip::entries(&bytes).map_err(|what| part.error(what))? {
                if set.images.len() >= limit {
                    break;
                }
                let file = zip::read(&bytes, &entry).map_err(|what| part.error(format!("{}: {what}", entry.name)))?;
                let content = Key::of_bytes(&file);
                if seen.insert(content) || equal == EqualImages::Each {
                    set.images.push(Image { archive: set.archives.len(), entry, content });
                }
            }
            set.archives.push((part.clone(), bytes));
        }
        Ok(set)
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

    fn decode(&self, index: usize, _fetched: Option<Vec<u8>>) -> Result<RgbImage, DatasetError> {
        let Image { archive, entry, .. } = &self.images[index];
        let (part, bytes) = &self.archives[*archive];
        let fail = |what: String| part.error(format!("{}: {what}", entry.name));
        picture::decode(&zip::read(bytes, entry).map_err(fail)?).map_err(fail)
    }

    fn label(&self, _index: usize) -> Option<u32> {
        None
    }

    fn content(&self, index: usize) -> Key {
        self.images[index].content
    }
}
