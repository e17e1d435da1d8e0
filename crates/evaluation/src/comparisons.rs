//! Which scores of an experiment are tested against each other, and how uncertain its metrics are taken to be.

mod record;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::bootstrap::BootstrapConfig;

pub use record::{ComparisonError, check, of_record};

/// Replicates: enough for the ends of a 95 % interval, few enough for the memory.
const REPLICATES: std::ops::RangeInclusive<usize> = 100..=100_000;

/// The section `intervals:`: how many times the bootstrap draws, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntervalSpec {
    /// Replicates; 0 for no bootstrap, at least 100 otherwise.
    pub replicates: usize,
    /// Its own seed: the same draws for every run of the experiment.
    pub seed: u64,
}

impl Default for IntervalSpec {
    fn default() -> IntervalSpec {
        IntervalSpec { replicates: 1000, seed: 0 }
    }
}

impl IntervalSpec {
    /// What the bootstrap takes; none where there shall be none.
    #[must_use]
    pub fn bootstrap(&self) -> Option<BootstrapConfig> {
        (self.replicates > 0).then_some(BootstrapConfig { replicates: self.replicates, seed: self.seed })
    }

    /// Refuses a number of replicates that gives no interval.
    ///
    /// # Errors
    /// What was expected and found.
    pub fn check(&self) -> Result<(), String> {
        if self.replicates == 0 || REPLICATES.contains(&self.replicates) {
            return Ok(());
        }
        let (least, most) = (REPLICATES.start(), REPLICATES.end());
        Err(format!("expected 0 (no bootstrap) or {least} to {most}, found {}", self.replicates))
    }
}

/// One entry of `comparisons:`: two scores of one experiment, on the same images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// `detector/score`, or a detector of a single score.
    pub a: String,
    /// What it is compared with.
    pub b: String,
}
