//! Training on stored, z-scored features.
//!
//! Every random number is a function of (seed, epoch, batch): the order of an epoch, the steps t, the noise and the hidden layers of a
//! batch. So a training that is continued from a checkpoint, made after any step, equals one that was never interrupted, to the bit.

mod draw;
mod objective;
mod plan;
mod underway;
mod validation;

use oodlab_base::{Cancel, KeyBuilder, Progress, Seed, Task};

use crate::optimiser::AdamW;
use crate::parameters::little_endian;
use crate::{Batch, Checkpoints, DiffusionError, FirstEpoch, LfdnConfig, LfdnEngine, Parameters, Rate, TrainConfig};
use draw::Drawn;
pub(crate) use objective::check_hidden;
pub use objective::{Hide, Objective};
use plan::Plan;
use underway::Underway;
pub(crate) use underway::check_finite;

/// What training reports to and asks.
pub struct TrainContext<'a> {
    /// Shown progress, in samples.
    pub progress: &'a dyn Progress,
    /// Asked before each step.
    pub cancel: &'a Cancel,
    /// Keeps the checkpoints.
    pub checkpoints: &'a mut dyn Checkpoints,
    /// Epochs between the checkpoints that are offered after an epoch; 0 offers none there.
    pub checkpoint_every: usize,
    /// Steps (from the first of the training) between the checkpoints that are offered after a step; 0 offers none there.
    pub checkpoint_every_steps: usize,
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model after the first epoch.
    pub first: FirstEpoch,
    /// The weights after the last epoch; with `patience` those after the best one.
    pub parameters: Parameters,
    /// Their average: what scores are computed with. With `ema: false` it equals `parameters`.
    pub ema: Parameters,
    /// Mean loss of each epoch.
    pub losses: Vec<f64>,
    /// Validation loss after each epoch; empty without `holdout`.
    pub validation: Vec<f64>,
    /// Learning rate of each epoch's last step.
    pub rates: Vec<f64>,
    /// With `holdout`, the epoch (from 1) of the lowest validation loss: the first of them, if there are several.
    pub best_epoch: Option<usize>,
    /// The epoch (from 1) after which `patience` ended the training before its time.
    pub stopped: Option<usize>,
}

/// What is trained, on what, and how.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// Sizes of the network.
    pub network: LfdnConfig,
    /// Settings of the training.
    pub config: &'a TrainConfig,
    /// What the network learns.
    pub objective: Objective<'a>,
    /// The samples, `[rows, dim]`, z-scored.
    pub z: &'a [f32],
    /// Seed of the held-out split, initialisation, order, steps, noise and hidden layers.
    pub seed: Seed,
}

