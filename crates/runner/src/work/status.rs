//! `status.json` beside the results: how far a run is, for other terminals and machines.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use oodlab_base::file::write_atomic;
use oodlab_store::Process;
use serde::{Deserialize, Serialize};

use crate::failure::settings;

/// The file's name.
pub const FILE: &str = "status.json";

/// A run on another machine that says nothing for so long is not heard of any more.
const SILENCE: Duration = Duration::from_secs(60);

/// How far a run is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The experiment.
    pub experiment: String,
    /// Where it is in its life.
    pub state: State,
    /// Who runs it.
    pub process: Process,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// When this was written, in seconds since 1970.
    pub updated: u64,
    /// Cells times seeds.
    pub runs: Counts,
    /// Stages of each kind.
    pub stages: BTreeMap<String, Counts>,
    /// What is under way.
    pub jobs: Vec<JobStatus>,
    /// Time left as far as rates are known; absent while nothing is known.
    pub seconds_left: Option<f64>,
    /// Worker processes at most, and threads of each.
    pub workers: usize,
    /// Threads of each worker.
    pub threads: usize,
    /// Runs that failed, and why.
    pub failures: BTreeMap<String, String>,
}

/// Where a run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way.
    Running,
    /// All runs are finished.
    Finished,
    /// It ended, and some runs failed.
    Failed,
    /// It was stopped before its end.
    Stopped,
    /// It does not run any more and did not say why: it was killed, or its machine went down. Never written; found when read.
    Lost,
}

impl State {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Finished => "finished",
            State::Failed => "ended with failures",
            State::Stopped => "stopped",
            State::Lost => "not running any more (killed?); run it again to go on",
        }
    }
}

/// How many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Done.
    pub done: usize,
    /// Failed.
    pub failed: usize,
    /// In all.
    pub all: usize,
}

impl Counts {
    /// Neither done nor failed.
    pub fn left(self) -> usize {
        self.all.saturating_sub(self.done + self.failed)
    }
}

/// A job under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobStatus {
    /// Which worker does it.
    pub worker: usize,
    /// What it is.
    pub label: String,
    /// For how long.
    pub seconds: f64,
    /// How far it is, as it says itself: `120/1000 images`.
    pub progress: String,
}

/// Seconds since 1970; a clock before that counts as 0.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Status {
    /// Writes the file.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        Ok(write_atomic(&folder.join(FILE), text.as_bytes())?)
    }

    /// Reads the file of a results folder; a run whose process is gone is [`State::Lost`].
    pub fn read(folder: &Path) -> Result<Status> {
        let path = folder.join(FILE);
        if !path.is_file() {
            let folder = folder.display();
            return Err(settings(format!(
                "{folder} has no {FILE}: expected the results folder of an experiment, as in results/dlsr/fig4"
            )));
        }
        let bytes = fs_err::read(&path)?;
        let mut status: Status =
            serde_json::from_slice(&bytes).with_context(|| format!("{} is not of this build", path.display()))?;
        if status.state == State::Running && !status.lives() {
            status.state = State::Lost;
        }
        Ok(status)
    }

    fn lives(&self) -> bool {
        let told = || Duration::from_secs(now().saturating_sub(self.updated)) < SILENCE;
        self.process.lives().unwrap_or_else(told)
    }
}
