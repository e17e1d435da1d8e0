//! What a run and its worker processes say to each other: one line of JSON a message, over the worker's standard input and output.

use serde::{Deserialize, Serialize};

use super::job::Job;

/// To a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    /// Do this next.
    Job(Box<Job>),
    /// Stop the job under way after its part or training step; what is finished stays.
    Stop,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    /// How far a task of the job is; the first one begins it.
    Progress {
        /// Number of the task within the worker.
        task: u64,
        /// What it is.
        label: String,
        /// What is counted.
        unit: String,
        /// Units in all.
        total: u64,
        /// Units done.
        done: u64,
        /// A short remark.
        remark: String,
    },
    /// The task ended.
    Ended {
        /// Its number.
        task: u64,
    },
    /// A line for a person: a warning of the log.
    Line {
        /// The line.
        text: String,
    },
    /// The job ended.
    Finished(Outcome),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The job's number.
    pub job: usize,
    /// Time that it took.
    pub seconds: f64,
    /// The most memory that the process held while it worked on it, where the system tells.
    pub peak_bytes: Option<u64>,
    /// What went wrong.
    pub error: Option<JobError>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobError {
    /// The error and its causes.
    pub text: String,
    /// What kind of error it is.
    pub kind: ErrorKind,
}

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The work itself fails and would again: remembered until it is asked for with `--retry-failed`.
    Lasting,
    /// Disk, store or machine: the next run tries again.
    Passing,
    /// The settings are wrong.
    Settings,
    /// Asked to stop.
    Stopped,
    /// The process died.
    Died,
}

impl JobError {
    /// Of an error of this process.
    pub fn of(error: &anyhow::Error) -> JobError {
        use crate::failure::{SETTINGS, describe, exit_code, is_cancelled};
        let of_machine = |cause: &(dyn std::error::Error + 'static)| {
            cause.is::<std::io::Error>() || cause.is::<oodlab_store::StoreError>()
        };
        let kind = if is_cancelled(error) {
            ErrorKind::Stopped
        } else if exit_code(error) == SETTINGS {
            ErrorKind::Settings
        } else if error.chain().any(of_machine) {
            ErrorKind::Passing
        } else {
            ErrorKind::Lasting
        };
        JobError { text: describe(error), kind }
    }

    /// As an error of this process, with the same exit code.
    pub fn into_error(self) -> anyhow::Error {
        match self.kind {
            ErrorKind::Settings => crate::failure::settings(self.text),
            ErrorKind::Stopped => oodlab_base::Cancelled.into(),
            _ => anyhow::anyhow!(self.text),
        }
    }
}
