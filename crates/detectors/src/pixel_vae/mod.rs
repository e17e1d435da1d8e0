//! A small convolutional variational autoencoder on pixels: a baseline for what reconstruction without an encoder costs (Table 1's point).
//!
//! A stand-in of its kind, half a million parameters trained for minutes, not the paper's VAE of 200 epochs: its cost an image can be
//! compared, its AUROC cannot. It works on the features of `encoder: {network: pixels, resolution: 32}`, which are not z-scored.

use oodlab_diffusion::small::{SmallTrainConfig, SmallTraining, Vae, VaeBody};
use oodlab_features::Layer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::input::{self, Input};
use crate::reconstruction_score::ReconstructionScore;
use crate::reconstructor::Reconstructor;
use crate::vae::fitted::{Fitted, Setting};
use crate::{Detector, DetectorError, FitContext, FittedDetector, ScoreSpec, Unlabeled, section};

/// Name of the detector.
pub const KIND: &str = "pixel-vae";

const SCORES: [ReconstructionScore; 2] = [ReconstructionScore::Mse, ReconstructionScore::Elbo];

/// Sizes of the network, apart from the images' side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PixelVaeNetwork {
    /// Channels of the first map, 1 to 256; the next have twice and four times as many. Default 32.
    pub channels: usize,
    /// Length of the latent vector, 1 to 8192. Default 64.
    pub latent: usize,
}

impl Default for PixelVaeNetwork {
    fn default() -> PixelVaeNetwork {
        PixelVaeNetwork { channels: 32, latent: 64 }
    }
}

/// The section of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PixelVaeConfig {
    /// Sizes.
    pub network: PixelVaeNetwork,
    /// Training. Defaults: 20 epochs, batches of 64, rate 1e-3, no decay, last weights.
    pub train: SmallTrainConfig,
    /// Weight of the divergence: the likelihood's variance. Default 0.1, for pixels in -1..1.
    pub beta: f64,
}

impl PixelVaeConfig {
    fn parse(config: Value) -> Result<PixelVaeConfig, DetectorError> {
        let mut map = section::map("detector", config)?;
        section::known_keys("detector", &map, &["network", "train", "beta"])?;
        let usual =
            SmallTrainConfig { epochs: 20, batch_size: 64, learning_rate: 1e-3, weight_decay: 0.0, ema_decay: 0.0 };
        let config = PixelVaeConfig {
            network: section::read("detector.network", map.remove("network"))?,
            train: section::read_over("detector.train", map.remove("train"), &usual)?,
            beta: section::number("detector.beta", map.remove("beta"), 0.1)?,
        };
        config.network(32)?;
        config.train.validate().map_err(|error| section::refused(&error))?;
        Ok(config)
    }

    fn network(&self, side: usize) -> Result<Vae, DetectorError> {
        let PixelVaeNetwork { channels, latent } = self.network;
        Vae::new(VaeBody::Images { side, channels }, latent, self.beta).map_err(|error| section::refused(&error))
    }
}

/// The detector: its checked configuration and the scores asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelVae {
    config: PixelVaeConfig,
    scores: Vec<ReconstructionScore>,
}

impl PixelVae {
    /// The detector of a configuration's section and the scores asked for (none: all).
    ///
    /// # Errors
    /// When a key, value or score is unknown or out of range, or a score comes twice.
    pub fn new(config: Value, scores: &[ScoreSpec]) -> Result<PixelVae, DetectorError> {
        let config = PixelVaeConfig::parse(config)?;
        Ok(PixelVae { config, scores: ReconstructionScore::parse_all(KIND, &SCORES, scores)? })
    }

    fn setting(&self) -> Setting {
        let batch = crate::SMALL_SCORED_AT_ONCE;
        Setting { kind: KIND, input: Input::Pixels, batch, scores: self.scores.clone() }
    }
}

/// Builds it for the registry.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(PixelVae::new(config, scores)?))
}

impl Reconstructor for PixelVae {
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
        let samples = Input::Pixels.values(given, KIND)?;
        let features = given.features();
        let network = self.config.network(input::side(features.layers(), KIND)?)?;
        let config = &self.config.train;
        let training =
            SmallTraining { network: &network, config, samples: &samples, seed: context.seed, unit: "images" };
        let trained = training.run(&mut context.training());
        let trained = trained.map_err(|error| DetectorError::training(error, given.features().ids()))?;
        Ok(Box::new(Fitted::new(self.setting(), network, features.layers().to_vec(), trained)))
    }

    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let network = |layers: &[Layer]| self.config.network(input::side(layers, KIND)?);
        Ok(Box::new(Fitted::load(self.setting(), network, bytes)?))
    }
}

#[cfg(test)]
mod tests;
