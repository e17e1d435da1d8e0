//! `oodlab run`: every stage of every cell and seed, then tables and figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use crate::cli::Target;
use crate::commands::shard::Shard;
use crate::commands::{print, print_json};
use crate::config::Source;
use crate::failure;
use crate::graph::Graph;
use crate::lab::Lab;
use crate::launch::Launcher;
use crate::launch::slurm::{self, Launched, SlurmArguments};
use crate::output::{self, Inputs, Outcome, Results};
use crate::plan::{Plan, Run};
use crate::stages::evaluate::Evaluated;
use crate::work::limits::{Limits, WorkArguments};
use crate::work::{self, Ending, Listener, Stop, limits, steps};

/// Tables are rewritten at most so often while the work goes on.
const TABLES_EVERY: Duration = Duration::from_secs(2);

/// Rewriting tables may take one part in so many of the time: those of ten thousand cells are large.
const WRITING_SHARE: u32 = 20;

/// So many warnings of metrics are told one by one.
const MOST_WARNINGS: usize = 20;

/// What to run.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub work: WorkArguments,
    /// Encode only share I of N equal shares of the images, and stop: as in 2/4
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Who does the work: this machine, or a Slurm cluster, as the section `slurm` of the experiment says
    #[arg(long, value_enum, default_value_t, conflicts_with = "shard")]
    pub launcher: Launcher,
    #[command(flatten)]
    pub slurm: SlurmArguments,
}

/// Runs an experiment file and prints its table.
pub fn run(lab: &Lab, arguments: &RunArguments, json: bool) -> Result<()> {
    let target = &arguments.target;
    if let Some(shard) = arguments.shard {
        return super::shard::run(lab, target, shard, json);
    }
    limits::check(&arguments.work)?;
    let source = Source::open(&target.request()?)?;
    check_launcher(arguments)?;
    if arguments.launcher == Launcher::Slurm
        && let Launched::Told = slurm::run(lab, &source, &arguments.slurm, arguments.work.retry_failed, json)?
    {
        return Ok(());
    }
    let outcome = execute_with(lab, &source, &arguments.work)?;
    if json {
        print_json(&outcome.summary())?;
    } else {
        print(&outcome.table.to_terminal())?;
        for table in &outcome.drawn.tables {
            print(&format!("\n{table}"))?;
        }
        for note in &outcome.notes {
            print(&format!("{note}\n"))?;
        }
        print(&format!("written: {}\n", outcome.folder.display()))?;
    }
    outcome.fail_if_any_run_failed()
}

/// Refuses options of another launcher.
fn check_launcher(arguments: &RunArguments) -> Result<()> {
    let WorkArguments { workers, memory, fail_fast, max_time, .. } = &arguments.work;
    let here = [("--workers", workers.is_some()), ("--memory", memory.is_some())];
    let here = here.into_iter().chain([("--fail-fast", *fail_fast), ("--max-time", max_time.is_some())]);
    match (arguments.launcher, here.into_iter().find(|(_, given)| *given)) {
        (Launcher::Slurm, Some((name, _))) => Err(failure::settings(format!(
            "{name} is for work on this machine; what tasks of a cluster get stands in the section `slurm` of the experiment"
        ))),
        (Launcher::Local, _) if arguments.slurm.detach => {
            Err(failure::settings("--detach leaves jobs of a cluster alone; give --launcher slurm with it"))
        }
        _ => Ok(()),
    }
}

/// Runs every cell and seed; a failed one is recorded and the rest goes on.
pub fn execute(lab: &Lab, source: &Source) -> Result<Outcome> {
    execute_with(lab, source, &WorkArguments::default())
}

/// As [`execute`], within limits.
pub fn execute_with(lab: &Lab, source: &Source, arguments: &WorkArguments) -> Result<Outcome> {
    let plan = Plan::new(lab, source)?;
    for (set, how) in &plan.missing {
        tracing::warn!("{set} is not at hand and is left out: {how}");
    }
    output::check_wishes(source, &plan)?;
    let graph = Graph::new(lab, &plan, false)?;
    let folder = output::prepare(lab, &plan)?;
    let inputs = Inputs::new(source, &plan, &graph)?;
    let all_finished = (0..plan.runs.len()).all(|run| graph.is_finished(run));
    if all_finished && let Some(known) = output::known_outcome(&plan, &folder, &inputs)? {
        return Ok(known);
    }
    // Results are going to be written: the scores of finished runs are needed too.
    let graph = Graph::new(lab, &plan, true)?;
    let unfinished = (0..plan.runs.len()).filter(|&run| !graph.is_finished(run)).count();
    let limits = Limits::new(arguments, unfinished, rayon::current_num_threads(), lab.gpu.is_some());
    lab.run_log.open(&folder.join(work::LOG))?;
    let mut progress = Progress::new(lab, source, &plan, &folder);
    for run in (0..plan.runs.len()).filter(|&run| graph.is_finished(run)) {
        progress.take(run)?;
    }
    let ending = work::run(lab, &plan, &graph, &folder, &limits, &mut progress)?;
    lab.run_log.close();
    // One run alone: its error is the program's.
    if plan.runs.len() == 1
        && let Some(error) = ending.failures.values().next()
    {
        return Err(error.clone().into_error());
    }
    let stopped = ending.stopped;
    let results = progress.results(&ending)?;
    if results.finished.is_empty() && results.failures.is_empty() {
        return Err(stopped_error(stopped, results.unfinished.len(), &plan));
    }
    let outcome = output::write(lab, source, &plan, &folder, &inputs, results)?;
    if !outcome.unfinished.is_empty() && stopped != Some(Stop::Failure) {
        return Err(stopped_error(stopped, outcome.unfinished.len(), &plan));
    }
    Ok(outcome)
}

