//! The result table: one row a (cell, seed, score, protocol, OOD set), and rows for means over groups of sets.

mod arrange;
mod field;
mod frame;
mod group;
mod json;
mod latex;
mod latex_text;
mod layout;
mod markdown;
mod spec;
mod terminal;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::metrics::{Metric, Metrics, Positive};

pub use arrange::{ArrangeError, Arranged, ArrangedCell, ArrangedLine, ArrangedValue, Marks, PublishedValue, Rank};
pub(crate) use field::same_value;
pub use field::{Field, UnknownField};
pub use markdown::MarkdownOptions;
pub(crate) use markdown::escaped;
pub use spec::{Best, Choice, TableSpec, Uncertainty};

/// The columns of `table.csv` before those of the sweep, in order.
pub const COLUMNS: [&str; 23] = [
    "experiment",
    "cell",
    "seed",
    "detector",
    "score",
    "benchmark",
    "protocol",
    "id_set",
    "ood_set",
    "group",
    "n_id",
    "n_ood",
    "auroc",
    "auroc_low",
    "auroc_high",
    "aupr_in",
    "aupr_out",
    "fpr95_id",
    "fpr95_ood",
    "rule",
    "id_list",
    "ood_list",
    "run",
];

/// What stands before a swept key in its column's name.
pub const SWEEP_PREFIX: &str = "sweep.";

/// A row of the result table. Metrics are fractions 0..1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the experiment.
    pub experiment: String,
    /// The cell's sorted overrides as one string; empty without a sweep.
    pub cell: String,
    /// Seed of the run.
    pub seed: u64,
    /// Detector; a control's name.
    pub detector: String,
    /// Score of the detector; a control's name again.
    pub score: String,
    /// Benchmark.
    pub benchmark: String,
    /// Protocol: `native` or `matched`.
    pub protocol: String,
    /// In-distribution set.
    pub id_set: String,
    /// Out-of-distribution set, or `mean of N` in a row that averages a group of N sets.
    pub ood_set: String,
    /// Group of the out-of-distribution set, for example `near` or `far`.
    pub group: String,
    /// In-distribution samples; absent in a mean.
    pub n_id: Option<u64>,
    /// Out-of-distribution samples; absent in a mean.
    pub n_ood: Option<u64>,
    /// Area under the receiver operating characteristic, ties one half.
    pub auroc: f64,
    /// Lower end of its 95 % interval: DeLong's, or of the bootstrap in a mean; absent where it was not computed.
    pub auroc_low: Option<f64>,
    /// Upper end of that interval.
    pub auroc_high: Option<f64>,
    /// Area under precision and recall by trapezoids, ID positive.
    pub aupr_in: f64,
    /// Area under precision and recall by trapezoids, OOD positive.
    pub aupr_out: f64,
    /// Share of OOD accepted at 95 % of ID accepted.
    pub fpr95_id: f64,
    /// Share of ID rejected at 95 % of OOD caught.
    pub fpr95_ood: f64,
    /// Rule of the operating point, as [`crate::FprRule::name`] says it.
    pub rule: String,
    /// Hash of the in-distribution images read.
    pub id_list: String,
    /// Hash of the out-of-distribution images read; empty in a mean.
    pub ood_list: String,
    /// Key of the run.
    pub run: String,
    /// Metrics beyond the five above, where they were computed; columns of their own after `run`.
    #[serde(flatten)]
    pub more: BTreeMap<Metric, f64>,
    /// Ends of 95 % bootstrap intervals, by metric; columns `<metric>_low` and `<metric>_high` after those of `more`. AUROC is not among them: its
    /// interval is DeLong's.
    #[serde(flatten, serialize_with = "ends")]
    pub intervals: BTreeMap<Metric, [f64; 2]>,
    /// Swept keys (without `sweep.`) and this cell's values.
    pub sweep: BTreeMap<String, String>,
}

/// Metrics that are columns behind `run`, empty where they were not computed.
pub const MORE: [Metric; 7] = [
    Metric::ApIn,
    Metric::ApOut,
    Metric::DetectionError,
    Metric::Autc,
    Metric::Accuracy,
    Metric::Oscr,
    Metric::CalibrationError,
];

impl Row {
    /// Takes over metrics and rule; the names stay.
    #[must_use]
    pub fn with_metrics(mut self, metrics: &Metrics) -> Row {
        self.n_id = Some(metrics.n_id as u64);
        self.n_ood = Some(metrics.n_ood as u64);
        self.auroc = metrics.auroc;
        self.auroc_low = Some(metrics.auroc_low);
        self.auroc_high = Some(metrics.auroc_high);
        self.aupr_in = metrics.aupr_in;
        self.aupr_out = metrics.aupr_out;
        self.fpr95_id = metrics.fpr95_id;
        self.fpr95_ood = metrics.fpr95_ood;
        self.rule = metrics.rule.name().to_owned();
        self.more.extend(MORE.into_iter().filter_map(|metric| Some((metric, metrics.value(metric)?))));
        self
    }

