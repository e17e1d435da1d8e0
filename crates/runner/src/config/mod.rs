//! The experiment file: layers, checked types, and errors that name file, line and the nearest known key.

pub mod control;
pub mod encoder;
pub mod experiment;
pub mod layers;
pub mod origin;
pub mod place;
pub mod sweep;
pub mod yaml;

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

pub use encoder::EncoderSection;
pub use experiment::Experiment;
pub use layers::Environment;
use layers::Layer;
pub use oodlab_datasets::Protocol;
pub use sweep::Cell;

/// An experiment file with its overrides, before its cells are resolved.
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// `cifar10_far`, `dlsr/fig4`: the path below `experiments/`, without extension.
    pub name: String,
    layers: Vec<Layer>,
    overrides: Vec<String>,
}

impl Source {
    /// Reads the file, what it extends, the environment and the overrides.
    pub fn open(path: &Path, overrides: &[String], environment: Environment) -> Result<Source> {
        let layers = layers::gather(path, overrides, environment)?;
        Ok(Source { path: path.to_owned(), name: experiment_name(path), layers, overrides: overrides.to_vec() })
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
        let overrides = self.overrides.iter().map(|one| format!(" {}", quoted(one)));
        std::iter::once(format!("oodlab run {}", quoted(&self.path.display().to_string()))).chain(overrides).collect()
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
        layers.push(layers::from_pairs("sweep", cell.overrides.iter().map(|(k, v)| (k.as_str(), v.clone())))?);
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
