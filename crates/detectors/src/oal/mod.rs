//! OAL: a student that learned from labels, a teacher and outliers (Gao and Li, *Enhancing OOD Detection Using Latent Diffusion*, ICMR 2025,
//! arXiv 2406.16525; what it does is in [`oodlab_outliers`]).
//!
//! Samples are scored by what the student makes of them: the energy of its class scores, as published, and any detector of this crate
//! that reads features, class scores or a classifier, fitted on the student's own.

mod config;
mod fit;
mod fitted;
mod scores;
#[cfg(test)]
mod tests;

pub use config::{DiffusionSection, DiffusionSource, OalConfig, StudentSection};

use oodlab_encoders::EncoderConfig;
use serde_json::Value;

use crate::{
    Detector, DetectorError, FitContext, FittedDetector, Labeled, Needs, ScoreSpec, Supervised, Unlabeled, section,
};
use scores::Scores;

/// [`Detector::kind`].
pub const KIND: &str = "oal";

/// Raise when the same settings lead to other scores.
const REVISION: u32 = 1;

#[derive(Debug)]
struct Oal {
    config: OalConfig,
    scores: Scores,
}

/// Builds it from its section and the scores asked for (none: the energy).
///
/// # Errors
/// When the section has unknown keys, wrong types or values out of range, or a score is unknown.
pub fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    let config: OalConfig = section::read("detector", Some(config))?;
    config.validate().map_err(DetectorError::from)?;
    Ok(Box::new(Oal { config, scores: Scores::new(scores)? }))
}

impl Detector for Oal {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn needs(&self) -> Needs {
        let own_teacher = self.config.teacher.is_none();
        let own = Needs {
            features: true,
            labels: true,
            penultimate: own_teacher && self.config.teaches(),
            logits: own_teacher && self.config.terms.logits > 0.0,
            id_validation: self.config.validates(),
            ..Needs::default()
        };
        own.and(self.scores.needs())
    }

    fn revision(&self) -> u32 {
        REVISION
    }

    fn fit_config(&self) -> Value {
        let mut all = match serde_json::to_value(&self.config) {
            Ok(Value::Object(all)) => all,
            _ => serde_json::Map::new(),
        };
        // Other detectors are fitted on the student, so the scores are part of the fit; the student itself is kept apart.
        all.insert("scores".to_owned(), self.scores.to_value());
        Value::Object(all)
    }

    fn score_config(&self) -> Value {
        Value::Object(serde_json::Map::new())
    }

    fn score_names(&self) -> Vec<String> {
        self.scores.names()
    }

    fn teacher(&self) -> Option<EncoderConfig> {
        self.config.teacher.clone().filter(|_| self.config.teaches())
    }

    fn supervised(&self) -> Option<&dyn Supervised> {
        Some(self)
    }

    fn fit(&self, _: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Err(Needs { labels: true, ..Needs::default() }.unmet(KIND))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Ok(Box::new(fitted::Fitted::load(&self.scores, bytes)?))
    }
}

impl Supervised for Oal {
    fn fit_labeled(
        &self,
        train: &Labeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        context.cancel.check()?;
        train.check(KIND)?;
        let student = fit::student(&self.config, train, context)?;
        Ok(Box::new(fitted::Fitted::fit(&self.scores, student, train, context)?))
    }
}
