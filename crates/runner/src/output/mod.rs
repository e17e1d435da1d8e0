//! `results/<experiment>/`: tables, scores, figures, and a folder a run with its configuration, provenance and log.

mod figures;
mod run_folder;
mod scored;
mod sign;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::scores::{ScoreRecords, write_scores_parquet};
use oodlab_evaluation::{Row, Table};
use serde::Serialize;

use crate::lab::Lab;
use crate::plan::Plan;
pub use run_folder::{finish_run, start_run};
pub use scored::{Inliers, ScoredContender, ScoredRun};

/// What a run of an experiment leaves behind.
pub struct Outcome {
    /// The experiment's name.
    pub name: String,
    /// Every row, with group means.
    pub table: Table,
    /// Where it was written.
    pub folder: PathBuf,
    /// What a reader must know beside the numbers: training images, partial and missing sets, failed runs.
    pub notes: Vec<String>,
    /// Hashes of the training images of all runs.
    pub train_lists: BTreeSet<String>,
    missing: BTreeMap<String, String>,
    /// Run to error.
    pub failures: BTreeMap<String, String>,
    runs: usize,
}

/// What `--json` prints.
#[derive(Serialize)]
pub struct Summary<'a> {
    experiment: &'a str,
    folder: String,
    runs: usize,
    failed: &'a BTreeMap<String, String>,
    missing: &'a BTreeMap<String, String>,
    rows: &'a [Row],
}

impl Outcome {
    /// For programs.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            experiment: &self.name,
            folder: self.folder.display().to_string(),
            runs: self.runs,
            failed: &self.failures,
            missing: &self.missing,
            rows: &self.table.rows,
        }
    }

    /// A failed run does not pass for success.
    pub fn fail_if_any_run_failed(&self) -> Result<()> {
        let Some((run, error)) = self.failures.iter().next() else { return Ok(()) };
        anyhow::bail!("{} of {} runs failed; the first, {run}: {error}", self.failures.len(), self.runs)
    }
}

/// Makes the results folder before any work starts, so that a wrong place is found first.
pub fn prepare(lab: &Lab, plan: &Plan) -> Result<PathBuf> {
    let folder = lab.results.join(&plan.name);
    fs_err::create_dir_all(folder.join("figures"))?;
    fs_err::create_dir_all(folder.join("runs"))?;
    write_atomic(&folder.join(".writable"), b"")?;
    fs_err::remove_file(folder.join(".writable"))?;
    Ok(folder)
}

/// Writes tables, scores and figures of all finished runs. When none finished, what an earlier run wrote stays.
pub fn write(
    lab: &Lab,
    plan: &Plan,
    folder: PathBuf,
    scored: &[ScoredRun],
    failures: BTreeMap<String, String>,
) -> Result<Outcome> {
    if let (true, Some((run, error))) = (scored.is_empty(), failures.iter().next()) {
        anyhow::bail!("all {} runs failed, nothing was written; the first, {run}: {error}", plan.runs.len());
    }
    let rows = scored.iter().flat_map(|run| &run.rows).map(|row| Row { experiment: plan.name.clone(), ..row.clone() });
    let mut table = Table::new(rows.collect());
    table.group_means();
    let mut records = ScoreRecords::default();
    for run in scored {
        run.add_records(&mut records);
    }
    let notes = notes(plan, scored, &failures);
    let listed: String = notes.iter().map(|note| format!("* {note}\n")).collect();
    let markdown = format!("{}\n\n{listed}", table.to_markdown().trim_end_matches('\n'));
    write_atomic(&folder.join("table.csv"), &table.to_csv()?)?;
    write_atomic(&folder.join("table.md"), markdown.as_bytes())?;
    write_atomic(&folder.join("scores.parquet"), &write_scores_parquet(&records)?)?;
    lab.cancel.check()?;
    figures::write(&folder.join("figures"), &table, scored)?;
    Ok(Outcome {
        name: plan.name.clone(),
        table,
        folder,
        notes,
        train_lists: scored.iter().map(|run| run.train_list.clone()).collect(),
        missing: plan.missing.clone(),
        failures,
        runs: plan.runs.len(),
    })
}

fn notes(plan: &Plan, scored: &[ScoredRun], failures: &BTreeMap<String, String>) -> Vec<String> {
    let trained: BTreeSet<String> = scored.iter().map(|run| format!("trained on {}", run.trained_on)).collect();
    let partial: BTreeSet<String> =
        scored.iter().flat_map(|run| &run.partial).map(|set| format!("partial: {set}")).collect();
    let missing = plan.missing.iter().map(|(set, how)| format!("missing: {set}, in no mean above; {how}"));
    let failed = failures.iter().map(|(run, error)| format!("failed: run {run}: {error}"));
    let signs = sign::note(scored.iter().flat_map(|run| &run.rows));
    trained
        .into_iter()
        .chain(signs)
        .chain(partial)
        .chain(plan.notes.iter().cloned())
        .chain(missing)
        .chain(failed)
        .collect()
}
