//! Training a detector on in-distribution features: the result is its bytes, kept under one key; checkpoints under a second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use oodlab_base::{Key, KeyBuilder, Seed, Task};
use oodlab_detectors::{Detector, FitContext, FittedDetector, Unlabeled};
use oodlab_diffusion::Checkpoints;
use oodlab_store::Artifact;

use super::{Note, Work, each_part};
use crate::lab::Lab;
use crate::numerics;
use crate::plan::Training;

/// Raise when the stage's results change; each detector has a revision of its own.
const REVISION: u32 = 1;

/// Epochs between checkpoints that are offered; which are written is decided by what writing costs.
const CHECKPOINT_EVERY: usize = 1;

/// Writing checkpoints may take one part in so many of the time: a large network's are gigabytes.
const WRITING_SHARE: u32 = 20;

/// One detector fitted on one set of features with one seed.
pub struct Fit {
    detector: Box<dyn Detector>,
    layers: Vec<usize>,
    seed: u64,
    key: Key,
}

impl Fit {
    /// `layers` are the numbers chosen from the training features.
    pub fn new(detector: Box<dyn Detector>, train: &Training, layers: &[usize], seed: u64) -> Result<Fit> {
        let key = KeyBuilder::new("fit", REVISION)
            .text("detector", detector.kind())
            .number("detector revision", u64::from(detector.revision()))
            .config("config", &detector.fit_config())?
            .key("features", &train.key())
            .config("layers", &layers)?
            .number("seed", seed)
            .text("numerics", &numerics::describe())
            .finish();
        Ok(Fit { detector, layers: layers.to_vec(), seed, key })
    }

    /// The key of the fitted detector.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The detector before fitting.
    pub fn detector(&self) -> &dyn Detector {
        self.detector.as_ref()
    }

    /// Whether the fitted detector is stored.
    pub fn is_done(&self, lab: &Lab) -> Result<bool> {
        Ok(lab.store()?.artifact("fit", &self.key).finished()?.is_some())
    }

    /// Reads or trains the detector. The features are read only when there is something to train.
    pub fn run(&self, lab: &Lab, train: &Training) -> Result<(Box<dyn FittedDetector>, Note)> {
        let artifact = lab.store()?.artifact("fit", &self.key);
        let checkpoints = lab.store()?.artifact("checkpoint", &self.key);
        let mut fitted = None;
        let compute = |_, _: &dyn Task| {
            // Training needs all rows of the chosen layers at once.
            let features = train.rows(lab, &self.layers)?;
            let mut context = FitContext {
                seed: Seed(self.seed),
                progress: &lab.bars,
                cancel: &lab.cancel,
                checkpoints: &mut StoredCheckpoints { artifact: &checkpoints, last: None },
                checkpoint_every: CHECKPOINT_EVERY,
                compute: &lab.compute,
            };
            let detector = self.detector.fit(&Unlabeled::new(&features), &mut context)?;
            Ok(detector.to_bytes()?)
        };
        let label = format!("fit {}", self.detector.kind());
        let work = Work { label: &label, unit: None, sizes: vec![1] };
        let note = each_part(lab, &artifact, &work, compute, |_, bytes| {
            fitted = Some(self.detector.load(bytes).with_context(|| format!("in {}", artifact.folder().display()))?);
            Ok(())
        })?;
        for epoch in checkpoints.parts()? {
            checkpoints.remove_part(epoch)?;
        }
        Ok((fitted.context("no fitted detector")?, note))
    }
}

/// Checkpoints as parts numbered by epoch; a newer one replaces the older.
struct StoredCheckpoints<'a> {
    artifact: &'a Artifact,
    /// When the last one was written, and how long that took.
    last: Option<(Instant, Duration)>,
}

impl Checkpoints for StoredCheckpoints<'_> {
    fn latest(&mut self) -> Result<Option<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
        let mut epochs = self.artifact.parts()?;
        while let Some(epoch) = epochs.pop() {
            // A damaged checkpoint reads as absent: the one before it is used.
            if let Some(bytes) = self.artifact.read_part(epoch)? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn save(&mut self, epoch: usize, bytes: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.last.is_some_and(|(written, cost)| written.elapsed() < cost * WRITING_SHARE) {
            return Ok(());
        }
        let started = Instant::now();
        self.artifact.write_part(epoch, bytes)?;
        self.last = Some((Instant::now(), started.elapsed()));
        for old in self.artifact.parts()? {
            if old < epoch {
                self.artifact.remove_part(old)?;
            }
        }
        Ok(())
    }
}
