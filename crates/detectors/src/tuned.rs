//! `tune:`: a detector whose settings are chosen by how well it separates the benchmark's validation samples, as OpenOOD's automatic parameter
//! search: every combination is fitted, and the one with the highest mean AUROC over the out-of-distribution validation sets is taken, of
//! equal ones the first. Neither a test sample nor a set of the table is looked at.

mod fitted;
mod grid;
#[cfg(test)]
mod tests;

use oodlab_encoders::EncoderConfig;
use oodlab_encoders::probe::Probe;
use schemars::json_schema;
use serde_json::{Map, Value};

use crate::{
    Detector, DetectorError, FitContext, FittedDetector, Labeled, Needs, ScoreSpec, Supervised, Unlabeled, section,
};
use fitted::{Choice, Fitted};
use grid::Grid;

/// The key of a detector's section.
pub(crate) const KEY: &str = "tune";

/// How one kind is built.
type Builder = fn(Value, &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError>;

/// A detector with settings to choose.
#[derive(Debug)]
struct Tuned {
    /// With the settings as they stand.
    base: Box<dyn Detector>,
    grid: Grid,
    candidates: Vec<Candidate>,
    /// All that the candidates read off the network, each once.
    probes: Vec<Probe>,
}

/// One combination of settings.
#[derive(Debug)]
struct Candidate {
    settings: Map<String, Value>,
    detector: Box<dyn Detector>,
    /// Which of the probes it reads; 0 where it reads none.
    probe: usize,
}

/// Takes `tune` out of a section: none where there is none, or it is false.
pub(crate) fn split(config: Value) -> Result<(Value, Option<Value>), DetectorError> {
    let Value::Object(mut config) = config else { return Ok((config, None)) };
    let tune = config.remove(KEY);
    Ok((Value::Object(config), tune.filter(|tune| !matches!(tune, Value::Null | Value::Bool(false)))))
}

/// A detector that chooses its settings.
pub(crate) fn build(
    builder: Builder,
    config: Value,
    tune: Value,
    scores: &[ScoreSpec],
) -> Result<Box<dyn Detector>, DetectorError> {
    let base = builder(config.clone(), scores)?;
    let config = section::map("detector", config)?;
    let grid = Grid::new(base.as_ref(), tune)?;
    let (mut candidates, mut probes) = (Vec::new(), Vec::new());
    for settings in grid.combinations() {
        let mut with = config.clone();
        with.extend(settings.clone());
        let detector = builder(Value::Object(with), scores)?;
        if detector.teacher() != base.teacher() {
            return Err(grid::refuse("the teacher cannot be tuned; use a sweep"));
        }
        let probe = detector.probes().into_iter().next().map_or(0, |probe| place_of(probe, &mut probes));
        candidates.push(Candidate { settings, detector, probe });
    }
    Ok(Box::new(Tuned { base, grid, candidates, probes }))
}

/// Where a probe stands in the list, at its end where it was not in it.
fn place_of(probe: Probe, probes: &mut Vec<Probe>) -> usize {
    probes.iter().position(|known| *known == probe).unwrap_or_else(|| {
        probes.push(probe);
        probes.len() - 1
    })
}

/// The schema of `tune`.
pub(crate) fn schema() -> Value {
    let description = "Choose settings by the benchmark's validation split: true for the detector's own values, or a list of values for each \
                       setting. The combination with the highest mean AUROC over the out-of-distribution validation sets is taken.";
    json_schema!({
        "description": description,
        "anyOf": [
            {"type": "boolean"},
            {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}}
        ]
    })
    .to_value()
}

impl Tuned {
    fn choose(
        &self,
        mut fit: impl FnMut(&Candidate, &mut FitContext<'_>) -> Result<Box<dyn FittedDetector>, DetectorError>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let choice = Choice::make(self, &mut fit, context)?;
        Ok(Box::new(Fitted::new(self, choice)?))
    }
}

impl Detector for Tuned {
    fn kind(&self) -> &'static str {
        self.base.kind()
    }

    fn needs(&self) -> Needs {
        let own = Needs { id_validation: true, ood_validation: true, ..Needs::default() };
        self.candidates.iter().map(|candidate| candidate.detector.needs()).fold(own, Needs::and)
    }

    fn revision(&self) -> u32 {
        self.base.revision()
    }

    fn fit_config(&self) -> Value {
        let mut all = Map::new();
        // The choice depends on what scoring depends on, too.
        for config in [self.base.fit_config(), self.base.score_config()] {
            if let Value::Object(config) = config {
                all.extend(config);
            }
        }
        all.insert(KEY.to_owned(), self.grid.to_value());
        Value::Object(all)
    }

    fn score_config(&self) -> Value {
        Value::Object(Map::new())
    }

    fn score_names(&self) -> Vec<String> {
        self.base.score_names()
    }

    fn check_layers(&self, layers: usize) -> Result<(), DetectorError> {
        self.candidates.iter().try_for_each(|candidate| candidate.detector.check_layers(layers))
    }

    fn check_compute(&self, compute: &oodlab_diffusion::Compute) -> Result<(), DetectorError> {
        self.base.check_compute(compute)
    }

    fn probes(&self) -> Vec<Probe> {
        self.probes.clone()
    }

    fn probes_training(&self) -> bool {
        self.base.probes_training()
    }

    fn teacher(&self) -> Option<EncoderConfig> {
        self.base.teacher()
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        self.base.space()
    }

    fn supervised(&self) -> Option<&dyn Supervised> {
        self.base.supervised().map(|_| self as &dyn Supervised)
    }

    fn fit(
        &self,
        train: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let fit = |candidate: &Candidate, context: &mut FitContext<'_>| {
            candidate.detector.fit(&train.through_probe(candidate.probe), context)
        };
        self.choose(fit, context)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        Ok(Box::new(Fitted::load(self, bytes)?))
    }
}

impl Supervised for Tuned {
    fn fit_labeled(
        &self,
        train: &Labeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let fit = |candidate: &Candidate, context: &mut FitContext<'_>| {
            let given = train.given.through_probe(candidate.probe);
            match candidate.detector.supervised() {
                Some(supervised) => supervised.fit_labeled(&Labeled { given, ..*train }, context),
                None => candidate.detector.fit(&given, context),
            }
        };
        self.choose(fit, context)
    }
}
