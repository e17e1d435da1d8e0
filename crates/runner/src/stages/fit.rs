//! Training a detector on in-distribution features: the result is its bytes, kept under one key; checkpoints under a second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use oodlab_base::{Key, KeyBuilder, Seed, Task};
use oodlab_detectors::{Detector, FitContext, FittedDetector, Labeled, Parts, Validation};
use oodlab_diffusion::{Checkpoints, KeeperError};
use oodlab_evaluation::metrics::Counts;
use oodlab_features::Labels;
use oodlab_store::Artifact;
use serde_json::Value;

use super::reading::{Reading, Rows};
use super::source::FeatureSource;
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
    inputs: Inputs,
    seed: u64,
    key: Key,
    /// Of all inputs, without the detector's settings: fits that share it may share parts.
    shared: Key,
}

/// What a detector learns from beside the features of the training images.
pub struct Inputs {
    /// How it reads a set.
    pub reading: Reading,
    /// Labels of the training images and the number of classes, for a supervised detector.
    pub labels: Option<(Labels, usize)>,
    /// The validation split, for a detector that asked for it.
    pub validation: Option<ValidationSets>,
    /// The training images as another network sees them.
    pub teacher: Option<(Training, Reading)>,
}

/// Sets that settings may be chosen with.
#[derive(Clone)]
pub struct ValidationSets {
    /// In-distribution samples.
    pub id: FeatureSource,
    /// Their classes, for a supervised detector.
    pub labels: Option<Labels>,
    /// Out-of-distribution samples; empty where the detector did not ask for them.
    pub ood: Vec<FeatureSource>,
}

impl Inputs {
    /// All of it as parts of a key; nothing for a detector that reads the chosen layers alone.
    fn key(&self, key: KeyBuilder) -> KeyBuilder {
        let mut key = self.reading.key(key);
        if let Some((labels, classes)) = &self.labels {
            key = key.number("classes", *classes as u64).key("labels", &of_labels(labels));
        }
        if let Some(ValidationSets { id, labels, ood }) = &self.validation {
            key = key.key("id validation", &id.key());
            if let Some(labels) = labels {
                key = key.key("validation labels", &of_labels(labels));
            }
            for source in ood {
                key = key.key("ood validation", &source.key());
            }
        }
        if let Some((teacher, reading)) = &self.teacher {
            key = reading.key(key.key("teacher", &teacher.key()));
        }
        key
    }
}

fn of_labels(labels: &Labels) -> Key {
    Key::of_bytes(&labels.0.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>())
}

impl Fit {
    /// The lab's device is part of the key.
    pub fn new(lab: &Lab, detector: Box<dyn Detector>, train: &Training, inputs: Inputs, seed: u64) -> Result<Fit> {
        let of_inputs = |key: KeyBuilder| -> Result<KeyBuilder> {
            let key = key
                .key("features", &train.key())
                .config("layers", &inputs.reading.layers)?
                .number("seed", seed)
                .text("numerics", &numerics::describe(lab.gpu.as_ref()));
            Ok(inputs.key(key))
        };
        let key = KeyBuilder::new("fit", REVISION)
            .text("detector", detector.kind())
            .number("detector revision", u64::from(detector.revision()))
            .config("config", &detector.fit_config())?;
        let (key, shared) = (of_inputs(key)?.finish(), of_inputs(KeyBuilder::new("shared", REVISION))?.finish());
        Ok(Fit { detector, inputs, seed, key, shared })
    }

    /// The key of the fitted detector.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The detector before fitting.
    pub fn detector(&self) -> &dyn Detector {
        self.detector.as_ref()
    }

    /// How the detector reads a set.
    pub fn reading(&self) -> &Reading {
        &self.inputs.reading
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
        let compute = |_, _: &dyn Task| Ok(self.train(lab, train, &checkpoints)?.to_bytes()?);
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

    /// Training needs all rows at once.
    fn train(&self, lab: &Lab, train: &Training, checkpoints: &Artifact) -> Result<Box<dyn FittedDetector>> {
        let Inputs { reading, labels, validation, teacher } = &self.inputs;
        let probes = if self.detector.probes_training() { reading.probes.len() } else { 0 };
        let samples = reading.through_probes(0..probes).all(lab, train.source())?;
        let of_teacher = match teacher {
            Some((teacher, reading)) => Some(reading.all(lab, teacher.source())?),
            None => None,
        };
        let held = match validation {
            Some(sets) => {
                let ood = sets.ood.iter().map(|source| reading.all(lab, source)).collect::<Result<Vec<Rows>>>()?;
                Some((reading.all(lab, &sets.id)?, ood))
            }
            None => None,
        };
        let ood: Vec<_> = held.iter().flat_map(|(_, ood)| ood).map(Rows::given).collect();
        let validation_samples =
            held.as_ref().map(|(id, _)| Validation { id: id.given(), ood: &ood, separation: &separation });
        let mut context = FitContext {
            seed: Seed(self.seed),
            progress: &lab.bars,
            cancel: &lab.cancel,
            checkpoints: &mut StoredCheckpoints::new(checkpoints),
            checkpoint_every: CHECKPOINT_EVERY,
            checkpoint_every_steps: CHECKPOINT_EVERY_STEPS,
            compute: &lab.compute,
            validation: validation_samples,
            parts: &mut StoredParts { lab, inputs: self.shared },
        };
        let Some(supervised) = self.detector.supervised() else {
            return Ok(self.detector.fit(&samples.given(), &mut context)?);
        };
        // The planner gives labels to every detector that asks for them.
        let (labels, classes) = labels.as_ref().context("no labels for a supervised detector")?;
        let labeled = Labeled {
            given: samples.given(),
            labels,
            classes: *classes,
            validation: validation.as_ref().and_then(|sets| sets.labels.as_ref()),
            teacher: of_teacher.as_ref().map(Rows::given),
        };
        Ok(supervised.fit_labeled(&labeled, &mut context)?)
    }
}

/// AUROC of scores, higher meaning more out-of-distribution; scores that cannot be ranked separate nothing.
fn separation(id: &[f64], ood: &[f64]) -> f64 {
    Counts::new(id, ood).map_or(0.0, |counts| counts.auroc())
}

/// Parts that several fits share, as artifacts of their own.
struct StoredParts<'a> {
    lab: &'a Lab,
    inputs: Key,
}

impl StoredParts<'_> {
    fn artifact(&self, name: &str, config: &Value) -> Result<Artifact> {
        let key = KeyBuilder::new("part", REVISION).key("inputs", &self.inputs).text("name", name);
        Ok(self.lab.store()?.artifact("part", &key.config("config", config)?.finish()))
    }
}

impl Parts for StoredParts<'_> {
    fn load(&mut self, name: &str, config: &Value) -> Result<Option<Vec<u8>>, KeeperError> {
        let artifact = self.artifact(name, config)?;
        Ok(if artifact.finished()?.is_some() { artifact.read_part(0)? } else { None })
    }

    fn save(&mut self, name: &str, config: &Value, bytes: &[u8]) -> Result<(), KeeperError> {
        let artifact = self.artifact(name, config)?;
        artifact.write_part(0, bytes)?;
        artifact.finish(1, &Note::from([("label".to_owned(), name.to_owned())]))?;
        Ok(())
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
