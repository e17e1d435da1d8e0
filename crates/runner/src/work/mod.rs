//! Doing what is left of a plan: jobs in worker processes, in parallel within limits, each result in the store.
//!
//! [`schedule`] says which job is next, [`pool`] has the processes, [`worker`] is what they do, [`steps`] does the work itself. A failed job
//! costs only the runs that need it.

pub mod estimate;
pub mod failed;
pub mod job;
pub mod limits;
pub mod memory;
pub mod message;
pub mod pool;
pub mod report;
pub mod schedule;
pub mod status;
pub mod steps;
mod watch;
pub mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::graph::{Graph, Stage};
use crate::lab::Lab;
use crate::plan::Plan;
use estimate::Estimate;
use job::{Job, Order};
use limits::Limits;
use message::{ErrorKind, FromWorker, JobError, Outcome};
use pool::{Event, Pool};
use schedule::Schedule;
use watch::Watch;

/// How often the clock, Ctrl-C and the status are looked at while no worker says anything.
const TICK: Duration = Duration::from_millis(100);

/// A job whose process dies is given out again, so often in all.
const ATTEMPTS: usize = 3;

/// Workers that were asked to stop at once are waited for so long: one image, one training step.
const PATIENCE: Duration = Duration::from_secs(10);

/// The log of an experiment beside its results: JSON lines.
pub const LOG: &str = "log.jsonl";

/// Who is told of runs while the work goes on.
pub trait Listener {
    /// The first job of a run, by position in the plan, is given out.
    fn started(&mut self, run: usize) -> Result<()>;
    /// The metrics of a run have come into the store.
    fn finished(&mut self, run: usize) -> Result<()>;
    /// Some time went by.
    fn tick(&mut self) -> Result<()>;
}

/// How the work ended.
pub struct Ending {
    /// Error of each run that failed, by its position in the plan.
    pub failures: BTreeMap<usize, JobError>,
    /// Runs that were not finished and did not fail: the work was stopped.
    pub left: Vec<usize>,
    /// Why it was stopped, if it was.
    pub stopped: Option<Stop>,
}

/// Why work was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Asked,
    /// `--max-time` is over.
    Time,
    /// `--fail-fast`, and something failed.
    Failure,
}

/// Does what is left of a graph.
pub fn run(
    lab: &Lab,
    plan: &Plan,
    graph: &Graph,
    folder: &Path,
    limits: &Limits,
    listener: &mut dyn Listener,
) -> Result<Ending> {
    let before = failed::read(folder)?;
    let known: BTreeMap<usize, String> = if limits.retry_failed { BTreeMap::new() } else { before.of(graph) };
    let mut engine = Engine {
        schedule: Schedule::new(graph, limits.workers, &known),
        pool: Pool::new(limits.workers, limits.threads),
        estimate: Estimate::read(lab, plan, graph, true)?,
        watch: Watch::new(lab, plan, graph, folder, limits)?,
        errors: known.iter().map(|(&node, text)| (node, failed::error(text))).collect(),
        orders: BTreeMap::new(),
        attempts: BTreeMap::new(),
        stop: None,
        listener,
        lab,
        plan,
        graph,
        folder,
        limits,
    };
    for (node, text) in &known {
        engine.tell_lost(*node, text);
    }
    let worked = engine.work();
    let ending = engine.ending();
    engine.watch.end(&ending, &engine.schedule)?;
    failed::write(folder, graph, plan, &engine.errors)?;
    worked.map(|()| ending)
}

struct Engine<'a> {
    lab: &'a Lab,
    plan: &'a Plan,
    graph: &'a Graph,
    folder: &'a Path,
    limits: &'a Limits,
    schedule: Schedule,
    pool: Pool,
    estimate: Estimate,
    watch: Watch<'a>,
    /// Error of each node that failed itself.
    errors: BTreeMap<usize, JobError>,
    /// What runs look like in a job, while their jobs are given out.
    orders: BTreeMap<usize, Order>,
    /// How often a job was given out.
    attempts: BTreeMap<usize, usize>,
    stop: Option<Stop>,
    listener: &'a mut dyn Listener,
}

