//! `oodlab plan`: what a run would do, what is done already, and how long the rest takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use indicatif::HumanDuration;
use serde::Serialize;

use super::{print, print_json};
use crate::cli::Target;
use crate::config::Source;
use crate::graph::{Graph, Stage, dot};
use crate::lab::Lab;
use crate::plan::Plan;
use crate::work::estimate::Estimate;
use crate::work::limits::{Limits, WorkArguments};

/// Stages are listed one by one up to so many; beyond, `--json` and `--dot` have them.
const MOST_LINES: usize = 200;

/// What to plan.
#[derive(Debug, Clone, Args)]
pub struct PlanArguments {
    #[command(flatten)]
    pub target: Target,
    /// Print the graph of stages in Graphviz's language instead
    #[arg(long, conflicts_with = "json")]
    pub dot: bool,
}

/// One stage, counted once however many cells use it.
#[derive(Serialize)]
struct Entry {
    stage: &'static str,
    label: String,
    key: String,
    parts_done: usize,
    parts: usize,
    used_by: usize,
    /// Of one worker; absent where it is done or nothing is known.
    seconds: Option<f64>,
}

/// Stages of one kind.
#[derive(Serialize, Default)]
struct Sum {
    all: usize,
    left: usize,
    /// Of one worker, as far as rates are known.
    seconds: f64,
    /// Left, and nothing is known of the time.
    unknown: usize,
}

#[derive(Serialize)]
struct Report {
    experiment: String,
    cells: usize,
    runs: usize,
    runs_left: usize,
    workers: usize,
    threads: usize,
    /// Of all workers together, as far as rates are known.
    seconds: f64,
    /// Stages of which nothing is known.
    unknown: usize,
    sums: BTreeMap<&'static str, Sum>,
    stages: Vec<Entry>,
    missing: BTreeMap<String, String>,
    notes: BTreeSet<String>,
}

/// Prints cells, stages, what is shared, done and left.
pub fn run(lab: &Lab, arguments: &PlanArguments, json: bool) -> Result<()> {
    let target = &arguments.target;
    let source = Source::open(&target.request()?)?;
    let plan = Plan::new(lab, &source)?;
    let graph = Graph::new(lab, &plan, false)?;
    if arguments.dot {
        return print(&dot::draw(&graph, &plan));
    }
    let report = report(lab, plan, &graph)?;
    if json { print_json(&report) } else { print(&describe(&report)) }
}

fn report(lab: &Lab, plan: Plan, graph: &Graph) -> Result<Report> {
    let runs_left = (0..plan.runs.len()).filter(|&run| !graph.is_finished(run)).count();
    let gpu = lab.gpu.is_some();
    let limits = Limits::new(&WorkArguments::default(), runs_left, rayon::current_num_threads(), gpu);
    let estimate = Estimate::read(lab, &plan, graph, false)?;
    let mut sums: BTreeMap<&'static str, Sum> = BTreeMap::new();
    let mut stages = Vec::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let seconds = if node.left { estimate.seconds(graph, at, limits.threads) } else { None };
        let sum = sums.entry(node.stage.name()).or_default();
        sum.all += 1;
        sum.left += usize::from(node.left);
        sum.seconds += seconds.unwrap_or_default();
        sum.unknown += usize::from(node.left && seconds.is_none());
        let (parts_done, parts) = node.parts;
        let images = match (node.stage, node.units) {
            (Stage::Encode, units) => format!(" ({units} images)"),
            _ => String::new(),
        };
        stages.push(Entry {
            stage: node.stage.name(),
            label: format!("{}{images}", node.label(&plan)),
            key: node.key.short(),
            parts_done,
            parts,
            used_by: node.used_by,
            seconds,
        });
    }
    let cells: BTreeSet<&str> = plan.runs.iter().map(|run| run.cell.name.as_str()).collect();
    let workers = limits.workers.min(runs_left.max(1));
    Ok(Report {
        cells: cells.len(),
        runs: plan.runs.len(),
        runs_left,
        workers,
        threads: limits.threads,
        seconds: sums.values().map(|sum| sum.seconds).sum::<f64>() / workers as f64,
        unknown: sums.values().map(|sum| sum.unknown).sum(),
        sums,
        experiment: plan.name,
        stages,
        missing: plan.missing,
        notes: plan.notes,
    })
}

fn describe(report: &Report) -> String {
    let Report { experiment, cells, runs, stages, missing, notes, .. } = report;
    let left = stages.iter().filter(|stage| stage.parts_done < stage.parts).count();
    let mut text = format!("{experiment}: {cells} cells, {runs} runs, {} stages, {left} left\n", stages.len());
    for Entry { label, key, parts_done, parts, used_by, seconds, .. } in stages.iter().take(MOST_LINES) {
        let state = match parts_done {
            done if done == parts => "done".to_owned(),
            0 => "left".to_owned(),
            done => format!("{done} of {parts} parts"),
        };
        let shared = if *used_by > 1 { format!("  shared by {used_by} runs") } else { String::new() };
        let time = seconds.map(|seconds| format!("  {}", time(seconds))).unwrap_or_default();
        text.push_str(&format!("  {key}  {state:<16} {label}{time}{shared}\n"));
    }
    if let Some(more @ 1..) = stages.len().checked_sub(MOST_LINES) {
        text.push_str(&format!("  and {more} more; --json lists all\n"));
    }
    for (stage, Sum { all, left, seconds, unknown }) in &report.sums {
        let known = if left > unknown { format!(", {}", time(*seconds)) } else { String::new() };
        let unknown = if *unknown > 0 { format!(", time of {unknown} unknown") } else { String::new() };
        text.push_str(&format!("  {stage}: {left} of {all} left{known}{unknown}\n"));
    }
    if left > 0 {
        let whole = if report.unknown > 0 { "at least " } else { "about " };
        let (workers, threads) = (report.workers, report.threads);
        let time = time(report.seconds);
        text.push_str(&format!("  time left: {whole}{time} with {workers} workers of {threads} threads\n"));
    }
    for (set, how) in missing {
        text.push_str(&format!("  missing: {set}; {how}\n"));
    }
    for note in notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}

/// `12 s`, `3 minutes`.
fn time(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    HumanDuration(Duration::from_secs_f64(seconds.min(1e12))).to_string()
}
