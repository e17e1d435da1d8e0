//! DLSR: diffusion-based layer-wise semantic reconstruction (arXiv 2411.10701).
//!
//! The network learns to denoise z-scored in-distribution features. A sample is noised to the start step and reconstructed; one trajectory a
//! model serves all scores.

mod config;
mod fitted;

use oodlab_diffusion::{Hide, Objective, Precision, Schedule, TrainContext, Training};
use serde_json::{Value, json};

pub use config::{DlsrConfig, NetworkConfig, Score};

use crate::{Detector, DetectorError, FitContext, FittedDetector, Needs, ScoreSpec, Unlabeled};
use fitted::Fitted;

/// Name of the detector.
pub const KIND: &str = "dlsr";

/// The detector: its checked configuration and the scores asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Dlsr {
    config: DlsrConfig,
    scores: Vec<Score>,
}

impl Dlsr {
    /// The detector of a configuration's section and the scores asked for (none: all).
    ///
    /// # Errors
    /// When a key, value or score is unknown or out of range, or a score comes twice.
    pub fn new(config: Value, scores: &[ScoreSpec]) -> Result<Dlsr, DetectorError> {
        let config = DlsrConfig::parse(config)?;
        let mut wanted = scores.iter().map(Score::parse).collect::<Result<Vec<Score>, _>>()?;
        if wanted.is_empty() {
            wanted = config::ALL.to_vec();
        }
        if let Some(twice) = wanted.iter().enumerate().find(|(at, score)| wanted[..*at].contains(score)) {
            return Err(DetectorError::ScoreTwice(twice.1.name().to_owned()));
        }
        Ok(Dlsr { config, scores: wanted })
    }
}

/// Builds it for the registry.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(Dlsr::new(config, scores)?))
}

impl Detector for Dlsr {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn needs(&self) -> Needs {
        Needs { features: true, ..Needs::default() }
    }

    fn revision(&self) -> u32 {
        1
    }

    fn fit_config(&self) -> Value {
        json!({ "network": self.config.network, "train": self.config.train })
    }

    fn score_config(&self) -> Value {
        json!({ "sample": self.config.sample, "layer_weights": self.config.layer_weights, "scores": self.score_names() })
    }

    fn score_names(&self) -> Vec<String> {
        self.scores.iter().map(|score| score.name().to_owned()).collect()
    }

    fn check_layers(&self, layers: usize) -> Result<(), DetectorError> {
        fitted::check_layer_count(&self.config, &self.scores, layers)
    }

    fn fit(
        &self,
        train: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let z = train.z_scored(KIND)?;
        let features = train.features();
        fitted::check_layer_count(&self.config, &self.scores, features.layers().len())?;
        let schedule = Schedule::published();
        let training = Training {
            network: self.config.network(features.width()),
            config: &self.config.train,
            objective: Objective::Denoise { schedule: &schedule, hide: Hide::Nothing },
            z: &z,
            seed: context.seed,
        };
        let mut trains = TrainContext {
            progress: context.progress,
            cancel: context.cancel,
            checkpoints: &mut *context.checkpoints,
            checkpoint_every: context.checkpoint_every,
            checkpoint_every_steps: context.checkpoint_every_steps,
        };
        let mut engine = context.compute.engine(Precision::F32)?;
        let trained = training.run(engine.as_mut(), &mut trains)?;
        let layers = features.layers().to_vec();
        Ok(Box::new(Fitted::new(self.config.clone(), self.scores.clone(), layers, context.seed, trained)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Ok(Box::new(Fitted::load(self.config.clone(), self.scores.clone(), bytes)?))
    }
}

#[cfg(test)]
mod tests;
