//! A table that an experiment file asks for.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_base::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field::Field;
use crate::metrics::Metric;
use crate::published::PublishedChoice;

/// One entry of `tables:`: which rows of the result table it shows, and how they are laid out.
///
/// ```
/// let spec: oodlab_evaluation::TableSpec = serde_yaml::from_str(
///     "{name: width, rows: [sweep.detector.network.width], columns: [score], where: {set: mean}}",
/// )?;
/// assert_eq!(spec.check(), Ok(()));
/// # Ok::<(), serde_yaml::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Its name: the files `tables/<name>.md`, `.tex`, `.csv`.
    pub name: String,
    /// What it shows, in the words of its author: the first sentence of its caption.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caption: String,
    /// What its lines are: every combination of these fields that there is.
    pub rows: Vec<Field>,
    /// What its columns are; one column when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Field>,
    /// The metrics shown, in one cell as `a / b` unless `metric` is among rows or columns.
    #[serde(default = "auroc")]
    pub metrics: Vec<Metric>,
    /// Which rows of the result table are meant: a value or a list of values a field. The order of a list is the order in the table.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<Field, Choice>,
    /// What stands behind each value.
    #[serde(default)]
    pub uncertainty: Uncertainty,
    /// Among which values the best and the second are marked. By default those of a column; those of a row where the rows, and not the
    /// columns, are sets, groups, protocols or benchmarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// Decimals of a value in percent, 0 to 6.
    #[serde(default = "two")]
    pub decimals: u8,
    /// What is printed in place of a value or of a field's name: `mfsim: MFsim`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Published numbers to stand beside ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedChoice>,
}

/// What stands behind a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Uncertainty {
    /// `± deviation` over seeds (divided by n); nothing with one seed.
    #[default]
    Seeds,
    /// `[low, high]`, the 95 % interval over images: DeLong's for the AUROC of a set, of the bootstrap otherwise.
    Interval,
    /// Nothing.
    None,
}

/// Among which values the best is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Best {
    /// Those of a column that were measured on the same task.
    Column,
    /// Those of a row that were measured on the same task.
    Row,
    /// None is marked.
    None,
}

/// One value or several; numbers and truth values are kept as their text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "RawChoice", into = "Vec<String>")]
pub struct Choice(pub Vec<String>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum RawChoice {
    One(Scalar),
    Many(Vec<Scalar>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Scalar {
    Truth(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl From<Scalar> for String {
    fn from(value: Scalar) -> String {
        match value {
            Scalar::Truth(value) => value.to_string(),
            Scalar::Whole(value) => value.to_string(),
            Scalar::Number(value) => value.to_string(),
            Scalar::Text(value) => value,
        }
    }
}

impl From<RawChoice> for Choice {
    fn from(raw: RawChoice) -> Choice {
        match raw {
            RawChoice::One(value) => Choice(vec![value.into()]),
            RawChoice::Many(values) => Choice(values.into_iter().map(String::from).collect()),
        }
    }
}

impl From<Choice> for Vec<String> {
    fn from(choice: Choice) -> Vec<String> {
        choice.0
    }
}

fn auroc() -> Vec<Metric> {
    vec![Metric::Auroc]
}

fn two() -> u8 {
    2
}

/// Decimals beyond which a percentage says nothing: a millionth of a point.
const MOST_DECIMALS: u8 = 6;

impl TableSpec {
    /// Refuses what no data could satisfy.
    ///
    /// # Errors
    /// What was expected and found, with the key.
    pub fn check(&self) -> Result<(), String> {
        if !text::is_plain_name(&self.name) {
            return Err(format!(
                "name: expected 1 to {} letters, digits, -, _, ., + or =, found {:?}",
                text::LONGEST_NAME,
                self.name
            ));
        }
        if self.rows.is_empty() {
            return Err("rows: expected at least one field, as in rows: [score], found none".to_owned());
        }
        let mut seen = BTreeSet::new();
        for (key, fields) in [("rows", &self.rows), ("columns", &self.columns)] {
            if let Some(field) = fields.iter().find(|field| !seen.insert(*field)) {
                return Err(format!("{key}: expected each field once in rows and columns, found {field} twice"));
            }
        }
        if self.metrics.is_empty() {
            return Err("metrics: expected at least one metric, as in metrics: [auroc], found none".to_owned());
        }
        let mut seen_metrics = BTreeSet::new();
        if let Some(metric) = self.metrics.iter().find(|metric| !seen_metrics.insert(**metric)) {
            return Err(format!("metrics: expected each metric once, found {metric} twice"));
        }
        for (field, choice) in &self.conditions {
            if *field == Field::Metric {
                return Err("where.metric: the metrics are chosen by metrics: [auroc, fpr95_id]".to_owned());
            }
            if choice.0.is_empty() {
                return Err(format!("where.{field}: expected at least one value, found none"));
            }
        }
        if self.decimals > MOST_DECIMALS {
            return Err(format!("decimals: expected 0 to {MOST_DECIMALS}, found {}", self.decimals));
        }
        let lines = self.published.iter().any(|published| !published.lines.is_empty());
        let unfit = |field: &&Field| field.changes_the_task() || **field == Field::Metric;
        if let Some(field) = self.rows.iter().find(unfit).filter(|_| lines) {
            return Err(format!(
                "published.lines: expected rows that are detectors, scores or swept values, found {field}: lines of published methods \
                 stand among those"
            ));
        }
        self.published
            .as_ref()
            .map_or(Ok(()), |published| published.check().map_err(|message| format!("published.{message}")))
    }

    /// Where the best is marked, with the default filled in.
    pub(super) fn best(&self) -> Best {
        let tasks = |fields: &[Field]| fields.iter().any(Field::changes_the_task);
        self.best.unwrap_or(if tasks(&self.rows) && !tasks(&self.columns) { Best::Row } else { Best::Column })
    }

    /// What is printed in place of a value.
    pub(super) fn label<'a>(&'a self, value: &'a str) -> &'a str {
        self.labels.get(value).map_or(value, String::as_str)
    }

    /// Rows and columns together.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.rows.iter().chain(&self.columns)
    }
}
