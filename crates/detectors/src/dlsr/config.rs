//! DLSR's section of a configuration.

use oodlab_diffusion::{DiffusionError, LfdnConfig, Precision, SampleConfig, Sampler, Schedule, TrainConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::normalise::Normalise;
use crate::{DetectorError, section};

/// Sizes of the network, apart from the features' width. The defaults are the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Inner width. Default 1440.
    pub width: usize,
    /// Residual blocks. Default 16.
    pub blocks: usize,
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig { width: 1440, blocks: 16 }
    }
}

/// DLSR's section of a configuration. The defaults are the paper's; what goes beyond the paper is off.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DlsrConfig {
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// Training.
    pub train: TrainConfig,
    /// Reconstruction.
    pub sample: SampleConfig,
    /// Weight of each layer in MFsim and in the errors by layer, zero or more; absent: all equal.
    pub layer_weights: Option<Vec<f64>>,
    /// Numbers in which the network's products are computed. Default f32.
    pub precision: Precision,
    /// Mean and deviation that are taken out of the features (beyond the paper). Default each sample's own.
    pub normalise: Normalise,
    /// Start steps whose scores are averaged, in place of `sample.start` (beyond the paper); absent: that one alone.
    pub levels: Option<Vec<usize>>,
    /// Train with one layer of each sample hidden, and rebuild each layer from the others (beyond the paper). Default false.
    pub hide_layers: bool,
}

/// The keys that are not sections.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Scalars {
    layer_weights: Option<Vec<f64>>,
    precision: Precision,
    normalise: Normalise,
    levels: Option<Vec<usize>>,
    hide_layers: bool,
}

const SECTIONS: [&str; 3] = ["network", "train", "sample"];
const KEYS: [&str; 8] =
    ["network", "train", "sample", "layer_weights", "precision", "normalise", "levels", "hide_layers"];

impl DlsrConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// Names the place, an unknown key's nearest known one, and what a value should be.
    pub fn parse(config: Value) -> Result<DlsrConfig, DetectorError> {
        let mut map = section::map("detector", config)?;
        section::known_keys("detector", &map, &KEYS)?;
        let [network, train, sample] = SECTIONS.map(|section| map.remove(section));
        let starts = sample.as_ref().and_then(|sample| sample.get("start")).is_some();
        if starts && map.get("levels").is_some_and(|levels| !levels.is_null()) {
            return Err(refuse("detector.levels", "detector.sample.start is given too; keep one of them"));
        }
        let Scalars { layer_weights, precision, normalise, levels, hide_layers } =
            section::read("detector", Some(Value::Object(map)))?;
        let config = DlsrConfig {
            network: section::read("detector.network", network)?,
            train: section::read("detector.train", train)?,
            sample: section::read("detector.sample", sample)?,
            layer_weights,
            precision,
            normalise,
            levels,
            hide_layers,
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), DetectorError> {
        let misplaced = |error: DiffusionError| {
            let place = match &error {
                DiffusionError::Start { .. } if self.levels.is_some() => "detector.levels".to_owned(),
                DiffusionError::Start { .. } => "detector.sample.start".to_owned(),
                DiffusionError::Setting { name, .. } => format!("detector.{name}"),
                _ => "detector".to_owned(),
            };
            DetectorError::Config { place, message: error.to_string() }
        };
        if let Some(levels) = &self.levels {
            let mut sorted = levels.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if levels.is_empty() || sorted.len() != levels.len() {
                let message = format!("found {levels:?}, expected different start steps, as in [3, 10, 25]");
                return Err(refuse("detector.levels", &message));
            }
        }
        self.network(1).validate().map_err(misplaced)?;
        self.train.validate().map_err(misplaced)?;
        self.sampler().map_err(misplaced)?;
        if let Some(weights) = &self.layer_weights
            && !(weights.iter().all(|w| *w >= 0.0 && w.is_finite()) && weights.iter().sum::<f64>() > 0.0)
        {
            return Err(weights_error(&format!("found {weights:?}, expected numbers of zero or more, not all zero")));
        }
        Ok(())
    }

    /// The network's sizes for features of a width.
    #[must_use]
    pub fn network(&self, dim: usize) -> LfdnConfig {
        LfdnConfig::new(dim, self.network.width, self.network.blocks)
    }

    /// The sampler from all levels.
    pub(super) fn sampler(&self) -> Result<Sampler, DiffusionError> {
        let start = [self.sample.start];
        Sampler::with_starts(&self.sample, self.levels.as_deref().unwrap_or(&start), &Schedule::published())
    }
}

fn refuse(place: &str, message: &str) -> DetectorError {
    DetectorError::Config { place: place.to_owned(), message: message.to_owned() }
}

pub(super) fn weights_error(message: &str) -> DetectorError {
    refuse("detector.layer_weights", message)
}
