//! The checked form of an experiment.

use std::collections::BTreeMap;

use anyhow::Result;
use figment::error::Kind;
use figment::value::Value;
use oodlab_base::text;
use oodlab_datasets::{Preprocess, Protocol};
use oodlab_detectors::CONTROLS;
use oodlab_evaluation::comparisons::{IntervalSpec, Pair};
use oodlab_evaluation::figures::{FigureKind, FigureSpec, ProjectionSpec, Selection, View};
use oodlab_evaluation::table::TableSpec;
use serde::{Deserialize, Serialize};

use super::control::{self, Control};
use super::encoder::{EncoderSection, IMPORTED};
use super::layers::{Layer, merge};
use super::place::line_of;
use crate::failure::{Misplaced, at, settings};
use crate::launch::slurm::SlurmSection;
use crate::layer_choice::LayerChoice;

/// A grid may have so many cells.
const MOST_CELLS: usize = 100_000;

/// Which encoder layers the detectors see, and how much each weighs in the per-layer scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSection {
    /// Layers by number, counted from 1, or by name (`stage2`, `penultimate`); all taps when absent.
    #[serde(default)]
    pub layers: Option<Vec<LayerChoice>>,
    /// One weight a chosen layer; all 1 when absent.
    #[serde(default)]
    pub layer_weights: Option<Vec<f64>>,
}

/// How many images are read, in the set's order; all when absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// In-distribution training images.
    #[serde(default)]
    pub train: Option<usize>,
    /// In-distribution test images.
    #[serde(default)]
    pub id_test: Option<usize>,
    /// Images of each out-of-distribution set.
    #[serde(default)]
    pub ood: Option<usize>,
}

/// Values to run in every combination.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Dotted key to the values that it takes.
    #[serde(default)]
    pub grid: BTreeMap<String, Vec<serde_json::Value>>,
}

/// One experiment: a file with its overrides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name of a file in `datasets/benchmarks/`.
    pub benchmark: String,
    /// Protocols to run; both when absent.
    #[serde(default = "both_protocols")]
    pub protocols: Vec<Protocol>,
    /// The frozen network, or features that were imported.
    pub encoder: EncoderSection,
    /// What happens to pictures before the network sees them; squashed by Pillow's bilinear filter when absent.
    #[serde(default)]
    pub preprocess: Preprocess,
    /// The layers that detectors see.
    #[serde(default)]
    pub features: FeatureSection,
    /// `kind` and that detector's own settings.
    pub detector: serde_json::Map<String, serde_json::Value>,
    /// The detector's scores, in the table's order; all of its scores when absent.
    #[serde(default)]
    pub scores: Vec<serde_json::Value>,
    /// Detectors that stand beside it in every table, by kind or as sections of their own; `mean-distance` always does.
    #[serde(default = "standing_controls")]
    pub controls: Vec<Control>,
    /// One run each.
    #[serde(default = "seed_zero")]
    pub seeds: Vec<u64>,
    /// Shortens the sets.
    #[serde(default)]
    pub limit: Limit,
    /// Cells to run.
    #[serde(default)]
    pub sweep: Sweep,
    /// Bootstrap intervals of every metric.
    #[serde(default)]
    pub intervals: IntervalSpec,
    /// Pairs of scores to test against each other; every score of the detector against every control when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparisons: Option<Vec<Pair>>,
    /// Tables beside the standing one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSpec>,
    /// Figures to draw; the standing ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Vec<FigureSpec>>,
    /// What tasks ask a Slurm cluster for (`--launcher slurm`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<SlurmSection>,
}

impl Experiment {
    /// With the defaults of detector and resolution filled in.
    pub fn resolved(&self) -> Result<Experiment> {
        let detector = crate::plan::detector(self)?;
        let mut section = serde_json::Map::new();
        section.insert("kind".into(), detector.kind().into());
        section.extend(self.detector.get("name").map(|name| ("name".to_owned(), name.clone())));
        for config in [detector.fit_config(), detector.score_config()] {
            if let serde_json::Value::Object(map) = config {
                // The scores have a section of their own, layer weights stand under `features`; nothing is no setting.
                let apart = ["scores", "summed", "layer_weights"];
                let own = map.into_iter().filter(|(key, value)| !apart.contains(&key.as_str()) && !value.is_null());
                section.extend(own);
            }
        }
        if let Some(weights) = self.detector.get("layer_weights") {
            section.insert("layer_weights".into(), weights.clone());
        }
        let mut encoder = self.encoder.clone();
        if let EncoderSection::Network(config) = &mut encoder
            && let Ok(resolution) = config.side()
        {
            config.resolution = Some(resolution);
        }
        Ok(Experiment { encoder, detector: section, ..self.clone() })
    }
}

