//! The files of a submission: what was submitted, what each task does, and how it went. All written whole, by one writer each.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::section::Wave;
use crate::config::Request;
use crate::work::estimate::Measure;
use crate::work::job::{Order, Step};

/// Raise when the files change.
const FORMAT: u32 = 1;

/// The folder below the results of an experiment.
const FOLDER: &str = "slurm";

/// One submission of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    format: u32,
    /// The experiment's name.
    pub experiment: String,
    /// The command that was given.
    pub command: String,
    /// When, in seconds since 1970.
    pub submitted: u64,
    /// What was submitted, in the order of the work.
    pub waves: Vec<SubmittedWave>,
}

/// One array job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedWave {
    /// Which.
    pub wave: Wave,
    /// The number of its Slurm job.
    pub job: u64,
    /// How many tasks it has.
    pub tasks: usize,
    /// How many jobs they do together.
    pub jobs: usize,
}

impl Submission {
    /// Of nothing yet.
    pub fn new(experiment: &str, command: &str, submitted: u64) -> Submission {
        let (experiment, command) = (experiment.to_owned(), command.to_owned());
        Submission { format: FORMAT, experiment, command, submitted, waves: Vec::new() }
    }
}

/// A folder of a submission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// The next one below the results of an experiment, made now: nobody else has it.
    pub fn create(results: &Path) -> Result<Folder> {
        let all = results.join(FOLDER);
        fs_err::create_dir_all(&all)?;
        let mut number = numbers(&all)?.last().map_or(1, |last| last + 1);
        loop {
            let path = all.join(format!("{number:03}"));
            match fs_err::create_dir(&path) {
                Ok(()) => {
                    for name in ["todo", "tasks", "logs"] {
                        fs_err::create_dir(path.join(name))?;
                    }
                    return Ok(Folder { path: std::path::absolute(path)? });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Those of an experiment's results, the earliest first.
    pub fn all(results: &Path) -> Result<Vec<Folder>> {
        let all = results.join(FOLDER);
        let folders = numbers(&all)?.into_iter().map(|number| Folder { path: all.join(format!("{number:03}")) });
        Ok(folders.collect())
    }

    /// `003`.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Where the tasks' output goes.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What was submitted; none when the submitting process did not come so far.
    pub fn submission(&self) -> Result<Option<Submission>> {
        let found: Option<Submission> = read(&self.path.join("submission.json"))?;
        Ok(found.filter(|submission| submission.format == FORMAT))
    }

    /// Says what was submitted.
    pub fn write_submission(&self, submission: &Submission) -> Result<()> {
        write(&self.path.join("submission.json"), submission)
    }

    /// What a task does.
    pub fn todo(&self, wave: Wave, task: usize) -> Result<Todo> {
        let path = self.path.join("todo").join(file_name(wave, task));
        read(&path)?.with_context(|| format!("{} is not there: nothing says what this task does", path.display()))
    }

    /// Says what a task does.
    pub fn write_todo(&self, wave: Wave, task: usize, todo: &Todo) -> Result<()> {
        write(&self.path.join("todo").join(file_name(wave, task)), todo)
    }

    /// How a task went; none when it did not begin.
    pub fn report(&self, wave: Wave, task: usize) -> Result<Option<TaskReport>> {
        read(&self.path.join("tasks").join(file_name(wave, task)))
    }

    /// Says how a task goes.
    pub fn write_report(&self, wave: Wave, task: usize, report: &TaskReport) -> Result<()> {
        write(&self.path.join("tasks").join(file_name(wave, task)), report)
    }

    /// Writes a batch script; returns its path.
    pub fn write_script(&self, wave: Wave, text: &str) -> Result<PathBuf> {
        let path = self.path.join(format!("{}.sbatch", wave.name()));
        write_atomic(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// The numbers of submissions, rising.
fn numbers(all: &Path) -> Result<Vec<u32>> {
    let entries = match fs_err::read_dir(all) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

fn file_name(wave: Wave, task: usize) -> String {
    format!("{}-{task}.json", wave.name())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs_err::read(path) {
        Ok(bytes) => {
            let read = serde_json::from_slice(&bytes);
            read.map(Some).with_context(|| format!("{} is not what this build writes", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    Ok(write_atomic(path, format!("{}\n", serde_json::to_string(value)?).as_bytes())?)
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Todo {
    /// Jobs, one after the other.
    Jobs(JobList),
    /// Everything that is left, and the tables and figures.
    Tables(TablesOrder),
    /// Planning, and submitting the rest.
    Plan(PlanOrder),
}

/// Jobs with what they need.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobList {
    /// The runs that the jobs belong to, each once.
    pub orders: Vec<Order>,
    /// The jobs.
    pub jobs: Vec<ListedJob>,
}

/// A job of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedJob {
    /// Its run, by position in [`JobList::orders`].
    pub order: usize,
    /// The key of that run.
    pub run: String,
    /// The key of its result.
    pub node: String,
    /// What a person calls it.
    pub label: String,
    /// What is to be done.
    pub step: Step,
    /// The folder of the run.
    pub folder: PathBuf,
    /// What it measures; none where it is known what work is left only when it is done.
    pub measure: Option<Measure>,
}

/// What the last job of a submission does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablesOrder {
    /// The experiment as it was asked for.
    pub request: Request,
    /// Hash of the keys of all runs: another means that a file was changed meanwhile.
    pub runs: String,
}

/// What the first job of a submission does that is planned on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanOrder {
    /// The experiment as it was asked for.
    pub request: Request,
    /// Whether what failed before is tried again.
    pub retry_failed: bool,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Under way, or killed: the queue tells.
    Running,
    /// All its jobs are done.
    Done,
    /// It came to its end, and some jobs failed.
    Failed,
    /// It was told to stop, by its time limit or by somebody else.
    Stopped,
}

/// How a task goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReport {
    /// Where it is.
    pub state: TaskState,
    /// Jobs done, of so many.
    pub done: usize,
    /// All jobs.
    pub jobs: usize,
    /// What it does now.
    pub label: String,
    /// Time that it took so far, all starts together.
    pub seconds: f64,
    /// The most memory that it held, in bytes, where the system tells.
    pub peak_bytes: Option<u64>,
    /// The node.
    pub host: String,
    /// The Slurm job, as in `12_3`.
    pub slurm_job: String,
    /// How often it was started again.
    pub restarts: u32,
    /// When this was written, in seconds since 1970.
    pub updated: u64,
    /// What each job took that is done, in their order; those that an earlier start of the task did are only read again.
    pub times: Vec<JobTime>,
    /// What failed.
    pub errors: Vec<JobFailure>,
}

/// What a job took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTime {
    /// What a person calls it.
    pub label: String,
    /// Time.
    pub seconds: f64,
    /// The most memory that the process held meanwhile, in bytes, where the system tells.
    pub peak_bytes: Option<u64>,
}

/// A job that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFailure {
    /// The key of its result; empty for the job that writes the tables.
    pub node: String,
    /// What a person calls it.
    pub label: String,
    /// The error.
    pub error: String,
    /// Whether it would fail again.
    pub lasting: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_are_numbered_and_read_back() {
        let results = tempfile::tempdir().expect("a folder");
        assert_eq!(Folder::all(results.path()).expect("none").len(), 0);
        let (first, second) = (Folder::create(results.path()), Folder::create(results.path()));
        let (first, second) = (first.expect("a folder"), second.expect("another"));
        assert_eq!((first.name().as_str(), second.name().as_str()), ("001", "002"));
        assert_eq!(second.submission().expect("a look"), None);
        let mut submission = Submission::new("quick", "oodlab run quick.yaml", 7);
        submission.waves.push(SubmittedWave { wave: Wave::Fit, job: 12, tasks: 3, jobs: 9 });
        second.write_submission(&submission).expect("writing");
        let all = Folder::all(results.path()).expect("both");
        assert_eq!(all.last().expect("two").submission().expect("a look"), Some(submission));
        let missing = second.todo(Wave::Fit, 1).expect_err("nothing there");
        assert!(missing.to_string().contains("fit-1.json"), "{missing}");
        fs_err::write(second.path.join("tasks/fit-0.json"), "{").expect("writing");
        assert!(second.report(Wave::Fit, 0).is_err_and(|error| error.to_string().contains("fit-0.json")));
    }
}
