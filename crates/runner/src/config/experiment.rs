//! The checked form of an experiment.

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_datasets::{Preprocess, Protocol};
use oodlab_detectors::CONTROLS;
use oodlab_evaluation::comparisons::{IntervalSpec, Pair};
use oodlab_evaluation::figures::{FigureKind, FigureSpec, ProjectionSpec, Selection, View};
use oodlab_evaluation::table::TableSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control::{self, Control};
use super::encoder::EncoderSection;
use super::sweep::Sweep;
use crate::failure::at;
use crate::launch::slurm::SlurmSection;
use crate::layer_choice::LayerChoice;

/// Which encoder layers the detectors see, and how much each weighs in the per-layer scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// One experiment: a file with its overrides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// What serde cannot see: values that contradict each other, or make no sense.
///
/// # Errors
/// Names the key.
pub fn check(experiment: &Experiment) -> Result<()> {
    let Experiment { protocols, seeds, detector, features, .. } = experiment;
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