fn both_protocols() -> Vec<Protocol> {
    vec![Protocol::Native, Protocol::Matched]
}

fn standing_controls() -> Vec<Control> {
    CONTROLS.iter().copied().map(Control::kind).collect()
}

fn seed_zero() -> Vec<u64> {
    vec![0]
}

/// Merges the layers and reads the experiment, or says what is wrong, in which file and line.
pub fn extract(layers: &[Layer]) -> Result<Experiment> {
    let merged = merge(layers);
    for section in ["encoder", "preprocess", "features", "detector", "limit", "sweep", "intervals", "slurm"] {
        let found = match merged.find_value(section) {
            Err(_) | Ok(Value::Dict(..)) => continue,
            Ok(Value::Empty(..)) => "nothing; leave the section out",
            Ok(Value::Array(..)) => "a list",
            Ok(_) => "a single value",
        };
        return Err(locate(layers, at(section, &format!("expected keys with values, found {found}"))));
    }
    let experiment: Experiment = merged.extract().map_err(|error| explain(&error, layers))?;
    check(&experiment).map_err(|error| locate(layers, error))?;
    Ok(experiment)
}

fn check(experiment: &Experiment) -> Result<()> {
    let Experiment { protocols, seeds, detector, features, sweep, .. } = experiment;
    for (what, empty) in [("protocols", protocols.is_empty()), ("seeds", seeds.is_empty())] {
        if empty {
            return Err(at(what, "expected at least one"));
        }
    }
    let twice = |what: &str, names: Vec<String>| {
        let again = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        again.map_or(Ok(()), |(_, name)| Err(at(what, &format!("{name} is given twice"))))
    };
    twice("protocols", protocols.iter().map(|p| p.name().to_owned()).collect())?;
    twice("seeds", seeds.iter().map(u64::to_string).collect())?;
    for (place, control) in experiment.controls.iter().enumerate() {
        control.parts().map_err(|what| at(&format!("controls.{place}"), &what))?;
    }
    twice("controls", experiment.controls.iter().map(Control::name).collect())?;
    check_output(experiment)?;
    if let Some((key, what)) = experiment.slurm.as_ref().and_then(|section| section.check().err()) {
        return Err(at(&format!("slurm.{key}"), &what));
    }
    if let Err((key, what)) = experiment.preprocess.check() {
        return Err(at(&format!("preprocess.{key}"), &what));
    }
    if matches!(experiment.encoder, EncoderSection::Imported { .. }) && experiment.preprocess != Preprocess::default() {
        return Err(at(
            "preprocess",
            "imported features are what their own program made of the pictures; leave it out",
        ));
    }
    control::parts(detector).map_err(|what| at("detector", &what))?;
    let Limit { train, id_test, ood } = experiment.limit;
    for (what, limit) in [("train", train), ("id_test", id_test), ("ood", ood)] {
        if limit == Some(0) {
            return Err(at(&format!("limit.{what}"), "expected at least one image; leave it out to read all"));
        }
    }
    if let (Some(layers), Some(weights)) = (&features.layers, &features.layer_weights)
        && layers.len() != weights.len()
    {
        let (weights, layers) = (weights.len(), layers.len());
        return Err(at("features.layer_weights", &format!("{weights} weights for {layers} layers")));
    }
    let cells = sweep.grid.values().try_fold(1usize, |cells, values| cells.checked_mul(values.len().max(1)));
    if cells.is_none_or(|cells| cells > MOST_CELLS) {
        return Err(at("sweep.grid", &format!("more than {MOST_CELLS} combinations; sweep fewer keys at once")));
    }
    for (key, values) in &sweep.grid {
        let place = format!("sweep.grid.{key}");
        if values.is_empty() {
            return Err(at(&place, "expected at least one value"));
        }
        twice(&place, values.iter().map(ToString::to_string).collect())?;
    }
    Ok(())
}