    /// Over how many sets this row averages, or `None` for a row of one set.
    #[must_use]
    pub fn mean_of(&self) -> Option<usize> {
        self.ood_set.strip_prefix(MEAN_PREFIX)?.parse().ok()
    }

    /// A metric's value, 0..1; absent where it was not computed.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Auroc => Some(self.auroc),
            Metric::AuprIn => Some(self.aupr_in),
            Metric::AuprOut => Some(self.aupr_out),
            Metric::Fpr95Id => Some(self.fpr95_id),
            Metric::Fpr95Ood => Some(self.fpr95_ood),
            other => self.more.get(&other).copied(),
        }
    }

    /// Ends of a metric's 95 % interval: DeLong's for the AUROC, of the bootstrap for the others and for the AUROC of a mean.
    #[must_use]
    pub fn interval(&self, metric: Metric) -> Option<[f64; 2]> {
        match (metric, self.auroc_low, self.auroc_high) {
            (Metric::Auroc, Some(low), Some(high)) => Some([low, high]),
            _ => self.intervals.get(&metric).copied(),
        }
    }

    /// The FPR95 of that direction.
    #[must_use]
    pub fn fpr95(&self, positive: Positive) -> f64 {
        match positive {
            Positive::Id => self.fpr95_id,
            Positive::Ood => self.fpr95_ood,
        }
    }
}

/// `fpr95_id_low` and `fpr95_id_high`, as in the table's columns.
fn ends<S: Serializer>(intervals: &BTreeMap<Metric, [f64; 2]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        intervals
            .iter()
            .flat_map(|(metric, [low, high])| [(format!("{metric}_low"), low), (format!("{metric}_high"), high)]),
    )
}

impl Default for Row {
    /// Empty names, metrics NaN: to be filled by struct update syntax and [`Row::with_metrics`].
    fn default() -> Row {
        Row {
            experiment: String::new(),
            cell: String::new(),
            seed: 0,
            detector: String::new(),
            score: String::new(),
            benchmark: String::new(),
            protocol: String::new(),
            id_set: String::new(),
            ood_set: String::new(),
            group: String::new(),
            n_id: None,
            n_ood: None,
            auroc: f64::NAN,
            auroc_low: None,
            auroc_high: None,
            aupr_in: f64::NAN,
            aupr_out: f64::NAN,
            fpr95_id: f64::NAN,
            fpr95_ood: f64::NAN,
            rule: String::new(),
            id_list: String::new(),
            ood_list: String::new(),
            run: String::new(),
            more: BTreeMap::new(),
            intervals: BTreeMap::new(),
            sweep: BTreeMap::new(),
        }
    }
}

pub(crate) const MEAN_PREFIX: &str = "mean of ";

/// The result table of an experiment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Rows, in the order in which they were added; that order is kept everywhere.
    pub rows: Vec<Row>,
    /// Swept keys without `sweep.`, in byte order; [`Table::new`] collects them.
    pub sweep_keys: Vec<String>,
}

impl Table {
    /// A table of these rows, with a column for every key that any of them sweeps.
    #[must_use]
    pub fn new(rows: Vec<Row>) -> Table {
        let keys: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.sweep.keys()).collect();
        let sweep_keys = keys.into_iter().cloned().collect();
        Table { rows, sweep_keys }
    }
}

/// A table that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column that every table has.
    #[error("the table has no column {name:?}; found {found}")]
    MissingColumn {
        /// The column.
        name: String,
        /// The columns there are.
        found: String,
    },
    /// A column that no table has.
    #[error("the table has an unknown column {name:?}; swept keys are columns named sweep.<key>")]
    UnknownColumn {
        /// The column.
        name: String,
    },
    /// A value of the wrong kind.
    #[error("row {row}, column {column:?}: expected {expected}, found {found:?}")]
    Value {
        /// Row, counted from 1, without the header.
        row: usize,
        /// Column.
        column: String,
        /// What was expected.
        expected: &'static str,
        /// What was found; empty for an absent value.
        found: String,
    },
    /// What the JSON library said.
    #[error("cannot write the table: {0}")]
    Json(#[from] serde_json::Error),
    /// What the table library said.
    #[error("cannot read or write the table: {0}")]
    Polars(#[from] polars::error::PolarsError),
}
