//! `oodlab work`: a worker process.

use anyhow::Result;
use clap::Args;

use crate::lab::Lab;
use crate::work::report::Reporter;
use crate::work::worker;

/// What a worker does.
#[derive(Debug, Clone, Args)]
pub struct WorkerArguments {}

/// Does jobs until standard input ends.
pub fn run(lab: &Lab, _: &WorkerArguments, reporter: &Reporter) -> Result<()> {
    worker::run(lab, reporter)
}
