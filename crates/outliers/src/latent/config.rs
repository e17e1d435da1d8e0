//! Settings of the small latent diffusion.

use oodlab_diffusion::small::SmallTrainConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OutlierError;

/// What leads samples off the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drive {
    /// Sampling begins at an outlier from the edge of the class, noised as far as `strength` says, and follows the class (SDEdit, Meng et
    /// al., ICLR 2022): what comes out lies between the edge and the class.
    #[default]
    Boundary,
    /// Sampling begins at noise and follows a mixture of two classes: what comes out lies between them.
    OffManifold,
}

/// The sizes of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatentNetwork {
    /// Width of the blocks. Default 256.
    pub width: usize,
    /// Number of blocks. Default 3.
    pub blocks: usize,
}

impl Default for LatentNetwork {
    fn default() -> LatentNetwork {
        LatentNetwork { width: 256, blocks: 3 }
    }
}

/// Settings of the small latent diffusion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatentConfig {
    /// What leads samples off the classes.
    pub drive: Drive,
    /// `boundary`: share of the schedule by which the start is noised, above 0, at most 1. Default 0.4.
    pub strength: f64,
    /// `off-manifold`: share of the second class, 0 to 1. Default 0.5.
    pub mix: f64,
    /// Guidance: 1 is the class alone, more exaggerates it, below 0 leads away from it. Default 1.
    pub guidance: f64,
    /// DDIM steps, 1 to 999. Default 50, as published for Stable Diffusion.
    pub steps: usize,
    /// The network.
    pub network: LatentNetwork,
    /// Its training.
    pub train: SmallTrainConfig,
}

impl Default for LatentConfig {
    fn default() -> LatentConfig {
        LatentConfig {
            drive: Drive::Boundary,
            strength: 0.4,
            mix: 0.5,
            guidance: 1.0,
            steps: 50,
            network: LatentNetwork::default(),
            train: SmallTrainConfig {
                epochs: 30,
                learning_rate: 1e-3,
                ema_decay: 0.999,
                ..SmallTrainConfig::default()
            },
        }
    }
}

impl LatentConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), OutlierError> {
        let refuse =
            |name, found: &dyn ToString, expected: &str| Err(OutlierError::setting(name, found.to_string(), expected));
        if !(self.strength > 0.0 && self.strength <= 1.0) {
            return refuse("latent.strength", &self.strength, "a number above 0, at most 1");
        }
        if !(0.0..=1.0).contains(&self.mix) {
            return refuse("latent.mix", &self.mix, "0 to 1");
        }
        if !self.guidance.is_finite() {
            return refuse("latent.guidance", &self.guidance, "a finite number");
        }
        if !(1..1000).contains(&self.steps) {
            return refuse("latent.steps", &self.steps, "1 to 999");
        }
        if !(1..=4096).contains(&self.network.width) {
            return refuse("latent.network.width", &self.network.width, "1 to 4096");
        }
        if !(1..=64).contains(&self.network.blocks) {
            return refuse("latent.network.blocks", &self.network.blocks, "1 to 64");
        }
        Ok(self.train.validate()?)
    }
}
