//! The paper's "AutoEncoder" (Tables 1, 2 and 11): the latent feature diffusion network without its time embedding, trained to give back its
//! input, z-scored features without noise. Nothing random in scoring.
//!
//! Nothing is narrower than the features and a shortcut leads past every block, so little keeps it from learning to copy; what a sample loses
//! is small, in or out of distribution. That is what the ablation shows.

mod fitted;

use oodlab_diffusion::{DiffusionError, LfdnConfig, Objective, Precision, TrainConfig, Training};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::dlsr::NetworkConfig;
use crate::reconstruction_score::ReconstructionScore;
use crate::reconstructor::Reconstructor;
use crate::{Detector, DetectorError, FitContext, FittedDetector, ScoreSpec, Unlabeled, section};
use fitted::Fitted;

/// Name of the detector.
pub const KIND: &str = "autoencoder";

const SCORES: [ReconstructionScore; 3] = [
    ReconstructionScore::Mse,
    ReconstructionScore::Mfsim { skip_first: false },
    ReconstructionScore::Mfsim { skip_first: true },
];

/// The section of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Sizes of the network; by default the paper's.
    pub network: NetworkConfig,
    /// Training, as DLSR's.
    pub train: TrainConfig,
}

impl AutoencoderConfig {
    fn parse(config: Value) -> Result<AutoencoderConfig, DetectorError> {
        let mut map = section::map("detector", config)?;
        section::known_keys("detector", &map, &["network", "train"])?;
        let config = AutoencoderConfig {
            network: section::read("detector.network", map.remove("network"))?,
            train: section::read("detector.train", map.remove("train"))?,
        };
        let refused = |error: DiffusionError| section::refused(&error);
        config.network(1).validate().map_err(refused)?;
        config.train.validate().map_err(refused)?;
        Ok(config)
    }

    /// The network's sizes for features of a width.
    fn network(&self, dim: usize) -> LfdnConfig {
        LfdnConfig { time_embedding: false, ..LfdnConfig::new(dim, self.network.width, self.network.blocks) }
    }
}

/// The detector: its checked configuration and the scores asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoencoder {
    config: AutoencoderConfig,
    scores: Vec<ReconstructionScore>,
}

impl Autoencoder {
    /// The detector of a configuration's section and the scores asked for (none: all).
    ///
    /// # Errors
    /// When a key, value or score is unknown or out of range, or a score comes twice.
    pub fn new(config: Value, scores: &[ScoreSpec]) -> Result<Autoencoder, DetectorError> {
        let config = AutoencoderConfig::parse(config)?;
        Ok(Autoencoder { config, scores: ReconstructionScore::parse_all(KIND, &SCORES, scores)? })
    }
}

/// Builds it for the registry.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(Autoencoder::new(config, scores)?))
}

impl Reconstructor for Autoencoder {
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
        let training = Training {
            network: self.config.network(features.width()),
            config: &self.config.train,
            objective: Objective::Reconstruct,
            z: &z,
            seed: context.seed,
        };
        let mut engine = context.compute.engine(Precision::F32)?;
        let trained = training.run(engine.as_mut(), &mut context.training());
        let trained = trained.map_err(|error| DetectorError::training(error, given.features().ids()))?;
        Ok(Box::new(Fitted::new(self.scores.clone(), features.layers().to_vec(), trained)))
    }

    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Ok(Box::new(Fitted::load(self.config.clone(), self.scores.clone(), bytes)?))
    }
}

#[cfg(test)]
mod tests;