impl Training<'_> {
    /// Trains the network, from the latest checkpoint if there is one.
    ///
    /// # Errors
    /// When settings, sizes or the number of samples are wrong, a loss is not finite, a checkpoint cannot be read or kept, or the work is
    /// cancelled. A checkpoint that is damaged or of another training is passed over with a warning.
    pub fn run(&self, engine: &mut dyn LfdnEngine, context: &mut TrainContext<'_>) -> Result<Trained, DiffusionError> {
        self.config.validate()?;
        self.objective.validate(self.network.dim)?;
        let plan = Plan::new(self)?;
        let training = self.key()?;
        let mut underway = self.resume(&training, &plan, context)?;
        let optimiser = AdamW::new(self.config);
        let total = (self.config.epochs as u64).saturating_mul(plan.used as u64);
        let task = context.progress.task("training", "features", total, underway.samples(&plan));
        let mut stopped = None;
        for epoch in underway.losses.len()..self.config.epochs {
            self.epoch(epoch, &plan, &optimiser, engine, &mut underway, context, (task.as_ref(), &training))?;
            let loss = underway.finish_epoch(&plan);
            let finished = epoch + 1;
            task.remark(&format!("epoch {finished}/{}, loss {loss:.4}", self.config.epochs));
            let keep = context.checkpoint_every > 0 && finished.is_multiple_of(context.checkpoint_every)
                || falls_due(underway.steps, context);
            let (ends, measures) = (finished == self.config.epochs, !plan.held_out.is_empty());
            let keep = keep && !ends && context.checkpoints.due(true);
            if epoch == 0 || ends || keep || measures {
                engine.synchronise(&mut underway.state)?;
            }
            if epoch == 0 {
                underway.keep_first(self.config.ema);
            }
            if measures {
                let found = self.validation(epoch, &plan, engine, underway.scoring(self.config.ema))?;
                task.remark(&format!("epoch {finished}/{}, loss {loss:.4}, validation {found:.4}", self.config.epochs));
                let since_best = underway.compare(found, self.config.patience.is_some());
                if !ends && self.config.patience.is_some_and(|patience| since_best >= patience) {
                    tracing::info!(epoch = finished, since_best, "validation loss no longer falls: training stops");
                    stopped = Some(finished);
                    break;
                }
            }
            tracing::debug!(epoch = finished, loss, "epoch finished");
            if keep {
                underway.save(&training, context.checkpoints)?;
            }
        }
        let last_step = |epoch: usize| self.config.rate_at((epoch as u64 + 1) * plan.steps_per_epoch - 1, plan.steps);
        let rates = (0..underway.losses.len()).map(last_step).collect();
        underway.into_trained(self.config.ema, rates, stopped)
    }

    /// The steps of an epoch that are still to be taken.
    #[expect(clippy::too_many_arguments, reason = "the parts of one loop's body")]
    fn epoch(
        &self,
        epoch: usize,
        plan: &Plan,
        optimiser: &AdamW,
        engine: &mut dyn LfdnEngine,
        underway: &mut Underway,
        context: &mut TrainContext<'_>,
        (task, training): (&dyn Task, &str),
    ) -> Result<(), DiffusionError> {
        let TrainConfig { batch_size, accumulate, .. } = *self.config;
        let order = plan.order(self.seed, epoch);
        let done = (underway.steps - epoch as u64 * plan.steps_per_epoch) as usize;
        let batches: Vec<&[usize]> = order.chunks(batch_size).collect();
        for (step, parts) in batches.chunks(accumulate).enumerate().skip(done) {
            context.cancel.check()?;
            let draw = |(part, rows): (usize, &&[usize])| self.draw(epoch, step * accumulate + part, rows);
            let drawn = parts.iter().enumerate().map(draw).collect::<Result<Vec<Drawn>, _>>()?;
            let views: Vec<Batch<'_>> = drawn.iter().map(Drawn::view).collect();
            let rate = self.config.rate_at(underway.steps, plan.steps);
            let loss = engine.train_step(&mut underway.state, optimiser, rate, &views)?;
            if !loss.is_finite() {
                engine.synchronise(&mut underway.state)?;
                let rows = parts.concat();
                let (rows, named) = self.not_finite(engine, &underway.state.parameters, &drawn, rows);
                return Err(DiffusionError::NonFiniteLoss { loss, epoch: epoch + 1, step: step + 1, rows, named });
            }
            underway.steps += 1;
            let samples = parts.iter().map(|rows| rows.len()).sum::<usize>();
            underway.sum += loss * samples as f64;
            task.advance(samples as u64);
            let within = step as u64 + 1 < plan.steps_per_epoch;
            if within && falls_due(underway.steps, context) && context.checkpoints.due(false) {
                engine.synchronise(&mut underway.state)?;
                underway.save(training, context.checkpoints)?;
            }
        }
        Ok(())
    }

    /// Of a step's training samples the first few whose own loss is not finite (or the first of all, when no single one can be blamed),
    /// and how many of them there are.
    fn not_finite(
        &self,
        engine: &mut dyn LfdnEngine,
        parameters: &Parameters,
        drawn: &[Drawn],
        rows: Vec<usize>,
    ) -> (Vec<usize>, usize) {
        let mut found = Vec::new();
        let mut at = 0;
        for part in drawn {
            let errors = part.squared_errors(engine, parameters).unwrap_or_default();
            found.extend(errors.iter().zip(&rows[at..]).filter(|(error, _)| !error.is_finite()).map(|(_, &row)| row));
            at += part.rows();
        }
        let blamed = if found.is_empty() { rows } else { found };
        (blamed.iter().copied().take(MOST_NAMED).collect(), blamed.len())
    }

    /// Hash of everything that the result depends on, but for the number of epochs under a constant rate: a longer training may go on from
    /// a shorter one's checkpoint.
    fn key(&self) -> Result<String, DiffusionError> {
        let epochs = if self.config.rate == Rate::Constant { 0 } else { self.config.epochs };
        let settings = TrainConfig { epochs, ..*self.config };
        let json = |error: serde_json::Error| DiffusionError::Checkpoint(error.to_string());
        let builder = KeyBuilder::new("lfdn training", 2).config("network", &self.network).map_err(json)?;
        let builder = builder.config("train", &settings).map_err(json)?;
        let builder = builder.config("objective", &self.objective.describe()).map_err(json)?;
        Ok(builder.number("seed", self.seed.0).bytes("samples", little_endian(self.z)).finish().hex())
    }
}

/// Samples that an error names at most.
const MOST_NAMED: usize = 8;

/// Whether a checkpoint is to be offered after so many steps.
fn falls_due(steps: u64, context: &TrainContext<'_>) -> bool {
    context.checkpoint_every_steps > 0 && steps.is_multiple_of(context.checkpoint_every_steps as u64)
}

#[cfg(test)]
mod tests;
