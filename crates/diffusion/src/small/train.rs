//! Training of small networks.

use candle_core::{Device, Tensor, Var};
use oodlab_base::{KeyBuilder, Seed, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SmallParameters;
use super::optimiser::State;
use crate::parameters::little_endian;
use crate::tensor_file::{self, TensorFile, Values};
use crate::{DiffusionError, Entry, TrainContext};

/// Samples of a broken batch that an error names.
const NAMED: usize = 8;

/// A network on candle: its parameters and its loss.
pub trait SmallNetwork: Sync {
    /// Its name: part of its random streams and of its checkpoints.
    fn name(&self) -> &'static str;

    /// Sizes and settings that the loss depends on.
    fn settings(&self) -> Value;

    /// Values of a sample.
    fn dim(&self) -> usize;

    /// Its parameters.
    fn layout(&self) -> Vec<Entry>;

    /// The mean loss of a batch.
    ///
    /// # Shapes
    /// `parameters` as [`SmallNetwork::layout`] lists them; `x` `[rows, dim]`; `draws` is the batch's own stream; the result is a scalar.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn loss(&self, parameters: &[Tensor], x: &Tensor, draws: Stream) -> candle_core::Result<Tensor>;
}

/// Settings of a small network's training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmallTrainConfig {
    /// Passes over the training set.
    pub epochs: usize,
    /// Samples of a step, and of a batch in scoring. The last step of an epoch takes what is left.
    pub batch_size: usize,
    /// Constant learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, on every parameter.
    pub weight_decay: f64,
    /// Most decay of the averaged weights, which score; 0 scores with the last weights.
    pub ema_decay: f64,
}

impl Default for SmallTrainConfig {
    fn default() -> SmallTrainConfig {
        SmallTrainConfig { epochs: 100, batch_size: 128, learning_rate: 5e-4, weight_decay: 0.0, ema_decay: 0.0 }
    }
}

impl SmallTrainConfig {
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
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse("train.learning_rate", &self.learning_rate, "a positive number");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse("train.weight_decay", &self.weight_decay, "zero or a positive number");
        }
        if !(0.0..1.0).contains(&self.ema_decay) {
            return refuse("train.ema_decay", &self.ema_decay, "a number from 0 to below 1");
        }
        Ok(())
    }
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct SmallTrained {
    /// The weights to score with: averaged, or the last ones.
    pub parameters: SmallParameters,
    /// Mean loss of each epoch.
    pub losses: Vec<f64>,
}

/// What is trained, on what, and how.
#[derive(Clone, Copy)]
pub struct SmallTraining<'a> {
    /// The network.
    pub network: &'a dyn SmallNetwork,
    /// Settings of the training.
    pub config: &'a SmallTrainConfig,
    /// The samples, `[rows, dim]`.
    pub samples: &'a [f32],
    /// Seed of initialisation, order and draws.
    pub seed: Seed,
    /// What samples are called in the progress: `features`, `images`.
    pub unit: &'static str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Hash of everything that the result depends on but the number of epochs.
    training: String,
    updates: u64,
    /// Bits of the f64 losses, one a finished epoch.
    losses: Vec<u64>,
    /// Steps done in the epoch under way.
    step: usize,
    /// Bits of the sum of their losses, weighed by their samples.
    sum: u64,
}

const BUFFERS: [&str; 4] = ["parameters", "average", "first_moment", "second_moment"];

