//! `--launcher slurm`: the stages that are left as array jobs of a Slurm cluster.
//!
//! encode shards ─▶ merge ─▶ fit ─▶ score ─▶ evaluate ─▶ tables, each a *wave*: one array job that waits until the one before it has
//! ended, well or badly (`afterany`): a failed cell must not stop the others. An element of an array, a *task*, does a list of jobs, by
//! the code that a local run does them with. What a task needs and does not find in the store it computes itself, so that a task that was
//! killed costs time and nothing else.
//!
//! Everything known of a submission lies in `results/<experiment>/slurm/<number>/`, and any login node can read it:
//! ```text
//! submission.json      waves with the numbers of their Slurm jobs
//! tasks.json           what each task does
//! fit.sbatch ..        the scripts as they were submitted
//! logs/fit-3.log ..    what task 3 of a wave printed
//! tasks/fit-3.json ..  how it went: state, seconds, peak memory, host, restarts, errors
//! ```

mod files;
mod follow;
mod formats;
mod progress;
mod queue;
mod script;
pub mod section;
mod submit;
mod task;
mod waves;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::lab::Lab;

pub use follow::{Launched, SlurmArguments, latest, run};
pub use progress::Progress;
pub use section::SlurmSection;

/// What `oodlab slurm-task` is to do; written into the batch scripts, not for people.
#[derive(Debug, Clone, Args)]
pub struct TaskArguments {
    /// The folder of the submission
    #[arg(long)]
    pub folder: PathBuf,
    /// The wave
    #[arg(long, value_enum)]
    pub wave: section::Wave,
    /// The number of the task within the wave
    #[arg(long)]
    pub task: usize,
}

/// Does one task of a submission.
pub fn run_task(lab: &Lab, arguments: &TaskArguments) -> Result<()> {
    task::run(lab, &files::Folder { path: arguments.folder.clone() }, arguments.wave, arguments.task)
}
