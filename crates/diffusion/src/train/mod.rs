//! Training on stored, z-scored features.
//!
//! Every random number is a function of (seed, epoch, step): the order of an epoch, the steps t and the noise of a batch. So a training that
//! is continued from a checkpoint equals one that was never interrupted, to the bit.

use oodlab_base::{Cancel, KeyBuilder, Progress, Seed};
use oodlab_kernels::{forward_noise, normal};

use crate::optimiser::{AdamW, TrainState};
use crate::parameters::little_endian;
use crate::{
    Batch, Checkpoint, Checkpoints, DiffusionError, FirstEpoch, LfdnConfig, LfdnEngine, Parameters, Schedule,
    TrainConfig, checkpoint,
};

/// What training reports to and asks.
pub struct TrainContext<'a> {
    /// Shown progress, in samples.
    pub progress: &'a dyn Progress,
    /// Asked before each step.
    pub cancel: &'a Cancel,
    /// Keeps the checkpoints.
    pub checkpoints: &'a mut dyn Checkpoints,
    /// Epochs between checkpoints; 0 keeps none.
    pub checkpoint_every: usize,
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model after the first epoch.
    pub first: FirstEpoch,
    /// The weights after the last epoch.
    pub parameters: Parameters,
    /// Their average: what scores are computed with.
    pub ema: Parameters,
    /// Mean loss of each epoch.
    pub losses: Vec<f64>,
}

/// What is trained, on what, and how.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// Sizes of the network.
    pub network: LfdnConfig,
    /// Settings of the training.
    pub config: &'a TrainConfig,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// The samples, `[rows, dim]`, z-scored.
    pub z: &'a [f32],
    /// Seed of initialisation, order, steps and noise.
    pub seed: Seed,
}

