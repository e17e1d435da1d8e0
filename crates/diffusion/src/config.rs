//! Sizes of the network and settings of its training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DiffusionError;

/// Parameters a network may have at most: 2^31, 8 GiB of f32.
const MOST_PARAMETERS: usize = 1 << 31;
/// Blocks it may have at most.
const MOST_BLOCKS: usize = 4096;

/// Sizes of the latent feature diffusion network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LfdnConfig {
    /// Channels of a feature vector, in and out; also the width of the time embedding after its MLP.
    pub dim: usize,
    /// Inner width (the paper: 1440).
    pub width: usize,
    /// Residual blocks (the paper: 16).
    pub blocks: usize,
    /// Whether the network is told the step. Without, it is the paper's "AutoEncoder" (Table 11): no time MLP and no projections of it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub time_embedding: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl LfdnConfig {
    /// The paper's network of these sizes, with time embedding.
    #[must_use]
    pub const fn new(dim: usize, width: usize, blocks: usize) -> LfdnConfig {
        LfdnConfig { dim, width, blocks, time_embedding: true }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// When a size is too small, there are more than 4096 blocks, or more than 2^31 parameters.
    pub fn validate(self) -> Result<LfdnConfig, DiffusionError> {
        let LfdnConfig { dim, width, blocks, .. } = self;
        let refuse = |problem| Err(DiffusionError::Network { dim, width, blocks, problem });
        if dim == 0 || width < 2 || blocks == 0 {
            return refuse("expected dim >= 1, width >= 2, blocks >= 1");
        }
        if blocks > MOST_BLOCKS {
            return refuse("expected at most 4096 blocks");
        }
        match self.parameter_count() {
            Some(count) if count <= MOST_PARAMETERS => Ok(self),
            _ => refuse("expected at most 2^31 parameters (8 GiB); make it narrower or shallower"),
        }
    }

    /// Number of parameters; `None` when it overflows.
    ///
    /// ```
    /// let paper = oodlab_diffusion::LfdnConfig::new(720, 1440, 16);
    /// assert_eq!(paper.parameter_count(), Some(86_740_560));
    /// ```
    #[must_use]
    pub fn parameter_count(self) -> Option<usize> {
        let linear = |from: usize, to: usize| from.checked_mul(to)?.checked_add(to);
        let LfdnConfig { dim, width, blocks, time_embedding } = self;
        let norm = width.checked_mul(2)?;
        let sum = |parts: &[Option<usize>]| parts.iter().try_fold(0usize, |sum, part| sum.checked_add((*part)?));
        let told = |part: Option<usize>| if time_embedding { part } else { Some(0) };
        let shift = told(linear(dim, width));
        let block = sum(&[Some(norm), linear(width, width), shift, Some(norm), linear(width, width)])?;
        let time = told(sum(&[linear(width, dim), linear(dim, dim)]));
        sum(&[linear(dim, width), time, block.checked_mul(blocks), Some(norm), linear(width, dim)])
    }
}

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rate {
    /// It stays (the paper).
    #[default]
    Constant,
    /// It falls along half a cosine, step by step, to `final_rate` of it in the last step of all epochs.
    Cosine,
}

/// Settings of training. The defaults are the paper's; `drop_last`, the EMA and Adam's moments are the released program's.
///
/// A step is one update of the weights: `accumulate` batches of `batch_size` samples. The last step of an epoch takes the batches that are
/// left, even when they are fewer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training set. Default 150.
    pub epochs: usize,
    /// Samples of a batch: what the network computes at once, in training and in scoring. Default 128.
    pub batch_size: usize,
    /// Batches whose gradients make one step. Default 1: each batch is a step.
    pub accumulate: usize,
    /// Learning rate: the highest one, where it changes. Default 1e-4.
    pub learning_rate: f64,
    /// How the rate goes on after the warm-up. Default `constant`.
    pub rate: Rate,
    /// With `rate: cosine`, the last step's share of the learning rate, 0 to 1. Default 0.
    pub final_rate: f64,
    /// Steps in which the rate rises in a straight line; step n of them (from 1) has n / warmup_steps of it. Default 0.
    pub warmup_steps: usize,
    /// Decoupled weight decay, on every parameter. Default 1e-4.
    pub weight_decay: f64,
    /// Adam's decay of the first moment. Default 0.9.
    pub beta1: f64,
    /// Adam's decay of the second moment. Default 0.999.
    pub beta2: f64,
    /// Added to Adam's denominator. Default 1e-8.
    pub epsilon: f64,
    /// Most decay of the averaged weights; the decay after update n (from 1) is min(ema_decay, (1 + n) / (10 + n)). Default 0.9999.
    pub ema_decay: f64,
    /// Keep the average of the weights and score with it, as the released program does; otherwise the last weights score. Default true.
    pub ema: bool,
    /// Most length (Euclidean norm over all parameters) of a step's gradient; a longer one is scaled down to it. Default none.
    pub clip_norm: Option<f64>,
    /// Leave out the last batch of an epoch when it is incomplete, as the released program does. Default true.
    pub drop_last: bool,
    /// Share of the training samples that is kept aside, chosen by the seed, and only measured: the validation loss of each epoch, under
    /// noise that is the same in every epoch, with the weights that score. From 0 to below 1. Default 0: none.
    pub holdout: f64,
    /// Epochs in a row without a lower validation loss after which training stops. With it, the result are the weights after the epoch of
    /// the lowest validation loss, whether training stopped early or not. Needs `holdout`. Default none: all epochs, the last weights.
    pub patience: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            epochs: 150,
            batch_size: 128,
            accumulate: 1,
            learning_rate: 1e-4,
            rate: Rate::Constant,
            final_rate: 0.0,
            warmup_steps: 0,
            weight_decay: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            ema_decay: 0.9999,
            ema: true,
            clip_norm: None,
            drop_last: true,
            holdout: 0.0,
            patience: None,
        }
    }
}