/// What is made of the scores: intervals, comparisons, tables and figures.
fn check_output(experiment: &Experiment) -> Result<()> {
    let Experiment { intervals, tables, figures, .. } = experiment;
    intervals.check().map_err(|what| at("intervals.replicates", &what))?;
    for (place, table) in tables.iter().enumerate() {
        table.check().map_err(|what| at(&format!("tables.{place}"), &what))?;
    }
    for (place, figure) in figures.iter().flatten().enumerate() {
        figure.check().map_err(|what| at(&format!("figures.{place}"), &what))?;
    }
    check_projections(figures.as_deref().unwrap_or_default())
}

/// A run keeps one set of points a view: two figures cannot ask for different ones.
fn check_projections(figures: &[FigureSpec]) -> Result<()> {
    let mut known: BTreeMap<View, (&ProjectionSpec, &Selection)> = BTreeMap::new();
    for (place, figure) in figures.iter().enumerate() {
        let FigureKind::Projection(wanted) = &figure.kind else { continue };
        let (first, of) = *known.entry(wanted.view).or_insert((wanted, &figure.selection));
        if first != wanted || (&of.set, &of.group) != (&figure.selection.set, &figure.selection.group) {
            let view = wanted.view.name();
            return Err(at(
                &format!("figures.{place}"),
                &format!("a second projection by {view} with other settings or sets: one a view is kept"),
            ));
        }
    }
    Ok(())
}

/// Adds file and line to an error of one of the values; any other passes.
pub fn locate(layers: &[Layer], error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Misplaced>() {
        Ok(Misplaced { key, message }) => at_place(layers, None, &key.split('.').collect::<Vec<_>>(), &message),
        Err(other) => other,
    }
}

/// Turns figment's error into one that names the place and, for an unknown key, the nearest known one.
fn explain(error: &figment::Error, layers: &[Layer]) -> anyhow::Error {
    let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
    let mut path: Vec<&str> = error.path.iter().map(String::as_str).collect();
    let message = match &error.kind {
        Kind::UnknownField(field, known) => {
            if path.last() != Some(&field.as_str()) {
                path.push(field);
            }
            // The section of a network knows nothing of the other kind of section.
            let other = (path.first() == Some(&"encoder")).then_some(IMPORTED);
            unknown_key(field, known.iter().copied().chain(other))
        }
        Kind::MissingField(field) => format!("key {field:?} is missing"),
        Kind::UnknownVariant(found, known) => format!("unknown value {found:?}: expected one of {}", known.join(", ")),
        Kind::InvalidType(found, expected) => format!("found {found}, expected {expected}"),
        other => other.to_string(),
    };
    at_place(layers, origin.as_deref(), &path, &message)
}

/// `unknown key "strat"; did you mean "start"? known keys: ..`
pub fn unknown_key<'a>(field: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = text::hint(field, known.clone());
    format!("unknown key {field:?}{hint} (known: {})", known.collect::<Vec<_>>().join(", "))
}

/// A settings error with its place: `file:line: key: message`.
pub fn at_place(layers: &[Layer], origin: Option<&str>, path: &[&str], message: &str) -> anyhow::Error {
    // Positions within a list are not keys: the list itself is looked for.
    let keys: Vec<&str> = path.iter().copied().take_while(|part| part.parse::<usize>().is_err()).collect();
    // An unknown key has no value of its own to remember its origin: look for it, the latest layer first.
    let holds = |layer: &&Layer| {
        let mut dict = Some(&layer.values);
        for part in &keys {
            let Some(value) = dict.and_then(|d| d.get(*part)) else { return false };
            dict = value.as_dict();
        }
        !keys.is_empty()
    };
    let named = origin.and_then(|origin| layers.iter().rev().find(|layer| layer.origin == origin));
    let file = layers.iter().rev().find(|layer| layer.text.is_some());
    let layer = layers.iter().rev().find(holds).or(named).or(file);
    let place = match layer {
        Some(Layer { origin, text: Some(text), .. }) => {
            line_of(text, &keys).map_or_else(|| origin.clone(), |line| format!("{origin}:{line}"))
        }
        Some(layer) => layer.origin.clone(),
        None => layers.first().map(|layer| layer.origin.clone()).unwrap_or_default(),
    };
    let key = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
    settings(format!("{place}: {key}{message}"))
}
