//! How far a submission is: from its files, and from the queue where there is one.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::files::{Folder, JobFailure, Submission, TaskReport, TaskState};
use super::queue::Queued;
use super::section::Wave;

/// Failures that are told; all are in the files.
const TOLD: usize = 10;

/// How far a submission is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// The experiment.
    pub experiment: String,
    /// The submission's number.
    pub submission: String,
    /// Its folder.
    pub folder: String,
    /// Whether Slurm's queue could be asked. Without it a task that was killed cannot be told from one under way.
    pub queue_known: bool,
    /// When it was submitted, or a task last said something, in seconds since 1970.
    pub updated: u64,
    /// Its waves.
    pub waves: Vec<WaveProgress>,
}

/// How far a wave is; tasks are in one of the states each.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WaveProgress {
    /// Its name.
    pub wave: String,
    /// The number of its Slurm job.
    pub job: u64,
    /// All tasks.
    pub tasks: usize,
    /// Tasks that are done.
    pub done: usize,
    /// Tasks that came to their end with failures.
    pub failed: usize,
    /// Tasks under way.
    pub running: usize,
    /// Tasks in the queue, or not heard of where the queue is not known.
    pub waiting: usize,
    /// Tasks that were killed, cancelled or stopped, and are not in the queue any more.
    pub lost: usize,
    /// Why tasks wait, and how many.
    pub reasons: BTreeMap<String, usize>,
    /// Jobs that are done, and all.
    pub jobs_done: usize,
    /// All jobs.
    pub jobs: usize,
    /// Time of all tasks together.
    pub seconds: f64,
    /// The most memory of a task, in bytes.
    pub peak_bytes: Option<u64>,
    /// How often tasks were started again.
    pub restarts: u32,
    /// What is under way: node and label.
    pub under_way: Vec<(String, String)>,
    /// What failed.
    pub failures: Vec<JobFailure>,
}

impl Progress {
    /// Reads the files; `queue` must have been asked before, so that what ended meanwhile counts as ended.
    pub fn read(folder: &Folder, submission: &Submission, queue: Option<&[Queued]>) -> Result<Progress> {
        let (mut waves, mut updated) = (Vec::new(), submission.submitted);
        for submitted in &submission.waves {
            let mut wave = WaveProgress {
                wave: submitted.wave.name().to_owned(),
                job: submitted.job,
                tasks: submitted.tasks,
                jobs: submitted.jobs,
                ..WaveProgress::default()
            };
            for task in 0..submitted.tasks {
                let of_task = |queued: &&Queued| queued.job == submitted.job && queued.task.is_none_or(|of| of == task);
                let queued = queue.map(|queue| queue.iter().find(of_task));
                let report = folder.report(submitted.wave, task)?;
                updated = updated.max(report.as_ref().map_or(0, |report| report.updated));
                wave.add(report, queued);
            }
            waves.push(wave);
        }
        Ok(Progress {
            experiment: submission.experiment.clone(),
            submission: folder.name(),
            folder: folder.path.display().to_string(),
            queue_known: queue.is_some(),
            updated,
            waves,
        })
    }

    /// Whether nothing happens any more.
    pub fn has_ended(&self) -> bool {
        self.waves.iter().all(|wave| wave.running + wave.waiting == 0)
    }

    /// Whether tables were written and nothing failed.
    pub fn is_success(&self) -> bool {
        self.waves.iter().any(|wave| wave.wave == Wave::Tables.name() && wave.done == 1)
    }

    /// Jobs done, and all.
    pub fn jobs(&self) -> (usize, usize) {
        let sum = |of: fn(&WaveProgress) -> usize| self.waves.iter().map(of).sum();
        (sum(|wave| wave.jobs_done), sum(|wave| wave.jobs))
    }

