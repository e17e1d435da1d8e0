//! The autoencoder's section of a configuration.

use oodlab_diffusion::small::{SmallTrainConfig, Vae, VaeBody};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DetectorError, section};

/// Sizes of the network, apart from the features' width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VaeNetwork {
    /// Width of all inner layers, 1 to 8192. Default 512.
    pub width: usize,
    /// Length of the latent vector, 1 to 8192. Default 64.
    pub latent: usize,
}

impl Default for VaeNetwork {
    fn default() -> VaeNetwork {
        VaeNetwork { width: 512, latent: 64 }
    }
}

/// The section.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VaeConfig {
    /// Sizes.
    pub network: VaeNetwork,
    /// Training. Defaults: 100 epochs, batches of 128, rate 5e-4, no decay, last weights.
    pub train: SmallTrainConfig,
    /// Weight of the divergence: the likelihood's variance. Default 1, that of z-scored features.
    pub beta: f64,
}

impl VaeConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// Names the place, an unknown key's nearest known one, and what a value should be.
    pub fn parse(config: Value) -> Result<VaeConfig, DetectorError> {
        let mut map = section::map("detector", config)?;
        section::known_keys("detector", &map, &["network", "train", "beta"])?;
        let config = VaeConfig {
            network: section::read("detector.network", map.remove("network"))?,
            train: section::read("detector.train", map.remove("train"))?,
            beta: section::number("detector.beta", map.remove("beta"), 1.0)?,
        };
        config.network(1)?;
        config.train.validate().map_err(|error| section::refused(&error))?;
        Ok(config)
    }

    /// The network for features of a width.
    pub(super) fn network(&self, dim: usize) -> Result<Vae, DetectorError> {
        let VaeNetwork { width, latent } = self.network;
        Vae::new(VaeBody::Dense { dim, width }, latent, self.beta).map_err(|error| section::refused(&error))
    }
}
