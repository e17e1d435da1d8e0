//! The scores of a reconstruction: what they are called, what they are asked for with, and how they follow from the evidence.

use std::collections::BTreeSet;

use oodlab_base::text;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::KIND;
use crate::{DetectorError, ScoreSpec, section};

/// What is compared between a sample and its reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Squared error, mean over the elements: the paper's MSE.
    MeanSquares,
    /// Squared error, sum over the elements: the released code's MSE; the same ranking.
    SumSquares,
    /// (Weighted) mean over the layers of each layer's mean squared error: wide layers do not outweigh narrow ones.
    LayerMeanSquares,
    /// Minus the (weighted) mean over the layers of each layer's cosine: MFsim.
    Cosine,
}

/// The layers that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// All but the first, as the released code's MFsim.
    SkipFirst,
    /// One, counted from 1.
    One(usize),
}

/// Which reconstruction is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The end of the trajectory.
    End,
    /// What the network predicted for the clean sample at this step of the trajectory.
    Step(u32),
}

/// One number about a sample; higher is more out-of-distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// What is compared.
    pub measure: Measure,
    /// Over which layers.
    pub reach: Reach,
    /// Of which reconstruction.
    pub moment: Moment,
    /// Likelihood regret: the first-epoch model's number minus the last model's, under the same noise. The sign is the released code's;
    /// the paper's text argues for the other.
    pub regret: bool,
}

/// A column of scores.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// One number.
    Term(Term),
    /// The weighted sum of numbers, each z-scored by its mean and deviation over in-distribution training samples.
    Sum {
        /// Name in tables.
        name: String,
        /// Numbers and their weights.
        terms: Vec<(Term, f64)>,
    },
}

const NAMES: [&str; 4] = ["mse", "likelihood_regret", "mfsim", "zsum"];
const KNOWN: &str = "mse, likelihood_regret, mfsim, {mfsim: {skip_first: true}}, {mse: {reduce: sum}}, {mse: {layers: [1, 2]}}, \
                     {mfsim: {steps: all}}, {zsum: {of: [mse, mfsim], weights: [1, 2]}}";
/// A trajectory has at most so many steps that scores can be asked of: the schedule's.
const MOST_COLUMNS: usize = 1000;

const PLAIN: Term = Term { measure: Measure::MeanSquares, reach: Reach::All, moment: Moment::End, regret: false };
const REGRET: Term = Term { regret: true, ..PLAIN };
const MFSIM: Term = Term { measure: Measure::Cosine, ..PLAIN };

/// What is scored when nothing is asked for.
pub(super) fn standard() -> Vec<Score> {
    [PLAIN, REGRET, MFSIM, Term { reach: Reach::SkipFirst, ..MFSIM }].map(Score::Term).to_vec()
}

