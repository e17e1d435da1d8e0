//! `oodlab status DIR`: how far a run is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use indicatif::HumanDuration;

use super::{print, print_json};
use crate::bars::Bars;
use crate::launch::slurm::{self, Progress};
use crate::work::status::{State, Status, now};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Whose status.
#[derive(Debug, Clone, Args)]
pub struct StatusArguments {
    /// The results folder of an experiment, as in results/dlsr/fig4
    pub folder: PathBuf,
    /// Go on until the run ends
    #[arg(long, short)]
    pub watch: bool,
}

/// Prints the status of a results folder.
pub fn run(arguments: &StatusArguments, bars: &Bars, json: bool) -> Result<()> {
    let mut shown = String::new();
    while let Some(progress) =
        slurm::latest(&arguments.folder)?.filter(|progress| is_latest(&arguments.folder, progress))
    {
        let running = !progress.has_ended();
        if json && !(running && arguments.watch) {
            print_json(&progress)?;
        } else if !json {
            let text = progress.describe();
            if text != shown {
                print(&text)?;
                shown = text;
            }
        }
        if !running || !arguments.watch {
            anyhow::ensure!(running || progress.is_success(), "{}: not everything is done", progress.experiment);
            return Ok(());
        }
        std::thread::sleep(EVERY);
    }
    loop {
        let status = Status::read(&arguments.folder)?;
        let running = status.state == State::Running;
        if json && !(running && arguments.watch) {
            print_json(&status)?;
        } else if !json {
            let text = describe(&status);
            // Only what changed is worth a new block of lines.
            if text != shown {
                print(&text)?;
                shown = text;
            }
        }
        if !running || !arguments.watch {
            let bad = matches!(status.state, State::Failed | State::Stopped | State::Lost);
            anyhow::ensure!(!bad, "{}: {}", status.experiment, status.state.name());
            return Ok(());
        }
        if !bars.are_drawn() && !json {
            print("\n")?;
        }
        std::thread::sleep(EVERY);
    }
}

/// Whether a submission is what happened last here: a run of this machine may have gone on from it. The job that writes the tables is a run
/// of the submission itself.
fn is_latest(folder: &Path, progress: &Progress) -> bool {
    let local = Status::read(folder).ok();
    !progress.has_ended() || local.is_none_or(|status| status.started <= progress.updated)
}

fn describe(status: &Status) -> String {
    let Status { experiment, state, process, runs, workers, threads, .. } = status;
    let (host, pid) = (&process.host, process.pid);
    let mut text =
        format!("{experiment}: {}, process {pid} on {host}, {workers} workers of {threads} threads\n", state.name());
    let since = Duration::from_secs(now().saturating_sub(status.started));
    text.push_str(&format!("  runs: {} done, {} failed, {} left of {}", runs.done, runs.failed, runs.left(), runs.all));
    match (state, status.seconds_left) {
        (State::Running, Some(left)) => {
            let left = HumanDuration(Duration::from_secs_f64(left.clamp(0.0, 1e9)));
            text.push_str(&format!("; for {}, about {left} left\n", HumanDuration(since)));
        }
        (State::Running, None) => text.push_str(&format!("; for {}\n", HumanDuration(since))),
        _ => text.push('\n'),
    }
    for (stage, counts) in &status.stages {
        text.push_str(&format!("  {stage}: {} of {} done\n", counts.done, counts.all));
    }
    for job in &status.jobs {
        let progress = if job.progress.is_empty() { String::new() } else { format!(", {}", job.progress) };
        text.push_str(&format!("  worker {}: {}, {:.0} s{progress}\n", job.worker, job.label, job.seconds));
    }
    for (run, error) in &status.failures {
        text.push_str(&format!("  failed: {run}: {error}\n"));
    }
    text
}
