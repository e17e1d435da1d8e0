//! What the detectors' tests share: fitting and scoring without progress or checkpoints.

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::{Compute, NoCheckpoints};
use oodlab_features::Features;

use crate::{Detector, DetectorError, FitContext, FittedDetector, ScoreContext, Unlabeled};

/// Fits on the processor.
pub(crate) fn fit(
    detector: &dyn Detector,
    train: &Features,
    seed: u64,
) -> Result<Box<dyn FittedDetector>, DetectorError> {
    let mut context = FitContext {
        seed: Seed(seed),
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        compute: &Compute::processor(),
    };
    detector.fit(&Unlabeled::new(train), &mut context)
}

/// Scores on the processor.
pub(crate) fn score(
    fitted: &dyn FittedDetector,
    given: &Features,
    first_index: u64,
    cancel: &Cancel,
) -> Result<Vec<Vec<f64>>, DetectorError> {
    let context = ScoreContext { first_index, cancel, task: &Silent, compute: &Compute::processor() };
    fitted.score(&Unlabeled::new(given), &context)
}
