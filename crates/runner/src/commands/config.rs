//! `oodlab config`: the resolved configuration and where each value came from.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use oodlab_base::text;

use super::{print, print_json};
use crate::cli::Target;
use crate::config::origin::Setting;
use crate::config::{Cell, Source};
use crate::failure::settings;

/// What to show.
#[derive(Debug, Clone, Args)]
pub struct ConfigArguments {
    #[command(flatten)]
    pub target: Target,
    /// Show one cell of the sweep: its number, counted from 1, or its name
    #[arg(long, value_name = "CELL", conflicts_with = "cells")]
    pub cell: Option<String>,
    /// List the cells of the sweep
    #[arg(long)]
    pub cells: bool,
}

/// Prints one line a setting: `key: value  # origin`; or one a cell.
pub fn run(arguments: &ConfigArguments, json: bool) -> Result<()> {
    let source = Source::open(&arguments.target.request()?)?;
    let mut cells = Vec::new();
    // Every cell must resolve, or `run` would refuse what `config` shows.
    for (cell, experiment) in source.cells()? {
        experiment.resolved().map_err(|error| source.locate(&cell, error))?;
        cells.push(cell);
    }
    if arguments.cells {
        return list(&cells, json);
    }
    let shown = match &arguments.cell {
        None => Cell::new(BTreeMap::new()),
        Some(wanted) => find(&cells, wanted)?.clone(),
    };
    let settings = source.describe(&shown)?;
    if json { print_json(&settings) } else { print(&lines(&settings)) }
}

fn list(cells: &[Cell], json: bool) -> Result<()> {
    if json {
        let all: Vec<_> = cells
            .iter()
            .enumerate()
            .map(|(at, cell)| serde_json::json!({ "number": at + 1, "cell": cell.name, "values": cell.overrides }))
            .collect();
        return print_json(&all);
    }
    let width = cells.len().to_string().len();
    let name = |cell: &Cell| if cell.name.is_empty() { "(no sweep)".to_owned() } else { cell.name.clone() };
    print(
        &cells.iter().enumerate().map(|(at, cell)| format!("{:>width$}  {}\n", at + 1, name(cell))).collect::<String>(),
    )
}

/// A cell by its number or its name.
fn find<'a>(cells: &'a [Cell], wanted: &str) -> Result<&'a Cell> {
    if let Some(cell) = cells.iter().find(|cell| cell.name == wanted) {
        return Ok(cell);
    }
    let count = cells.len();
    if let Ok(number) = wanted.parse::<usize>() {
        let found = number.checked_sub(1).and_then(|at| cells.get(at));
        return found.ok_or_else(|| settings(format!("--cell {number}: the sweep has cells 1 to {count}")));
    }
    let hint = text::hint(wanted, cells.iter().map(|cell| cell.name.as_str()));
    Err(settings(format!("--cell: no cell is called {wanted:?}{hint} (--cells lists all {count})")))
}

fn lines(settings: &[Setting]) -> String {
    let lines: Vec<String> = settings.iter().map(|s| format!("{}: {}", s.key, s.value)).collect();
    let width = lines.iter().map(String::len).max().unwrap_or(0).min(72);
    lines.iter().zip(settings).map(|(line, s)| format!("{line:width$}  # {}\n", s.origin)).collect()
}