    /// Numbers of its Slurm jobs.
    pub fn slurm_jobs(&self) -> String {
        self.waves.iter().map(|wave| wave.job.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The wave under way, in a few words.
    pub fn remark(&self) -> String {
        let open = self.waves.iter().find(|wave| wave.running + wave.waiting > 0);
        open.map(WaveProgress::describe).unwrap_or_default()
    }

    /// For people.
    pub fn describe(&self) -> String {
        let Progress { experiment, submission, folder, queue_known, waves, .. } = self;
        let (done, all) = self.jobs();
        let state = match (self.has_ended(), self.is_success()) {
            (true, true) => "finished",
            (true, false) => "ended, not everything is done; run it again to go on",
            (false, _) => "under way",
        };
        let mut text = format!("{experiment}: slurm submission {submission}, {state}: {done} of {all} jobs done\n");
        for wave in waves {
            text.push_str(&format!("  {}\n", wave.describe()));
        }
        for (host, label) in waves.iter().flat_map(|wave| &wave.under_way) {
            text.push_str(&format!("  {host}: {label}\n"));
        }
        let failures: Vec<&JobFailure> = waves.iter().flat_map(|wave| &wave.failures).collect();
        for JobFailure { label, error, .. } in failures.iter().take(TOLD) {
            text.push_str(&format!("  failed: {label}: {error}\n"));
        }
        if failures.len() > TOLD {
            text.push_str(&format!("  and {} more failures: {folder}/tasks\n", failures.len() - TOLD));
        }
        if !queue_known {
            text.push_str("  (squeue could not be asked: this is what the tasks wrote; one that was killed looks as if under way)\n");
        }
        text
    }
}

impl WaveProgress {
    /// Counts a task: its report, and its place in the queue where that is known.
    fn add(&mut self, report: Option<TaskReport>, queued: Option<Option<&Queued>>) {
        let state = report.as_ref().map(|report| report.state);
        let waits = |queued: &Queued| queued.state == "PENDING" || queued.state.starts_with("REQUEUE");
        match (state, queued) {
            (Some(TaskState::Done), _) => self.done += 1,
            // Without the queue a failed task may be started again by hand; that shows once it runs.
            (Some(TaskState::Failed), _) => self.failed += 1,
            (_, Some(Some(queued))) if waits(queued) => {
                self.waiting += 1;
                *self.reasons.entry(queued.reason.clone()).or_default() += 1;
            }
            (_, Some(Some(_))) | (Some(TaskState::Running), None) => {
                self.running += 1;
                let told = report.as_ref().map(|report| (report.host.clone(), report.label.clone()));
                self.under_way.extend(told.filter(|(_, label)| !label.is_empty()));
            }
            (_, Some(None)) => self.lost += 1,
            (Some(TaskState::Stopped) | None, None) => self.waiting += 1,
        }
        let Some(report) = report else { return };
        self.jobs_done += report.done;
        self.seconds += report.seconds;
        self.peak_bytes = self.peak_bytes.max(report.peak_bytes);
        self.restarts += report.restarts;
        self.failures.extend(report.errors);
    }

    fn describe(&self) -> String {
        let WaveProgress { wave, job, tasks, done, jobs_done, jobs, .. } = self;
        let mut text = format!("{wave} (job {job}): {done} of {tasks} tasks, {jobs_done} of {jobs} jobs done");
        for (count, name) in [
            (self.running, "running"),
            (self.waiting, "waiting"),
            (self.failed, "failed"),
            (self.lost, "killed or cancelled"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {name}"));
            }
        }
        let reasons: Vec<&str> = self.reasons.keys().map(String::as_str).filter(|reason| *reason != "None").collect();
        if !reasons.is_empty() {
            text.push_str(&format!(" ({})", reasons.join("; ")));
        }
        if self.seconds > 0.0 {
            text.push_str(&format!("; {:.0} s", self.seconds));
        }
        if let Some(peak) = self.peak_bytes {
            text.push_str(&format!(", {} MiB", peak >> 20));
        }
        if self.restarts > 0 {
            text.push_str(&format!(", started again {} times", self.restarts));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: TaskState, done: usize) -> TaskReport {
        TaskReport {
            state,
            done,
            jobs: 3,
            label: "fit dlsr seed 0".to_owned(),
            seconds: 10.0,
            peak_bytes: Some(100 << 20),
            host: "node1".to_owned(),
            slurm_job: "12_0".to_owned(),
            restarts: 1,
            updated: 9,
            times: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn queued(state: &str) -> Queued {
        Queued { job: 12, task: Some(0), state: state.to_owned(), reason: "Priority".to_owned() }
    }

    fn counts(report: Option<TaskReport>, queued: Option<Option<&Queued>>) -> [usize; 5] {
        let mut wave = WaveProgress::default();
        wave.add(report, queued);
        [wave.done, wave.failed, wave.running, wave.waiting, wave.lost]
    }

    #[test]
    fn a_task_is_where_its_report_and_the_queue_say() {
        let (pending, running) = (queued("PENDING"), queued("RUNNING"));
        let of = |state| Some(report(state, 1));
        assert_eq!(counts(of(TaskState::Done), Some(Some(&running))), [1, 0, 0, 0, 0]);
        assert_eq!(counts(of(TaskState::Failed), Some(None)), [0, 1, 0, 0, 0]);
        assert_eq!(counts(of(TaskState::Running), Some(Some(&running))), [0, 0, 1, 0, 0]);
        assert_eq!(counts(None, Some(Some(&running))), [0, 0, 1, 0, 0]);
        // Requeued before its limit.
        assert_eq!(counts(of(TaskState::Stopped), Some(Some(&pending))), [0, 0, 0, 1, 0]);
        assert_eq!(counts(None, Some(Some(&pending))), [0, 0, 0, 1, 0]);
        // Killed.
        assert_eq!(counts(of(TaskState::Running), Some(None)), [0, 0, 0, 0, 1]);
        assert_eq!(counts(None, Some(None)), [0, 0, 0, 0, 1]);
        // Nobody to ask.
        assert_eq!(counts(of(TaskState::Running), None), [0, 0, 1, 0, 0]);
        assert_eq!(counts(None, None), [0, 0, 0, 1, 0]);
    }

    #[test]
    fn progress_is_told_wave_by_wave() {
        let results = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(results.path()).expect("a submission");
        let mut submission = Submission::new("quick", "oodlab run quick.yaml", 0);
        let wave = |wave, job, tasks, jobs| super::super::files::SubmittedWave { wave, job, tasks, jobs };
        submission.waves = vec![wave(Wave::Fit, 12, 3, 9), wave(Wave::Tables, 13, 1, 1)];
        folder.write_report(Wave::Fit, 0, &report(TaskState::Done, 3)).expect("writing");
        folder.write_report(Wave::Fit, 1, &report(TaskState::Running, 1)).expect("writing");
        let queue = [
            Queued { job: 12, task: Some(1), state: "RUNNING".into(), reason: "None".into() },
            Queued { job: 12, task: Some(2), state: "PENDING".into(), reason: "Resources".into() },
            Queued { job: 13, task: None, state: "PENDING".into(), reason: "Dependency".into() },
        ];
        let progress = Progress::read(&folder, &submission, Some(&queue)).expect("progress");
        assert!(!progress.has_ended() && !progress.is_success() && progress.jobs() == (4, 10));
        assert_eq!(
            progress.describe(),
            "quick: slurm submission 001, under way: 4 of 10 jobs done\n  \
             fit (job 12): 1 of 3 tasks, 4 of 9 jobs done, 1 running, 1 waiting (Resources); 20 s, 100 MiB, started again 2 times\n  \
             tables (job 13): 0 of 1 tasks, 0 of 1 jobs done, 1 waiting (Dependency)\n  \
             node1: fit dlsr seed 0\n"
        );
        let ended = Progress::read(&folder, &submission, Some(&[])).expect("progress");
        assert!(ended.has_ended() && !ended.is_success());
        assert!(ended.describe().contains("run it again to go on"), "{}", ended.describe());
    }
}