impl TrainConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), DiffusionError> {
        let refuse = |name, found: &dyn ToString, expected: &str| {
            Err(DiffusionError::Setting { name, found: found.to_string(), expected: expected.to_owned() })
        };
        if self.epochs == 0 {
            return refuse("train.epochs", &self.epochs, "at least 1");
        }
        if !(1..=1 << 20).contains(&self.batch_size) {
            return refuse("train.batch_size", &self.batch_size, "1 to 1048576");
        }
        if !(1..=1 << 20).contains(&self.accumulate) {
            return refuse("train.accumulate", &self.accumulate, "1 to 1048576");
        }
        if !(0.0..=1.0).contains(&self.final_rate) {
            return refuse("train.final_rate", &self.final_rate, "a share from 0 to 1");
        }
        if !(0.0..1.0).contains(&self.holdout) {
            return refuse("train.holdout", &self.holdout, "a share from 0 to below 1");
        }
        match self.patience {
            Some(0) => return refuse("train.patience", &0, "at least 1 epoch"),
            Some(epochs) if self.holdout == 0.0 => {
                return refuse("train.patience", &epochs, "none while train.holdout is 0: there is no validation loss");
            }
            _ => {}
        }
        for (name, value) in [("train.learning_rate", self.learning_rate), ("train.epsilon", self.epsilon)] {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(name, &value, "a positive number");
            }
        }
        if let Some(norm) = self.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return refuse("train.clip_norm", &norm, "a positive number");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse("train.weight_decay", &self.weight_decay, "zero or a positive number");
        }
        for (name, value) in
            [("train.beta1", self.beta1), ("train.beta2", self.beta2), ("train.ema_decay", self.ema_decay)]
        {
            if !(0.0..1.0).contains(&value) {
                return refuse(name, &value, "a number from 0 to below 1");
            }
        }
        Ok(())
    }

    /// The learning rate of step `step` (from 0) of `steps`.
    ///
    /// ```
    /// use oodlab_diffusion::{Rate, TrainConfig};
    /// let cosine = TrainConfig { learning_rate: 1.0, rate: Rate::Cosine, warmup_steps: 2, ..TrainConfig::default() };
    /// let rates: Vec<f64> = (0..5).map(|step| cosine.rate_at(step, 5)).collect();
    /// assert_eq!(rates, [0.5, 1.0, 1.0, 0.5, 0.0]);
    /// ```
    #[must_use]
    pub fn rate_at(&self, step: u64, steps: u64) -> f64 {
        let warmup = self.warmup_steps as u64;
        if step < warmup {
            return self.learning_rate * ((step + 1) as f64 / warmup as f64);
        }
        match self.rate {
            Rate::Constant => self.learning_rate,
            Rate::Cosine => {
                let (gone, all) = (step - warmup, steps.saturating_sub(warmup + 1));
                // The middle and the end are exact.
                let high = match (2 * gone).cmp(&all) {
                    _ if gone >= all => 0.0,
                    std::cmp::Ordering::Equal => 0.5,
                    _ => 0.5 + 0.5 * (std::f64::consts::PI * gone as f64 / all as f64).cos(),
                };
                self.learning_rate * (self.final_rate + (1.0 - self.final_rate) * high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_out_of_range_are_refused() {
        let good = LfdnConfig::new(40, 64, 3);
        assert!(good.validate().is_ok());
        for bad in [
            LfdnConfig { dim: 0, ..good },
            LfdnConfig { width: 1, ..good },
            LfdnConfig { blocks: 0, ..good },
            LfdnConfig { width: 100_000, ..good },
            LfdnConfig { width: usize::MAX, ..good },
            LfdnConfig { blocks: usize::MAX, ..good },
        ] {
            assert!(matches!(bad.validate(), Err(DiffusionError::Network { .. })), "{bad:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let good = TrainConfig::default();
        assert!(good.validate().is_ok());
        for (bad, name) in [
            (TrainConfig { epochs: 0, ..good }, "train.epochs"),
            (TrainConfig { batch_size: 0, ..good }, "train.batch_size"),
            (TrainConfig { learning_rate: f64::NAN, ..good }, "train.learning_rate"),
            (TrainConfig { weight_decay: -1.0, ..good }, "train.weight_decay"),
            (TrainConfig { ema_decay: 1.0, ..good }, "train.ema_decay"),
            (TrainConfig { accumulate: 0, ..good }, "train.accumulate"),
            (TrainConfig { final_rate: 1.5, ..good }, "train.final_rate"),
            (TrainConfig { holdout: 1.0, ..good }, "train.holdout"),
            (TrainConfig { holdout: f64::NAN, ..good }, "train.holdout"),
            (TrainConfig { patience: Some(3), ..good }, "train.patience"),
            (TrainConfig { patience: Some(0), holdout: 0.1, ..good }, "train.patience"),
        ] {
            let message = bad.validate().expect_err("out of range").to_string();
            assert!(message.starts_with(name), "{message}");
        }
    }
}
