//! The ablation's variational autoencoder (the paper's Table 11): a 5-layer linear encoder and an 8-layer linear decoder on z-scored
//! features. The paper gives neither widths nor activation nor weights; here ReLU stands between the layers, all inner layers have one width,
//! and the likelihood's variance is `beta`. A sample is reconstructed from the mean of its latent vector: nothing random in scoring.

mod config;
pub(crate) mod fitted;

use oodlab_diffusion::small::SmallTraining;
use oodlab_features::Layer;
use serde_json::{Value, json};

pub use config::{VaeConfig, VaeNetwork};

use crate::input::Input;
use crate::reconstruction_score::ReconstructionScore;
use crate::reconstructor::Reconstructor;
use crate::{Detector, DetectorError, FitContext, FittedDetector, ScoreSpec, Unlabeled};
use fitted::{Fitted, Setting};

/// Name of the detector.
pub const KIND: &str = "vae";

const SCORES: [ReconstructionScore; 4] = [
    ReconstructionScore::Mse,
    ReconstructionScore::Mfsim { skip_first: false },
    ReconstructionScore::Mfsim { skip_first: true },
    ReconstructionScore::Elbo,
];

/// The detector: its checked configuration and the scores asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeDetector {
    config: VaeConfig,
    scores: Vec<ReconstructionScore>,
}

impl VaeDetector {
    /// The detector of a configuration's section and the scores asked for (none: all).
    ///
    /// # Errors
    /// When a key, value or score is unknown or out of range, or a score comes twice.
    pub fn new(config: Value, scores: &[ScoreSpec]) -> Result<VaeDetector, DetectorError> {
        let config = VaeConfig::parse(config)?;
        Ok(VaeDetector { config, scores: ReconstructionScore::parse_all(KIND, &SCORES, scores)? })
    }

    fn setting(&self) -> Setting {
        let batch = crate::SMALL_SCORED_AT_ONCE;
        Setting { kind: KIND, input: Input::ZScored, batch, scores: self.scores.clone() }
    }
}

/// Builds it for the registry.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(VaeDetector::new(config, scores)?))
}

impl Reconstructor for VaeDetector {
    const KIND: &'static str = KIND;
    const REVISION: u32 = 1;

    fn trained_by(&self) -> Value {
        json!(self.config)
    }

    fn scores(&self) -> &[ReconstructionScore] {
        &self.scores
    }

    fn train(
        &self,
        given: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let z = given.z_scored(KIND)?;
        let features = given.features();
        let network = self.config.network(features.width())?;
        let config = &self.config.train;
        let training = SmallTraining { network: &network, config, samples: &z, seed: context.seed, unit: "features" };
        let trained = training.run(&mut context.training());
        let trained = trained.map_err(|error| DetectorError::training(error, given.features().ids()))?;
        let layers = features.layers().to_vec();
        Ok(Box::new(Fitted::new(self.setting(), network, layers, trained)))
    }

    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let network = |layers: &[Layer]| self.config.network(layers.last().map_or(0, |layer| layer.end));
        Ok(Box::new(Fitted::load(self.setting(), network, bytes)?))
    }
}

#[cfg(test)]
mod tests;