impl SmallTraining<'_> {
    /// Trains the network, from the latest checkpoint if there is one.
    ///
    /// # Errors
    /// When settings, sizes or the number of samples are wrong, the loss is not finite, a checkpoint cannot be read or kept, or the work is
    /// cancelled. A checkpoint that is damaged or of another training is passed over with a warning.
    pub fn run(&self, context: &mut TrainContext<'_>) -> Result<SmallTrained, DiffusionError> {
        self.config.validate()?;
        let (dim, name) = (self.network.dim().max(1), self.network.name());
        let rows = self.samples.len() / dim;
        if rows * dim != self.samples.len() {
            return Err(DiffusionError::Length {
                what: "training samples",
                expected: rows * dim,
                found: self.samples.len(),
            });
        }
        if rows == 0 {
            return Err(DiffusionError::NoSamples);
        }
        let mut parameters = SmallParameters::initialise(name, self.network.layout(), self.seed)?;
        let training = self.key()?;
        let mut underway = self.resume(&training, rows, &parameters, context)?;
        let SmallTrainConfig { epochs, batch_size, .. } = *self.config;
        let begun = underway.losses.len() * rows + underway.step * batch_size;
        let task = context.progress.task("training", self.unit, (epochs * rows) as u64, begun as u64);
        for epoch in underway.losses.len()..epochs {
            let order = self.seed.stream(&format!("{name} order")).child(epoch as u64).permutation(rows);
            let steps = rows.div_ceil(batch_size);
            for (step, chosen) in order.chunks(batch_size).enumerate().skip(underway.step) {
                context.cancel.check()?;
                let mut x = Vec::with_capacity(chosen.len() * dim);
                for &row in chosen {
                    x.extend_from_slice(&self.samples[row * dim..(row + 1) * dim]);
                }
                let x = Tensor::from_vec(x, (chosen.len(), dim), &Device::Cpu)?;
                let draws = self.seed.stream(&format!("{name} draws")).child(epoch as u64).child(step as u64);
                parameters.values_mut().copy_from_slice(&underway.state.parameters);
                let (loss, gradient) = gradient(self.network, &parameters, &x, draws)?;
                if !loss.is_finite() {
                    let rows = chosen.iter().copied().take(NAMED).collect();
                    let (epoch, step, named) = (epoch + 1, step + 1, chosen.len());
                    return Err(DiffusionError::NonFiniteLoss { loss, epoch, step, rows, named });
                }
                underway.state.step(&gradient, self.config)?;
                underway.sum += loss * chosen.len() as f64;
                underway.step = step + 1;
                task.advance(chosen.len() as u64);
                let every = context.checkpoint_every_steps as u64;
                let keep = every > 0 && underway.state.updates.is_multiple_of(every) && step + 1 < steps;
                if keep && context.checkpoints.due(false) {
                    underway.save(&training, context)?;
                }
            }
            let (loss, finished) = (underway.sum / rows as f64, epoch + 1);
            underway.losses.push(loss);
            (underway.step, underway.sum) = (0, 0.0);
            task.remark(&format!("epoch {finished}/{epochs}, loss {loss:.4}"));
            tracing::debug!(epoch = finished, loss, network = name, "epoch finished");
            let every = context.checkpoint_every;
            let keep = every > 0 && finished.is_multiple_of(every) && finished < epochs;
            if keep && context.checkpoints.due(true) {
                underway.save(&training, context)?;
            }
        }
        let Underway { state, losses, .. } = underway;
        crate::train::check_finite(&state.average)?;
        parameters.values_mut().copy_from_slice(&state.average);
        Ok(SmallTrained { parameters, losses })
    }

    fn key(&self) -> Result<String, DiffusionError> {
        let settings = SmallTrainConfig { epochs: 0, ..*self.config };
        let json = |error: serde_json::Error| DiffusionError::Checkpoint(error.to_string());
        let builder = KeyBuilder::new("small network training", 1).text("name", self.network.name());
        let builder = builder.config("network", &self.network.settings()).map_err(json)?;
        let builder = builder.config("train", &settings).map_err(json)?.number("seed", self.seed.0);
        Ok(builder.bytes("samples", little_endian(self.samples)).finish().hex())
    }

    fn resume(
        &self,
        training: &str,
        rows: usize,
        parameters: &SmallParameters,
        context: &mut TrainContext<'_>,
    ) -> Result<Underway, DiffusionError> {
        let latest = context.checkpoints.latest();
        let latest = latest.map_err(|source| DiffusionError::Keeper { action: "read", source })?;
        if let Some(bytes) = latest {
            match self.usable(training, rows, parameters.values().len(), &bytes) {
                Ok(found) => {
                    tracing::info!(
                        epoch = found.losses.len(),
                        step = found.step,
                        "training continues from a checkpoint"
                    );
                    return Ok(found);
                }
                Err(reason) => tracing::warn!("training begins anew, its checkpoint cannot be used: {reason}"),
            }
        }
        Ok(Underway { state: State::new(parameters.values().to_vec()), losses: Vec::new(), step: 0, sum: 0.0 })
    }

    fn usable(&self, training: &str, rows: usize, count: usize, bytes: &[u8]) -> Result<Underway, DiffusionError> {
        let (header, file) = TensorFile::read::<Header>(bytes)?;
        let refuse = |what: String| Err(DiffusionError::Checkpoint(what));
        if header.training != training {
            return refuse("it belongs to other settings, another seed or other samples".into());
        }
        let (found, epochs) = (header.losses.len(), self.config.epochs);
        if found > epochs || (found == epochs && header.step > 0) {
            return refuse(format!("it was made after {found} epochs, but {epochs} are asked for"));
        }
        let steps = rows.div_ceil(self.config.batch_size);
        if header.step >= steps || header.updates != (found * steps + header.step) as u64 {
            return refuse(format!(
                "{} updates, {found} epochs and {} steps do not agree",
                header.updates, header.step
            ));
        }
        let [parameters, average, first, second] = BUFFERS.map(|name| file.f32(name, &[count]));
        let state = State {
            parameters: parameters?,
            average: average?,
            first: first?,
            second: second?,
            updates: header.updates,
        };
        let losses = header.losses.into_iter().map(f64::from_bits).collect();
        Ok(Underway { state, losses, step: header.step, sum: f64::from_bits(header.sum) })
    }
}

