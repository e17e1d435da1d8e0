//! What all detectors that score a reconstruction share: they differ in what they train, and in nothing that a configuration asks.

use std::fmt::Debug;

use serde_json::{Map, Value};

use crate::reconstruction_score::{self, ReconstructionScore};
use crate::{Detector, DetectorError, FitContext, FittedDetector, Needs, Unlabeled};

/// A detector whose scores are [`ReconstructionScore`]s: it needs features alone.
pub(crate) trait Reconstructor: Send + Sync + Debug {
    /// [`Detector::kind`].
    const KIND: &'static str;
    /// [`Detector::revision`].
    const REVISION: u32;

    /// [`Detector::fit_config`].
    fn trained_by(&self) -> Value;

    /// What scoring alone depends on, beside the names of the scores.
    fn scored_by(&self) -> Map<String, Value> {
        Map::new()
    }

    /// The scores asked for.
    fn scores(&self) -> &[ReconstructionScore];

    /// [`Detector::fit`]; the number of layers was checked.
    fn train(
        &self,
        given: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError>;

    /// [`Detector::load`].
    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError>;
}

impl<R: Reconstructor> Detector for R {
    fn kind(&self) -> &'static str {
        R::KIND
    }

    fn needs(&self) -> Needs {
        Needs { features: true, ..Needs::default() }
    }

    fn revision(&self) -> u32 {
        R::REVISION
    }

    fn fit_config(&self) -> Value {
        self.trained_by()
    }

    fn score_config(&self) -> Value {
        let mut config = self.scored_by();
        config.insert("scores".into(), self.score_names().into());
        config.into()
    }

    fn score_names(&self) -> Vec<String> {
        reconstruction_score::names(self.scores())
    }

    fn check_layers(&self, layers: usize) -> Result<(), DetectorError> {
        reconstruction_score::check_layers(self.scores(), layers)
    }

    fn fit(
        &self,
        given: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        self.check_layers(given.features().layers().len())?;
        self.train(given, context)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        self.restore(bytes)
    }
}
