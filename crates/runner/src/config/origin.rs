//! Where each setting came from.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::experiment::Experiment;
use super::layers::Layer;
use super::place::line_of;
use super::tree::find_in;

/// Origin of what no layer sets.
pub const DEFAULT: &str = "default";

/// One resolved value and its origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Dotted key.
    pub key: String,
    /// The value; lists stay whole.
    pub value: Value,
    /// `file:line`, a preset, `environment`, `command line`, `sweep`, `smoke` or `default`.
    pub origin: String,
}

/// Every leaf of a resolved experiment. The layers are those that are kept: see [`super::layers::kept`].
///
/// # Errors
/// When the experiment cannot be written as a tree.
pub fn settings_of(kept: &[Layer], experiment: &Experiment) -> Result<Vec<Setting>> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), &serde_json::to_value(experiment)?, &mut |path, value| {
        found.push(Setting { key: path.join("."), value: value.clone(), origin: of(kept, path) });
    });
    Ok(found)
}

/// Where the value behind a path comes from: the last layer that holds it.
pub fn of(kept: &[Layer], path: &[&str]) -> String {
    let holder = kept.iter().rev().find(|layer| find_in(&layer.values, path).is_some());
    holder.map_or_else(|| DEFAULT.to_owned(), |layer| place_in(layer, path))
}

/// `file:line`, as far as it can be told.
pub fn place_in(layer: &Layer, path: &[&str]) -> String {
    // The text of a preset is its section.
    let inside = layer.section.as_ref().map_or(0, |_| 1).min(path.len());
    let line = layer.text.as_deref().and_then(|text| line_of(text, &path[inside..]));
    line.map_or_else(|| layer.origin.clone(), |line| format!("{}:{line}", layer.origin))
}

fn walk<'a>(path: &mut Vec<&'a str>, value: &'a Value, leaf: &mut dyn FnMut(&[&str], &Value)) {
    match value {
        // The keys of a sweep hold dots themselves: its parts are shown whole.
        Value::Object(map) if path.first() != Some(&"sweep") || path.len() < 2 => {
            for (key, inner) in map {
                path.push(key);
                walk(path, inner, leaf);
                path.pop();
            }
        }
        other => leaf(path, other),
    }
}
