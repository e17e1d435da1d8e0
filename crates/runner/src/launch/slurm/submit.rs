//! Submitting: a plan's waves as array jobs, each behind the one before it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::files::{Folder, JobList, ListedJob, PlanOrder, Submission, SubmittedWave, TablesOrder, Todo};
use super::queue;
use super::script::Script;
use super::section::{PlanPlace, SlurmSection, Wave};
use super::task::runs_key;
use super::waves::{PackedWave, Piece, pack};
use crate::config::Source;
use crate::failure::settings;
use crate::graph::Graph;
use crate::lab::Lab;
use crate::output;
use crate::plan::Plan;
use crate::work::estimate::{Estimate, measure};
use crate::work::failed;
use crate::work::job::{Order, Step};
use crate::work::status::now;

/// What came of it.
pub enum Submitted {
    /// Jobs wait in the queue, as this folder says.
    Jobs(Folder),
    /// Everything is in the store already.
    Nothing,
}

/// Submits what is left of an experiment, or a job that will do so on a node.
pub fn submit(lab: &Lab, source: &Source, section: &SlurmSection, retry_failed: bool) -> Result<Submitted> {
    let results = lab.results.join(&source.name);
    fs_err::create_dir_all(&results)?;
    if section.plan_place() == PlanPlace::Here {
        let prepared = Prepared::new(lab, source, section, retry_failed)?;
        if prepared.waves.is_empty() {
            return Ok(Submitted::Nothing);
        }
        let folder = create(source, &results)?;
        prepared.submit(lab, source, section, &folder)?;
        return Ok(Submitted::Jobs(folder));
    }
    let folder = create(source, &results)?;
    let order = Todo::Plan(PlanOrder { request: source.request().clone(), retry_failed });
    folder.write_todo(Wave::Plan, 0, &order)?;
    let mut chain = Chain::new(lab, source, section, &folder)?;
    chain.add(Wave::Plan, None, 1)?;
    Ok(Submitted::Jobs(folder))
}

/// Plans on this machine and submits the waves into a folder that is there.
pub fn waves(lab: &Lab, source: &Source, section: &SlurmSection, folder: &Folder, retry_failed: bool) -> Result<()> {
    Prepared::new(lab, source, section, retry_failed)?.submit(lab, source, section, folder)
}

fn create(source: &Source, results: &Path) -> Result<Folder> {
    let folder = Folder::create(results)?;
    let command = format!("{} --launcher slurm", source.command());
    folder.write_submission(&Submission::new(&source.name, &command, now()))?;
    Ok(folder)
}

/// A plan with its waves.
struct Prepared {
    plan: Plan,
    graph: Graph,
    waves: Vec<PackedWave>,
}

impl Prepared {
    fn new(lab: &Lab, source: &Source, section: &SlurmSection, retry_failed: bool) -> Result<Prepared> {
        match (lab.gpu.is_some(), section.has_gpus()) {
            (true, false) => {
                return Err(settings(
                    "this machine computes on its GPU, the tasks would not: what they compute has other keys; \
                     give --device cpu, or slurm.gpus",
                ));
            }
            (false, true) => {
                return Err(settings(
                    "slurm.gpus: the tasks compute on GPUs, and this machine has none to plan for; leave slurm.plan out, \
                     or set it to node",
                ));
            }
            _ => {}
        }
        let plan = Plan::new(lab, source)?;
        for (set, how) in &plan.missing {
            tracing::warn!("{set} is not at hand and is left out: {how}");
        }
        output::check_wishes(source, &plan)?;
        // The last job writes the scores of finished runs too.
        let graph = Graph::new(lab, &plan, true)?;
        let folder = output::prepare(lab, &plan)?;
        let known = if retry_failed { BTreeMap::new() } else { failed::read(&folder)?.of(&graph) };
        let estimate = Estimate::read(lab, &plan, &graph, false)?;
        let seconds = |wave, node| estimate.seconds(&graph, node, usize::from(section.resources(wave).cpus));
        let waves = pack(&graph, section, &known, queue::max_array(), seconds);
        Ok(Prepared { plan, graph, waves })
    }

