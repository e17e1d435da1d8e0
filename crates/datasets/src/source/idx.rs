//! Pairs of IDX files: images, and labels where they are at hand.

use oodlab_base::Key;

use super::{Part, Source};
use crate::decode::idx::Idx;
use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::manifest::{Manifest, Role};

pub(super) struct IdxImages {
    files: Vec<Images>,
    labels: Option<Idx>,
    len: usize,
}

struct Images {
    name: String,
    values: Idx,
    width: u32,
    height: u32,
    first: usize,
}

impl IdxImages {
    pub fn open(manifest: &Manifest, parts: &[Part], limit: usize) -> Result<IdxImages, DatasetError> {
        let mut set = IdxImages { files: Vec::new(), labels: None, len: 0 };
        for part in parts.iter().filter(|part| part.role == Role::Images) {
            if set.len >= limit {
                break;
            }
            let values = Idx::parse(part.load()?.into_owned(), 3).map_err(|what| part.error(what))?;
            let &[count, height, width] = values.shape.as_slice() else {
                return Err(part.error("expected three axes"));
            };
            let size = (width as u32, height as u32);
            if count == 0 || width == 0 || height == 0 || manifest.image_size.is_some_and(|expected| expected != size) {
                let expected = manifest.image_size.map(|(w, h)| format!(" of {w} x {h}")).unwrap_or_default();
                return Err(part.error(format!("expected images{expected}, found {count} of {width} x {height}")));
            }
            set.files.push(Images { name: part.path.clone(), values, width: size.0, height: size.1, first: set.len });
            set.len += count;
        }
        // With several image files the labels file would be ambiguous; no known set has that.
        if let (Some(part), [images]) = (parts.iter().find(|part| part.role == Role::Labels), set.files.as_slice()) {
            let labels = Idx::parse(part.load()?.into_owned(), 1).map_err(|what| part.error(what))?;
            check_labels(&labels, images.values.len(), manifest.class_count()).map_err(|what| part.error(what))?;
            set.labels = Some(labels);
        }
        Ok(set)
    }

    fn at(&self, index: usize) -> Option<(&Images, usize)> {
        let file = self.files.iter().rfind(|file| file.first <= index)?;
        Some((file, index - file.first))
    }

    fn values(&self, index: usize) -> &[u8] {
        self.at(index).and_then(|(file, at)| file.values.entry(at)).unwrap_or_default()
    }
}

fn check_labels(labels: &Idx, images: usize, classes: Option<u32>) -> Result<(), String> {
    if labels.len() != images {
        return Err(format!("{} labels for {images} images", labels.len()));
    }
    for index in 0..labels.len() {
        let label = labels.entry(index).and_then(|entry| entry.first()).copied().unwrap_or(0);
        if classes.is_some_and(|classes| u32::from(label) >= classes) {
            return Err(format!("label {index} is {label}, expected one below {}", classes.unwrap_or(0)));
        }
    }
    Ok(())
}

impl Source for IdxImages {
    fn len(&self) -> usize {
        self.len
    }

    fn id(&self, index: usize) -> String {
        self.at(index).map(|(file, at)| format!("{}#{at}", file.name)).unwrap_or_default()
    }

    fn decode(&self, index: usize, _fetched: Option<Vec<u8>>) -> Result<RgbImage, DatasetError> {
        let (width, height) = self.at(index).map_or((0, 0), |(file, _)| (file.width, file.height));
        RgbImage::from_grey(width, height, self.values(index))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.as_ref()?.entry(index)?.first().map(|&label| u32::from(label))
    }

    fn content(&self, index: usize) -> Key {
        Key::of_bytes(self.values(index))
    }
}