impl Training<'_> {
    /// Trains the network, from the latest checkpoint if there is one.
    ///
    /// # Errors
    /// When settings, sizes or the number of samples are wrong, the loss is not finite, a checkpoint cannot be read or kept, or the work is
    /// cancelled. A checkpoint that is damaged or of another training is passed over with a warning.
    pub fn run(&self, engine: &mut dyn LfdnEngine, context: &mut TrainContext<'_>) -> Result<Trained, DiffusionError> {
        self.config.validate()?;
        let rows = self.rows()?;
        let steps_per_epoch = self.steps_per_epoch(rows)?;
        let used = if self.config.drop_last { steps_per_epoch * self.config.batch_size } else { rows };
        let training = self.key()?;
        let mut progress = self.resume(&training, context)?;
        let optimiser = AdamW::new(self.config);

        let (total, done) = ((self.config.epochs * used) as u64, (progress.losses.len() * used) as u64);
        let task = context.progress.task("training", "features", total, done);
        for epoch in progress.losses.len()..self.config.epochs {
            let order = self.seed.stream("lfdn training order").child(epoch as u64).permutation(rows);
            let mut sum = 0.0;
            for (step, rows) in order[..used].chunks(self.config.batch_size).enumerate() {
                context.cancel.check()?;
                let batch = self.draw(epoch, step, rows)?;
                let loss = {
                    let rate = self.config.learning_rate;
                    engine.train_step(&mut progress.state, &optimiser, rate, &[batch.view()])?
                };
                if !loss.is_finite() {
                    return Err(DiffusionError::NonFiniteLoss { loss, epoch: epoch + 1, step: step + 1 });
                }
                sum += loss * rows.len() as f64;
                task.advance(rows.len() as u64);
            }
            let loss = sum / used as f64;
            progress.losses.push(loss);
            task.remark(&format!("epoch {}/{}, loss {loss:.4}", epoch + 1, self.config.epochs));
            tracing::debug!(epoch = epoch + 1, loss, "epoch finished");
            let finished = epoch + 1;
            let keep = context.checkpoint_every > 0 && finished.is_multiple_of(context.checkpoint_every);
            if epoch == 0 || finished == self.config.epochs || keep {
                engine.synchronise(&mut progress.state)?;
            }
            if epoch == 0 {
                let TrainState { parameters, ema, .. } = &progress.state;
                progress.first = Some(FirstEpoch { parameters: parameters.clone(), ema: ema.clone() });
            }
            if keep && finished < self.config.epochs {
                progress.save(&training, context.checkpoints)?;
            }
        }
        let TrainState { parameters, ema, .. } = progress.state;
        let first = progress.first.ok_or_else(|| DiffusionError::Checkpoint("no first epoch in it".into()))?;
        Ok(Trained { first, parameters, ema, losses: progress.losses })
    }

    fn rows(&self) -> Result<usize, DiffusionError> {
        let dim = self.network.validate()?.dim;
        let rows = self.z.len() / dim;
        if rows * dim != self.z.len() {
            return Err(DiffusionError::Length { what: "training samples", expected: rows * dim, found: self.z.len() });
        }
        if rows == 0 { Err(DiffusionError::NoSamples) } else { Ok(rows) }
    }

    fn steps_per_epoch(&self, rows: usize) -> Result<usize, DiffusionError> {
        let batch_size = self.config.batch_size;
        match (self.config.drop_last, rows / batch_size) {
            (true, 0) => Err(DiffusionError::FewerThanABatch { rows, batch_size }),
            (true, whole) => Ok(whole),
            (false, _) => Ok(rows.div_ceil(batch_size)),
        }
    }

    /// Hash of everything that the result depends on, but for the number of epochs: a longer training may go on from a shorter one's checkpoint.
    fn key(&self) -> Result<String, DiffusionError> {
        let settings = TrainConfig { epochs: 0, ..*self.config };
        let json = |error: serde_json::Error| DiffusionError::Checkpoint(error.to_string());
        let builder = KeyBuilder::new("lfdn training", 1).config("network", &self.network).map_err(json)?;
        let builder = builder.config("train", &settings).map_err(json)?;
        let builder = builder.config("schedule", &self.schedule.config()).map_err(json)?;
        Ok(builder.number("seed", self.seed.0).bytes("samples", little_endian(self.z)).finish().hex())
    }

    fn resume(&self, training: &str, context: &mut TrainContext<'_>) -> Result<Underway, DiffusionError> {
        let latest = context.checkpoints.latest();
        let latest = latest.map_err(|source| DiffusionError::Keeper { action: "read", source })?;
        if let Some(bytes) = latest {
            match self.usable(training, &bytes) {
                Ok(found) => {
                    tracing::info!(epoch = found.epoch, "training continues from a checkpoint");
                    return Ok(Underway { state: found.state, first: Some(found.first), losses: found.losses });
                }
                Err(reason) => tracing::warn!("training begins anew, its checkpoint cannot be used: {reason}"),
            }
        }
        Ok(Underway { state: TrainState::initialise(self.network, self.seed)?, first: None, losses: Vec::new() })
    }

    /// The checkpoint, if it is one of this training.
    fn usable(&self, training: &str, bytes: &[u8]) -> Result<Checkpoint, DiffusionError> {
        let found = Checkpoint::from_bytes(bytes)?;
        if found.training != training {
            return Err(DiffusionError::Checkpoint(
                "it belongs to other settings, another seed or other samples".into(),
            ));
        }
        if found.epoch > self.config.epochs {
            let what =
                format!("it was made after {} epochs, but only {} are asked for", found.epoch, self.config.epochs);
            return Err(DiffusionError::Checkpoint(what));
        }
        Ok(found)
    }

    /// The batch of a step: its samples in the epoch's order, their steps t and their noise.
    fn draw(&self, epoch: usize, step: usize, order: &[usize]) -> Result<Drawn, DiffusionError> {
        let dim = self.network.dim;
        let child = |name| self.seed.stream(name).child(epoch as u64).child(step as u64);
        let steps = child("lfdn training steps");
        let t: Vec<u32> =
            (0..order.len() as u64).map(|i| steps.below(self.schedule.steps() as u64, i) as u32).collect();
        let coefficients = t.iter().map(|&t| self.schedule.forward(t)).collect::<Result<Vec<_>, _>>()?;
        let mut target = Vec::with_capacity(order.len() * dim);
        for &row in order {
            target.extend_from_slice(&self.z[row * dim..(row + 1) * dim]);
        }
        let mut noise = vec![0.0; target.len()];
        normal::fill(child("lfdn training noise"), 0, &mut noise);
        let mut x = vec![0.0; target.len()];
        forward_noise::run(&target, &noise, &coefficients, &mut x)?;
        Ok(Drawn { x, t, target })
    }
}

struct Drawn {
    x: Vec<f32>,
    t: Vec<u32>,
    target: Vec<f32>,
}

impl Drawn {
    fn view(&self) -> Batch<'_> {
        Batch { x: &self.x, t: &self.t, target: &self.target }
    }
}

/// A training between two epochs.
struct Underway {
    state: TrainState,
    first: Option<FirstEpoch>,
    losses: Vec<f64>,
}

impl Underway {
    fn save(&self, training: &str, keeper: &mut dyn Checkpoints) -> Result<(), DiffusionError> {
        let Some(first) = &self.first else { return Ok(()) };
        let bytes = checkpoint::write(&self.losses, &self.state, first, training)?;
        keeper.save(self.losses.len(), &bytes).map_err(|source| DiffusionError::Keeper { action: "saved", source })
    }
}

#[cfg(test)]
mod tests;
