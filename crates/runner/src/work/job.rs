//! A job: one step of one run, as it travels to the process that does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::{Cell, Experiment};
use crate::plan::{Planner, Run};

/// One cell with one seed, resolved: whoever does its jobs reads no experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The cell's name; empty without a sweep.
    pub cell: String,
    /// Swept keys and this cell's values.
    pub sweep: BTreeMap<String, String>,
    /// The seed.
    pub seed: u64,
    /// The resolved experiment.
    pub experiment: Experiment,
}

impl Order {
    /// Of this run.
    pub fn of(run: &Run) -> Order {
        Order {
            cell: run.cell.name.clone(),
            sweep: run.cell.values.clone(),
            seed: run.seed,
            experiment: Experiment::clone(&run.experiment),
        }
    }

    /// The run as the receiving process sees it.
    pub fn plan(&self, planner: &mut Planner<'_>) -> Result<Run> {
        let cell = Cell { name: self.cell.clone(), values: self.sweep.clone(), overrides: BTreeMap::new() };
        planner.run(&cell, &Arc::new(self.experiment.clone()), self.seed)
    }
}

/// Which part of a run's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Encode a set, by its position among the run's; a share of its parts, or all.
    Encode {
        /// Position.
        set: usize,
        /// Which parts.
        share: Option<Share>,
    },
    /// Fit a detector, by its position.
    Fit {
        /// Position.
        contender: usize,
    },
    /// Score every set with a detector, by its position.
    Score {
        /// Position.
        contender: usize,
    },
    /// Compute the metrics.
    Evaluate,
}

/// One of several equal shares of a set's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Counted from 0.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl Share {
    /// Whether the part belongs to the share.
    pub fn has(self, part: usize) -> bool {
        part % self.of.max(1) == self.number
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its number among those of its sender.
    pub id: usize,
    /// The run that it is a part of; equal work of other runs is done with it.
    pub order: Order,
    /// The key of that run, as the sender knows it.
    pub run: String,
    /// What is to be done.
    pub step: Step,
    /// The folder of the run, which has its log.
    pub folder: std::path::PathBuf,
}

impl Job {
    /// The run. That it is not the sender's is an error: images, weights, program or machine changed meanwhile.
    pub fn plan(&self, planner: &mut Planner<'_>) -> Result<Run> {
        let run = self.order.plan(planner).context("the run cannot be planned any more")?;
        anyhow::ensure!(
            run.key.hex() == self.run,
            "the run has key {} here and {} where it was planned: images, weights, program or machine are not the same; \
             run it again",
            run.key.short(),
            short(&self.run)
        );
        Ok(run)
    }
}

fn short(key: &str) -> &str {
    key.get(..12).unwrap_or(key)
}
