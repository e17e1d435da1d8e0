//! From layers to experiments: the base is merged once, a cell is laid over it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::experiment::{self, Experiment};
use super::explain::{self, check_sections};
use super::interpolate;
use super::layers::{self, Layer, add, merge};
use super::presets::Presets;
use super::smoke;
use super::sweep::{Cell, Combination, expand};
use super::tree::{self, Tree};
use super::{Environment, Request};
use crate::failure::at;

/// Swept keys with their values.
type Overrides = BTreeMap<String, Value>;

/// Merged layers, ready for cells.
pub struct Resolver<'a> {
    layers: &'a [Layer],
    presets: &'a Presets,
    request: &'a Request,
    /// All layers but their sweep.
    base: Tree,
    /// Whether any value of them holds a reference.
    refers: bool,
}

impl<'a> Resolver<'a> {
    /// Merges the layers.
    pub fn new(layers: &'a [Layer], presets: &'a Presets, request: &'a Request) -> Resolver<'a> {
        let mut base = merge(layers);
        base.remove("sweep");
        let refers = base.values().any(interpolate::is_needed);
        Resolver { layers, presets, request, base, refers }
    }

    /// The experiment without the values of a cell, but with its sweep.
    ///
    /// # Errors
    /// Names file, line and key of what is wrong.
    pub fn base(&self) -> Result<Experiment> {
        let whole = merge(self.layers);
        let here = |error| explain::locate(self.layers, error);
        check_sections(&whole).map_err(here)?;
        let refers = whole.values().any(interpolate::is_needed);
        let tree = self.finished(whole.clone(), refers).map_err(here)?;
        let found = self.read(&tree, || Ok(self.layers.to_vec()))?;
        found.sweep.part().map_err(here)?;
        Ok(found)
    }

    /// Every cell with its experiment.
    ///
    /// # Errors
    /// When the sweep is malformed, a cell comes twice or none is left, or a cell is not valid.
    pub fn cells(&self) -> Result<Vec<(Cell, Experiment)>> {
        let base = self.base()?;
        let here = |error| explain::locate(self.layers, error);
        let all = self.combinations(&base).map_err(here)?;
        let mut names = BTreeSet::new();
        let cells: Vec<Cell> = all.into_iter().map(Cell::new).collect();
        for cell in &cells {
            if !names.insert(cell.name.as_str()) {
                let message = format!("cell {} comes twice; drop one of the entries that make it", cell.name);
                return Err(here(at("sweep", &message)));
            }
        }
        let resolved: Vec<Result<Experiment>> = cells.par_iter().map(|cell| self.cell(cell)).collect();
        cells.into_iter().zip(resolved).map(|(cell, experiment)| Ok((cell, experiment?))).collect()
    }

    /// The experiment of one cell.
    ///
    /// # Errors
    /// Names file, line and key of what is wrong.
    pub fn cell(&self, cell: &Cell) -> Result<Experiment> {
        let read = || {
            let here = |error| match self.layers_of(&cell.overrides) {
                Ok(layers) => explain::locate(&layers, error),
                Err(_) => error,
            };
            let tree = self.tree_of(&cell.overrides).map_err(here)?;
            self.read(&tree, || self.layers_of(&cell.overrides))
        };
        read().map_err(|error| if cell.name.is_empty() { error } else { error.context(format!("cell {}", cell.name)) })
    }

    /// The layers of a cell, the shrinking last.
    ///
    /// # Errors
    /// When a swept key is none, or a swept preset is unknown.
    pub fn layers_of(&self, overrides: &Overrides) -> Result<Vec<Layer>> {
        let mut all = self.layers.to_vec();
        all.extend(self.own_layers(overrides)?);
        if self.request.smoke {
            let mut merged = merge(&all);
            if merged.values().any(interpolate::is_needed) {
                merged = interpolate::resolve(&merged, &|name| self.variable(name))?;
            }
            all.extend(smoke::layers(&merged));
        }
        Ok(all)
    }

    fn own_layers(&self, overrides: &Overrides) -> Result<Vec<Layer>> {
        let pairs = overrides.iter().map(|(key, value)| (key.as_str(), value.clone()));
        layers::from_pairs("sweep", pairs, self.presets)
    }

    /// The merged tree of a cell, with references resolved and shrunk if that was asked for.
    fn tree_of(&self, overrides: &Overrides) -> Result<Tree> {
        let refers = self.refers || overrides.values().any(interpolate::is_needed);
        let mut tree = self.base.clone();
        for layer in self.own_layers(overrides)? {
            add(&mut tree, &layer);
        }
        check_sections(&tree)?;
        self.finished(tree, refers)
    }

    fn finished(&self, mut tree: Tree, refers: bool) -> Result<Tree> {
        if refers {
            tree = interpolate::resolve(&tree, &|name| self.variable(name))?;
        }
        if self.request.smoke {
            for layer in smoke::layers(&tree) {
                add(&mut tree, &layer);
            }
        }
        Ok(tree)
    }

    fn variable(&self, name: &str) -> Option<String> {
        // What a baseline guards is the file alone.
        (self.request.environment == Environment::Read).then(|| std::env::var(name).ok()).flatten()
    }

    /// Reads a merged tree. Where that fails, the layers are read again in the way that knows the places of errors.
    fn read(&self, tree: &Tree, layers: impl FnOnce() -> Result<Vec<Layer>>) -> Result<Experiment> {
        match Experiment::deserialize(tree) {
            Ok(found) => match experiment::check(&found) {
                Ok(()) => Ok(found),
                Err(error) => Err(explain::locate(&layers()?, error)),
            },
            Err(_) => {
                let found = explain::extract(&settled(layers()?, tree))?;
                experiment::check(&found)?;
                Ok(found)
            }
        }
    }

    /// What the cells of the sweep set, in its order.
    fn combinations(&self, base: &Experiment) -> Result<Vec<Overrides>> {
        let part = base.sweep.part()?;
        let owned = |combination: &Combination<'_>| -> Overrides {
            combination.iter().map(|(key, value)| ((*key).to_owned(), (*value).clone())).collect()
        };
        let lookup = |combination: &Combination<'_>, key: &str| {
            let mut tree = self.base.clone();
            for layer in self.own_layers(&owned(combination))? {
                add(&mut tree, &layer);
            }
            Ok(tree::get(&tree, key).cloned())
        };
        let found: Vec<Overrides> = expand::expand(&part, &lookup)?.iter().map(owned).collect();
        if found.is_empty() {
            return Err(at("sweep", "no cell is left: `drop` and `keep` leave none"));
        }
        if !self.request.smoke {
            return Ok(found);
        }
        let few = smoke::few(&found);
        let mut shrunk = Vec::new();
        for overrides in &few {
            shrunk.push(smoke::shrunk(overrides, &self.tree_of(overrides)?));
        }
        smoke::spread(&few, &mut shrunk);
        let mut seen = BTreeSet::new();
        shrunk.retain(|overrides| seen.insert(Cell::new(overrides.clone()).name));
        Ok(shrunk)
    }
}

/// The layers with the values of the merged tree in place of references.
fn settled(mut layers: Vec<Layer>, merged: &Tree) -> Vec<Layer> {
    fn settle(value: &mut Value, merged: &Value) {
        match (value, merged) {
            (Value::Object(map), Value::Object(merged)) => {
                for (key, value) in map {
                    if let Some(merged) = merged.get(key) {
                        settle(value, merged);
                    }
                }
            }
            (Value::Array(items), Value::Array(merged)) => {
                items.iter_mut().zip(merged).for_each(|(value, merged)| settle(value, merged));
            }
            (value @ Value::String(_), merged) if interpolate::is_needed(value) => *value = merged.clone(),
            _ => {}
        }
    }
    for layer in &mut layers {
        for (key, value) in &mut layer.values {
            if let Some(merged) = merged.get(key) {
                settle(value, merged);
            }
        }
    }
    layers
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
