//! Which samples are trained on, and in how many steps.

use oodlab_base::Seed;

use super::Training;
use crate::DiffusionError;

/// The sizes of a training.
pub(super) struct Plan {
    /// Samples that are trained on, rising.
    pub(super) kept: Vec<usize>,
    /// Samples that are only measured, rising.
    pub(super) held_out: Vec<usize>,
    /// Samples of an epoch: those kept, less an incomplete last batch when it is dropped.
    pub(super) used: usize,
    /// Samples of a step, but perhaps an epoch's last.
    pub(super) samples_of_a_step: u64,
    /// Steps of an epoch.
    pub(super) steps_per_epoch: u64,
    /// Steps of all epochs.
    pub(super) steps: u64,
}

impl Plan {
    pub(super) fn new(training: &Training<'_>) -> Result<Plan, DiffusionError> {
        let config = training.config;
        let dim = training.network.validate()?.dim;
        let rows = training.z.len() / dim;
        if rows * dim != training.z.len() {
            let (expected, found) = (rows * dim, training.z.len());
            return Err(DiffusionError::Length { what: "training samples", expected, found });
        }
        if rows == 0 {
            return Err(DiffusionError::NoSamples);
        }
        let (kept, held_out) = split(rows, config.holdout, training.seed)?;
        let batch_size = config.batch_size;
        let used = match (config.drop_last, kept.len() / batch_size) {
            (true, 0) => return Err(DiffusionError::FewerThanABatch { rows: kept.len(), batch_size }),
            (true, whole) => whole * batch_size,
            (false, _) => kept.len(),
        };
        let steps_per_epoch = used.div_ceil(batch_size).div_ceil(config.accumulate) as u64;
        let steps = steps_per_epoch.saturating_mul(config.epochs as u64);
        if config.warmup_steps > 0 && config.warmup_steps as u64 >= steps {
            return Err(DiffusionError::Setting {
                name: "train.warmup_steps",
                found: config.warmup_steps.to_string(),
                expected: format!("fewer than the {steps} steps of the whole training"),
            });
        }
        let samples_of_a_step = batch_size as u64 * config.accumulate as u64;
        Ok(Plan { kept, held_out, used, samples_of_a_step, steps_per_epoch, steps })
    }

    /// The samples of an epoch, in its order.
    pub(super) fn order(&self, seed: Seed, epoch: usize) -> Vec<usize> {
        let mut order = seed.stream("lfdn training order").child(epoch as u64).permutation(self.kept.len());
        order.truncate(self.used);
        order.iter_mut().for_each(|at| *at = self.kept[*at]);
        order
    }
}

/// Splits `0 .. rows` into the samples that are trained on and those that are held out: a share of `holdout`, at least one of each.
fn split(rows: usize, holdout: f64, seed: Seed) -> Result<(Vec<usize>, Vec<usize>), DiffusionError> {
    if holdout == 0.0 {
        return Ok(((0..rows).collect(), Vec::new()));
    }
    if rows < 2 {
        let expected = "0 for a single sample: it cannot be held out and trained on".to_owned();
        return Err(DiffusionError::Setting { name: "train.holdout", found: holdout.to_string(), expected });
    }
    let count = ((rows as f64 * holdout).round() as usize).clamp(1, rows - 1);
    let mut held_out = seed.stream("lfdn validation split").permutation(rows);
    let mut kept = held_out.split_off(count);
    held_out.sort_unstable();
    kept.sort_unstable();
    Ok((kept, held_out))
}
