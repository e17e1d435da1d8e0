//! Which scores are taken of a student: three formulas of its class scores, and other detectors fitted on it.

use oodlab_base::text;
use serde_json::{Map, Value, json};

use super::KIND;
use crate::softmax::{log_sum_exp, softmax};
use crate::{Detector, DetectorError, Needs, ScoreSpec};

/// A formula of one sample's class scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formula {
    /// `-log Σ exp`, as published.
    Energy,
    /// Minus the largest probability.
    Msp,
    /// Minus the largest class score.
    MaxLogit,
}

impl Formula {
    const ALL: [Formula; 3] = [Formula::Energy, Formula::Msp, Formula::MaxLogit];

    fn name(self) -> &'static str {
        match self {
            Formula::Energy => "energy",
            Formula::Msp => "msp",
            Formula::MaxLogit => "max-logit",
        }
    }

    /// Higher means more out-of-distribution.
    pub fn of(self, logits: &[f32]) -> f64 {
        match self {
            Formula::Energy => -log_sum_exp(logits.iter().map(|&x| f64::from(x))),
            Formula::Msp => -softmax(logits).into_iter().fold(0.0, f64::max),
            Formula::MaxLogit => -f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        }
    }
}

/// What gives one or more scores.
#[derive(Debug)]
pub(super) enum Source {
    Formula(Formula),
    /// Another detector on the student's features, class scores and classifier.
    Detector(Box<dyn Detector>),
}

/// The scores asked for, in order.
#[derive(Debug)]
pub(super) struct Scores(pub Vec<Source>);

impl Scores {
    pub fn new(asked: &[ScoreSpec]) -> Result<Scores, DetectorError> {
        let energy = [ScoreSpec::plain(Formula::Energy.name())];
        let asked = if asked.is_empty() { &energy } else { asked };
        let scores = Scores(asked.iter().map(source).collect::<Result<_, _>>()?);
        let mut names = scores.names();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(DetectorError::ScoreTwice(pair[0].clone())),
            None => Ok(scores),
        }
    }

    /// What the detectors among them need that the student does not give: samples of the validation split.
    pub fn needs(&self) -> Needs {
        let of = |source: &Source| match source {
            Source::Formula(_) => Needs::default(),
            Source::Detector(detector) => detector.needs(),
        };
        let all = self.0.iter().map(of).fold(Needs::default(), Needs::and);
        Needs { id_validation: all.id_validation, ood_validation: all.ood_validation, ..Needs::default() }
    }

    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for source in &self.0 {
            match source {
                Source::Formula(formula) => names.push(formula.name().to_owned()),
                Source::Detector(detector) => {
                    let own = detector.score_names();
                    let kind = detector.kind();
                    let named = |name: &String| if name == kind { name.clone() } else { format!("{kind}-{name}") };
                    names.extend(own.iter().map(named));
                }
            }
        }
        names
    }

    /// As they stand in a configuration, other detectors with all their settings.
    pub fn to_value(&self) -> Value {
        let one = |source: &Source| match source {
            Source::Formula(formula) => json!(formula.name()),
            Source::Detector(detector) => {
                let mut settings = Map::new();
                for config in [detector.fit_config(), detector.score_config()] {
                    if let Value::Object(config) = config {
                        settings.extend(config);
                    }
                }
                settings.insert("revision".to_owned(), json!(detector.revision()));
                json!({ detector.kind(): settings })
            }
        };
        self.0.iter().map(one).collect()
    }
}

fn source(spec: &ScoreSpec) -> Result<Source, DetectorError> {
    let place = || format!("scores.{}", spec.name);
    if let Some(formula) = Formula::ALL.into_iter().find(|formula| formula.name() == spec.name) {
        if let Some(option) = spec.options.keys().next() {
            let message = format!("unknown option `{option}`: this score has none");
            return Err(DetectorError::Config { place: place(), message });
        }
        return Ok(Source::Formula(formula));
    }
    let known = || Formula::ALL.into_iter().map(Formula::name).chain(crate::kinds()).filter(|kind| *kind != KIND);
    if spec.name == KIND || !crate::kinds().contains(&spec.name.as_str()) {
        return Err(DetectorError::UnknownScore {
            score: spec.name.clone(),
            kind: KIND,
            hint: text::hint(&spec.name, known()),
            known: known().collect::<Vec<_>>().join(", "),
        });
    }
    let mut settings = spec.options.clone();
    let own = match settings.remove("scores") {
        Some(Value::Array(own)) => own.iter().map(ScoreSpec::parse).collect::<Result<Vec<_>, _>>()?,
        Some(other) => {
            let message = format!("found {other}, expected a list of this detector's scores");
            return Err(DetectorError::Config { place: format!("{}.scores", place()), message });
        }
        None => Vec::new(),
    };
    let detector = crate::build(&spec.name, Value::Object(settings), &own).map_err(|error| match error {
        DetectorError::Config { place, message } => {
            let inner = place.strip_prefix("detector").unwrap_or(&place);
            DetectorError::Config { place: format!("scores.{}{inner}", spec.name), message }
        }
        other => other,
    })?;
    if detector.needs().images || detector.teacher().is_some() {
        let message =
            "this detector reads images, of which the student gives none; score with it on its own".to_owned();
        return Err(DetectorError::Config { place: place(), message });
    }
    // The student has one layer.
    detector.check_layers(1)?;
    Ok(Source::Detector(detector))
}
