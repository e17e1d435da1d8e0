//! What a task of a submission does on its node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use oodlab_base::{Cancelled, Key};
use oodlab_store::Process;

use super::files::{
    Folder, JobFailure, JobList, JobTime, ListedJob, PlanOrder, TablesOrder, TaskReport, TaskState, Todo,
};
use super::section::Wave;
use super::submit;
use crate::commands::run;
use crate::config::Source;
use crate::failure::{describe, is_cancelled};
use crate::graph::Graph;
use crate::lab::Lab;
use crate::plan::{Plan, Planner};
use crate::work::job::Job;
use crate::work::message::{ErrorKind, JobError};
use crate::work::status::now;
use crate::work::{estimate, failed, memory, worker};

/// A submitting process notes the number of a job within so long.
const NOTE_WITHIN: Duration = Duration::from_secs(120);

/// Does the task. That some of its jobs failed is an error at the end: the others are done all the same.
pub fn run(lab: &Lab, folder: &Folder, wave: Wave, task: usize) -> Result<()> {
    let todo = folder.todo(wave, task)?;
    let mut diary = Diary::begin(folder, wave, task, jobs_of(&todo))?;
    let ended = match todo {
        Todo::Jobs(list) => diary.work(lab, list),
        Todo::Tables(order) => diary.tables(lab, folder, &order),
        Todo::Plan(order) => diary.plan(lab, folder, &order),
    };
    diary.end(&ended)?;
    ended
}

fn jobs_of(todo: &Todo) -> usize {
    match todo {
        Todo::Jobs(list) => list.jobs.len(),
        Todo::Tables(_) | Todo::Plan(_) => 1,
    }
}

/// Keeps the report of a task up to date.
struct Diary<'a> {
    folder: &'a Folder,
    wave: Wave,
    task: usize,
    started: Instant,
    /// Of earlier starts.
    seconds_before: f64,
    report: TaskReport,
}

