//! A small denoising diffusion model on pixels: a baseline for what diffusion without an encoder costs (Table 1's point).
//!
//! A stand-in of its kind: a U-Net of 0.3 million parameters (1.1 million with 32 channels) trained for minutes, not the paper's DDPM of 350
//! epochs. Its cost an image can be compared, its AUROC cannot. It works on the features of `encoder: {network: pixels, resolution: 32}`,
//! which are not z-scored. A sample is noised to a step, brought back by a few deterministic DDIM steps, and compared.

mod fitted;

use oodlab_diffusion::pixel::{Ddpm, PixelSampleConfig};
use oodlab_diffusion::small::{SmallTrainConfig, SmallTraining};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::input::{self, Input};
use crate::reconstruction_score::ReconstructionScore;
use crate::reconstructor::Reconstructor;
use crate::{Detector, DetectorError, FitContext, FittedDetector, ScoreSpec, Unlabeled, section};
use fitted::Fitted;

/// Name of the detector.
pub const KIND: &str = "pixel-ddpm";

const SCORES: [ReconstructionScore; 1] = [ReconstructionScore::Mse];

/// Sizes of the network, apart from the images' side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PixelDdpmNetwork {
    /// Channels at full size, a multiple of 8 up to 128; twice and four times as many at the half and the quarter. Default 16.
    pub channels: usize,
}

impl Default for PixelDdpmNetwork {
    fn default() -> PixelDdpmNetwork {
        PixelDdpmNetwork { channels: 16 }
    }
}

/// The section of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PixelDdpmConfig {
    /// Sizes.
    pub network: PixelDdpmNetwork,
    /// Training. Defaults: 10 epochs, batches of 64, rate 1e-3, no decay, averaged weights (decay at most 0.999).
    pub train: SmallTrainConfig,
    /// Reconstruction.
    pub sample: PixelSampleConfig,
}

impl PixelDdpmConfig {
    fn parse(config: Value) -> Result<PixelDdpmConfig, DetectorError> {
        let mut map = section::map("detector", config)?;
        section::known_keys("detector", &map, &["network", "train", "sample"])?;
        let usual =
            SmallTrainConfig { epochs: 10, batch_size: 64, learning_rate: 1e-3, weight_decay: 0.0, ema_decay: 0.999 };
        let config = PixelDdpmConfig {
            network: section::read("detector.network", map.remove("network"))?,
            train: section::read_over("detector.train", map.remove("train"), &usual)?,
            sample: section::read("detector.sample", map.remove("sample"))?,
        };
        config.network(32)?;
        let valid = config.train.validate().and_then(|()| config.sample.validate());
        valid.map_err(|error| section::refused(&error))?;
        Ok(config)
    }

    fn network(&self, side: usize) -> Result<Ddpm, DetectorError> {
        Ddpm::new(side, self.network.channels).map_err(|error| section::refused(&error))
    }
}

/// The detector: its checked configuration and the scores asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelDdpm {
    config: PixelDdpmConfig,
    scores: Vec<ReconstructionScore>,
}

impl PixelDdpm {
    /// The detector of a configuration's section and the scores asked for (none: all).
    ///
    /// # Errors
    /// When a key, value or score is unknown or out of range, or a score comes twice.
    pub fn new(config: Value, scores: &[ScoreSpec]) -> Result<PixelDdpm, DetectorError> {
        let config = PixelDdpmConfig::parse(config)?;
        Ok(PixelDdpm { config, scores: ReconstructionScore::parse_all(KIND, &SCORES, scores)? })
    }
}

/// Builds it for the registry.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(PixelDdpm::new(config, scores)?))
}

impl Reconstructor for PixelDdpm {
    const KIND: &'static str = KIND;
    const REVISION: u32 = 1;

    fn trained_by(&self) -> Value {
        json!({ "network": self.config.network, "train": self.config.train })
    }

    fn scored_by(&self) -> Map<String, Value> {
        Map::from_iter([("sample".to_owned(), json!(self.config.sample))])
    }

    fn scores(&self) -> &[ReconstructionScore] {
        &self.scores
    }

    fn train(
        &self,
        given: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let samples = Input::Pixels.values(given, KIND)?;
        let features = given.features();
        let network = self.config.network(input::side(features.layers(), KIND)?)?;
        let config = &self.config.train;
        let training =
            SmallTraining { network: &network, config, samples: &samples, seed: context.seed, unit: "images" };
        let trained = training.run(&mut context.training());
        let trained = trained.map_err(|error| DetectorError::training(error, given.features().ids()))?;
        let layers = features.layers().to_vec();
        Ok(Box::new(Fitted::new(self.config, self.scores.clone(), network, layers, context.seed, trained)))
    }

    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Ok(Box::new(Fitted::load(self.config, self.scores.clone(), bytes)?))
    }
}

#[cfg(test)]
mod tests;
