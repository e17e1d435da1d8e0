//! Images to raw pooled features, all layers at once: layers are chosen and weighted later without encoding again.
//!
//! Features lie in the store in parts of [`PART_IMAGES`] images. They are computed with two parts in memory and read part by part.
//! [`Encode::rows`] alone holds as many rows as are asked for: a few for scoring, all training images for a fit (of the chosen
//! layers). Each part has a lease of its own, so that any number of processes (shards, or runs that need the same features) work
//! on one set at once and no part is computed twice.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use oodlab_base::{Key, KeyBuilder, Progress};
use oodlab_datasets::decode::picture::DECODERS;
use oodlab_datasets::{Fetched, ImageSet, Preprocess, RgbImage};
use oodlab_encoders::Encoder;
use oodlab_encoders::cuda::{CudaImages, CudaNetwork};
use oodlab_encoders::probe::ProbedNetwork;
use oodlab_features::{Features, Logits, file};
use oodlab_store::{Artifact, Holding, Lease, StoreError};

use super::pipeline::{self, Batch, Steps};
use super::{Note, note, ranges};
use crate::lab::Lab;
use crate::numerics;

/// Raise when the stage's results change.
const REVISION: u32 = 1;

/// Images a part: seconds of work for a small network, minutes for a large one. As much, twice at most, is lost when a run is
/// stopped: finished parts are kept, the images of those under way are not.
const PART_IMAGES: usize = 256;

/// How often what disappears while it is needed (damaged, or collected by somebody) is computed again.
const ATTEMPTS: usize = 3;

/// One set of images seen by one encoder.
#[derive(Clone)]
pub struct Encode {
    encoder: Arc<Encoder>,
    /// The same network on a GPU, which then encodes; the processor reads and resizes.
    gpu: Option<Arc<CudaNetwork>>,
    /// Looks into the network in place of encoding.
    probe: Option<Arc<ProbedNetwork>>,
    images: Arc<ImageSet>,
    /// Protocol `matched`: bring every image to this size first.
    squash: Option<(u32, u32)>,
    /// How images become the square that the encoder takes.
    preprocess: Preprocess,
    key: Key,
}

/// An image behind the thread pool's work.
enum Prepared {
    /// Encoded on the processor.
    Encoded(Row),
    /// Resized pixels for the GPU, which takes many images at once.
    Pixels(Vec<u8>),
}

/// What an encoder says of one image.
pub struct Row {
    /// All layers.
    pub features: Vec<f32>,
    /// Class scores; none where the weights have no head.
    pub logits: Vec<f32>,
}

/// The square that a network sees of a picture, brought to `squash` (width, height) first.
pub fn square(
    image: &RgbImage,
    squash: Option<(u32, u32)>,
    preprocess: Preprocess,
    resolution: u32,
) -> Result<RgbImage> {
    match squash {
        Some((width, height)) => Ok(preprocess.apply(&preprocess.squash(image, width, height)?, resolution)?),
        None => Ok(preprocess.apply(image, resolution)?),
    }
}

/// What the network says of a square, on the processor and on the calling thread.
pub fn encoded(encoder: &Encoder, image: &RgbImage) -> Result<Row> {
    let (mut features, mut logits) = (vec![0.0; encoder.width()], vec![0.0; encoder.classes()]);
    encoder.encode_image(image, &mut features, &mut logits)?;
    Ok(Row { features, logits })
}

impl Encode {
    /// With a GPU its name, precision and batch are part of the key. `squash` is dropped where every image has that size already, so that both protocols are one piece of work.
    pub fn new(
        encoder: &Arc<Encoder>,
        gpu: Option<Arc<CudaNetwork>>,
        images: &Arc<ImageSet>,
        squash: Option<(u32, u32)>,
        preprocess: Preprocess,
    ) -> Encode {
        let squash = squash.filter(|size| images.uniform_size() != Some(*size));
        let size = squash.map_or_else(|| "own".to_owned(), |(width, height)| format!("{width}x{height}"));
        let key = KeyBuilder::new("encode", REVISION)
            .key("encoder", &encoder.key())
            .key("images", &images.list_key())
            .text("size", &size)
            .text("decoders", DECODERS)
            .text("preprocess", &preprocess.to_string());
        let key = match &gpu {
            Some(network) => key.text("gpu", &network.numerics()),
            None => key,
        };
        let key = key.finish();
        Encode { encoder: encoder.clone(), gpu, probe: None, images: images.clone(), squash, preprocess, key }
    }

