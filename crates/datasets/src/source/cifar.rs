//! CIFAR's binary batches.

use std::borrow::Cow;

use oodlab_base::Key;

use super::{Part, Source};
use crate::decode::cifar::Layout;
use crate::decode::gzip;
use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::manifest::{Format, Manifest};

/// The layout that a manifest of `cifar-binary` describes.
pub(crate) fn layout(manifest: &Manifest) -> Option<Layout> {
    let Format::CifarBinary { labels, label } = &manifest.format else { return None };
    let (width, height) = manifest.image_size?;
    let label = labels.iter().position(|name| name == label)?;
    Some(Layout { labels: labels.len(), label, width, height, classes: manifest.class_count() })
}

pub(super) struct Cifar {
    layout: Layout,
    batches: Vec<Batch>,
    len: usize,
}

struct Batch {
    name: String,
    bytes: Cow<'static, [u8]>,
    /// Position of its first record in the split.
    first: usize,
}

impl Cifar {
    pub fn open(manifest: &Manifest, parts: &[Part], limit: usize) -> Result<Cifar, DatasetError> {
        let layout =
            layout(manifest).ok_or_else(|| DatasetError::manifest(&manifest.name, "not a cifar-binary set"))?;
        let mut cifar = Cifar { layout, batches: Vec::new(), len: 0 };
        for part in parts {
            if cifar.len >= limit {
                break;
            }
            let mut bytes = part.load()?;
            if part.path.ends_with(".gz") {
                bytes = Cow::Owned(gzip::unpack(&bytes, u64::MAX).map_err(|what| part.error(what))?);
            }
            let count = layout.count(&bytes).map_err(|what| part.error(what))?;
            cifar.batches.push(Batch { name: part.path.clone(), bytes, first: cifar.len });
            cifar.len += count;
        }
        Ok(cifar)
    }

    fn batch(&self, index: usize) -> Option<(&Batch, usize)> {
        let batch = self.batches.iter().rfind(|batch| batch.first <= index)?;
        Some((batch, index - batch.first))
    }

    fn record(&self, index: usize) -> (u32, &[u8]) {
        let record = self.batch(index).and_then(|(batch, at)| self.layout.record_of(&batch.bytes, at));
        record.unwrap_or((0, &[]))
    }
}

impl Source for Cifar {
    fn len(&self) -> usize {
        self.len
    }

    fn id(&self, index: usize) -> String {
        self.batch(index).map(|(batch, at)| format!("{}#{at}", batch.name)).unwrap_or_default()
    }

    fn decode(&self, index: usize, _fetched: Option<Vec<u8>>) -> Result<RgbImage, DatasetError> {
        RgbImage::from_planes(self.layout.width, self.layout.height, self.record(index).1)
    }

    fn label(&self, index: usize) -> Option<u32> {
        Some(self.record(index).0)
    }

    fn content(&self, index: usize) -> Key {
        Key::of_bytes(self.record(index).1)
    }
}
