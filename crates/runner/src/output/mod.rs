//! `results/<experiment>/`: tables, scores, figures, and a folder a run with its configuration, provenance and log.

mod about;
pub mod draw;
mod points;
mod rows;
mod run_folder;
mod sign;
mod thumbnails;
mod up_to_date;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use oodlab_base::file::{remove_leftovers, write_atomic};
use oodlab_evaluation::record::DetectorAbout;
use oodlab_evaluation::scores::ScoreRecords;
use oodlab_evaluation::{Record, Row, Table, comparisons};
use serde::Serialize;

use crate::config::Source;
use crate::failure::{at, settings};
use crate::lab::Lab;
use crate::plan::{Plan, Run};
use crate::stages::evaluate::{Evaluated, Stages};
use crate::work::steps;
pub use rows::warnings;
pub use run_folder::{finish_run, run_folder, start_run};
pub use up_to_date::{Inputs, known_outcome};

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
    /// Sets that are not at hand, and how to get them.
    pub missing: BTreeMap<String, String>,
    /// Runs that are not done because the work was stopped.
    pub unfinished: Vec<String>,
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
    unfinished: &'a [String],
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
            unfinished: &self.unfinished,
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
    let mut seen: BTreeSet<Vec<(String, Vec<String>)>> = BTreeSet::new();
    for run in &plan.runs {
        let detectors: Vec<DetectorAbout> = run.contenders.iter().map(AsRef::as_ref).map(about::of_contender).collect();
        // Cells that differ in settings alone have the same detectors and scores.
        if !seen.insert(detectors.iter().map(|of| (of.name.clone(), of.scores.clone())).collect()) {
            continue;
        }
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
    for left in [&folder, &folder.join("figures"), &folder.join("tables")] {
        if left.is_dir() {
            remove_leftovers(left)?;
        }
    }
    Ok(folder)
}

/// What came of the runs of a plan.
pub struct Results<'a> {
    /// Finished runs, in the plan's order.
    pub finished: Vec<(&'a Run, Evaluated)>,
    /// Run to error.
    pub failures: BTreeMap<String, String>,
    /// Runs that are not done because the work was stopped.
    pub unfinished: Vec<String>,
}

impl Results<'_> {
    /// Every row with group means and their intervals.
    fn table(&self, experiment: &str) -> Table {
        let rows = self.finished.iter().flat_map(|(run, evaluated)| rows::rows(experiment, run, evaluated));
        let mut table = Table::new(rows.collect());
        table.group_means();
        rows::add_mean_intervals(&mut table, &self.finished);
        table
    }
}

/// Writes the tables of what is finished while the rest is under way. There is no record until all is: a folder that has one has the rest.
pub fn write_tables(plan: &Plan, folder: &Path, finished: Vec<(&Run, Evaluated)>) -> Result<()> {
    let results = Results { finished, failures: BTreeMap::new(), unfinished: Vec::new() };
    let table = results.table(&plan.name);
    oodlab_evaluation::Record::remove(folder)?;
    write_atomic(&folder.join("table.csv"), &table.to_csv()?)?;
    let done = format!("{} of {} runs are finished; the rest is under way", results.finished.len(), plan.runs.len());
    let markdown = format!("{}\n\n* {done}\n", table.to_markdown().trim_end_matches('\n'));
    Ok(write_atomic(&folder.join("table.md"), markdown.as_bytes())?)
}

/// Writes what all finished runs left behind, and draws tables, figures and the report from it. When none finished, what an earlier
/// run wrote stays.
pub fn write(
    lab: &Lab,
    source: &Source,
    plan: &Plan,
    folder: &Path,
    inputs: &Inputs,
    results: Results<'_>,
) -> Result<Outcome> {
    if let (true, Some((run, error))) = (results.finished.is_empty(), results.failures.iter().next()) {
        anyhow::bail!("all {} runs failed, nothing was written; the first, {run}: {error}", plan.runs.len());
    }
    let table = results.table(&plan.name);
    let finished = &results.finished;
    let mut scores = ScoreRecords::default();
    for (run, _) in finished {
        for contender in &run.contenders {
            let scored = steps::score(lab, run, contender, &mut Stages::default())?;
            rows::add_records(run, &scored, &mut scores);
        }
    }
    let notes = notes(plan, &table, &results);
    let runs = finished.iter().map(|(run, evaluated)| about::of_run(run, evaluated)).collect();
    let about = about::of_experiment(lab, source, plan, runs, notes.clone(), results.failures.clone())?;
    let mut record = Record { about, table, scores, ..Record::default() };
    record.comparisons = comparisons::of_record(&record)?;
    record.thumbnails = thumbnails::gather(&record, finished)?;
    record.points = points::gather(lab, &record, finished)?;
    record.write(folder)?;
    let drawn = draw::all(&record, folder, &lab.bars)?;
    if results.unfinished.is_empty() && results.failures.is_empty() && drawn.undrawn.is_empty() {
        up_to_date::remember(folder, inputs)?;
    }
    let Results { failures, unfinished, .. } = results;
    Ok(Outcome {
        name: plan.name.clone(),
        table: record.table,
        folder: folder.to_owned(),
        notes,
        missing: plan.missing.clone(),
        unfinished,
        failures,
        drawn,
        runs: plan.runs.len(),
    })
}

fn notes(plan: &Plan, table: &Table, results: &Results<'_>) -> Vec<String> {
    let runs = || results.finished.iter().map(|(run, _)| *run);
    let trained: BTreeSet<String> = runs().map(|run| format!("trained on {}", rows::trained_on(run))).collect();
    let partial: BTreeSet<String> = runs().flat_map(rows::partial).map(|set| format!("partial: {set}")).collect();
    let missing = plan.missing.iter().map(|(set, how)| format!("missing: {set}, in no mean above; {how}"));
    let failed = results.failures.iter().map(|(run, error)| format!("failed: run {run}: {error}"));
    let unfinished = results.unfinished.iter().map(|run| format!("not finished: {run}; run it again to go on"));
    let signs = sign::note(table.rows.iter());
    trained
        .into_iter()
        .chain(signs)
        .chain(partial)
        .chain(plan.notes.iter().cloned())
        .chain(missing)
        .chain(failed)
        .chain(unfinished)
        .collect()
}