impl<'a> Diary<'a> {
    fn begin(folder: &'a Folder, wave: Wave, task: usize, jobs: usize) -> Result<Diary<'a>> {
        let before = folder.report(wave, task).ok().flatten();
        let report = TaskReport {
            state: TaskState::Running,
            done: 0,
            jobs,
            label: String::new(),
            seconds: before.as_ref().map_or(0.0, |before| before.seconds),
            peak_bytes: before.as_ref().and_then(|before| before.peak_bytes),
            host: Process::this().host.clone(),
            slurm_job: slurm_job(),
            restarts: before.as_ref().map_or(0, |before| before.restarts + 1),
            updated: now(),
            times: Vec::new(),
            errors: Vec::new(),
        };
        let diary = Diary { folder, wave, task, started: Instant::now(), seconds_before: report.seconds, report };
        diary.folder.write_report(wave, task, &diary.report)?;
        Ok(diary)
    }

    fn write(&mut self) -> Result<()> {
        self.report.seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        self.report.peak_bytes = self.report.peak_bytes.max(memory::peak());
        self.report.updated = now();
        self.folder.write_report(self.wave, self.task, &self.report)
    }

    fn work(&mut self, lab: &Lab, list: JobList) -> Result<()> {
        let mut planner = Planner::new(lab)?;
        for (id, listed) in list.jobs.into_iter().enumerate() {
            lab.cancel.check()?;
            let ListedJob { order, run, node, label, step, folder, measure } = listed;
            let order = list.orders.get(order).with_context(|| format!("{label}: its run is not in the list"))?.clone();
            fs_err::create_dir_all(&folder)?;
            self.report.label.clone_from(&label);
            self.write()?;
            let outcome = worker::execute(lab, &mut planner, &Job { id, order, run, step, folder });
            self.report.peak_bytes = self.report.peak_bytes.max(outcome.peak_bytes);
            match outcome.error {
                None => {
                    // A task that was started again finds a part of its work done: no measure of it.
                    if let Some(measure) = measure.filter(|_| self.report.restarts == 0) {
                        estimate::remember(lab, measure, &outcome, rayon::current_num_threads());
                    }
                    self.report.done += 1;
                    let (seconds, peak_bytes) = (outcome.seconds, outcome.peak_bytes);
                    self.report.times.push(JobTime { label, seconds, peak_bytes });
                }
                Some(error) if error.kind == ErrorKind::Stopped => return Err(Cancelled.into()),
                Some(JobError { text: error, kind }) => {
                    tracing::error!("{label} failed: {error}");
                    self.report.errors.push(JobFailure { node, label, error, lasting: kind == ErrorKind::Lasting });
                }
            }
        }
        match self.report.errors.first() {
            Some(JobFailure { label, error, .. }) => {
                bail!("{} of {} jobs failed; the first, {label}: {error}", self.report.errors.len(), self.report.jobs)
            }
            None => Ok(()),
        }
    }

    /// The run itself, of which everything is done: what a task that was killed left is done now.
    fn tables(&mut self, lab: &Lab, folder: &Folder, order: &TablesOrder) -> Result<()> {
        let source = Source::open(&order.request)?;
        let plan = Plan::new(lab, &source)?;
        if runs_key(&plan) != order.runs {
            bail!(
                "{} is not what was submitted: the file, its images or this node's processor are others; submit it again",
                source.path.display()
            );
        }
        remember_failures(lab, folder, &plan)?;
        let outcome = run::execute(lab, &source)?;
        outcome.fail_if_any_run_failed()?;
        self.report.done = 1;
        Ok(())
    }

    /// Plans where the work is going to be done, and submits it.
    fn plan(&mut self, lab: &Lab, folder: &Folder, order: &PlanOrder) -> Result<()> {
        let source = Source::open(&order.request)?;
        let section = source.base()?.slurm.unwrap_or_default();
        // Whoever submitted this job may not have noted its number yet, and would write over what is noted here.
        let patience = Instant::now();
        while folder.submission()?.is_none_or(|submission| submission.waves.is_empty()) {
            if patience.elapsed() > NOTE_WITHIN {
                bail!("{} does not say which jobs were submitted", folder.path.display());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        submit::waves(lab, &source, &section, folder, order.retry_failed)?;
        self.report.done = 1;
        Ok(())
    }

    fn end(&mut self, ended: &Result<()>) -> Result<()> {
        self.report.state = match ended {
            Ok(()) => TaskState::Done,
            Err(error) if is_cancelled(error) => TaskState::Stopped,
            Err(_) => TaskState::Failed,
        };
        if let Err(error) = ended
            && self.report.state == TaskState::Failed
            && self.report.errors.is_empty()
        {
            let (label, error) = (self.wave.name().to_owned(), describe(error));
            self.report.errors.push(JobFailure { node: String::new(), label, error, lasting: false });
        }
        self.report.label.clear();
        self.write()
    }
}

/// The number of the task as Slurm has it.
fn slurm_job() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("SLURM_ARRAY_JOB_ID"), variable("SLURM_ARRAY_TASK_ID")) {
        (Some(array), Some(task)) => format!("{array}_{task}"),
        _ => variable("SLURM_JOB_ID").unwrap_or_default(),
    }
}

/// Hash of the keys of all runs of a plan.
pub fn runs_key(plan: &Plan) -> String {
    let keys: Vec<String> = plan.runs.iter().map(|run| run.key.hex()).collect();
    Key::of_bytes(keys.join(" ").as_bytes()).hex()
}

/// What failed in the tasks by itself, and would again, is not tried again by the run that writes the tables.
fn remember_failures(lab: &Lab, folder: &Folder, plan: &Plan) -> Result<()> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for wave in folder.submission()?.map(|submission| submission.waves).unwrap_or_default() {
        for task in 0..wave.tasks {
            let errors = folder.report(wave.wave, task)?.map(|report| report.errors).unwrap_or_default();
            found.extend(errors.into_iter().filter(|error| error.lasting).map(|error| (error.node, error.error)));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let graph = Graph::new(lab, plan, true)?;
    let results = lab.results.join(&plan.name);
    let mut errors: BTreeMap<usize, JobError> = BTreeMap::new();
    for (at, error) in failed::read(&results)?.of(&graph) {
        errors.insert(at, failed::error(&error));
    }
    for (at, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.left) {
        errors.extend(found.get(&node.key.hex()).map(|error| (at, failed::error(error))));
    }
    failed::write(&results, &graph, plan, &errors)
}
