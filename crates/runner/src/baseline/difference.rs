//! What makes two results incomparable: other rows, other images, other settings.

use std::collections::BTreeSet;
use std::fmt;

use oodlab_evaluation::Metric;
use serde::Serialize;

use super::RowName;

/// A difference that is no move of a metric. Each fails a check: the numbers below it are of something else.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Difference<'a> {
    /// The detectors were fitted on other images.
    TrainingImages {
        /// Hashes of their lists.
        before: &'a BTreeSet<String>,
        /// Hashes of their lists now.
        after: &'a BTreeSet<String>,
    },
    /// Finished results were made with other settings than those of the experiment file.
    Settings {
        /// Dotted key.
        key: String,
        /// Its value in the file.
        file: String,
        /// Its value in the results.
        results: String,
    },
    /// A whole cell of the sweep is not there now.
    CellMissing {
        /// Its name.
        cell: &'a str,
        /// Its rows in the baseline.
        rows: usize,
    },
    /// A cell that the baseline does not have.
    CellNew {
        /// Its name.
        cell: &'a str,
        /// Its rows now.
        rows: usize,
    },
    /// A row that is not there now.
    RowMissing {
        /// The row.
        row: RowName<'a>,
    },
    /// A row that the baseline does not have.
    RowNew {
        /// The row.
        row: RowName<'a>,
    },
    /// A row that was measured on other images.
    Images {
        /// The row.
        row: RowName<'a>,
        /// Hashes of the lists of ID and OOD images, and their numbers.
        before: ImageLists<'a>,
        /// The same now.
        after: ImageLists<'a>,
    },
    /// A metric of the baseline that is not there now.
    MetricMissing {
        /// The row.
        row: RowName<'a>,
        /// The metric.
        metric: Metric,
    },
}

/// The images of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ImageLists<'a> {
    /// Hash of the list of ID images.
    pub id_list: &'a str,
    /// Hash of the list of OOD images.
    pub ood_list: &'a str,
    /// ID images; absent in a mean.
    pub n_id: Option<u64>,
    /// OOD images; absent in a mean.
    pub n_ood: Option<u64>,
}

impl Difference<'_> {
    /// The kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Difference::TrainingImages { .. } => "training-images",
            Difference::Settings { .. } => "settings",
            Difference::CellMissing { .. } => "cell-missing",
            Difference::CellNew { .. } => "cell-new",
            Difference::RowMissing { .. } => "row-missing",
            Difference::RowNew { .. } => "row-new",
            Difference::Images { .. } => "images",
            Difference::MetricMissing { .. } => "metric-missing",
        }
    }

    /// What it is about: a row, a cell, or a setting.
    pub fn subject(&self) -> String {
        match self {
            Difference::TrainingImages { .. } => "the experiment".to_owned(),
            Difference::Settings { key, .. } => key.clone(),
            Difference::CellMissing { cell, .. } | Difference::CellNew { cell, .. } => format!("cell {cell}"),
            Difference::RowMissing { row } | Difference::RowNew { row } | Difference::Images { row, .. } => {
                row.to_string()
            }
            Difference::MetricMissing { row, metric } => format!("{row}, {metric}"),
        }
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::TrainingImages { before, after } => {
                let (before, after) = (joined(before), joined(after));
                write!(f, "other training images: lists {before} before, {after} now; are the same files at hand?")
            }
            Difference::Settings { key, file, results } => {
                write!(f, "other settings: {key} is {file} in the experiment file, {results} in the results")
            }
            Difference::CellMissing { cell, rows } => write!(f, "cell {cell}: missing now (rows: {rows})"),
            Difference::CellNew { cell, rows } => write!(f, "cell {cell}: not in the baseline (rows: {rows})"),
            Difference::RowMissing { row } => write!(f, "{row}: missing now"),
            Difference::RowNew { row } => write!(f, "{row}: not in the baseline"),
            Difference::Images { row, before, after } => {
                write!(f, "{row}: other images were read: {before} before, {after} now")
            }
            Difference::MetricMissing { row, metric } => write!(f, "{row}: {metric} is missing now"),
        }
    }
}

impl fmt::Display for ImageLists<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: Option<u64>| count.map(|count| format!("{count} ")).unwrap_or_default();
        let list = |list: &str| if list.is_empty() { "no list".to_owned() } else { format!("list {list}") };
        let (n_id, n_ood) = (counted(self.n_id), counted(self.n_ood));
        write!(f, "ID {n_id}({}), OOD {n_ood}({})", list(self.id_list), list(self.ood_list))
    }
}

fn joined(lists: &BTreeSet<String>) -> String {
    if lists.is_empty() { "none".to_owned() } else { lists.iter().cloned().collect::<Vec<_>>().join(" ") }
}
