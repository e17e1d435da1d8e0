//! The experiment file: layers, checked types, and errors that name file, line and the nearest known key.

pub mod control;
pub mod encoder;
pub mod experiment;
pub mod layers;
pub mod origin;
pub mod place;
pub mod request;
pub mod sweep;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

pub use encoder::EncoderSection;
pub use experiment::Experiment;
pub use layers::Environment;
use layers::Layer;
pub use oodlab_datasets::Protocol;
pub use request::Request;
use serde_json::Value;
pub use sweep::Cell;

use crate::failure::settings;

/// An experiment file with its overrides, before its cells are resolved.
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// `cifar10_far`, `dlsr/fig4`: the path below `experiments/`, without extension.
    pub name: String,
    layers: Vec<Layer>,
    request: Request,
}

impl Source {
    /// Reads the files, what they extend, the environment and the overrides.
    ///
    /// # Errors
    /// When a file cannot be read, or an override is not understood.
    pub fn open(request: &Request) -> Result<Source> {
        let path = request.files.last().ok_or_else(|| settings("no experiment file is named"))?;
        let layers = layers::gather(request)?;
        Ok(Source { path: path.clone(), name: experiment_name(path), layers, request: request.clone() })
    }

    /// What was asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The comment that opens the file, line by line, without the signs.
    pub fn heading(&self) -> Vec<String> {
        let text = self.layers.iter().rev().find_map(|layer| layer.text.as_deref()).unwrap_or_default();
        let comment = text.trim_start_matches('\u{feff}').lines().take_while(|line| line.starts_with('#'));
        comment.map(|line| line.trim_start_matches('#').trim().to_owned()).collect()
    }

    /// The command that runs it again.
    pub fn command(&self) -> String {
        let quoted = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,".contains(c);
            if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
        };
        let words: String = self.request.arguments().iter().map(|word| format!(" {}", quoted(word))).collect();
        format!("oodlab run{words}")
    }

    /// The experiment without its sweep's overrides.
    pub fn base(&self) -> Result<Experiment> {
        experiment::extract(&self.layers)
    }

    /// Every cell of the sweep with its resolved experiment; one cell without a name when there is no sweep.
    pub fn cells(&self) -> Result<Vec<(Cell, Experiment)>> {
        let base = self.base()?;
        sweep::cells(&base.sweep)
            .into_iter()
            .map(|cell| {
                let experiment = experiment::extract(&self.layers_of(&cell)?)?;
                Ok((cell, experiment))
            })
            .collect()
    }

    /// The cell with these swept values, resolved alone: what a process needs that was handed one cell of a sweep.
    ///
    /// # Errors
    /// When the experiment with these values is not valid.
    pub fn cell(&self, overrides: &BTreeMap<String, Value>) -> Result<(Cell, Experiment)> {
        let cell = sweep::cell(overrides.iter().map(|(key, value)| (key.as_str(), value)).collect());
        let experiment = experiment::extract(&self.layers_of(&cell)?)?;
        Ok((cell, experiment))
    }

    /// Adds file and line to an error of one of a cell's values, and names the cell.
    pub fn locate(&self, cell: &Cell, error: anyhow::Error) -> anyhow::Error {
        let located = match self.layers_of(cell) {
            Ok(layers) => experiment::locate(&layers, error),
            Err(_) => error,
        };
        if cell.name.is_empty() { located } else { located.context(format!("cell {}", cell.name)) }
    }

    fn layers_of(&self, cell: &Cell) -> Result<Vec<Layer>> {
        let mut layers = self.layers.clone();
        let mut pairs = Vec::new();
        for (key, value) in &cell.overrides {
            pairs.push((key.as_str(), figment::value::Value::serialize(value)?));
        }
        layers.push(layers::from_pairs("sweep", pairs)?);
        Ok(layers)
    }

    /// The resolved configuration, one `key: value  # origin` a line.
    pub fn describe(&self) -> Result<Vec<origin::Setting>> {
        let base = self.base()?;
        let resolved = base.resolved().map_err(|error| experiment::locate(&self.layers, error))?;
        origin::settings_of(&self.layers, &resolved)
    }
}

/// An experiment's name is its path below the folder `experiments`, or its file name.
fn experiment_name(path: &Path) -> String {
    let file = path.with_extension("");
    // Only names: `..` must not lead out of the results folder.
    let parts: Vec<String> = file
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let last = parts.len().saturating_sub(1);
    let below = parts.iter().rposition(|part| part == "experiments").map_or(last, |at| at + 1);
    parts[below.min(last)..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_below_experiments() {
        assert_eq!(experiment_name(Path::new("experiments/dlsr/fig4.yaml")), "dlsr/fig4");
        assert_eq!(experiment_name(Path::new("/a/experiments/x/experiments/quick.yaml")), "quick");
        assert_eq!(experiment_name(Path::new("elsewhere/mine.yaml")), "mine");
        assert_eq!(experiment_name(Path::new("experiments/../../mine.yaml")), "mine");
    }
}
