//! The cells of a sweep: every combination of the grid's values.

use std::collections::BTreeMap;

use super::experiment::Sweep;

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Sorted `key=value` joined by commas; empty without a sweep. The column `cell` of the tables.
    pub name: String,
    /// Key to value as text: the columns `sweep.<key>`.
    pub values: BTreeMap<String, String>,
    /// Key to value, for the configuration.
    pub overrides: BTreeMap<String, serde_json::Value>,
}

/// All cells; the last key (in byte order) changes fastest. One empty cell when nothing is swept.
pub fn cells(sweep: &Sweep) -> Vec<Cell> {
    let mut combinations: Vec<BTreeMap<&str, &serde_json::Value>> = vec![BTreeMap::new()];
    for (key, values) in &sweep.grid {
        combinations = combinations
            .iter()
            .flat_map(|combination| {
                values.iter().map(move |value| {
                    let mut wider = combination.clone();
                    wider.insert(key, value);
                    wider
                })
            })
            .collect();
    }
    combinations.into_iter().map(cell).collect()
}

/// The cell of one combination of swept values.
pub fn cell(combination: BTreeMap<&str, &serde_json::Value>) -> Cell {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values: BTreeMap<String, String> =
        combination.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect();
    let name = values.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let overrides = combination.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    Cell { name, values, overrides }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_every_combination_in_a_stable_order() {
        let grid = serde_json::from_str(r#"{"grid": {"b": [1, 2], "a": ["x", "y"]}}"#).expect("a sweep");
        let names: Vec<String> = cells(&grid).into_iter().map(|cell| cell.name).collect();
        assert_eq!(names, ["a=x,b=1", "a=x,b=2", "a=y,b=1", "a=y,b=2"]);
    }

    #[test]
    fn no_sweep_is_one_cell_without_a_name() {
        let cells = cells(&Sweep::default());
        assert_eq!(cells.len(), 1);
        assert!(cells[0].name.is_empty() && cells[0].overrides.is_empty());
    }
}
