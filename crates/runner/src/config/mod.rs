//! The experiment file: layers, checked types, and errors that name file, line and the nearest known key.

pub mod experiment;
pub mod layers;
pub mod origin;
pub mod place;
pub mod sweep;
pub mod yaml;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::failure::Misplaced;
pub use experiment::{Experiment, Protocol};
use layers::Layer;
pub use sweep::Cell;

/// An experiment file with its overrides, before its cells are resolved.
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// `cifar10_far`, `dlsr/fig4`: the path below `experiments/`, without extension.
    pub name: String,
    layers: Vec<Layer>,
}

impl Source {
    /// Reads the file, what it extends, the environment and the overrides.
    pub fn open(path: &Path, overrides: &[String]) -> Result<Source> {
        let layers = layers::gather(path, overrides)?;
        Ok(Source { path: path.to_owned(), name: experiment_name(path), layers })
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
                let mut layers = self.layers.clone();
                layers.push(layers::from_pairs("sweep", cell.overrides.iter().map(|(k, v)| (k.as_str(), v.clone())))?);
                Ok((cell, experiment::extract(&layers)?))
            })
            .collect()
    }

    /// Adds file and line to an error of one of the experiment's values, and the cell to any other.
    pub fn locate(&self, cell: &Cell, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<Misplaced>() {
            Ok(Misplaced { key, message }) => {
                let path: Vec<&str> = key.split('.').collect();
                experiment::at_place(&self.layers, None, &path, &message)
            }
            Err(other) if cell.name.is_empty() => other,
            Err(other) => other.context(format!("cell {}", cell.name)),
        }
    }

    /// The resolved configuration, one `key: value  # origin` a line.
    pub fn describe(&self) -> Result<Vec<origin::Setting>> {
        origin::settings_of(&self.layers, &self.base()?)
    }
}

/// An experiment's name is its path below the folder `experiments`, or its file name.
fn experiment_name(path: &Path) -> String {
    let parts: Vec<String> = path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let below = parts.iter().rposition(|part| part == "experiments").map_or(parts.len() - 1, |at| at + 1);
    parts[below.min(parts.len() - 1)..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_below_experiments() {
        assert_eq!(experiment_name(Path::new("experiments/dlsr/fig4.yaml")), "dlsr/fig4");
        assert_eq!(experiment_name(Path::new("/a/experiments/x/experiments/quick.yaml")), "quick");
        assert_eq!(experiment_name(Path::new("elsewhere/mine.yaml")), "mine");
    }
}