    /// The same images looked into by a probe: its columns in place of the features, on the processor.
    pub fn probed(&self, probe: &Arc<ProbedNetwork>) -> Encode {
        let key = KeyBuilder::new("probed", REVISION).key("encode", &self.key).key("probe", &probe.key()).finish();
        Encode { gpu: None, probe: Some(probe.clone()), key, ..self.clone() }
    }

    /// The key of the features.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Images of the set.
    pub fn images(&self) -> &ImageSet {
        &self.images
    }

    /// Number of classes of the network's head; 0 without one.
    pub fn classes(&self) -> usize {
        self.encoder.classes()
    }

    /// Set, split and size: `mnist test at 32x32`.
    pub fn name(&self) -> String {
        let size = self.squash.map(|(width, height)| format!(" at {width}x{height}")).unwrap_or_default();
        format!("{} {}{size}", self.images.name(), self.images.split())
    }

    /// What the bar says: `encode mnist test at 32x32`.
    pub fn label(&self) -> String {
        let verb = if self.probe.is_some() { "look into" } else { "encode" };
        format!("{verb} {}", self.name())
    }

    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.images.len().div_ceil(PART_IMAGES)
    }

    /// (parts stored already, parts in all).
    pub fn state(&self, lab: &Lab) -> Result<(usize, usize)> {
        let parts = self.parts();
        Ok((self.artifact(lab)?.parts()?.len().min(parts), parts))
    }

    /// How the features were computed, when all are stored.
    pub fn known_note(&self, lab: &Lab) -> Result<Option<Note>> {
        Ok(self.artifact(lab)?.finished()?.map(|finished| finished.note))
    }

    /// Makes sure that the features of all images are stored, sound and finite; keeps none in memory. Tells how they were
    /// computed.
    pub fn ensure(&self, lab: &Lab) -> Result<Note> {
        let artifact = self.artifact(lab)?;
        let mut missing = Vec::new();
        for part in 0..self.parts() {
            lab.cancel.check()?;
            if self.stored(&artifact, part)?.is_none() {
                missing.push(part);
            }
        }
        self.finish(lab, &artifact, missing)
    }

    /// Computes those of these parts that are not stored; returns how many it computed itself.
    ///
    /// Parts that another process is computing are waited for. When the last part of all is there, the artifact is finished.
    pub fn ensure_parts(&self, lab: &Lab, parts: &[usize]) -> Result<usize> {
        let artifact = self.artifact(lab)?;
        let mut missing = Vec::new();
        for &part in parts {
            if !artifact.has_part(part)? {
                missing.push(part);
            }
        }
        let started = Instant::now();
        let computed = self.compute(lab, &artifact, missing)?;
        if artifact.parts()?.len() >= self.parts() && artifact.finished()?.is_none() {
            match artifact.finish(self.parts(), &self.note(started)) {
                // A damaged part: whoever needs all of them computes it again.
                Ok(()) | Err(StoreError::MissingParts { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(computed)
    }

    /// The features of some images, of the layers with these numbers (counted from 1). Only the parts that hold them are read,
    /// one at a time; a part that is gone or damaged is computed again.
    pub fn rows(&self, lab: &Lab, rows: Range<usize>, layers: &[usize]) -> Result<Features> {
        let artifact = self.artifact(lab)?;
        let (mut ids, mut values, mut logits) = (Vec::with_capacity(rows.len()), Vec::new(), None::<Logits>);
        let mut chosen = Vec::new();
        for (part, range) in ranges(self.images.len(), PART_IMAGES).into_iter().enumerate() {
            let wanted = rows.start.max(range.start)..rows.end.min(range.end);
            if wanted.is_empty() {
                continue;
            }
            lab.cancel.check()?;
            let whole = self.part(lab, &artifact, part)?;
            let cut = whole.slice(wanted.start - range.start..wanted.end - range.start).select(layers)?;
            if ids.is_empty() {
                chosen = cut.layers().to_vec();
                // At once what all rows need: growing by doubling would take up to three times as much.
                values.reserve_exact(rows.len() * cut.width());
                logits = cut
                    .logits()
                    .map(|l| Logits { classes: l.classes, values: Vec::with_capacity(rows.len() * l.classes) });
            }
            ids.extend_from_slice(cut.ids());
            values.extend_from_slice(cut.values());
            if let (Some(all), Some(some)) = (&mut logits, cut.logits()) {
                all.values.extend_from_slice(&some.values);
            }
        }
        let features = Features::new(chosen, ids, values)?;
        Ok(match logits {
            Some(logits) => features.with_logits(logits)?,
            None => features,
        })
    }

    fn artifact(&self, lab: &Lab) -> Result<Artifact> {
        anyhow::ensure!(!self.images.is_empty(), "{}: the set has no images", self.images.name());
        Ok(lab.store()?.artifact("encode", &self.key))
    }

    /// A stored part; none when it is missing or damaged.
    fn stored(&self, artifact: &Artifact, part: usize) -> Result<Option<Features>> {
        let Some(bytes) = artifact.read_part(part)? else { return Ok(None) };
        let place = || format!("{} part {part}", artifact.folder().display());
        let features = file::from_bytes(&bytes).with_context(place)?;
        features.check_finite().with_context(|| self.label())?;
        Ok(Some(features))
    }

    /// A part, computed when it is not stored any more.
    fn part(&self, lab: &Lab, artifact: &Artifact, part: usize) -> Result<Features> {
        for _ in 0..ATTEMPTS {
            if let Some(features) = self.stored(artifact, part)? {
                return Ok(features);
            }
            self.finish(lab, artifact, vec![part])?;
        }
        anyhow::bail!("{} part {part} was computed and disappeared, again and again", artifact.folder().display())
    }

    /// Computes the parts that are missing, and notes that the artifact is finished.
    fn finish(&self, lab: &Lab, artifact: &Artifact, mut missing: Vec<usize>) -> Result<Note> {
        let started = Instant::now();
        for _ in 0..ATTEMPTS {
            self.compute(lab, artifact, missing)?;
            // Other processes may have had a share in it; who is last to finish writes the note.
            if let Some(finished) = artifact.finished()? {
                return Ok(finished.note);
            }
            let note = self.note(started);
            missing = match artifact.finish(self.parts(), &note) {
                Ok(()) => return Ok(note),
                // Parts that somebody removed meanwhile.
                Err(StoreError::MissingParts { missing, .. }) => missing,
                Err(error) => return Err(error.into()),
            };
        }
        anyhow::bail!("{}: parts disappear while they are computed", artifact.folder().display())
    }

    /// Computes parts, each under its own lease. Those that others hold are left to them, and computed only when they give up.
    fn compute(&self, lab: &Lab, artifact: &Artifact, parts: Vec<usize>) -> Result<usize> {
        if parts.is_empty() {
            return Ok(0);
        }
        let (ranges, cancel) = (ranges(self.images.len(), PART_IMAGES), &lab.cancel);
        let label = self.label();
        let wanted: usize = parts.iter().map(|&part| ranges[part].len()).sum();
        let total = self.images.len() as u64;
        let task = lab.bars.task(&label, "images", total, total - wanted as u64);
        let mut told = false;
        let mut computed = 0;
        let mut left = VecDeque::from(parts);
        let mut held: Option<(usize, Lease)> = None;
        loop {
            let mut elsewhere: Vec<(usize, Holding)> = Vec::new();
            let next = || {
                if cancel.is_cancelled() {
                    return Ok(None);
                }
                if let Some((part, lease)) = held.take() {
                    return Ok(Some(Batch { rows: ranges[part].clone(), tag: (part, lease) }));
                }
                while let Some(part) = left.pop_front() {
                    let rows = ranges[part].clone();
                    if !artifact.has_part(part)? {
                        match artifact.try_lease_part(part)? {
                            Err(holding) => {
                                elsewhere.push((part, holding));
                                continue;
                            }
                            // Looked for again: whoever had the lease before may have stored the part.
                            Ok(lease) if !artifact.has_part(part)? => {
                                return Ok(Some(Batch { rows, tag: (part, lease) }));
                            }
                            Ok(_) => {}
                        }
                    }
                    task.advance(rows.len() as u64);
                }
                Ok(None)
            };
            // Asked before every image, not only before every part: a large network takes minutes for a part.
            let read = |at| {
                cancel.check()?;
                self.read(at)
            };
            let compute = |image| {
                cancel.check()?;
                let prepared = self.prepare(image)?;
                // On the GPU images are counted when they come back.
                if matches!(prepared, Prepared::Encoded(_)) {
                    task.advance(1);
                }
                Ok(prepared)
            };
            let steps = Steps { next, read, compute };
            pipeline::run(steps, |batch: Batch<(usize, Lease)>, rows| {
                let (part, lease) = batch.tag;
                let count = rows.len() as u64;
                artifact.write_part(part, &self.bytes(batch.rows, self.encoded(rows)?)?)?;
                if self.gpu.is_some() {
                    task.advance(count);
                }
                drop(lease);
                computed += 1;
                Ok(())
            })?;
            lab.cancel.check()?;
            let mut others = elsewhere.into_iter();
            let Some((part, holder)) = others.next() else {
                tracing::debug!(computed, "encoded parts of {}", self.name());
                return Ok(computed);
            };
            if !told {
                let Holding { host, pid } = holder;
                lab.bars.line(&format!("{label}: waiting for process {pid} on {host}, which computes a part of it"));
                told = true;
            }
            let lease = artifact.lease_part(part, &lab.cancel)?;
            left = others.map(|(part, _)| part).collect();
            if artifact.has_part(part)? {
                task.advance(ranges[part].len() as u64);
            } else {
                held = Some((part, lease));
            }
        }
    }

    fn read(&self, at: usize) -> Result<Fetched> {
        Ok(self.images.fetch(at)?)
    }

    /// The part of the work that is done image by image.
    fn prepare(&self, fetched: Fetched) -> Result<Prepared> {
        let at = fetched.index();
        let place = || format!("{}: {}", self.label(), self.images.id(at));
        let image = self.images.decode_as(fetched, self.preprocess.reading())?;
        let image = square(&image, self.squash, self.preprocess, self.encoder.resolution()).with_context(place)?;
        if self.gpu.is_some() {
            return Ok(Prepared::Pixels(image.pixels));
        }
        if let Some(probe) = &self.probe {
            let features = probe.run(&image).with_context(place)?;
            return Ok(Prepared::Encoded(Row { features, logits: Vec::new() }));
        }
        Ok(Prepared::Encoded(encoded(&self.encoder, &image).with_context(place)?))
    }

    /// The rows of a part. On the GPU all of its images go through together, while the pool prepares those of the next part.
    fn encoded(&self, prepared: Vec<Prepared>) -> Result<Vec<Row>> {
        let (mut rows, mut pixels) = (Vec::with_capacity(prepared.len()), Vec::new());
        for image in prepared {
            match image {
                Prepared::Encoded(row) => rows.push(row),
                Prepared::Pixels(image) => pixels.extend(image),
            }
        }
        if let Some(network) = &self.gpu {
            let factors = self.encoder.normalisation().factors();
            let found = network.encode(CudaImages::Pixels(&pixels, factors)).with_context(|| self.label())?;
            let mut logits = found.logits.chunks_exact(self.encoder.classes().max(1));
            rows.extend(found.features.chunks_exact(self.encoder.width()).map(|features| Row {
                features: features.to_vec(),
                logits: logits.next().map(<[f32]>::to_vec).unwrap_or_default(),
            }));
        }
        Ok(rows)
    }

    /// How these features were computed.
    fn note(&self, started: Instant) -> Note {
        let processor = numerics::describe(None);
        let numerics = self.gpu.as_ref().map_or(processor.clone(), |gpu| format!("{}, {processor}", gpu.numerics()));
        note(&self.label(), started, numerics)
    }

    /// A part as it is stored.
    fn bytes(&self, rows: Range<usize>, encoded: Vec<Row>) -> Result<Vec<u8>> {
        let ids = rows.map(|at| self.images.id(at)).collect();
        let layers = self.probe.as_ref().map_or_else(|| self.encoder.layers(), |probe| probe.layers().to_vec());
        let width = layers.last().map_or(0, |layer| layer.end);
        let mut values = Vec::with_capacity(encoded.len() * width);
        let mut logits = Vec::new();
        for row in &encoded {
            values.extend_from_slice(&row.features);
            logits.extend_from_slice(&row.logits);
        }
        let mut features = Features::new(layers, ids, values)?;
        let classes = if self.probe.is_some() { 0 } else { self.encoder.classes() };
        if classes > 0 {
            features = features.with_logits(Logits { classes, values: logits })?;
        }
        features.check_finite().with_context(|| self.label())?;
        Ok(file::to_bytes(&features)?)
    }
}
