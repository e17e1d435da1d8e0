//! What a detector is given.

use oodlab_base::{Cancel, Progress, Seed, Task};
use oodlab_diffusion::{Checkpoints, Compute, TrainContext};
use oodlab_features::{Features, Layer};
use oodlab_kernels::zscore::{self, ZscoreError};

use crate::DetectorError;

/// What a detector wants to be given; the runner hands over only that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Pooled feature vectors.
    pub features: bool,
    /// Class scores.
    pub logits: bool,
    /// Class labels: only a supervised detector.
    pub labels: bool,
    /// The classifying head's weights.
    pub head: bool,
    /// Gradients with respect to the input.
    pub input_gradients: bool,
}

/// Features without any label: all that an unsupervised detector can see.
#[derive(Debug, Clone, Copy)]
pub struct Unlabeled<'a> {
    features: &'a Features,
}

impl<'a> Unlabeled<'a> {
    /// The features of samples whose labels stay behind.
    #[must_use]
    pub fn new(features: &'a Features) -> Unlabeled<'a> {
        Unlabeled { features }
    }

    /// The raw pooled features.
    #[must_use]
    pub fn features(self) -> &'a Features {
        self.features
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
