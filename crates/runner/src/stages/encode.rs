//! Images to raw pooled features, all layers at once: layers are chosen and weighted later without encoding again.

use std::sync::Arc;

use anyhow::{Context, Result};
use oodlab_base::Task;
use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::decode::picture::DECODERS;
use oodlab_datasets::{ImageSet, RgbImage, resize};
use oodlab_encoders::Encoder;
use oodlab_features::{Features, file};
use rayon::prelude::*;

use super::{Note, Work, each_part, ranges};
use crate::lab::Lab;

/// Raise when the stage's results change.
const REVISION: u32 = 1;

/// Images a part: a few seconds of work, so that little is lost when a run is killed.
const PART_IMAGES: usize = 256;

/// One set of images seen by one encoder.
#[derive(Clone)]
pub struct Encode {
    encoder: Arc<Encoder>,
    images: Arc<ImageSet>,
    /// Protocol `matched`: bring every image to this size first.
    squash: Option<(u32, u32)>,
    key: Key,
}

impl Encode {
    /// `squash` is dropped where every image has that size already, so that both protocols are one piece of work.
    pub fn new(encoder: &Arc<Encoder>, images: &Arc<ImageSet>, squash: Option<(u32, u32)>) -> Encode {
        let squash = squash.filter(|size| images.uniform_size() != Some(*size));
        let size = squash.map_or_else(|| "own".to_owned(), |(width, height)| format!("{width}x{height}"));
        let key = KeyBuilder::new("encode", REVISION)
            .key("encoder", &encoder.key())
            .key("images", &images.list_key())
            .text("size", &size)
            .text("decoders", DECODERS)
            .finish();
        Encode { encoder: encoder.clone(), images: images.clone(), squash, key }
    }

    /// The key of the features.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Images of the set.
    pub fn images(&self) -> &ImageSet {
        &self.images
    }

    /// Set, split and size: `mnist test at 32x32`.
    pub fn name(&self) -> String {
        let size = self.squash.map(|(width, height)| format!(" at {width}x{height}")).unwrap_or_default();
        format!("{} {}{size}", self.images.name(), self.images.split())
    }

    /// What the bar says: `encode mnist test at 32x32`.
    pub fn label(&self) -> String {
        format!("encode {}", self.name())
    }

    /// (parts stored already, parts in all).
    pub fn state(&self, lab: &Lab) -> Result<(usize, usize)> {
        let parts = ranges(self.images.len(), PART_IMAGES).len();
        Ok((lab.store()?.artifact("encode", &self.key).parts()?.len().min(parts), parts))
    }

    /// Reads or computes the features of all images; also tells how they were computed.
    pub fn run(&self, lab: &Lab) -> Result<(Features, Note)> {
        let artifact = lab.store()?.artifact("encode", &self.key);
        let ranges = ranges(self.images.len(), PART_IMAGES);
        anyhow::ensure!(!ranges.is_empty(), "{}: the set has no images", self.images.name());
        let mut whole: Option<Features> = None;
        let label = self.label();
        let sizes = ranges.iter().map(|rows| rows.len() as u64).collect();
        let compute = |part: usize, task: &dyn Task| {
            let bytes = self.encode(ranges[part].clone())?;
            task.advance(ranges[part].len() as u64);
            Ok(bytes)
        };
        let work = Work { label: &label, unit: Some("images"), sizes };
        let note = each_part(lab, &artifact, &work, compute, |part, bytes| {
            let features =
                file::from_bytes(bytes).with_context(|| format!("{} part {part}", artifact.folder().display()))?;
            match &mut whole {
                None => whole = Some(features),
                Some(whole) => whole.append(features)?,
            }
            Ok(())
        })?;
        let features = whole.context("no features")?;
        features.check_finite().with_context(|| self.label())?;
        Ok((features, note))
    }

    fn encode(&self, rows: std::ops::Range<usize>) -> Result<Vec<u8>> {
        let images = rows.clone().into_par_iter().map(|at| self.read(at)).collect::<Result<Vec<RgbImage>>>()?;
        let values = self.encoder.encode(&images).with_context(|| self.label())?;
        let ids = rows.map(|at| self.images.id(at)).collect();
        let features = Features::new(self.encoder.layers(), ids, values)?;
        Ok(file::to_bytes(&features)?)
    }

    fn read(&self, at: usize) -> Result<RgbImage> {
        let image = self.images.read(at)?;
        Ok(match self.squash {
            Some((width, height)) => resize::bilinear(&image, width, height)?,
            None => image,
        })
    }
}
