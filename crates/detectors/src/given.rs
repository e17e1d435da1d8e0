//! What a detector is given.

use oodlab_base::{Cancel, Progress, Seed, Task};
use oodlab_diffusion::{Checkpoints, Compute, KeeperError, TrainContext};
use oodlab_features::{Features, Head, Layer, Logits};
use oodlab_kernels::zscore::{self, ZscoreError};
use serde_json::Value;

use crate::{DetectorError, Needs};

/// Features without any label: all that an unsupervised detector can see. Beside the chosen layers stands what else the detector declared in
/// its [`crate::Needs`], of the same samples in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Unlabeled<'a> {
    features: &'a Features,
    penultimate: Option<&'a Features>,
    probed: &'a [Features],
    probe: usize,
    head: Option<&'a Head>,
}

impl<'a> Unlabeled<'a> {
    /// The features of samples whose labels stay behind.
    #[must_use]
    pub fn new(features: &'a Features) -> Unlabeled<'a> {
        Unlabeled { features, penultimate: None, probed: &[], probe: 0, head: None }
    }

    /// With the vectors that the classifier reads, as features of one layer.
    #[must_use]
    pub fn with_penultimate(self, penultimate: Option<&'a Features>) -> Unlabeled<'a> {
        Unlabeled { penultimate, ..self }
    }

    /// With what the detector's [`crate::Detector::probes`] read off the network, one entry each.
    #[must_use]
    pub fn with_probed(self, probed: &'a [Features]) -> Unlabeled<'a> {
        Unlabeled { probed, ..self }
    }

    /// The same samples for one who reads the probe of this number.
    pub(crate) fn through_probe(self, probe: usize) -> Unlabeled<'a> {
        Unlabeled { probe, ..self }
    }

    /// With the classifier.
    #[must_use]
    pub fn with_head(self, head: Option<&'a Head>) -> Unlabeled<'a> {
        Unlabeled { head, ..self }
    }

    /// The raw pooled features of the chosen layers.
    #[must_use]
    pub fn features(self) -> &'a Features {
        self.features
    }

    /// Sample ids.
    #[must_use]
    pub fn ids(self) -> &'a [String] {
        self.features.ids()
    }

    /// Number of samples.
    #[must_use]
    pub fn rows(self) -> usize {
        self.features.rows()
    }

    /// The vectors that the classifier reads, `[rows, width]`, f32.
    ///
    /// # Errors
    /// When they were not given.
    pub fn penultimate(self, who: &'static str) -> Result<&'a Features, DetectorError> {
        self.penultimate.ok_or_else(|| Needs { penultimate: true, ..Needs::default() }.unmet(who))
    }

    /// Class scores before any softmax, `[rows, classes]`, f32.
    ///
    /// # Errors
    /// When the features have none.
    pub fn logits(self, who: &'static str) -> Result<&'a Logits, DetectorError> {
        self.features.logits().ok_or_else(|| Needs { logits: true, ..Needs::default() }.unmet(who))
    }

    /// The classifier.
    ///
    /// # Errors
    /// When it was not given.
    pub fn head(self, who: &'static str) -> Result<&'a Head, DetectorError> {
        self.head.ok_or_else(|| Needs { head: true, ..Needs::default() }.unmet(who))
    }

    /// What the detector's one probe read off the network, `[rows, width]`, f32.
    ///
    /// # Errors
    /// When it was not given.
    pub fn probed(self, who: &'static str) -> Result<&'a Features, DetectorError> {
        self.probed.get(self.probe).ok_or_else(|| Needs { images: true, ..Needs::default() }.unmet(who))
    }

    /// Refuses an empty list, NaN and infinite values in everything given.
    ///
    /// # Errors
    /// Names the sample and the layer.
    pub fn check(self, who: &'static str) -> Result<(), DetectorError> {
        if self.rows() == 0 {
            return Err(DetectorError::NoSamples(who));
        }
        self.features.check_finite()?;
        for other in self.penultimate.into_iter().chain(self.probed.get(self.probe)) {
            other.check_finite()?;
        }
        Ok(())
    }

    /// The features z-scored by sample and layer, `[rows, width]` row-major.
    ///
    /// # Errors
    /// When there are no samples, a value is not finite (its sample and layer are named), or a layer has one channel.
    pub fn z_scored(self, who: &'static str) -> Result<Vec<f32>, DetectorError> {
        if self.features.rows() == 0 {
            return Err(DetectorError::NoSamples(who));
        }
        self.features.check_finite()?;
        let mut z = vec![0.0; self.features.values().len()];
        zscore::run(self.features.values(), &self.features.spans(), &mut z).map_err(|error| match error {
            ZscoreError::TooNarrow { layer, channels } => {
                let layer = self.features.layers().get(layer).map(|layer| layer.name.clone()).unwrap_or_default();
                DetectorError::NarrowLayer { layer, channels }
            }
            other => DetectorError::Config { place: "features.layers".into(), message: other.to_string() },
        })?;
        Ok(z)
    }

    /// Refuses features with other layers than those fitted on.
    ///
    /// # Errors
    /// Names both lists.
    pub fn check_layers(self, fitted: &[Layer]) -> Result<(), DetectorError> {
        let names = |layers: &[Layer]| {
            layers.iter().map(|layer| format!("{}:{}", layer.name, layer.width())).collect::<Vec<_>>().join(", ")
        };
        if self.features.layers() == fitted {
            return Ok(());
        }
        Err(DetectorError::OtherLayers { expected: names(fitted), found: names(self.features.layers()) })
    }
}

/// What scoring reports to and asks.
#[derive(Clone, Copy)]
pub struct ScoreContext<'a> {
    /// Position of the first given sample in its whole set: noise is a function of it, so a sample's score depends neither on its batch
    /// nor on how the set is cut into parts.
    pub first_index: u64,
    /// Asked between batches.
    pub cancel: &'a Cancel,
    /// Counts samples.
    pub task: &'a dyn Task,
    /// What networks are computed with.
    pub compute: &'a Compute,
}

/// What fitting reports to, asks, and draws from.
pub struct FitContext<'a> {
    /// Seed of everything random in the fit, and of the noise in scoring.
    pub seed: Seed,
    /// Shown progress.
    pub progress: &'a dyn Progress,
    /// Asked between steps.
    pub cancel: &'a Cancel,
    /// Keeps checkpoints of a long fit.
    pub checkpoints: &'a mut dyn Checkpoints,
    /// Epochs between the checkpoints that are offered after an epoch; 0 offers none there.
    pub checkpoint_every: usize,
    /// Steps between the checkpoints that are offered after a step; 0 offers none there.
    pub checkpoint_every_steps: usize,
    /// What networks are computed with.
    pub compute: &'a Compute,
    /// Samples to choose settings with; none for a detector that does not ask for them, or where the benchmark names none.
    pub validation: Option<Validation<'a>>,
    /// Keeps what several fits have in common: a trained student.
    pub parts: &'a mut dyn Parts,
}

/// The benchmark's validation split: never trained on, never scored in a table.
#[derive(Clone, Copy)]
pub struct Validation<'a> {
    /// In-distribution samples.
    pub id: Unlabeled<'a>,
    /// Out-of-distribution samples, one entry a set; empty for a detector that does not ask for them.
    pub ood: &'a [Unlabeled<'a>],
    /// How well scores separate (in-distribution first, higher means more out-of-distribution): AUROC, 0..1.
    pub separation: &'a dyn Fn(&[f64], &[f64]) -> f64,
}

/// Expensive parts of a fit, kept apart from it under their own configuration and the fit's inputs, so that fits that differ elsewhere share them.
pub trait Parts {
    /// The bytes kept under a name and configuration.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&mut self, name: &str, config: &Value) -> Result<Option<Vec<u8>>, KeeperError>;

    /// Keeps bytes.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn save(&mut self, name: &str, config: &Value, bytes: &[u8]) -> Result<(), KeeperError>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoParts;

impl Parts for NoParts {
    fn load(&mut self, _: &str, _: &Value) -> Result<Option<Vec<u8>>, KeeperError> {
        Ok(None)
    }

    fn save(&mut self, _: &str, _: &Value, _: &[u8]) -> Result<(), KeeperError> {
        Ok(())
    }
}

impl FitContext<'_> {
    /// What a training reports to and asks.
    pub fn training(&mut self) -> TrainContext<'_> {
        TrainContext {
            progress: self.progress,
            cancel: self.cancel,
            checkpoints: &mut *self.checkpoints,
            checkpoint_every: self.checkpoint_every,
            checkpoint_every_steps: self.checkpoint_every_steps,
        }
    }
}
