//! Slurm's programs: submitting, asking after jobs, cancelling.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use crate::failure::settings;

/// Elements of an array where the cluster does not say: Slurm's own default.
const MAX_ARRAY: usize = 1001;

/// A job, or an element of an array, that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The number of the job, or of the whole array.
    pub job: u64,
    /// The element of the array.
    pub task: Option<usize>,
    /// `PENDING`, `RUNNING`, `COMPLETING` ..
    pub state: String,
    /// Why it waits: `Priority`, `Dependency` ..
    pub reason: String,
}

fn call(program: &str, arguments: &[String]) -> Result<Output> {
    match Command::new(program).args(arguments).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(settings(format!(
            "{program} was not found: --launcher slurm needs Slurm's programs on PATH, as on a login node of a cluster"
        ))),
        other => other.with_context(|| format!("cannot start {program}")),
    }
}

/// What a program complained of, in one line.
fn complaint(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.status.to_string() } else { lines.join("; ") }
}

/// Submits a script that begins when the job `after` has ended, however it ended; returns the number of its job.
pub fn submit(script: &Path, after: Option<u64>) -> Result<u64> {
    let mut arguments = vec!["--parsable".to_owned()];
    arguments.extend(after.map(|job| format!("--dependency=afterany:{job}")));
    arguments.push(script.display().to_string());
    let output = call("sbatch", &arguments)?;
    if !output.status.success() {
        return Err(settings(format!("sbatch refused {}: {}", script.display(), complaint(&output))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    submitted(&text).with_context(|| format!("sbatch did not tell the number of its job: {:?}", text.trim()))
}

/// `123`, or `123;cluster`; some sites print more lines before it.
fn submitted(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.trim().split(';').next()?.parse().ok())
}

/// Those of these jobs that wait or run.
pub fn queued(jobs: &[u64]) -> Result<Vec<Queued>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = jobs.iter().map(u64::to_string).collect();
    let arguments = ["--noheader", "--array", "--format=%F|%K|%T|%r", &format!("--jobs={}", list.join(","))];
    let output = call("squeue", &arguments.map(str::to_owned))?;
    if !output.status.success() {
        let told = complaint(&output);
        // Ended so long ago that Slurm has forgotten it.
        if told.contains("Invalid job id") {
            return Ok(Vec::new());
        }
        bail!("squeue failed: {told}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(line).collect())
}

fn line(text: &str) -> Option<Queued> {
    let fields: Vec<&str> = text.trim().splitn(4, '|').collect();
    let [job, task, state, reason] = fields.as_slice() else { return None };
    let (job, task) = (job.parse().ok()?, task.parse().ok());
    Some(Queued { job, task, state: (*state).to_owned(), reason: (*reason).to_owned() })
}

/// Takes jobs back. One that has ended is no error.
pub fn cancel(jobs: &[u64]) -> Result<()> {
    let list: Vec<String> = jobs.iter().map(u64::to_string).collect();
    let output = call("scancel", &list)?;
    if output.status.success() { Ok(()) } else { bail!("scancel failed: {}", complaint(&output)) }
}

/// How many elements an array may have.
pub fn max_array() -> usize {
    let output = call("scontrol", &["show".to_owned(), "config".to_owned()]);
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    max_array_of(&text).unwrap_or(MAX_ARRAY)
}

/// `MaxArraySize = 1001` means elements 0 to 1000.
fn max_array_of(text: &str) -> Option<usize> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    value.trim().strip_prefix('=')?.trim().parse().ok().filter(|&most| most > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_submitted_job_is_found() {
        assert_eq!(submitted("17\n"), Some(17));
        assert_eq!(submitted("17;cluster\n"), Some(17));
        assert_eq!(submitted("please mind your quota\n17\n"), Some(17));
        assert_eq!(submitted("Submitted\n"), None);
    }

    #[test]
    fn lines_of_the_queue_are_read() {
        let of =
            |job, task, state: &str, reason: &str| Queued { job, task, state: state.into(), reason: reason.into() };
        assert_eq!(line("8|2|RUNNING|None"), Some(of(8, Some(2), "RUNNING", "None")));
        assert_eq!(line("9|N/A|PENDING|Dependency"), Some(of(9, None, "PENDING", "Dependency")));
        let reason = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions";
        assert_eq!(line(&format!("4|0|PENDING|{reason}")), Some(of(4, Some(0), "PENDING", reason)));
        assert_eq!(line(""), None);
        assert_eq!(line("slurm_load_jobs error"), None);
    }

    #[test]
    fn the_largest_array_is_read_from_the_configuration() {
        let text =
            "Configuration data as of 2026-11-23T01:00:00\nMaxArraySize            = 4001\nMaxDBDMsgs  = 20004\n";
        assert_eq!(max_array_of(text), Some(4001));
        assert_eq!(max_array_of("MaxArraySize = 0"), None);
        assert_eq!(max_array_of(""), None);
    }
}
