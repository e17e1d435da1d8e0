//! `oodlab plan`: what a run would do, and what is done already.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use super::run::score_stage;
use super::{print, print_json};
use crate::cli::Target;
use crate::config::{Environment, Source};
use crate::lab::Lab;
use crate::plan::Plan;

/// One stage, counted once however many cells use it.
#[derive(Serialize)]
struct Stage {
    stage: &'static str,
    label: String,
    key: String,
    parts_done: usize,
    parts: usize,
    used_by: usize,
}

#[derive(Serialize)]
struct Report {
    experiment: String,
    cells: usize,
    runs: usize,
    stages: Vec<Stage>,
    missing: std::collections::BTreeMap<String, String>,
    notes: BTreeSet<String>,
}

/// Prints cells, stages, what is shared, done and left.
pub fn run(lab: &Lab, target: &Target, json: bool) -> Result<()> {
    let source = Source::open(&target.file, &target.overrides, Environment::Read)?;
    let plan = Plan::new(lab, &source)?;
    let report = report(lab, plan)?;
    if json { print_json(&report) } else { print(&describe(&report)) }
}

fn report(lab: &Lab, plan: Plan) -> Result<Report> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut add = |stage: Stage| match stages.iter_mut().find(|known| known.key == stage.key) {
        Some(known) => known.used_by += 1,
        None => stages.push(stage),
    };
    for run in &plan.runs {
        let mut seen = BTreeSet::new();
        for encode in run.encodes() {
            if !seen.insert(encode.key()) {
                continue;
            }
            let (parts_done, parts) = encode.state(lab)?;
            let label = format!("{} ({} {})", encode.label(), encode.len(), encode.unit());
            add(Stage { stage: encode.stage(), label, key: encode.key().short(), parts_done, parts, used_by: 1 });
        }
        for contender in &run.contenders {
            let fit = &contender.fit;
            let done = usize::from(fit.is_done(lab)?);
            let label = format!("fit {} seed {}", contender.name, run.seed);
            add(Stage { stage: "fit", label, key: fit.key().short(), parts_done: done, parts: 1, used_by: 1 });
            let mut seen = BTreeSet::new();
            for encode in run.scored() {
                if !seen.insert(encode.key()) {
                    continue;
                }
                let score = score_stage(run, contender, encode)?;
                let (parts_done, parts) = score.state(lab)?;
                let (label, key) = (score.label().to_owned(), score.key().short());
                add(Stage { stage: "score", label, key, parts_done, parts, used_by: 1 });
            }
        }
    }
    let cells: BTreeSet<&str> = plan.runs.iter().map(|run| run.cell.name.as_str()).collect();
    Ok(Report {
        cells: cells.len(),
        runs: plan.runs.len(),
        experiment: plan.name,
        stages,
        missing: plan.missing,
        notes: plan.notes,
    })
}

fn describe(report: &Report) -> String {
    let Report { experiment, cells, runs, stages, missing, notes } = report;
    let left = stages.iter().filter(|stage| stage.parts_done < stage.parts).count();
    let mut text = format!("{experiment}: {cells} cells, {runs} runs, {} stages, {left} left\n", stages.len());
    for Stage { label, key, parts_done, parts, used_by, .. } in stages {
        let state = match parts_done {
            0 => "left".to_owned(),
            done if done == parts => "done".to_owned(),
            done => format!("{done} of {parts} parts"),
        };
        let shared = if *used_by > 1 { format!("  shared by {used_by} runs") } else { String::new() };
        text.push_str(&format!("  {key}  {state:<16} {label}{shared}\n"));
    }
    for (set, how) in missing {
        text.push_str(&format!("  missing: {set}; {how}\n"));
    }
    for note in notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}
