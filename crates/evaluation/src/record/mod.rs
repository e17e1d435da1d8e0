//! Everything of an experiment that its tables, figures and report are made from, in the folder of its results.
//!
//! What a run computed is written once; tables, figures and the report are drawn from what lies here alone, by the run itself and by
//! `oodlab report DIR` at any later time.

mod error;
mod files;
mod points;
mod thumbnails;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::comparisons::{IntervalSpec, Pair};
use crate::figures::FigureSpec;
use crate::metrics::Comparison;
use crate::scores::ScoreRecords;
use crate::table::{Table, TableSpec};

pub use error::RecordError;
pub use files::FORMAT;

/// An experiment's results in plain form.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// `record.json`: names, notes, curves, provenance, and which tables and figures are wanted.
    pub about: About,
    /// `table.csv`, group means included.
    pub table: Table,
    /// `scores.parquet`.
    pub scores: ScoreRecords,
    /// `comparisons.csv`: which differences between scores are more than chance.
    pub comparisons: Vec<Comparison>,
    /// `points.parquet`: samples in two dimensions.
    pub points: Vec<PointCloud>,
    /// `thumbnails/`: small pictures of the samples that contact sheets show.
    pub thumbnails: Vec<Thumbnail>,
}

/// What is known of an experiment beside its numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Name of the experiment.
    pub experiment: String,
    /// The comment that opens its file, line by line, without the signs.
    pub heading: Vec<String>,
    /// Its file, as it was given.
    pub file: String,
    /// The command that makes it again.
    pub command: String,
    /// The whole configuration as resolved, in YAML.
    pub config: String,
    /// Program, version and commit that wrote this.
    pub program: String,
    /// What equal bits depend on: device, instruction set, libraries.
    pub numerics: String,
    /// What a reader must know beside the numbers.
    pub notes: Vec<String>,
    /// Sets that were not at hand, and how to get them.
    pub missing: BTreeMap<String, String>,
    /// Runs that failed, and why.
    pub failures: BTreeMap<String, String>,
    /// Finished runs: one a cell and seed.
    pub runs: Vec<RunAbout>,
    /// Bootstrap of every metric.
    pub intervals: IntervalSpec,
    /// Which scores are tested against each other; the standing pairs when absent.
    pub comparisons: Option<Vec<Pair>>,
    /// Which tables are wanted beside the standing one.
    pub tables: Vec<TableSpec>,
    /// Which figures are wanted; the standing ones when absent.
    pub figures: Option<Vec<FigureSpec>>,
}

/// What is known of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAbout {
    /// Key of the run: the column `run` of the table, the folder `runs/<key>`.
    pub run: String,
    /// The cell's name; empty without a sweep.
    pub cell: String,
    /// Its swept keys and values.
    pub sweep: BTreeMap<String, String>,
    /// Its seed.
    pub seed: u64,
    /// In-distribution set.
    pub id_set: String,
    /// Weights of the backbone, as `provenance.json` names them; empty where nothing is known of the network.
    pub weights: String,
    /// Detectors in the table's order.
    pub detectors: Vec<DetectorAbout>,
    /// What training left behind.
    pub curves: Vec<CurveAbout>,
    /// Sets that were read.
    pub sets: Vec<SetAbout>,
    /// Stages, with the time that each took where and when it was computed.
    pub stages: Vec<StageAbout>,
    /// Suspicious scores.
    pub warnings: Vec<String>,
}

impl RunAbout {
    /// Cell and seed, for people: `cell width=8, seed 0`.
    #[must_use]
    pub fn title(&self) -> String {
        let cell = if self.cell.is_empty() { String::new() } else { format!("cell {}, ", self.cell) };
        format!("{cell}seed {}", self.seed)
    }
}

/// A detector of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorAbout {
    /// Its name in the table.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether it stands beside the experiment's own detector for comparison.
    pub control: bool,
    /// Names of its scores, in the table's order.
    pub scores: Vec<String>,
}

/// A curve that a fit left behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveAbout {
    /// The detector.
    pub detector: String,
    /// Its name: `loss`.
    pub name: String,
    /// Name of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// (x, y), x rising; finite.
    pub points: Vec<(f64, f64)>,
}

/// A set that a run read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAbout {
    /// `train`, `id`, `native far`.
    pub role: String,
    /// Name of the set.
    pub set: String,
    /// Its split.
    pub split: String,
    /// Samples read.
    pub images: usize,
    /// Hash of their list.
    pub list: String,
    /// Key of their features.
    pub features: String,
}

/// A stage of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageAbout {
    /// What it did: `encode cifar10 test`.
    pub label: String,
    /// Its key.
    pub key: String,
    /// How it was computed: version, commit, numerics, threads, seconds.
    pub computed: BTreeMap<String, String>,
}

/// Samples of an experiment in two dimensions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PointCloud {
    /// Which view: `pca` or `tsne`.
    pub view: String,
    /// Key of the run whose features these are.
    pub run: String,
    /// Protocol.
    pub protocol: String,
    /// What the axes are: `first component, 31 % of the variance`.
    pub axes: [String; 2],
    /// Name of the set of each point.
    pub sets: Vec<String>,
    /// Whether each point is out of distribution.
    pub is_ood: Vec<bool>,
    /// Coordinates.
    pub points: Vec<[f64; 2]>,
}

/// A small picture of one sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thumbnail {
    /// Set, as in the column `set` of the scores.
    pub set: String,
    /// The sample's number within it, as in the column `index`.
    pub index: u32,
    /// The picture as PNG.
    pub png: Vec<u8>,
}
