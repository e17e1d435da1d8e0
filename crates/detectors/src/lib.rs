//! Detectors and simple controls, and their registry.
//!
//! A [`Detector`] is a checked configuration. [`Detector::fit`] turns training features into a [`FittedDetector`], which scores samples:
//! higher means more out-of-distribution. A detector says what it [`Needs`]; no label reaches an unsupervised one, since [`Unlabeled`]
//! holds none. Every detector takes raw pooled features and normalises them itself, as far as it wants them so.

pub mod ash;
pub mod autoencoder;
mod classifier;
pub mod dice;
pub mod dlsr;
pub mod energy;
pub mod entropy;
mod error;
pub mod fdbd;
pub mod gaussian;
pub mod gen_entropy;
mod given;
pub mod gradnorm;
pub mod gram;
mod input;
pub mod isolation_forest;
pub mod kl_matching;
pub mod knn;
mod linear_algebra;
mod logistic;
pub mod mahalanobis;
pub mod max_logit;
pub mod mean_distance;
pub mod mixture;
pub mod msp;
pub mod nac;
mod needs;
pub mod nnguide;
mod null_space;
pub mod oal;
pub mod odin;
pub mod one_class_svm;
pub mod openmax;
pub mod pca;
pub mod percentile;
pub mod pixel_ddpm;
pub mod pixel_vae;
pub mod rankfeat;
pub mod react;
mod reconstruction_score;
mod reconstructor;
mod registry;
pub mod relative_mahalanobis;
pub mod residual;
mod rule;
pub mod scale;
mod score;
mod section;
mod shaping;
pub mod she;
mod softmax;
pub mod space;
mod stored;
mod supervised;
pub mod temperature;
#[cfg(test)]
mod testing;
mod tuned;
pub mod vae;
pub mod vim;
pub mod vra;

use oodlab_diffusion::Compute;
use oodlab_encoders::EncoderConfig;
use oodlab_encoders::probe::Probe;
use serde_json::Value;

pub use error::DetectorError;
pub use given::{FitContext, NoParts, Parts, ScoreContext, Unlabeled, Validation};
pub use needs::Needs;
pub use reconstruction_score::ReconstructionScore;
pub use registry::{CONTROLS, build, kinds, schema};
pub use score::ScoreSpec;
pub use supervised::{Labeled, Supervised};

/// Samples that a diffusion network scores at once; no score depends on it.
pub(crate) const SCORED_AT_ONCE: usize = 256;
/// The same for small networks on candle, whose products have this shape always.
pub(crate) const SMALL_SCORED_AT_ONCE: usize = 128;

/// A detector before fitting: its checked configuration.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// Name in configurations and tables: `dlsr`.
    fn kind(&self) -> &'static str;

    /// What it must be given.
    fn needs(&self) -> Needs;

    /// Raised by hand when its results change with the same configuration: part of the keys of its stages.
    fn revision(&self) -> u32;

    /// The canonical configuration that fitting depends on, defaults filled in; with the training features and the seed it determines the fit.
    fn fit_config(&self) -> Value;

    /// The canonical configuration that only scoring depends on: changing it re-trains nothing.
    fn score_config(&self) -> Value;

    /// Names of the scores, in the order in which [`FittedDetector::score`] gives them: known before anything is fitted.
    fn score_names(&self) -> Vec<String>;

    /// Refuses a number of layers that the scores asked for cannot do with: known before anything is encoded.
    ///
    /// # Errors
    /// When a score needs more layers, or there are weights for another number of them.
    fn check_layers(&self, _layers: usize) -> Result<(), DetectorError> {
        Ok(())
    }

    /// Refuses a device that cannot compute it as asked: known before anything is encoded.
    ///
    /// # Errors
    /// When the device has no fast products of the precision.
    fn check_compute(&self, _compute: &Compute) -> Result<(), DetectorError> {
        Ok(())
    }

    /// What must be read off the network itself: gradients, maps. Several only where a choice is made among them. Known before anything is
    /// encoded.
    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    /// Whether the training samples are probed, too: a detector that learns nothing from them spares the time.
    fn probes_training(&self) -> bool {
        true
    }

    /// The network whose answers to the training images it learns from, where it wants one of its own.
    fn teacher(&self) -> Option<EncoderConfig> {
        None
    }

    /// Settings worth trying, each with its values: what tuning goes through where nothing else is said.
    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        Vec::new()
    }

    /// The part that learns from labels; a detector that has it is fitted by it alone.
    fn supervised(&self) -> Option<&dyn Supervised> {
        None
    }

    /// Fits the detector to in-distribution training features.
    ///
    /// # Errors
    /// When the detector is [`Detector::supervised`], the features cannot be used, training fails, or the work is cancelled.
    fn fit(
        &self,
        train: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError>;

    /// Loads what [`FittedDetector::to_bytes`] of the same fit configuration wrote; scoring follows this detector's score configuration.
    ///
    /// # Errors
    /// When the bytes are not a fitted detector of this kind and sizes.
    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError>;
}