/// What has finished so far, and the tables of it.
struct Progress<'a> {
    lab: &'a Lab,
    source: &'a Source,
    plan: &'a Plan,
    folder: &'a Path,
    finished: BTreeMap<usize, Evaluated>,
    /// Whether something finished since tables were written.
    changed: bool,
    written: Instant,
    /// What the last rewriting of the tables took.
    cost: Duration,
}

impl<'a> Progress<'a> {
    fn new(lab: &'a Lab, source: &'a Source, plan: &'a Plan, folder: &'a Path) -> Progress<'a> {
        let (finished, written, cost) = (BTreeMap::new(), Instant::now(), Duration::ZERO);
        Progress { lab, source, plan, folder, finished, changed: false, written, cost }
    }

    /// Reads the metrics of a finished run.
    fn take(&mut self, run: usize) -> Result<()> {
        let planned = &self.plan.runs[run];
        let evaluated = steps::evaluate(self.lab, planned)?;
        if !output::run_folder(self.folder, planned).join("provenance.json").is_file() {
            output::start_run(self.folder, self.source, planned)?;
            output::finish_run(self.folder, self.source, planned, &evaluated)?;
        }
        self.finished.insert(run, evaluated);
        Ok(())
    }

    /// What came of all runs. What the metrics warn of is told now, in the plan's order.
    fn results(self, ending: &Ending) -> Result<Results<'a>> {
        let name = |run: &Run| format!("{} ({})", run.key.short(), run.name());
        let failures = ending.failures.iter().map(|(&run, error)| (name(&self.plan.runs[run]), error.text.clone()));
        let unfinished = ending.left.iter().map(|&run| self.plan.runs[run].name()).collect();
        let finished: Vec<(&Run, Evaluated)> =
            self.finished.into_iter().map(|(run, evaluated)| (&self.plan.runs[run], evaluated)).collect();
        let mut warnings = finished.iter().flat_map(|(run, evaluated)| output::warnings(run, evaluated));
        for warning in warnings.by_ref().take(MOST_WARNINGS) {
            tracing::warn!("{warning}");
        }
        let more = warnings.count();
        if more > 0 {
            tracing::warn!("and {more} more warnings of this kind; report.html and runs/*/provenance.json have all");
        }
        Ok(Results { finished, failures: failures.collect(), unfinished })
    }
}

impl Listener for Progress<'_> {
    fn started(&mut self, run: usize) -> Result<()> {
        output::start_run(self.folder, self.source, &self.plan.runs[run])
    }

    fn finished(&mut self, run: usize) -> Result<()> {
        self.changed = true;
        self.take(run)
    }

    fn tick(&mut self) -> Result<()> {
        let pause = TABLES_EVERY.max(self.cost * WRITING_SHARE);
        // What is written when all is done, is written with scores and figures.
        let last = self.finished.len() == self.plan.runs.len();
        if !self.changed || last || self.written.elapsed() < pause {
            return Ok(());
        }
        let began = Instant::now();
        let finished = self.finished.iter().map(|(&run, evaluated)| (&self.plan.runs[run], evaluated.clone()));
        output::write_tables(self.plan, self.folder, finished.collect())?;
        (self.changed, self.written, self.cost) = (false, Instant::now(), began.elapsed());
        Ok(())
    }
}

/// That a run was stopped is no success.
fn stopped_error(stopped: Option<Stop>, left: usize, plan: &Plan) -> anyhow::Error {
    let (all, left_out) = (plan.runs.len(), format!("{left} of {} runs are not finished", plan.runs.len()));
    let left_out = if all == 1 { "the run is not finished".to_owned() } else { left_out };
    let what = format!("{left_out}; the same command goes on from here");
    match stopped {
        Some(Stop::Time) => failure::out_of_time(format!("stopped after --max-time: {what}")),
        _ => anyhow::Error::from(oodlab_base::Cancelled).context(what),
    }
}
