//! Detectors and simple controls, and their registry.
//!
//! A [`Detector`] is a checked configuration. [`Detector::fit`] turns training features into a [`FittedDetector`], which scores samples:
//! higher means more out-of-distribution. A detector says what it [`Needs`]; no label reaches an unsupervised one, since [`Unlabeled`]
//! holds none. Every detector takes raw pooled features and normalises them itself, as far as it wants them so.

pub mod autoencoder;
pub mod dlsr;
mod error;
mod given;
mod input;
pub mod mean_distance;
pub mod pca;
pub mod pixel_ddpm;
pub mod pixel_vae;
mod reconstruction_score;
mod reconstructor;
mod registry;
mod schema;
mod score;
mod section;
mod stored;
#[cfg(test)]
mod testing;
pub mod vae;

use oodlab_diffusion::Compute;
use serde_json::Value;

pub use error::DetectorError;
pub use given::{FitContext, Needs, ScoreContext, Unlabeled};
pub use reconstruction_score::ReconstructionScore;
pub use registry::{CONTROLS, build, kinds};
pub use schema::schema;
pub use score::ScoreSpec;

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

    /// Fits the detector to in-distribution training features.
    ///
    /// # Errors
    /// When the features cannot be used, training fails, or the work is cancelled.
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

    /// Scores samples: one vector a score (in the order of the names), one number a sample; higher means more out-of-distribution.
    ///
    /// # Errors
    /// When the features cannot be used or have other layers than those fitted on, a score is not finite, or the work is cancelled.
    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError>;

    /// The fitted detector as bytes: equal fits give equal bytes.
    ///
    /// # Errors
    /// When it cannot be laid out (never for a detector that was fitted or loaded).
    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError>;

    /// Curves of the fit, for figures.
    fn curves(&self) -> Vec<Curve>;
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
