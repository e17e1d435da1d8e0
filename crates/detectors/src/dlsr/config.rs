//! DLSR's section of a configuration, and the scores it knows.

use oodlab_base::text;
use oodlab_diffusion::{DiffusionError, LfdnConfig, SampleConfig, Sampler, Schedule, TrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KIND;
use crate::{DetectorError, ScoreSpec, section};

/// Sizes of the network, apart from the features' width. The defaults are the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// DLSR's section of a configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DlsrConfig {
    /// Sizes of the network.
    pub network: NetworkConfig,
    /// Training.
    pub train: TrainConfig,
    /// Reconstruction.
    pub sample: SampleConfig,
    /// Weight of each layer's cosine in MFsim, zero or more; absent: all equal.
    pub layer_weights: Option<Vec<f64>>,
}

impl DlsrConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// Names the place, an unknown key's nearest known one, and what a value should be.
    pub fn parse(config: Value) -> Result<DlsrConfig, DetectorError> {
        let mut map = section::map("detector", config)?;
        section::known_keys("detector", &map, &["network", "train", "sample", "layer_weights"])?;
        let layer_weights = match map.remove("layer_weights") {
            None | Some(Value::Null) => None,
            Some(value) => Some(serde_json::from_value(value).map_err(|error| weights_error(&error.to_string()))?),
        };
        let config = DlsrConfig {
            network: section::read("detector.network", map.remove("network"))?,
            train: section::read("detector.train", map.remove("train"))?,
            sample: section::read("detector.sample", map.remove("sample"))?,
            layer_weights,
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), DetectorError> {
        let refuse = |error: DiffusionError| {
            let place = match &error {
                DiffusionError::Start { .. } => "detector.sample.start".to_owned(),
                DiffusionError::Setting { name, .. } => format!("detector.{name}"),
                _ => "detector".to_owned(),
            };
            DetectorError::Config { place, message: error.to_string() }
        };
        self.network(1).validate().map_err(refuse)?;
        self.train.validate().map_err(refuse)?;
        Sampler::new(&self.sample, &Schedule::published()).map_err(refuse)?;
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
}

pub(super) fn weights_error(message: &str) -> DetectorError {
    DetectorError::Config { place: "detector.layer_weights".into(), message: message.to_owned() }
}

/// A score of a reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// Mean squared error over the elements, under the final model.
    Mse,
    /// MSE under the first-epoch model minus MSE under the final one, same noise. The sign is the released code's; the paper's text argues
    /// for the other.
    LikelihoodRegret,
    /// Minus the (weighted) mean of the layers' cosines; with `skip_first` the first layer does not count, as in the released code.
    Mfsim {
        /// Leave out the first layer.
        skip_first: bool,
    },
}

const NAMES: [&str; 3] = ["mse", "likelihood_regret", "mfsim"];

/// All scores, when none is asked for.
pub(super) const ALL: [Score; 4] =
    [Score::Mse, Score::LikelihoodRegret, Score::Mfsim { skip_first: false }, Score::Mfsim { skip_first: true }];

impl Score {
    /// Reads a score and its options.
    ///
    /// # Errors
    /// When the name or an option is unknown.
    pub fn parse(spec: &ScoreSpec) -> Result<Score, DetectorError> {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct MfsimOptions {
            skip_first: bool,
        }
        let place = format!("scores.{}", spec.name);
        match spec.name.as_str() {
            "mse" => section::known_keys(&place, &spec.options, &[]).map(|()| Score::Mse),
            "likelihood_regret" => section::known_keys(&place, &spec.options, &[]).map(|()| Score::LikelihoodRegret),
            "mfsim" => {
                let options: MfsimOptions = section::read(&place, Some(Value::Object(spec.options.clone())))?;
                Ok(Score::Mfsim { skip_first: options.skip_first })
            }
            other => Err(DetectorError::UnknownScore {
                score: other.to_owned(),
                kind: KIND,
                hint: text::hint(other, NAMES),
                known: "mse, likelihood_regret, mfsim, {mfsim: {skip_first: true}}".to_owned(),
            }),
        }
    }

    /// Name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Score::Mse => "mse",
            Score::LikelihoodRegret => "likelihood_regret",
            Score::Mfsim { skip_first: false } => "mfsim",
            Score::Mfsim { skip_first: true } => "mfsim-skip-first",
        }
    }
}
