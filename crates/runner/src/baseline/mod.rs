//! A committed baseline: what an experiment's metrics were, on which images and numerics, and how far they may move.

mod compare;
mod difference;
mod file;
mod json;
mod junit;
mod markdown;
mod report;
mod terminal;
#[cfg(test)]
mod tests;
mod tolerance;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use oodlab_evaluation::{Metric, Row, Table};
use serde::{Deserialize, Serialize};

use crate::failure::settings;
pub use compare::{Comparison, Rules, compare};
pub use difference::Difference;
pub use file::{experiment_file, find_all, read};
pub use json::Told;
pub use junit::junit;
pub use markdown::markdown;
pub use report::{Checked, State};
pub use terminal::terminal;
pub use tolerance::{Exactness, Tolerance, named};

/// The metrics that a new baseline guards unless others are asked for.
pub const STANDARD: [Metric; 5] = [Metric::Auroc, Metric::AuprIn, Metric::AuprOut, Metric::Fpr95Id, Metric::Fpr95Ood];

/// The file `results/baselines/<experiment>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The experiment's name.
    pub experiment: String,
    /// Its file, from the project's root.
    pub file: String,
    /// What equal bits depend on; see `oodlab check --help`.
    pub numerics: String,
    /// When bits must be equal.
    #[serde(default, skip_serializing_if = "Exactness::is_default")]
    pub exact: Exactness,
    /// How far a metric may move, by its name; the others by the defaults of [`Tolerance::standard`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tolerance: BTreeMap<String, Tolerance>,
    /// Hashes of the training images.
    pub train_lists: BTreeSet<String>,
    /// One entry a table row.
    pub rows: Vec<Entry>,
}

/// The metrics of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    cell: String,
    seed: u64,
    detector: String,
    score: String,
    protocol: String,
    group: String,
    ood_set: String,
    n_id: Option<u64>,
    n_ood: Option<u64>,
    id_list: String,
    ood_list: String,
    /// By name; fractions 0..1.
    metrics: BTreeMap<String, f64>,
    /// Ends of 95 % intervals, by metric; in a file only of those whose tolerance is the interval.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    intervals: BTreeMap<String, [f64; 2]>,
}

/// What tells rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RowName<'a> {
    cell: &'a str,
    seed: u64,
    detector: &'a str,
    score: &'a str,
    protocol: &'a str,
    group: &'a str,
    ood_set: &'a str,
}

impl RowName<'_> {
    /// The same row's group: what the rows of one mean share.
    fn group(mut self) -> Self {
        self.ood_set = "";
        self
    }

    /// Without protocol and group: what distinguishes rows within them.
    fn within_group(&self) -> String {
        let cell = if self.cell.is_empty() { String::new() } else { format!("{}, ", self.cell) };
        let scored = if self.detector == self.score {
            self.score.to_owned()
        } else {
            format!("{} / {}", self.detector, self.score)
        };
        format!("{cell}seed {}, {scored} on {}", self.seed, self.ood_set)
    }
}

impl fmt::Display for RowName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.within_group(), self.group, self.protocol)
    }
}

impl Baseline {
    /// What this table measured: every metric and interval that it has.
    pub fn of(
        table: &Table,
        train_lists: &BTreeSet<String>,
        experiment: &str,
        file: &str,
        numerics: String,
    ) -> Baseline {
        Baseline {
            experiment: experiment.to_owned(),
            file: file.to_owned(),
            numerics,
            exact: Exactness::default(),
            tolerance: BTreeMap::new(),
            train_lists: train_lists.clone(),
            rows: table.rows.iter().map(Entry::of).collect(),
        }
    }

    /// The metrics that any row has.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.rows.iter().flat_map(|row| row.metrics.keys().cloned()).collect()
    }

    /// What is written to the file: these metrics only, under these tolerances, with the intervals that the tolerances need.
    ///
    /// # Errors
    /// When a metric is no number, no row has one that was asked for, or an interval is missing.
    pub fn guarding(
        mut self,
        metrics: &BTreeSet<String>,
        tolerance: BTreeMap<String, Tolerance>,
        exact: Exactness,
    ) -> Result<Baseline> {
        let measured = self.metrics();
        if let Some(unknown) = metrics.iter().find(|metric| !measured.contains(*metric)) {
            let known: Vec<&str> = measured.iter().map(String::as_str).collect();
            return Err(settings(format!(
                "{}: no row has the metric {unknown}; there are: {}",
                self.experiment,
                known.join(", ")
            )));
        }
        let by_interval = |metric: &String| tolerance.get(metric) == Some(&Tolerance::Interval);
        for row in &mut self.rows {
            row.metrics.retain(|metric, _| metrics.contains(metric));
            row.intervals.retain(|metric, _| metrics.contains(metric) && by_interval(metric));
            if let Some((metric, value)) = row.metrics.iter().find(|(_, value)| !value.is_finite()) {
                anyhow::bail!("{}: {metric} is {value}: not to be guarded by a baseline", row.name());
            }
        }
        (self.tolerance, self.exact) = (tolerance, exact);
        Ok(self)
    }
}

impl Entry {
    fn of(row: &Row) -> Entry {
        let named = |metric: Metric| metric.name().to_owned();
        let metrics = Metric::ALL.into_iter().filter_map(|metric| Some((named(metric), row.value(metric)?)));
        let intervals = Metric::ALL.into_iter().filter_map(|metric| Some((named(metric), row.interval(metric)?)));
        Entry {
            cell: row.cell.clone(),
            seed: row.seed,
            detector: row.detector.clone(),
            score: row.score.clone(),
            protocol: row.protocol.clone(),
            group: row.group.clone(),
            ood_set: row.ood_set.clone(),
            n_id: row.n_id,
            n_ood: row.n_ood,
            id_list: row.id_list.clone(),
            ood_list: row.ood_list.clone(),
            metrics: metrics.collect(),
            intervals: intervals.collect(),
        }
    }

    fn name(&self) -> RowName<'_> {
        RowName {
            cell: &self.cell,
            seed: self.seed,
            detector: &self.detector,
            score: &self.score,
            protocol: &self.protocol,
            group: &self.group,
            ood_set: &self.ood_set,
        }
    }

    /// Whether it averages over a group of sets.
    fn is_mean(&self) -> bool {
        self.n_ood.is_none()
    }
}
