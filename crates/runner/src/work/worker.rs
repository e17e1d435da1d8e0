//! `oodlab work`: a process that does jobs, one after the other, until its standard input ends.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use anyhow::{Context, Result};

use super::job::Job;
use super::memory;
use super::message::{JobError, Outcome, ToWorker};
use super::report::Reporter;
use super::steps;
use crate::lab::Lab;
use crate::plan::Planner;

/// Does the jobs that arrive on standard input.
pub fn run(lab: &Lab, reporter: &Reporter) -> Result<()> {
    let jobs = listen(lab)?;
    let mut planner = Planner::new(lab)?;
    for job in jobs {
        reporter.finished(execute(lab, &mut planner, &job));
    }
    Ok(())
}

/// Does one job; its log lines go to the log of its run.
pub fn execute(lab: &Lab, planner: &mut Planner<'_>, job: &Job) -> Outcome {
    memory::forget_peak();
    let started = Instant::now();
    let done = lab.run_log.open(&job.folder.join("log.jsonl")).and_then(|()| {
        let run = job.plan(planner)?;
        steps::execute(lab, &run, &job.step)
    });
    let seconds = started.elapsed().as_secs_f64();
    match &done {
        Ok(()) => tracing::info!(step = ?job.step, seconds, "finished"),
        Err(error) => tracing::info!(step = ?job.step, seconds, error = crate::failure::describe(error), "failed"),
    }
    lab.run_log.close();
    Outcome { job: job.id, seconds, peak_bytes: memory::peak(), error: done.err().map(|error| JobError::of(&error)) }
}

/// The jobs as they arrive. When standard input ends, whoever sent them is gone or has no more: the process ends at once, since nothing
/// is ever half-written.
fn listen(lab: &Lab) -> Result<Receiver<Job>> {
    let (send, jobs) = channel();
    let cancel = lab.cancel.clone();
    let listen = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str::<ToWorker>(&line) {
                Ok(ToWorker::Job(job)) => {
                    if send.send(*job).is_err() {
                        break;
                    }
                }
                Ok(ToWorker::Stop) => cancel.cancel(),
                Err(error) => {
                    // A worker of another build: nothing that it says could be trusted.
                    let _ = std::io::Write::write_all(
                        &mut std::io::stderr(),
                        format!("error: a job that this worker does not understand: {error}\n").as_bytes(),
                    );
                    std::process::exit(i32::from(crate::failure::FAILED));
                }
            }
        }
        std::process::exit(0);
    };
    std::thread::Builder::new().name("jobs".to_owned()).spawn(listen).context("cannot listen for jobs")?;
    Ok(jobs)
}
