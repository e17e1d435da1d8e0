//! `oodlab check`: an experiment against its committed baseline.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;

use super::{print, print_json};
use crate::baseline::Baseline;
use crate::commands::run::execute;
use crate::config::{Environment, Source};
use crate::failure::settings;
use crate::lab::Lab;
use crate::numerics;

/// Runs the experiment (stored stages are reused) and compares or rewrites the baseline.
pub fn run(lab: &Lab, path: &Path, update: bool, json: bool) -> Result<()> {
    let before = read(path)?;
    let file = match (&before, update) {
        (Some(baseline), _) => PathBuf::from(&baseline.file),
        (None, true) => experiment_file(path)?,
        (None, false) => {
            let hint = "write it first with --update";
            return Err(settings(format!("there is no baseline {}; {hint}", path.display())));
        }
    };
    let source = Source::open(&file, &[], Environment::Ignore)?;
    let outcome = execute(lab, &source)?;
    outcome.fail_if_any_run_failed()?;
    let now = Baseline::of(
        &outcome.table,
        &outcome.train_lists,
        &source.name,
        &file.display().to_string(),
        numerics::describe(lab.gpu.as_ref()),
    );
    let moved = before.as_ref().map(|before| before.moved(&now)).unwrap_or_default();
    if update {
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        write_atomic(path, format!("{}\n", serde_json::to_string_pretty(&now)?).as_bytes())?;
        let markdown = fs_err::read(outcome.folder.join("table.md"))?;
        write_atomic(&path.with_extension("md"), &markdown)?;
    }
    let exact = before.as_ref().is_some_and(|before| before.numerics == now.numerics);
    if json {
        print_json(
            &serde_json::json!({ "baseline": path, "updated": update, "exact": exact, "rows": now.rows.len(), "moved": moved }),
        )?;
    } else {
        let lines: String = moved.iter().map(|line| format!("{line}\n")).collect();
        let how = match &before {
            None => "written".to_owned(),
            Some(_) if exact => format!("compared to the bit (same numerics), {} moved", moved.len()),
            Some(_) => format!("compared within tolerance (other numerics), {} moved", moved.len()),
        };
        print(&format!("{lines}{}: {} rows {how}\n", source.name, now.rows.len()))?;
    }
    anyhow::ensure!(update || moved.is_empty(), "{} metrics left the baseline {}", moved.len(), path.display());
    Ok(())
}

fn read(path: &Path) -> Result<Option<Baseline>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(path)?;
    Ok(Some(serde_json::from_str(&text).with_context(|| format!("{} is not a baseline", path.display()))?))
}

/// `results/baselines/a/b.json` guards `experiments/a/b.yaml`.
fn experiment_file(baseline: &Path) -> Result<PathBuf> {
    let mut parts = baseline.iter().skip_while(|part| *part != "baselines").skip(1).peekable();
    if parts.peek().is_none() {
        return Err(settings(format!("{}: a baseline lives below results/baselines/", baseline.display())));
    }
    Ok(Path::new("experiments").join(parts.collect::<PathBuf>()).with_extension("yaml"))
}
