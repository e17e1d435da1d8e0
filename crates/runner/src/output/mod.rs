//! `results/<experiment>/`: tables, scores, figures, and a folder a run with its configuration, provenance and log.

mod about;
mod classified;
pub mod draw;
mod points;
mod run_folder;
mod scored;
mod sign;
mod thumbnails;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use oodlab_base::file::write_atomic;
use oodlab_evaluation::record::DetectorAbout;
use oodlab_evaluation::scores::ScoreRecords;
use oodlab_evaluation::{Record, Row, Table, comparisons};
use serde::Serialize;

use crate::config::Source;
use crate::failure::{at, settings};
use crate::lab::Lab;
use crate::plan::{Plan, Run};
pub use classified::Classified;
pub use run_folder::{finish_run, start_run};
pub use scored::{Inliers, ScoredContender, ScoredRun, Stages};

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
    /// The tables that were asked for, and what could not be drawn.
    pub drawn: draw::Drawn,
    runs: usize,
}

/// What `--json` prints.
#[derive(Serialize)]
pub struct Summary<'a> {
    experiment: &'a str,
    folder: String,
    runs: usize,
    failed: &'a BTreeMap<String, String>,
    undrawn: &'a [String],
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
            undrawn: &self.drawn.undrawn,
            missing: &self.missing,
            rows: &self.table.rows,
        }
    }

    /// A failed run does not pass for success.
    pub fn fail_if_any_run_failed(&self) -> Result<()> {
        if let Some((run, error)) = self.failures.iter().next() {
            anyhow::bail!("{} of {} runs failed; the first, {run}: {error}", self.failures.len(), self.runs);
        }
        self.drawn.fail_if_undrawn()
    }
}

/// Refuses, before any work starts, comparisons of scores that no run has, and published tables that nobody knows.
pub fn check_wishes(source: &Source, plan: &Plan) -> Result<()> {
    let wanted = source.base()?;
    for run in &plan.runs {
        let detectors: Vec<DetectorAbout> = run.contenders.iter().map(about::of_contender).collect();
        comparisons::check(wanted.comparisons.as_deref(), &detectors)
            .map_err(|error| source.locate(&run.cell, at("comparisons", &error.to_string())))?;
    }
    let library = draw::published()?;
    for (place, table) in wanted.tables.iter().enumerate() {
        if let Some(published) = &table.published {
            library.table(&published.table).map_err(|error| settings(format!("tables.{place}.published: {error}")))?;
        }
    }
    Ok(())
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

/// Writes what all finished runs left behind, and draws tables, figures and the report from it. When none finished, what an earlier
/// run wrote stays.
pub fn write(
    lab: &Lab,
    source: &Source,
    plan: &Plan,
    folder: PathBuf,
    finished: &[(&Run, ScoredRun)],
    failures: BTreeMap<String, String>,
) -> Result<Outcome> {
    if let (true, Some((run, error))) = (finished.is_empty(), failures.iter().next()) {
        anyhow::bail!("all {} runs failed, nothing was written; the first, {run}: {error}", plan.runs.len());
    }
    let scored = || finished.iter().map(|(_, done)| done);
    let rows = scored().flat_map(|run| &run.rows).map(|row| Row { experiment: plan.name.clone(), ..row.clone() });
    let mut table = Table::new(rows.collect());
    table.group_means();
    for run in scored() {
        run.add_mean_intervals(&mut table);
    }
    let mut scores = ScoreRecords::default();
    for run in scored() {
        run.add_records(&mut scores);
    }
    let notes = notes(plan, finished, &failures);
    let runs = finished.iter().map(|(run, done)| about::of_run(run, done)).collect();
    let about = about::of_experiment(lab, source, plan, runs, notes.clone(), failures.clone())?;
    let mut record = Record { about, table, scores, ..Record::default() };
    record.comparisons = comparisons::of_record(&record)?;
    record.thumbnails = thumbnails::gather(&record, finished)?;
    record.points = points::gather(lab, &record, finished)?;
    lab.cancel.check()?;
    record.write(&folder)?;
    let drawn = draw::all(&record, &folder, &lab.bars)?;
    Ok(Outcome {
        name: plan.name.clone(),
        table: record.table,
        folder,
        notes,
        train_lists: scored().map(|run| run.train_list.clone()).collect(),
        missing: plan.missing.clone(),
        failures,
        drawn,
        runs: plan.runs.len(),
    })
}

fn notes(plan: &Plan, finished: &[(&Run, ScoredRun)], failures: &BTreeMap<String, String>) -> Vec<String> {
    let scored = || finished.iter().map(|(_, done)| done);
    let trained: BTreeSet<String> = scored().map(|run| format!("trained on {}", run.trained_on)).collect();
    let partial: BTreeSet<String> =
        scored().flat_map(|run| &run.partial).map(|set| format!("partial: {set}")).collect();
    let missing = plan.missing.iter().map(|(set, how)| format!("missing: {set}, in no mean above; {how}"));
    let failed = failures.iter().map(|(run, error)| format!("failed: run {run}: {error}"));
    let signs = sign::note(scored().flat_map(|run| &run.rows));
    trained
        .into_iter()
        .chain(signs)
        .chain(partial)
        .chain(plan.notes.iter().cloned())
        .chain(missing)
        .chain(failed)
        .collect()
}
