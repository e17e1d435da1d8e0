//! The experiment file: layers, checked types, and errors that name file, line and the nearest known key.

pub mod control;
pub mod encoder;
pub mod environment;
pub mod experiment;
mod explain;
mod files;
mod interpolate;
pub mod layers;
pub mod origin;
mod overrides;
mod place;
pub mod presets;
pub mod request;
mod resolve;
pub mod schema;
mod smoke;
mod smoke_output;
pub mod sweep;
mod tree;
mod values;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

pub use encoder::EncoderSection;
pub use environment::Environment;
pub use experiment::Experiment;
use layers::Layer;
pub use oodlab_datasets::Protocol;
use presets::Presets;
pub use request::Request;
use resolve::Resolver;
use serde_json::Value;
pub use sweep::Cell;

use crate::failure::settings;

/// An experiment file with its overrides, before its cells are resolved.
pub struct Source {
    /// The file; of several, the last.
    pub path: PathBuf,
    /// `cifar10_far`, `dlsr/fig4`: the path of the last file below `experiments/`, without extension; with `-smoke` when shrunk.
    pub name: String,
    layers: Vec<Layer>,
    presets: Presets,
    request: Request,
}

impl Source {
    /// Reads the files, what they extend, the environment and the overrides.
    ///
    /// # Errors
    /// When a file cannot be read, or an override is not understood.
    pub fn open(request: &Request) -> Result<Source> {
        let path = request.files.last().ok_or_else(|| settings("no experiment file is named"))?;
        let presets = Presets::beside(path);
        let mut layers = Vec::new();
        for file in &request.files {
            files::read(file, &mut layers)?;
        }
        if request.environment == Environment::Read {
            layers.extend(environment::layers(std::env::vars_os(), &presets)?);
        }
        overrides::apply(&request.overrides, request.sweep, &presets, &mut layers)?;
        let suffix = if request.smoke { "-smoke" } else { "" };
        let name = format!("{}{suffix}", experiment_name(path));
        Ok(Source { path: path.clone(), name, layers, presets, request: request.clone() })
    }

    /// What was asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The comment that opens the file, line by line, without the signs.
    pub fn heading(&self) -> Vec<String> {
        let files = self.layers.iter().rev().filter(|layer| layer.section.is_none());
        let text = files.filter_map(|layer| layer.text.as_deref()).next().unwrap_or_default();
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
    ///
    /// # Errors
    /// Names file, line and key of what is wrong.
    pub fn base(&self) -> Result<Experiment> {
        self.resolver().base()
    }

    /// Every cell of the sweep with its resolved experiment; one cell without a name when there is no sweep.
    ///
    /// # Errors
    /// When the sweep is malformed or a cell is not valid.
    pub fn cells(&self) -> Result<Vec<(Cell, Experiment)>> {
        self.resolver().cells()
    }

    /// The cell with these swept values, resolved alone: what a process needs that was handed one cell of a sweep.
    ///
    /// # Errors
    /// When the experiment with these values is not valid.
    pub fn cell(&self, overrides: &BTreeMap<String, Value>) -> Result<(Cell, Experiment)> {
        let cell = Cell::new(overrides.clone());
        let experiment = self.resolver().cell(&cell)?;
        Ok((cell, experiment))
    }

    /// Adds file and line to an error of one of a cell's values, and names the cell.
    pub fn locate(&self, cell: &Cell, error: anyhow::Error) -> anyhow::Error {
        let located = match self.resolver().layers_of(&cell.overrides) {
            Ok(layers) => explain::locate(&layers, error),
            Err(_) => error,
        };
        if cell.name.is_empty() { located } else { located.context(format!("cell {}", cell.name)) }
    }

    /// Every value of an experiment with its origin: of a cell, or of the base (a cell without values).
    ///
    /// # Errors
    /// When the experiment is not valid.
    pub fn describe(&self, cell: &Cell) -> Result<Vec<origin::Setting>> {
        let resolver = self.resolver();
        let experiment = if cell.overrides.is_empty() { resolver.base()? } else { self.cell(&cell.overrides)?.1 };
        let layers = resolver.layers_of(&cell.overrides)?;
        let resolved = experiment.resolved().map_err(|error| explain::locate(&layers, error))?;
        origin::settings_of(&layers::kept(&layers), &resolved)
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver::new(&self.layers, &self.presets, &self.request)
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
