//! Detectors that are a few settings, a few arrays learnt from the training samples, and a formula for the score of one sample. Most post-hoc
//! detectors are: each is one file that implements [`Rule`] and one of the two ways to fit, and one line in the registry.

mod arrays;
mod detector;
mod fitted;
#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt::Debug;

use oodlab_encoders::probe::Probe;
use oodlab_features::Layer;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use arrays::Arrays;
pub(crate) use detector::{build_labeled, build_unlabeled};

use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// A detector: the type itself holds its settings, with serde's `default` and `deny_unknown_fields`.
pub(crate) trait Rule:
    Serialize + DeserializeOwned + JsonSchema + Default + Debug + Clone + Send + Sync + 'static
{
    /// [`crate::Detector::kind`], and the name of its score.
    const KIND: &'static str;
    /// [`crate::Detector::revision`].
    const REVISION: u32 = 1;
    /// Names of the settings that only scoring depends on: changing them fits nothing again.
    const SCORED_BY: &'static [&'static str] = &[];
    /// [`crate::Detector::probes_training`].
    const PROBES_TRAINING: bool = true;

    /// Refuses settings out of range.
    fn check(&self) -> Result<(), DetectorError> {
        Ok(())
    }

    /// [`crate::Detector::needs`].
    fn needs(&self) -> Needs;

    /// [`crate::Detector::probes`].
    fn probe(&self) -> Option<Probe> {
        None
    }

    /// [`crate::Detector::space`].
    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        Vec::new()
    }

    /// Refuses stored arrays that [`Rule::score`] could not read; a rule that reads none has nothing to refuse.
    fn check_arrays(&self, _arrays: &Arrays, _sizes: &Sizes) -> Result<(), String> {
        Ok(())
    }

    /// One number a sample, higher means more out-of-distribution. Everything given was checked to be finite and of the sizes fitted on.
    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError>;
}

/// A rule that sees no label.
pub(crate) trait FitsUnlabeled: Rule {
    /// Learns from training samples, which were checked; a formula alone learns nothing.
    fn fit(&self, _train: &Unlabeled<'_>, _context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        Ok(Arrays::default())
    }
}

/// A rule that learns from classes.
pub(crate) trait FitsLabeled: Rule {
    /// Learns from training samples, which were checked: every class has one at least.
    fn fit(&self, train: &Labeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError>;
}

/// The sizes of what a rule was fitted on; zero, or empty, for what it does not need.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sizes {
    /// The chosen layers.
    pub layers: Vec<Layer>,
    /// Length of the penultimate vector.
    pub penultimate: usize,
    /// Number of logits.
    pub classes: usize,
    /// Layers of what was probed; empty, too, where training samples are not.
    pub probed: Vec<Layer>,
}

impl Sizes {
    /// Columns of the chosen layers.
    pub fn width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.end)
    }

    /// Of samples, as far as a rule's needs go.
    fn of<R: Rule>(rule: &R, given: &Unlabeled<'_>) -> Result<Sizes, DetectorError> {
        let (needs, who) = (rule.needs(), R::KIND);
        let probed = needs.images && R::PROBES_TRAINING;
        Ok(Sizes {
            layers: if needs.features { given.features().layers().to_vec() } else { Vec::new() },
            penultimate: if needs.penultimate { given.penultimate(who)?.width() } else { 0 },
            classes: if needs.logits { given.logits(who)?.classes } else { 0 },
            probed: if probed { given.probed(who)?.layers().to_vec() } else { Vec::new() },
        })
    }
}

/// A setting out of range.
pub(crate) fn refuse(key: &str, found: impl std::fmt::Display, expected: &str) -> DetectorError {
    DetectorError::Config { place: format!("detector.{key}"), message: format!("found {found}, expected {expected}") }
}