impl Engine<'_> {
    fn work(&mut self) -> Result<()> {
        let began = Instant::now();
        let mut hurried: Option<Instant> = None;
        self.lab.workers.cancel();
        loop {
            if self.stop.is_none() && self.lab.cancel.is_cancelled() {
                self.stop = Some(Stop::Asked);
            }
            let over = self.limits.max_time.is_some_and(|most| began.elapsed() >= most);
            if over && self.stop != Some(Stop::Time) {
                tracing::warn!("the time is over: stopping; finished parts are kept");
                self.stop = Some(Stop::Time);
                self.pool.stop();
            }
            if self.lab.hurry.is_cancelled() {
                let asked = *hurried.get_or_insert_with(|| {
                    self.pool.stop();
                    Instant::now()
                });
                if asked.elapsed() > PATIENCE {
                    return Ok(());
                }
            }
            if self.stop.is_none() {
                self.give_out()?;
            }
            if self.pool.busy().next().is_none() {
                return Ok(());
            }
            match self.pool.wait(TICK) {
                Some(Event::Said(worker, FromWorker::Finished(outcome))) => {
                    self.pool.free(worker);
                    self.ended(worker, outcome)?;
                }
                Some(Event::Said(worker, message)) => self.watch.said(worker, message),
                Some(Event::Died(worker)) => self.died(worker)?,
                None => {}
            }
            self.watch.tick(&self.schedule, &self.pool, &self.estimate)?;
            self.listener.tick()?;
        }
    }

    /// Gives idle workers what can be done now and fits into memory.
    fn give_out(&mut self) -> Result<()> {
        while let Some(worker) = self.pool.idle() {
            let busy: Vec<usize> = self.pool.busy().map(|(_, job)| self.schedule.task(job).node).collect();
            let memory = |node: usize| self.estimate.bytes(self.plan, self.graph, node);
            let used: u64 = busy.iter().map(|&node| memory(node)).sum();
            // One job is always let through: a limit that is too small must not stop everything.
            let fits =
                |task: schedule::Task| busy.is_empty() || used.saturating_add(memory(task.node)) <= self.limits.memory;
            let Some(job) = self.schedule.next(fits) else { return Ok(()) };
            let task = self.schedule.task(job);
            let run = self.graph.nodes[task.node].run;
            let planned = &self.plan.runs[run];
            if !self.orders.contains_key(&run) {
                self.listener.started(run)?;
                self.orders.insert(run, Order::of(planned));
            }
            let order = self.orders[&run].clone();
            let run_folder = crate::output::run_folder(self.folder, planned);
            let message = Job {
                id: job,
                order,
                run: planned.key.hex(),
                step: task.step,
                folder: std::path::absolute(&run_folder)?,
            };
            *self.attempts.entry(job).or_default() += 1;
            self.watch.gave(worker, &self.graph.nodes[task.node].label(self.plan));
            self.pool.give(self.lab, worker, message)?;
        }
        Ok(())
    }

    fn ended(&mut self, worker: usize, outcome: Outcome) -> Result<()> {
        let job = outcome.job;
        let node = self.schedule.task(job).node;
        let label = self.graph.nodes[node].label(self.plan);
        self.watch.ended(worker);
        match outcome.error {
            None => {
                tracing::info!(
                    stage = self.graph.nodes[node].stage.name(),
                    label,
                    key = self.graph.nodes[node].key.short(),
                    seconds = outcome.seconds,
                    peak_bytes = outcome.peak_bytes,
                    "done"
                );
                self.estimate.learn(self.lab, self.plan, self.graph, node, &outcome, self.limits.threads);
                let Some(node) = self.schedule.done(job) else { return Ok(()) };
                if self.graph.nodes[node].stage == Stage::Evaluate {
                    for run in self.runs_of(node) {
                        self.listener.finished(run)?;
                    }
                }
            }
            Some(error) if error.kind == ErrorKind::Stopped => self.schedule.give_back(job),
            Some(error) => self.fail(node, error),
        }
        Ok(())
    }

    /// A worker died with its job: another tries it again, unless it did so several times.
    fn died(&mut self, worker: usize) -> Result<()> {
        let how = self.pool.bury(worker);
        self.watch.ended(worker);
        let Some(job) = self.pool.free(worker) else { return Ok(()) };
        let label = self.graph.nodes[self.schedule.task(job).node].label(self.plan);
        if self.attempts.get(&job).copied().unwrap_or_default() < ATTEMPTS {
            tracing::warn!("{label}: {how}; it is tried again");
            self.schedule.give_back(job);
            return Ok(());
        }
        let error = JobError { text: format!("{label}: {how}, {ATTEMPTS} times"), kind: ErrorKind::Died };
        self.ended(worker, Outcome { job, seconds: 0.0, peak_bytes: None, error: Some(error) })
    }

    fn fail(&mut self, node: usize, error: JobError) {
        // The run's only one: its error is told as the program's own.
        if self.plan.runs.len() > 1 {
            tracing::error!("{} failed: {}", self.graph.nodes[node].label(self.plan), error.text);
        }
        self.schedule.fail(node, &error.text);
        self.errors.insert(node, error);
        if self.limits.fail_fast && self.stop.is_none() {
            self.stop = Some(Stop::Failure);
        }
    }

    /// Says what a failure of an earlier run leaves out now.
    fn tell_lost(&self, node: usize, text: &str) {
        let label = self.graph.nodes[node].label(self.plan);
        tracing::warn!("{label} failed in an earlier run and is left out; --retry-failed tries it again: {text}");
    }

    /// The runs whose metrics a node holds.
    fn runs_of(&self, node: usize) -> Vec<usize> {
        let evaluations = self.graph.evaluations.iter().enumerate();
        evaluations.filter(|(_, evaluation)| **evaluation == node).map(|(run, _)| run).collect()
    }

    fn ending(&self) -> Ending {
        let mut ending = Ending { failures: BTreeMap::new(), left: Vec::new(), stopped: self.stop };
        for (run, &node) in self.graph.evaluations.iter().enumerate() {
            if let Some((first, _)) = self.schedule.failure(node) {
                ending.failures.extend(self.errors.get(&first).map(|error| (run, error.clone())));
            } else if !self.schedule.is_done(node) {
                ending.left.push(run);
            }
        }
        ending
    }
}
