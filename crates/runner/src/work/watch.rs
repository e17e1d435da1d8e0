//! What a person sees of a run: bars on a terminal, a line now and then elsewhere, and `status.json` for others.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use oodlab_base::{Progress, Task};
use oodlab_store::Process;

use super::estimate::Estimate;
use super::limits::Limits;
use super::message::FromWorker;
use super::pool::Pool;
use super::schedule::Schedule;
use super::status::{Counts, JobStatus, State, Status, now};
use super::{Ending, Stop};
use crate::graph::{Graph, Stage};
use crate::lab::Lab;
use crate::plan::Plan;

/// How often the status is written.
const EVERY: Duration = Duration::from_secs(1);

/// What a person sees of a run.
pub struct Watch<'a> {
    lab: &'a Lab,
    plan: &'a Plan,
    graph: &'a Graph,
    folder: &'a Path,
    status: Status,
    written: Instant,
    /// Runs finished and failed; drawn where there are several.
    runs: Option<Box<dyn Task>>,
    shown: usize,
    /// Of each worker: its job, and the tasks that it tells of.
    jobs: BTreeMap<usize, Shown>,
}

struct Shown {
    label: String,
    since: Instant,
    progress: String,
    bars: BTreeMap<u64, (Box<dyn Task>, u64)>,
}

impl<'a> Watch<'a> {
    /// Begins to watch; writes the first status.
    pub fn new(lab: &'a Lab, plan: &'a Plan, graph: &'a Graph, folder: &'a Path, limits: &Limits) -> Result<Watch<'a>> {
        let done = (0..plan.runs.len()).filter(|&run| graph.is_finished(run)).count();
        let all = plan.runs.len();
        let runs = (all > 1).then(|| lab.bars.task("runs", "runs", all as u64, done as u64));
        let status = Status {
            experiment: plan.name.clone(),
            state: State::Running,
            process: Process::this().clone(),
            started: now(),
            updated: now(),
            runs: Counts { done, failed: 0, all },
            stages: BTreeMap::new(),
            jobs: Vec::new(),
            seconds_left: None,
            workers: limits.workers,
            threads: limits.threads,
            failures: BTreeMap::new(),
        };
        status.write(folder)?;
        let (written, jobs) = (Instant::now(), BTreeMap::new());
        Ok(Watch { lab, plan, graph, folder, status, written, runs, shown: done, jobs })
    }

    /// A worker was given a job.
    pub fn gave(&mut self, worker: usize, label: &str) {
        let shown =
            Shown { label: label.to_owned(), since: Instant::now(), progress: String::new(), bars: BTreeMap::new() };
        self.jobs.insert(worker, shown);
    }

    /// A worker's job ended.
    pub fn ended(&mut self, worker: usize) {
        self.jobs.remove(&worker);
    }

    /// A worker says how far it is, or something for a person.
    pub fn said(&mut self, worker: usize, message: FromWorker) {
        match message {
            FromWorker::Line { text } => self.lab.bars.line(&text),
            FromWorker::Progress { task, label, unit, total, done, remark } => {
                // Without a terminal, lines about every job of a sweep would bury its own.
                let drawn = self.lab.bars.are_drawn() || self.plan.runs.len() == 1;
                let Some(job) = self.jobs.get_mut(&worker) else { return };
                job.progress = format!("{done}/{total} {unit}");
                if !drawn {
                    return;
                }
                let unit = known_unit(&unit);
                // In a sweep several trainings go on at once: which one is said by the job.
                let label = if self.plan.runs.len() > 1 && !job.label.contains(&label) {
                    format!("{}: {label}", job.label)
                } else {
                    label
                };
                let (bar, before) =
                    job.bars.entry(task).or_insert_with(|| (self.lab.bars.task(&label, unit, total, done), done));
                bar.remark(&remark);
                if done > *before {
                    bar.advance(done - *before);
                    *before = done;
                }
            }
            FromWorker::Ended { task } => {
                if let Some(job) = self.jobs.get_mut(&worker) {
                    job.bars.remove(&task);
                }
            }
            FromWorker::Finished(_) => {}
        }
    }

    /// Brings bars and status up to date when it is time.
    pub fn tick(&mut self, schedule: &Schedule, pool: &Pool, estimate: &Estimate) -> Result<()> {
        if self.written.elapsed() < EVERY {
            return Ok(());
        }
        let left = estimate.left(self.graph, Some(schedule), self.status.threads);
        let workers = self.status.workers.min(self.status.runs.left().max(1)) as f64;
        self.status.seconds_left = (left.seconds > 0.0 || left.unknown == 0).then_some(left.seconds / workers);
        self.count(schedule);
        self.status.jobs = pool.busy().filter_map(|(worker, _)| self.job(worker)).collect();
        self.write()
    }

    /// The last word.
    pub fn end(&mut self, ending: &Ending, schedule: &Schedule) -> Result<()> {
        self.count(schedule);
        self.status.jobs.clear();
        self.status.seconds_left = None;
        self.status.state = match ending.stopped {
            Some(Stop::Asked | Stop::Time) => State::Stopped,
            _ if !ending.failures.is_empty() => State::Failed,
            _ => State::Finished,
        };
        let failures = ending.failures.iter();
        self.status.failures = failures.map(|(&run, error)| (self.plan.runs[run].name(), error.text.clone())).collect();
        self.write()?;
        self.jobs.clear();
        self.runs = None;
        Ok(())
    }

    fn job(&self, worker: usize) -> Option<JobStatus> {
        let Shown { label, since, progress, .. } = self.jobs.get(&worker)?;
        let (label, progress) = (label.clone(), progress.clone());
        Some(JobStatus { worker, label, seconds: since.elapsed().as_secs_f64(), progress })
    }

    fn count(&mut self, schedule: &Schedule) {
        let count = |nodes: &mut dyn Iterator<Item = usize>| {
            let mut counts = Counts::default();
            for node in nodes {
                counts.all += 1;
                counts.done += usize::from(schedule.is_done(node));
                counts.failed += usize::from(schedule.failure(node).is_some());
            }
            counts
        };
        self.status.runs = count(&mut self.graph.evaluations.iter().copied());
        for stage in Stage::ALL {
            let mut of_stage = (0..self.graph.nodes.len()).filter(|&at| self.graph.nodes[at].stage == stage);
            self.status.stages.insert(stage.name().to_owned(), count(&mut of_stage));
        }
        if let Some(runs) = &self.runs {
            let Counts { done, failed, .. } = self.status.runs;
            let stages = self.status.stages.values();
            let (ready, all) = stages.fold((0, 0), |sum, of| (sum.0 + of.done, sum.1 + of.all));
            let lost = if failed > 0 { format!(", {failed} runs failed") } else { String::new() };
            runs.remark(&format!("{ready} of {all} stages{lost}"));
            runs.advance((done + failed).saturating_sub(self.shown) as u64);
            self.shown = self.shown.max(done + failed);
        }
    }

    fn write(&mut self) -> Result<()> {
        (self.status.updated, self.written) = (now(), Instant::now());
        self.status.write(self.folder)
    }
}

/// A worker's word for what it counts, as the bars take it.
fn known_unit(unit: &str) -> &'static str {
    ["images", "features", "imported vectors", "samples", "columns"]
        .into_iter()
        .find(|known| *known == unit)
        .unwrap_or("units")
}
