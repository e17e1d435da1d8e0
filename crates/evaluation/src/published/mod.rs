//! Numbers that papers and leaderboards printed, to be held against ours.
//!
//! They lie in `datasets/published/`, one file a printed table, with their source, setting, convention and known doubts; all are compiled
//! in. Fractions 0..1 here, percent in the files, as printed.

mod cell;
mod compare;
mod file;
mod library;
mod setting;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::Metric;
use crate::table::Choice;

pub(crate) use compare::Compared;
pub use file::{Block, Convention, Method, PublishedTable, Setting, Source};
pub use library::Library;

/// Which published table stands beside ours, and how its names match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedChoice {
    /// Name of a file in `datasets/published/`, without `.yaml`.
    pub table: String,
    /// Its method for a score of ours (`mfsim: MFsim`, or `dlsr / mfsim: MFsim`), where it is not the one that the file names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub methods: BTreeMap<String, String>,
    /// Its set for a set of ours, where the names differ: `textures-openood: textures`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, String>,
    /// Methods of the source that stand as lines of their own, with their published numbers alone: `[MSP, EBO]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// What else differs from its setting, in words, for below the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
}

impl PublishedChoice {
    /// Refuses what no data could satisfy.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.table.is_empty() {
            return Err("table: expected the name of a published table, found none".to_owned());
        }
        Ok(())
    }
}

/// One published number.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Name of the method in the source.
    pub method: String,
    /// In-distribution set.
    pub id_set: String,
    /// Out-of-distribution set by our name; `mean`, `mean (near)`, or `id` for a metric of the in-distribution set alone.
    pub set: String,
    /// The metric.
    pub metric: Metric,
    /// Its value, 0..1.
    pub value: f64,
    /// The deviation printed with it, a fraction.
    pub deviation: Option<f64>,
    /// Whether it is known from memory rather than from the source.
    pub recalled: bool,
    /// Settings for which it holds, by the path of the experiment file, each with the values that mean the same: `detector.network.width: 720`.
    pub sweep: BTreeMap<String, Choice>,
    /// The sets that it is the mean over, by our names, where it is one and they are said.
    pub means_over: Vec<String>,
}

/// Published numbers that cannot be read or matched.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// A table that is not there.
    #[error("there is no published table {name:?}; there are {known}{hint}")]
    Unknown {
        /// Its name.
        name: String,
        /// The tables there are.
        known: String,
        /// The one that was perhaps meant.
        hint: String,
    },
    /// A file that is not of the form.
    #[error("{name}.yaml: {source}")]
    Yaml {
        /// Name of the table.
        name: String,
        /// What the parser said, with the line.
        source: serde_yaml::Error,
    },
    /// A cell that cannot be read.
    #[error("{name}.yaml, {method}, {set}: expected {expected} such as 98.9, 98.9±0.1 or -, found {found:?}")]
    Cell {
        /// Name of the table.
        name: String,
        /// Row.
        method: String,
        /// Column.
        set: String,
        /// How many numbers were expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A method that the table does not have.
    #[error("{table} has no method {found:?}; it has {known}{hint}")]
    NoMethod {
        /// Name of the table.
        table: String,
        /// The method asked for.
        found: String,
        /// Its methods.
        known: String,
        /// The one that was perhaps meant.
        hint: String,
    },
    /// Not one number that stands beside one of ours.
    #[error(
        "{table} has no number for any cell of this table: it holds {holds}; match its names by methods: and sets:"
    )]
    NothingMatches {
        /// Name of the table.
        table: String,
        /// Its methods, sets and metrics.
        holds: String,
    },
}