/// Options of `mse`, `mfsim` and `likelihood_regret`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Options {
    skip_first: bool,
    reduce: Option<Reduce>,
    of: Option<Of>,
    layer: Option<usize>,
    layers: Option<Vec<usize>>,
    step: Option<u32>,
    steps: Option<Steps>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Reduce {
    Mean,
    Sum,
    Layer,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Of {
    Mse,
    Mfsim,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Steps {
    List(Vec<u32>),
    Word(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SumOptions {
    of: Vec<Value>,
    weights: Option<Vec<f64>>,
    name: Option<String>,
}

/// Reads what is asked for; one entry with lists of layers or steps is a column for each. `visited`: the steps at which the network is
/// asked, none where that differs between samples.
///
/// # Errors
/// When a name, an option or a step is unknown, or a column comes twice.
pub(super) fn parse(specs: &[ScoreSpec], visited: Option<&[u32]>) -> Result<Vec<Score>, DetectorError> {
    let mut found = Vec::new();
    for spec in specs {
        match spec.name.as_str() {
            "zsum" => found.push(sum(&spec.options, visited)?),
            _ => found.extend(terms(spec, visited)?.into_iter().map(Score::Term)),
        }
    }
    if found.is_empty() {
        found = standard();
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = found.iter().map(Score::name).find(|name| !names.insert(name.clone())) {
        return Err(DetectorError::ScoreTwice(twice));
    }
    Ok(found)
}

fn refuse(place: &str, message: String) -> DetectorError {
    DetectorError::Config { place: place.to_owned(), message }
}

fn terms(spec: &ScoreSpec, visited: Option<&[u32]>) -> Result<Vec<Term>, DetectorError> {
    let place = format!("scores.{}", spec.name);
    let (start, known): (Term, &[&str]) = match spec.name.as_str() {
        "mse" => (PLAIN, &["skip_first", "reduce", "layer", "layers", "step", "steps"]),
        "likelihood_regret" => (REGRET, &["skip_first", "of", "layer", "layers", "step", "steps"]),
        "mfsim" => (MFSIM, &["skip_first", "layer", "layers", "step", "steps"]),
        other => {
            let hint = text::hint(other, NAMES);
            return Err(DetectorError::UnknownScore { score: other.to_owned(), kind: KIND, hint, known: KNOWN.into() });
        }
    };
    section::known_keys(&place, &spec.options, known)?;
    let options: Options = section::read(&place, Some(Value::Object(spec.options.clone())))?;
    let measure = match (options.reduce, options.of) {
        (Some(Reduce::Sum), _) => Measure::SumSquares,
        (Some(Reduce::Layer), _) => Measure::LayerMeanSquares,
        (_, Some(Of::Mfsim)) => Measure::Cosine,
        _ => start.measure,
    };
    let reaches = match (options.skip_first, options.layer, options.layers) {
        (true, None, None) => vec![Reach::SkipFirst],
        (false, Some(layer), None) => vec![Reach::One(layer)],
        (false, None, Some(layers)) if !layers.is_empty() => layers.into_iter().map(Reach::One).collect(),
        (false, None, None) => vec![Reach::All],
        _ => {
            let message = "expected one of `skip_first: true`, `layer: 2` and `layers: [1, 2]`".to_owned();
            return Err(refuse(&place, message));
        }
    };
    if reaches.contains(&Reach::One(0)) {
        return Err(refuse(&place, "found layer 0, but layers are counted from 1".to_owned()));
    }
    let moments = moments(&place, options.step, options.steps, visited)?;
    if reaches.len().saturating_mul(moments.len()) > MOST_COLUMNS {
        return Err(refuse(&place, format!("more than {MOST_COLUMNS} columns")));
    }
    let with = |reach: &Reach, moment: &Moment| Term { measure, reach: *reach, moment: *moment, ..start };
    Ok(reaches.iter().flat_map(|reach| moments.iter().map(move |moment| with(reach, moment))).collect())
}

fn moments(
    place: &str,
    step: Option<u32>,
    steps: Option<Steps>,
    visited: Option<&[u32]>,
) -> Result<Vec<Moment>, DetectorError> {
    let asked = match (step, steps) {
        (None, None) => return Ok(vec![Moment::End]),
        (Some(step), None) => vec![step],
        (None, Some(Steps::List(steps))) if !steps.is_empty() => steps,
        (None, Some(Steps::Word(word))) if word == "all" => visited.unwrap_or_default().to_vec(),
        _ => return Err(refuse(place, "expected `step: 2`, `steps: [3, 2, 1]` or `steps: all`".to_owned())),
    };
    let Some(visited) = visited else {
        let message =
            "single steps cannot be scored where samples visit different ones (a random stride, several levels)";
        return Err(refuse(place, message.to_owned()));
    };
    if let Some(other) = asked.iter().find(|step| !visited.contains(step)) {
        return Err(refuse(place, format!("the network is not asked at step {other}; it is at {visited:?}")));
    }
    Ok(asked.into_iter().map(Moment::Step).collect())
}

fn sum(options: &Map<String, Value>, visited: Option<&[u32]>) -> Result<Score, DetectorError> {
    let place = "scores.zsum";
    section::known_keys(place, options, &["of", "weights", "name"])?;
    let SumOptions { of, weights, name } = section::read(place, Some(Value::Object(options.clone())))?;
    let mut parts = Vec::new();
    for value in &of {
        parts.extend(terms(&ScoreSpec::parse(value)?, visited)?);
    }
    let weights = weights.unwrap_or_else(|| vec![1.0; parts.len()]);
    if parts.is_empty() || weights.len() != parts.len() {
        let message = format!(
            "{} scores and {} weights, expected at least one score and one weight each",
            parts.len(),
            weights.len()
        );
        return Err(refuse(place, message));
    }
    if !weights.iter().all(|weight| weight.is_finite()) {
        return Err(refuse(place, format!("weights are {weights:?}, expected finite numbers")));
    }
    let name = name.unwrap_or_else(|| {
        let names: Vec<String> = parts.iter().map(|term| term.name()).collect();
        format!("zsum-{}", names.join("+"))
    });
    // A score's name is part of the names of files.
    if !text::is_plain_name(&name) {
        let message = format!(
            "the score is called {name:?}; give it a `name` of 1 to {} letters, digits, `-`, `_`, `.`, `+` and `=`",
            text::LONGEST_NAME
        );
        return Err(refuse(place, message));
    }
    Ok(Score::Sum { name, terms: parts.into_iter().zip(weights).collect() })
}

impl Term {
    /// Name in tables: `mse`, `mfsim-skip-first`, `mse-layer2`, `mfsim-t3`.
    #[must_use]
    pub fn name(&self) -> String {
        let measure = match (self.measure, self.regret) {
            (Measure::MeanSquares, false) => "mse",
            (Measure::SumSquares, false) => "mse-sum",
            (Measure::LayerMeanSquares, false) => "mse-by-layer",
            (Measure::Cosine, false) => "mfsim",
            (Measure::Cosine, true) => "likelihood_regret-mfsim",
            (_, true) => "likelihood_regret",
        };
        let reach = match self.reach {
            Reach::All => String::new(),
            Reach::SkipFirst => "-skip-first".to_owned(),
            Reach::One(layer) => format!("-layer{layer}"),
        };
        let moment = match self.moment {
            Moment::End => String::new(),
            Moment::Step(t) => format!("-t{t}"),
        };
        format!("{measure}{reach}{moment}")
    }
}

impl Score {
    /// Name in tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Score::Term(term) => term.name(),
            Score::Sum { name, .. } => name.clone(),
        }
    }

    /// What a sum is made of, for the key of the scores: names and weights.
    pub(super) fn summed(&self) -> Option<Value> {
        match self {
            Score::Term(_) => None,
            Score::Sum { name, terms } => {
                let parts: Vec<Value> = terms.iter().map(|(term, weight)| json!([term.name(), weight])).collect();
                Some(json!({ "name": name, "of": parts }))
            }
        }
    }

    /// The numbers that it is made of.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let (one, many) = match self {
            Score::Term(term) => (Some(term), [].as_slice()),
            Score::Sum { terms, .. } => (None, terms.as_slice()),
        };
        one.into_iter().chain(many.iter().map(|(term, _)| term))
    }
}