    fn submit(&self, lab: &Lab, source: &Source, section: &SlurmSection, folder: &Folder) -> Result<()> {
        let results = std::path::absolute(lab.results.join(&self.plan.name))?;
        for wave in &self.waves {
            for (number, pieces) in wave.tasks.iter().enumerate() {
                folder.write_todo(wave.wave, number, &Todo::Jobs(self.list(&results, wave.wave, pieces)))?;
            }
        }
        let tables = TablesOrder { request: source.request().clone(), runs: runs_key(&self.plan) };
        folder.write_todo(Wave::Tables, 0, &Todo::Tables(tables))?;
        let mut chain = Chain::new(lab, source, section, folder)?;
        let submitted =
            self.waves.iter().try_for_each(|wave| chain.add(wave.wave, Some(wave.tasks.len()), wave.jobs()));
        submitted.and_then(|()| chain.add(Wave::Tables, None, 1)).inspect_err(|_| chain.take_back())
    }

    /// The jobs of a task with the runs that they belong to.
    fn list(&self, results: &Path, wave: Wave, pieces: &[Piece]) -> JobList {
        let mut list = JobList::default();
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        for Piece { node, step } in pieces {
            let node = &self.graph.nodes[*node];
            let run = &self.plan.runs[node.run];
            let order = *places.entry(node.run).or_insert_with(|| {
                list.orders.push(Order::of(run));
                list.orders.len() - 1
            });
            list.jobs.push(ListedJob {
                order,
                run: run.key.hex(),
                node: node.key.hex(),
                label: node.label(&self.plan),
                step: *step,
                folder: output::run_folder(results, run),
                measure: match (wave, step) {
                    (Wave::Merge, _) => None,
                    (_, Step::Encode { share: Some(share), .. }) => measure(&self.plan, node, share.of),
                    _ => measure(&self.plan, node, 1),
                },
            });
        }
        list
    }
}

/// Jobs that wait for each other.
struct Chain<'a> {
    section: &'a SlurmSection,
    folder: &'a Folder,
    submission: Submission,
    /// Those that this process submitted.
    own: Vec<u64>,
    working: std::path::PathBuf,
    variables: Vec<(String, String)>,
    /// The program with the options of all tasks, threads apart.
    program: Vec<String>,
}

impl<'a> Chain<'a> {
    fn new(lab: &Lab, source: &Source, section: &'a SlurmSection, folder: &'a Folder) -> Result<Chain<'a>> {
        let submission = match folder.submission()? {
            Some(known) => known,
            None => Submission::new(&source.name, &source.command(), now()),
        };
        let text = |path: &Path| -> Result<String> { Ok(std::path::absolute(path)?.display().to_string()) };
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let device = if section.has_gpus() { "auto" } else { "cpu" };
        let program = vec![
            text(&program)?,
            "--store".to_owned(),
            text(&lab.root)?,
            "--results".to_owned(),
            text(&lab.results)?,
            "--device".to_owned(),
            device.to_owned(),
        ];
        // What the file is overridden with; names of variables are plain letters, or the shell would not have them.
        let is_own =
            |name: &str| name.starts_with("OODLAB__") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| is_own(name))
            .collect();
        let working = std::env::current_dir().context("the working folder is gone")?;
        Ok(Chain { section, folder, submission, own: Vec::new(), working, variables, program })
    }

    /// Submits one wave behind the last one.
    fn add(&mut self, wave: Wave, tasks: Option<usize>, jobs: usize) -> Result<()> {
        let resources = self.section.resources(wave);
        let mut command = self.program.clone();
        let more = ["--threads", &resources.cpus.to_string(), "slurm-task", "--folder"];
        command.extend(more.map(str::to_owned));
        command.extend([self.folder.path.display().to_string(), "--wave".to_owned(), wave.name().to_owned()]);
        let script = Script {
            experiment: &self.submission.experiment,
            wave,
            tasks,
            resources: &resources,
            signal_seconds: self.section.signal_seconds(),
            folder: &self.working,
            logs: &self.folder.logs(),
            variables: &self.variables,
            command: &command,
        };
        let script = self.folder.write_script(wave, &script.text())?;
        // The planning job submits the others: they need not wait for its end.
        let before = self.submission.waves.iter().rev().find(|wave| wave.wave != Wave::Plan).map(|wave| wave.job);
        let job = queue::submit(&script, before)?;
        self.own.push(job);
        self.submission.waves.push(SubmittedWave { wave, job, tasks: tasks.unwrap_or(1), jobs });
        self.folder.write_submission(&self.submission)
    }

    /// Half a chain is of no use.
    fn take_back(&self) {
        if !self.own.is_empty()
            && let Err(error) = queue::cancel(&self.own)
        {
            tracing::warn!("jobs {:?} were submitted and could not be taken back: {error}", self.own);
        }
    }
}