/// A training between two steps.
struct Underway {
    state: State,
    /// Mean losses of the finished epochs.
    losses: Vec<f64>,
    /// Steps done in the epoch under way, and the sum of their losses.
    step: usize,
    sum: f64,
}

impl Underway {
    fn save(&self, training: &str, context: &mut TrainContext<'_>) -> Result<(), DiffusionError> {
        let losses = self.losses.iter().map(|loss| loss.to_bits()).collect();
        let updates = self.state.updates;
        let (step, sum) = (self.step, self.sum.to_bits());
        let header = Header { training: training.to_owned(), updates, losses, step, sum };
        let State { parameters, average, first, second, .. } = &self.state;
        let tensors: Vec<_> = BUFFERS
            .iter()
            .zip([parameters, average, first, second])
            .map(|(name, values)| ((*name).to_owned(), vec![values.len()], Values::F32(values)))
            .collect();
        let bytes = tensor_file::write(&header, &tensors)?;
        let kept = context.checkpoints.save(updates, &bytes);
        kept.map_err(|source| DiffusionError::Keeper { action: "saved", source })
    }
}

/// The loss of a batch and its gradient, flat in the order of the layout.
pub(super) fn gradient(
    network: &dyn SmallNetwork,
    parameters: &SmallParameters,
    x: &Tensor,
    draws: Stream,
) -> Result<(f64, Vec<f32>), DiffusionError> {
    let variables: Vec<Var> = parameters.variables()?;
    let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let loss = network.loss(&tensors, x, draws)?;
    let found = loss.backward()?;
    let mut flat = vec![0.0; parameters.values().len()];
    for (entry, tensor) in parameters.entries().iter().zip(&tensors) {
        if let Some(gradient) = found.get(tensor) {
            flat[entry.span.clone()].copy_from_slice(&gradient.flatten_all()?.to_vec1::<f32>()?);
        }
    }
    Ok((f64::from(loss.to_scalar::<f32>()?), flat))
}
