//! `where`: which part of a record a figure shows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::table::Row;

/// What is shown; a key that is absent leaves everything in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Protocols: `native`, `matched`.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub protocol: Values,
    /// Names of cells of a sweep.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub cell: Values,
    /// Values of swept keys, by key without `sweep.`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sweep: BTreeMap<String, Values>,
    /// Seeds.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub seed: Values,
    /// Detectors, controls included.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub detector: Values,
    /// Scores.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub score: Values,
    /// Out-of-distribution sets.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub set: Values,
    /// Groups of out-of-distribution sets: `near`, `far`.
    #[serde(skip_serializing_if = "Values::is_all")]
    pub group: Values,
}

impl Selection {
    /// Whether it leaves everything in.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Selection::default()
    }

    /// Whether a row of the table is shown. A mean is not of one set: `set` says nothing about it.
    #[must_use]
    pub fn has_row(&self, row: &Row) -> bool {
        self.protocol.has(&row.protocol)
            && self.has_run(&row.cell, &row.sweep, row.seed)
            && self.detector.has(&row.detector)
            && self.score.has(&row.score)
            && self.group.has(&row.group)
            && (row.mean_of().is_some() || self.set.has(&row.ood_set))
    }

    /// Whether a run is shown.
    #[must_use]
    pub fn has_run(&self, cell: &str, sweep: &BTreeMap<String, String>, seed: u64) -> bool {
        let swept = |(key, values): (&String, &Values)| sweep.get(key).is_some_and(|value| values.has(value));
        self.cell.has(cell) && self.seed.has(&seed.to_string()) && self.sweep.iter().all(swept)
    }
}

/// One value or a list: texts, numbers and truth values, compared as texts and, where both are numbers, as numbers. None is all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value", into = "Vec<String>")]
pub struct Values(pub Vec<String>);

impl Values {
    /// Whether every value is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether that value is meant.
    #[must_use]
    pub fn has(&self, value: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok();
        self.is_all()
            || self.0.iter().any(|own| own == value || number(own).is_some_and(|own| Some(own) == number(value)))
    }
}

impl<T: Into<String>> FromIterator<T> for Values {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Values {
        Values(values.into_iter().map(Into::into).collect())
    }
}

impl From<Values> for Vec<String> {
    fn from(values: Values) -> Vec<String> {
        values.0
    }
}

impl TryFrom<Value> for Values {
    type Error = String;

    fn try_from(value: Value) -> Result<Values, String> {
        let scalar = |value: Value| match value {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            other => Err(format!("expected a text, a number or a list of them, found {other}")),
        };
        match value {
            Value::Null => Ok(Values::default()),
            Value::Array(items) if items.is_empty() => {
                Err("expected at least one value, found an empty list".to_owned())
            }
            Value::Array(items) => items.into_iter().map(scalar).collect::<Result<_, _>>().map(Values),
            one => Ok(Values(vec![scalar(one)?])),
        }
    }
}
