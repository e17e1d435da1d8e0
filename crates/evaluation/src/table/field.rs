//! What tells rows of the table apart, and what an experiment file may put in rows, columns and conditions of a table.

use std::fmt;
use std::str::FromStr;

use oodlab_base::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Row, SWEEP_PREFIX};

/// A property of a row of the result table, by the name that experiment files give it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Field {
    /// Name of the experiment.
    Experiment,
    /// Benchmark.
    Benchmark,
    /// In-distribution set.
    IdSet,
    /// `native` or `matched`.
    Protocol,
    /// `near`, `far`.
    Group,
    /// Out-of-distribution set; `mean` for the mean over a group.
    Set,
    /// Detector.
    Detector,
    /// Score of the detector.
    Score,
    /// A swept key, without `sweep.`.
    Sweep(String),
    /// Name of a sweep's cell.
    Cell,
    /// Seed.
    Seed,
    /// Which metric: those of `values`, one a row or column instead of all in one cell.
    Metric,
}

/// The value of [`Field::Set`] in rows that average over a group.
pub(super) const MEAN: &str = "mean";

impl Field {
    /// Every field with a fixed name.
    const NAMED: [Field; 11] = [
        Field::Experiment,
        Field::Benchmark,
        Field::IdSet,
        Field::Protocol,
        Field::Group,
        Field::Set,
        Field::Detector,
        Field::Score,
        Field::Cell,
        Field::Seed,
        Field::Metric,
    ];

    /// Its name in experiment files.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Field::Experiment => "experiment".to_owned(),
            Field::Benchmark => "benchmark".to_owned(),
            Field::IdSet => "id_set".to_owned(),
            Field::Protocol => "protocol".to_owned(),
            Field::Group => "group".to_owned(),
            Field::Set => "set".to_owned(),
            Field::Detector => "detector".to_owned(),
            Field::Score => "score".to_owned(),
            Field::Sweep(key) => format!("{SWEEP_PREFIX}{key}"),
            Field::Cell => "cell".to_owned(),
            Field::Seed => "seed".to_owned(),
            Field::Metric => "metric".to_owned(),
        }
    }

    /// Its name in the heading of a table.
    pub(super) fn heading(&self) -> String {
        match self {
            Field::IdSet => "ID set".to_owned(),
            Field::Set => "OOD set".to_owned(),
            Field::Sweep(key) => key.clone(),
            other => other.name(),
        }
    }

    /// A row's value; empty where it has none, as for a key that its cell does not sweep.
    pub(super) fn value(&self, row: &Row) -> String {
        match self {
            Field::Experiment => row.experiment.clone(),
            Field::Benchmark => row.benchmark.clone(),
            Field::IdSet => row.id_set.clone(),
            Field::Protocol => row.protocol.clone(),
            Field::Group => row.group.clone(),
            Field::Set if row.mean_of().is_some() => MEAN.to_owned(),
            Field::Set => row.ood_set.clone(),
            Field::Detector => row.detector.clone(),
            Field::Score => row.score.clone(),
            Field::Sweep(key) => row.sweep.get(key).cloned().unwrap_or_default(),
            Field::Cell => row.cell.clone(),
            Field::Seed => row.seed.to_string(),
            Field::Metric => String::new(),
        }
    }

    /// Whether results for its different values are measured on different images, so that none is better than the other.
    pub(super) fn changes_the_task(&self) -> bool {
        matches!(
            self,
            Field::Experiment | Field::Benchmark | Field::IdSet | Field::Protocol | Field::Group | Field::Set
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A name that is no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {known} or sweep.<key>, found {found:?}{}", text::hint(.found, .known.split(", ")))]
pub struct UnknownField {
    found: String,
    known: String,
}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Field, UnknownField> {
        if let Some(key) = text.strip_prefix(SWEEP_PREFIX)
            && !key.is_empty()
        {
            return Ok(Field::Sweep(key.to_owned()));
        }
        Field::NAMED.into_iter().find(|field| field.name() == text).ok_or_else(|| UnknownField {
            found: text.to_owned(),
            known: Field::NAMED.map(|field| field.name()).join(", "),
        })
    }
}

impl TryFrom<String> for Field {
    type Error = UnknownField;

    fn try_from(text: String) -> Result<Field, UnknownField> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> String {
        field.name()
    }
}

/// Whether a value of the table is what an experiment file means: the same text, the same number, or the same list.
pub(crate) fn same_value(one: &str, other: &str) -> bool {
    let lists = one.starts_with('[') && other.starts_with('[');
    one == other
        || lists && one.replace(' ', "") == other.replace(' ', "")
        || matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one == other)
}
