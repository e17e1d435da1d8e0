//! The files of published numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Entry, PublishedError, cell};
use crate::metrics::{FprRule, Metric};
use crate::table::Choice;

/// One printed table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTable {
    /// What it shows.
    pub title: String,
    /// Where it stands.
    pub source: Source,
    /// Under which circumstances its numbers were measured.
    #[serde(default)]
    pub setting: Setting,
    /// What its numbers are.
    #[serde(default)]
    pub convention: Convention,
    /// Runs behind each number, where stated.
    #[serde(default)]
    pub seeds: Option<usize>,
    /// What speaks against taking it at its word.
    #[serde(default)]
    pub doubts: Vec<String>,
    /// Our detector and score for its methods, where we have them.
    #[serde(default)]
    pub methods: BTreeMap<String, Method>,
    /// Its numbers.
    pub blocks: Vec<Block>,
}

/// Where a table stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Short name of the paper or project: `DLSR`.
    pub name: String,
    /// Authors, title, place and number, or the address of a project.
    pub reference: String,
    /// Which table of it.
    pub table: String,
    /// Version, commit or date, where there are several.
    #[serde(default)]
    pub version: String,
}

/// Under which circumstances numbers were measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// In-distribution set, where blocks name none of their own.
    #[serde(default)]
    pub id_set: String,
    /// Protocol that comes nearest to what was done.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Settings by the path that they have in an experiment file: `encoder.network: efficientnet-b4`.
    #[serde(default)]
    pub config: BTreeMap<String, Choice>,
    /// Images it trained on.
    #[serde(default)]
    pub train_images: Option<u64>,
    /// In-distribution images it tested on.
    #[serde(default)]
    pub id_images: Option<u64>,
    /// Images of each out-of-distribution set.
    #[serde(default)]
    pub images: BTreeMap<String, u64>,
    /// By the column of a mean (`mean`, `mean (near)`) the sets that it is over, by our names, where columns of their own do not say it.
    #[serde(default)]
    pub means_over: BTreeMap<String, Vec<String>>,
    /// What no other key can say.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What numbers are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convention {
    /// Rule of the operating point, where it is known. The direction of FPR95 is in the metric's name.
    #[serde(default)]
    pub rule: Option<FprRule>,
    /// What else is particular.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A score of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The detector.
    pub detector: String,
    /// Its score; any when absent.
    #[serde(default)]
    pub score: Option<String>,
}

/// Numbers of the same metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The metrics of a cell, in the order in which it prints them.
    pub metrics: Vec<Metric>,
    /// In-distribution set; the setting's when absent.
    #[serde(default)]
    pub id_set: Option<String>,
    /// The sets of its means, as in the setting; the setting's when absent.
    #[serde(default)]
    pub means_over: Option<BTreeMap<String, Vec<String>>>,
    /// Settings for which these numbers hold, by their path in an experiment file; several values are several names of one.
    #[serde(default)]
    pub sweep: BTreeMap<String, Choice>,
    /// Whether they are known from memory rather than from the source.
    #[serde(default)]
    pub recalled: bool,
    /// Method, then set by our name, then the cell in percent as printed: `98.9±0.1`, `89.68/52.16`; `-` for nothing.
    pub values: BTreeMap<String, BTreeMap<String, Choice>>,
}

impl PublishedTable {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not of the form, or a cell cannot be read.
    pub fn parse(name: &str, text: &str) -> Result<PublishedTable, PublishedError> {
        let table: PublishedTable =
            serde_yaml::from_str(text).map_err(|source| PublishedError::Yaml { name: name.to_owned(), source })?;
        table.entries(name)?;
        Ok(table)
    }

    /// Its numbers one by one, block by block, in byte order of method and set. `name` stands in messages.
    ///
    /// # Errors
    /// When a cell cannot be read.
    pub fn entries(&self, name: &str) -> Result<Vec<Entry>, PublishedError> {
        let mut entries = Vec::new();
        for block in &self.blocks {
            let id_set = block.id_set.as_ref().unwrap_or(&self.setting.id_set);
            let means_over = block.means_over.as_ref().unwrap_or(&self.setting.means_over);
            for (method, cells) in &block.values {
                for (set, printed) in cells {
                    let text = printed.0.join(", ");
                    let numbers = cell::parse(&text, block.metrics.len()).ok_or_else(|| PublishedError::Cell {
                        name: name.to_owned(),
                        method: method.clone(),
                        set: set.clone(),
                        expected: match block.metrics.len() {
                            1 => "a percentage".to_owned(),
                            n => format!("{n} percentages with / between them"),
                        },
                        found: text.clone(),
                    })?;
                    for (&metric, number) in block.metrics.iter().zip(numbers) {
                        let Some((value, deviation)) = number else { continue };
                        entries.push(Entry {
                            method: method.clone(),
                            id_set: id_set.clone(),
                            set: set.clone(),
                            metric,
                            value,
                            deviation,
                            recalled: block.recalled,
                            sweep: block.sweep.clone(),
                            means_over: means_over.get(set).cloned().unwrap_or_default(),
                        });
                    }
                }
            }
        }
        Ok(entries)
    }
}
