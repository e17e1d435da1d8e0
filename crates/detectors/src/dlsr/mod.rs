//! DLSR: diffusion-based layer-wise semantic reconstruction (arXiv 2411.10701).
//!
//! The network learns to denoise z-scored in-distribution features. A sample is noised to the start step and reconstructed; one trajectory a
//! model serves all scores.

mod config;
mod evidence;
mod fitted;
mod normalise;
mod scores;

use oodlab_diffusion::{Compute, DiffusionError, Hide, Objective, Schedule, Stride, Training};
use serde_json::{Value, json};

pub use config::{DlsrConfig, NetworkConfig};
pub use normalise::Normalise;
pub use scores::{Measure, Moment, Reach, Score, Term};

use crate::{Detector, DetectorError, FitContext, FittedDetector, Needs, ScoreSpec, Unlabeled};
use fitted::{Fit, Fitted};

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
        let sampler = config.sampler()?;
        let fixed = sampler.starts().len() == 1 && config.sample.stride != Stride::Random;
        let visited = fixed.then(|| sampler.steps().iter().map(|step| step.t).collect::<Vec<u32>>());
        let wanted = scores::parse(scores, visited.as_deref())?;
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
        2
    }

    fn fit_config(&self) -> Value {
        let DlsrConfig { network, train, precision, normalise, hide_layers, .. } = &self.config;
        json!({
            "network": network, "train": train, "precision": precision, "normalise": normalise, "hide_layers": hide_layers,
        })
    }

    fn score_config(&self) -> Value {
        let DlsrConfig { sample, layer_weights, levels, .. } = &self.config;
        let mut sample = json!(sample);
        if let (Some(_), Value::Object(sample)) = (levels, &mut sample) {
            sample.remove("start");
        }
        json!({
            "sample": sample, "layer_weights": layer_weights, "levels": levels, "scores": self.score_names(),
            "summed": self.scores.iter().filter_map(Score::summed).collect::<Vec<_>>(),
        })
    }

    fn score_names(&self) -> Vec<String> {
        self.scores.iter().map(Score::name).collect()
    }

    fn check_layers(&self, layers: usize) -> Result<(), DetectorError> {
        fitted::check_layer_count(&self.config, &self.scores, layers)
    }

    fn check_compute(&self, compute: &Compute) -> Result<(), DetectorError> {
        let refuse = |error: DiffusionError| DetectorError::Config {
            place: "detector.precision".into(),
            message: error.to_string(),
        };
        compute.engine(self.config.precision).map(|_| ()).map_err(refuse)
    }

    fn fit(
        &self,
        train: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let features = train.features();
        fitted::check_layer_count(&self.config, &self.scores, features.layers().len())?;
        let (z, statistics) = self.config.normalise.fit(train)?;
        let schedule = Schedule::published();
        let spans = features.spans();
        let hide = if self.config.hide_layers { Hide::OneLayer(&spans) } else { Hide::Nothing };
        let training = Training {
            network: self.config.network(features.width()),
            config: &self.config.train,
            objective: Objective::Denoise { schedule: &schedule, hide },
            z: &z,
            seed: context.seed,
        };
        let mut engine = context.compute.engine(self.config.precision)?;
        let trained = training.run(engine.as_mut(), &mut context.training());
        let trained = trained.map_err(|error| DetectorError::training(error, features.ids()))?;
        let layers = features.layers().to_vec();
        let fit = Fit { layers, seed: context.seed, trained, statistics, z: &z };
        Ok(Box::new(Fitted::new(self.config.clone(), self.scores.clone(), fit)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Ok(Box::new(Fitted::load(self.config.clone(), self.scores.clone(), bytes)?))
    }
}

#[cfg(test)]
mod options_tests;
#[cfg(test)]
mod tests;
