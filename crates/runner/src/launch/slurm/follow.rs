//! `oodlab run --launcher slurm` from the user's side: submit what is left, once, and follow it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use oodlab_base::{Cancelled, Key, Progress as _};

use super::files::{Folder, Submission};
use super::progress::Progress;
use super::queue::{self, Queued};
use super::submit::{self, Submitted};
use crate::commands::{print, print_json};
use crate::config::Source;
use crate::lab::Lab;

/// How often files and queue are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Slices in which is waited, so that Ctrl-C is heard soon.
const SLICE: Duration = Duration::from_millis(100);

/// Network file systems show what others wrote some seconds late: an end counts when it was seen so often.
const SEEN: usize = 3;

/// Options of `oodlab run --launcher slurm`.
#[derive(Debug, Clone, Default, Args)]
pub struct SlurmArguments {
    /// With --launcher slurm: return once the jobs are submitted; `oodlab status` shows how far they are
    #[arg(long)]
    pub detach: bool,
}

/// What is to be done on this machine after all.
pub enum Launched {
    /// Everything: it is in the store, and tables are written in no time.
    NothingLeft,
    /// Nothing: it was submitted, followed and told.
    Told,
}

/// Submits what is left of an experiment, unless that was done already, and follows it.
pub fn run(lab: &Lab, source: &Source, arguments: &SlurmArguments, retry_failed: bool, json: bool) -> Result<Launched> {
    let section = source.base()?.slurm.unwrap_or_default();
    let results = lab.results.join(&source.name);
    let folder = {
        // Two submitters would both find the queue empty.
        let name = std::path::absolute(&results)?;
        let one = lab.store()?.artifact("submission", &Key::of_bytes(name.as_os_str().as_encoded_bytes()));
        let _lease = one.lease(&lab.cancel)?;
        match under_way(&results)? {
            Some((folder, jobs)) => {
                let number = folder.name();
                lab.bars.line(&format!(
                    "{}: submission {number} is in the queue already ({jobs} tasks wait or run): nothing is submitted",
                    source.name
                ));
                folder
            }
            None => match submit::submit(lab, source, &section, retry_failed)? {
                Submitted::Nothing => return Ok(Launched::NothingLeft),
                Submitted::Jobs(folder) => folder,
            },
        }
    };
    let (progress, _) = look(&folder)?;
    let jobs = progress.slurm_jobs();
    lab.bars.line(&format!("submission {}: Slurm jobs {jobs}; to cancel: scancel {jobs}", progress.submission));
    if arguments.detach {
        tell(&progress, json)?;
        return Ok(Launched::Told);
    }
    lab.following.cancel();
    let Some(progress) = follow(lab, &folder)? else {
        lab.bars.line(&format!(
            "detached; the jobs go on. To look: oodlab status {}; to cancel: scancel {jobs}",
            results.display()
        ));
        return Err(Cancelled.into());
    };
    tell(&progress, json)?;
    if !progress.is_success() {
        bail!("submission {} of {} did not come to its end: see {}", progress.submission, source.name, progress.folder);
    }
    if !json {
        print(&format!("written: {}\n", results.display()))?;
    }
    Ok(Launched::Told)
}

fn tell(progress: &Progress, json: bool) -> Result<()> {
    if json { print_json(progress) } else { print(&progress.describe()) }
}

/// The latest submission of an experiment of which jobs wait or run, and how many.
fn under_way(results: &Path) -> Result<Option<(Folder, usize)>> {
    for folder in Folder::all(results)?.into_iter().rev() {
        let queued = queue_of(&folder.submission()?)?;
        if !queued.is_empty() {
            return Ok(Some((folder, queued.len())));
        }
    }
    Ok(None)
}

fn queue_of(submission: &Option<Submission>) -> Result<Vec<Queued>> {
    let jobs: Vec<u64> = submission.iter().flat_map(|submission| &submission.waves).map(|wave| wave.job).collect();
    queue::queued(&jobs)
}

/// How far the latest submission of an experiment's results is; none when there is no submission.
pub fn latest(results: &Path) -> Result<Option<Progress>> {
    for folder in Folder::all(results)?.into_iter().rev() {
        if folder.submission()?.is_some_and(|submission| !submission.waves.is_empty()) {
            return Ok(Some(look(&folder)?.0));
        }
    }
    Ok(None)
}

/// How far a submission is, and how many waves it has by now.
fn look(folder: &Folder) -> Result<(Progress, usize)> {
    let submission = folder.submission()?;
    // Where Slurm does not answer, or is not there, the files tell what they know.
    let queue = queue_of(&submission).inspect_err(|error| tracing::debug!("{error:#}")).ok();
    let Some(submission) = submission else { bail!("{} holds no submission", folder.path.display()) };
    Ok((Progress::read(folder, &submission, queue.as_deref())?, submission.waves.len()))
}

/// Shows progress until nothing happens any more; none when asked to stop.
fn follow(lab: &Lab, folder: &Folder) -> Result<Option<Progress>> {
    let (first, _) = look(folder)?;
    let (mut done, mut all) = first.jobs();
    let label = |progress: &Progress| format!("slurm submission {}", progress.submission);
    let mut task = lab.bars.task(&label(&first), "jobs", all as u64, done as u64);
    let mut ended = 0;
    loop {
        let (progress, _) = look(folder)?;
        let (now_done, now_all) = progress.jobs();
        if now_all != all {
            // Planned on a node: its waves are there now.
            (all, done) = (now_all, now_done);
            task = lab.bars.task(&label(&progress), "jobs", all as u64, done as u64);
        }
        task.advance(now_done.saturating_sub(done) as u64);
        done = done.max(now_done);
        task.remark(&progress.remark());
        ended = if progress.has_ended() { ended + 1 } else { 0 };
        if ended >= SEEN || (ended > 0 && progress.is_success()) {
            return Ok(Some(progress));
        }
        let waited = std::time::Instant::now();
        while waited.elapsed() < EVERY {
            if lab.cancel.is_cancelled() {
                return Ok(None);
            }
            std::thread::sleep(SLICE);
        }
    }
}