/// A detector that is ready to score.
pub trait FittedDetector: Send + Sync + std::fmt::Debug {
    /// Names of the scores, in order.
    fn score_names(&self) -> Vec<String>;

    /// Which of [`Detector::probes`] it reads: the only one that it is given.
    fn probe(&self) -> usize {
        0
    }

    /// Scores samples: one vector a score (in the order of the names), one number a sample; higher means more out-of-distribution.
    ///
    /// # Errors
    /// When the features cannot be used or have other layers than those fitted on, a score is not finite, or the work is cancelled.
    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError>;

    /// The scores, and the classes of a detector that is a classifier of its own.
    ///
    /// # Errors
    /// As [`FittedDetector::score`].
    fn answer(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Answer, DetectorError> {
        Ok(Answer { scores: self.score(given, context)?, classes: None })
    }

    /// What each layer says of samples, for a person who asks why: none where the detector looks at no layer apart.
    ///
    /// # Errors
    /// As [`FittedDetector::score`].
    fn explain(&self, _given: &Unlabeled<'_>, _context: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        Ok(Vec::new())
    }

    /// The fitted detector as bytes: equal fits give equal bytes.
    ///
    /// # Errors
    /// When it cannot be laid out (never for a detector that was fitted or loaded).
    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError>;

    /// Curves of the fit, for figures.
    fn curves(&self) -> Vec<Curve>;

    /// What a reader of the results should know of the fit, by name: settings that it chose itself.
    fn notes(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// What a detector says of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// As [`FittedDetector::score`] gives them.
    pub scores: Vec<Vec<f64>>,
    /// Of a detector that classifies.
    pub classes: Option<Classes>,
}

/// The classes that a detector finds in samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Classes {
    /// The likeliest class of each, of equal ones the first.
    pub predicted: Vec<u32>,
    /// Its softmax probability, 0..1.
    pub confidence: Vec<f64>,
}

/// One number a sample about one layer; higher means more out-of-distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The layer's name: `stage1`.
    pub layer: String,
    /// What was measured: `mse`, `cosine`, `distance`.
    pub measure: &'static str,
    /// One a sample.
    pub values: Vec<f64>,
}

/// A curve of a fit: the loss over the epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name: `loss`.
    pub name: String,
    /// Name of the horizontal axis: `epoch`.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// (x, y), x rising.
    pub points: Vec<(f64, f64)>,
}

/// Refuses scores that are not finite, naming the first such sample.
pub(crate) fn check_scores(names: &[String], ids: &[String], scores: &[Vec<f64>]) -> Result<(), DetectorError> {
    for (score, values) in names.iter().zip(scores) {
        if let Some((id, &value)) = ids.iter().zip(values).find(|(_, value)| !value.is_finite()) {
            return Err(DetectorError::NotFinite { score: score.clone(), id: id.clone(), value });
        }
    }
    Ok(())
}
