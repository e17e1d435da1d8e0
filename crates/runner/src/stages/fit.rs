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

/// Steps between checkpoints that are offered within an epoch.
const CHECKPOINT_EVERY_STEPS: usize = 1;

/// A checkpoint within an epoch is only worth its writing after so long without one.
const WITHIN_EPOCHS: Duration = Duration::from_secs(30);

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
    /// `layers` are the numbers chosen from the training features. The lab's device is part of the key.
    pub fn new(lab: &Lab, detector: Box<dyn Detector>, train: &Training, layers: &[usize], seed: u64) -> Result<Fit> {
        let key = KeyBuilder::new("fit", REVISION)
            .text("detector", detector.kind())
            .number("detector revision", u64::from(detector.revision()))
            .config("config", &detector.fit_config())?
            .key("features", &train.key())
            .config("layers", &layers)?
            .number("seed", seed)
            .text("numerics", &numerics::describe(lab.gpu.as_ref()))
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
                checkpoints: &mut StoredCheckpoints::new(&checkpoints),
                checkpoint_every: CHECKPOINT_EVERY,
                checkpoint_every_steps: CHECKPOINT_EVERY_STEPS,
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
        for steps in checkpoints.parts()? {
            checkpoints.remove_part(steps)?;
        }
        Ok((fitted.context("no fitted detector")?, note))
    }
}

/// Checkpoints as parts numbered by the steps before them; a newer one replaces the older.
struct StoredCheckpoints<'a> {
    artifact: &'a Artifact,
    /// When training began, or the last one was written.
    since: Instant,
    /// What the last one cost: to make, and to write.
    cost: Option<Duration>,
    /// When the one that is being made was asked for.
    asked: Instant,
}

impl StoredCheckpoints<'_> {
    fn new(artifact: &Artifact) -> StoredCheckpoints<'_> {
        let now = Instant::now();
        StoredCheckpoints { artifact, since: now, cost: None, asked: now }
    }
}

impl Checkpoints for StoredCheckpoints<'_> {
    fn latest(&mut self) -> Result<Option<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
        let mut parts = self.artifact.parts()?;
        while let Some(steps) = parts.pop() {
            // A damaged checkpoint reads as absent: the one before it is used.
            if let Some(bytes) = self.artifact.read_part(steps)? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn due(&mut self, epoch_ends: bool) -> bool {
        self.asked = Instant::now();
        let least = if epoch_ends { Duration::ZERO } else { WITHIN_EPOCHS };
        let pause = self.cost.map_or(Duration::ZERO, |cost| cost * WRITING_SHARE);
        self.since.elapsed() >= least.max(pause)
    }

    fn save(&mut self, steps: u64, bytes: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let steps = usize::try_from(steps)?;
        self.artifact.write_part(steps, bytes)?;
        (self.cost, self.since) = (Some(self.asked.elapsed()), Instant::now());
        // A later one that could not be used goes too, or it would be found again.
        for old in self.artifact.parts()? {
            if old != steps {
                self.artifact.remove_part(old)?;
            }
        }
        Ok(())
    }
}
