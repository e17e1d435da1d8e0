//! `oodlab config`: the resolved configuration and where each value came from.

use anyhow::Result;

use super::{print, print_json};
use crate::cli::Target;
use crate::config::Source;

/// Prints one line a setting: `key: value  # origin`.
pub fn run(target: &Target, json: bool) -> Result<()> {
    let source = Source::open(&target.request()?)?;
    let settings = source.describe()?;
    // Every cell must resolve, or `run` would refuse what `config` shows.
    for (cell, experiment) in source.cells()? {
        experiment.resolved().map_err(|error| source.locate(&cell, error))?;
    }
    if json {
        return print_json(&settings);
    }
    let lines: Vec<String> = settings.iter().map(|s| format!("{}: {}", s.key, s.value)).collect();
    let width = lines.iter().map(String::len).max().unwrap_or(0).min(72);
    let text: String =
        lines.iter().zip(&settings).map(|(line, s)| format!("{line:width$}  # {}\n", s.origin)).collect();
    print(&text)
}
