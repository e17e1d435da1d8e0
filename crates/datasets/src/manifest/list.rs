//! Lists of images: which belong to a split, and their labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A list of images: a text file with a line an image, or a table.
///
/// Images are those of the list, in its order; one that is listed and not there makes the split partial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// Path inside the data set.
    pub file: String,
    /// How its lines are cut.
    #[serde(default)]
    pub form: ListForm,
    /// Lines before the first that counts (before the names of the columns, where there are any).
    #[serde(default)]
    pub skip_lines: usize,
    /// The first line that counts holds the names of the columns; where lines have more columns than it has names, the last
    /// columns have them (CelebA's attributes). Parquet always has names.
    #[serde(default)]
    pub header: bool,
    /// The column of the paths.
    #[serde(default)]
    pub path: Column,
    /// What is put behind every path, where the list leaves out the ending.
    #[serde(default)]
    pub ending: String,
    /// The column of the labels: names of classes, folders, or numbers.
    #[serde(default)]
    pub label: Option<Column>,
    /// Labels by the text of their column, where it is neither a class name nor the number itself (`{"-1": 0, "1": 1}`).
    #[serde(default)]
    pub label_values: BTreeMap<String, u32>,
    /// Only the lines with this text in this column belong to the split.
    #[serde(default, rename = "where")]
    pub condition: Option<Condition>,
    /// Another list with the labels of the same paths (CelebA's attributes).
    #[serde(default)]
    pub labels_from: Option<Box<ListSpec>>,
}

/// How the lines of a list are cut into columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListForm {
    /// At blanks, any number of them (OpenOOD's `imglist`, CelebA's lists).
    #[default]
    Blanks,
    /// At tabs.
    Tabs,
    /// Comma-separated values with quotes (RFC 4180).
    Csv,
    /// A Parquet file.
    Parquet,
}

/// A column: its number, counted from 0, or its name where the list has names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// Counted from 0.
    Number(usize),
    /// As the header names it.
    Name(String),
}

impl Default for Column {
    fn default() -> Column {
        Column::Number(0)
    }
}

/// A condition on a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column that is looked at.
    pub column: Column,
    /// Its text.
    pub is: String,
}
