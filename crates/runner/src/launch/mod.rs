//! Launchers: who does the jobs of a sweep. What they are, and in what order, is the same for all of them; so is the code that
//! does them ([`crate::work`]), and so are the results, byte for byte.
//!
//! * `local`: child processes of this machine, started by the process that the user started.
//! * [`slurm`]: array jobs of a cluster. The submitting process plans, submits, and follows what happens.

pub mod slurm;

use clap::ValueEnum;

/// Who does the jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// This machine.
    #[default]
    Local,
    /// A Slurm cluster.
    Slurm,
}
