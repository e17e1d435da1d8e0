//! Sweeps: which values settings take together. The grammar is in `part`, the cells in `expand`.

pub mod condition;
pub mod expand;
pub mod part;
pub mod random;
pub mod strip;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tree::Tree;
pub use expand::Combination;
use part::Part;

/// A sweep may have so many cells, before conditions drop any.
pub const MOST_CELLS: usize = 100_000;

/// The section `sweep:` as it is written: `grid`, `zip`, `list`, `product`, `random`, `drop` and `keep`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sweep(pub Tree);

impl Sweep {
    /// Its checked form.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn part(&self) -> Result<Part> {
        part::read(&self.0)
    }
}

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Sorted `key=value` joined by commas; empty without a sweep. The column `cell` of the tables.
    pub name: String,
    /// Key to value as text: the columns `sweep.<key>`.
    pub values: BTreeMap<String, String>,
    /// Key to value, for the configuration.
    pub overrides: BTreeMap<String, Value>,
}

impl Cell {
    /// The cell with these values.
    pub fn new(overrides: BTreeMap<String, Value>) -> Cell {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values: BTreeMap<String, String> =
            overrides.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let mut name = String::new();
        for (key, value) in &values {
            for piece in [if name.is_empty() { "" } else { "," }, key, "=", value] {
                name.push_str(piece);
            }
        }
        Cell { name, values, overrides }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_named_after_its_values() {
        let cell = Cell::new(BTreeMap::from([
            ("b".into(), json!([1, 2])),
            ("a".into(), json!("x")),
            ("c".into(), json!(1e-4)),
        ]));
        assert_eq!(cell.name, "a=x,b=[1,2],c=0.0001");
        assert!(Cell::new(BTreeMap::new()).name.is_empty());
    }
}
