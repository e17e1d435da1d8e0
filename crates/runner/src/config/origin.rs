//! Where each setting came from.

use anyhow::Result;
use serde::Serialize;

use super::experiment::Experiment;
use super::layers::{Layer, merge};

/// One resolved value and its origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Dotted key.
    pub key: String,
    /// The value; lists stay whole.
    pub value: serde_json::Value,
    /// A file, `environment`, `command line` or `default`.
    pub origin: String,
}

/// Every leaf of the resolved experiment.
pub fn settings_of(layers: &[Layer], experiment: &Experiment) -> Result<Vec<Setting>> {
    let merged = merge(layers);
    let mut found = Vec::new();
    walk(String::new(), &serde_json::to_value(experiment)?, &mut |key, value| {
        let origin = merged.find_metadata(&key).map_or_else(|| "default".to_owned(), |m| m.name.to_string());
        found.push(Setting { key, value, origin });
    });
    Ok(found)
}

fn walk(path: String, value: &serde_json::Value, leaf: &mut dyn FnMut(String, serde_json::Value)) {
    match value {
        // A grid's keys hold dots themselves, so it is shown whole.
        serde_json::Value::Object(map) if path != "sweep.grid" => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(path, inner, leaf);
            }
        }
        other => leaf(path, other.clone()),
    }
}
