//! Everything that can go wrong in training and sampling.

use oodlab_base::Cancelled;
use oodlab_kernels::cuda::CudaError;
use oodlab_kernels::shape::ShapeError;

/// An error of whoever keeps the checkpoints.
pub type KeeperError = Box<dyn std::error::Error + Send + Sync>;

/// What the diffusion crate refuses, and why.
#[derive(Debug, thiserror::Error)]
pub enum DiffusionError {
    /// The schedule's numbers make no sense.
    #[error(
        "noise schedule: expected at least 2 steps and 0 < beta_start <= beta_end < 1, found {steps} steps from {start} to {end}"
    )]
    Schedule {
        /// Number of steps.
        steps: usize,
        /// First beta.
        start: f64,
        /// Last beta.
        end: f64,
    },
    /// The network's sizes make no sense.
    #[error("network of dim {dim}, width {width}, {blocks} blocks: {problem}")]
    Network {
        /// Channels in and out.
        dim: usize,
        /// Inner width.
        width: usize,
        /// Residual blocks.
        blocks: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A setting is out of its range.
    #[error("{name} is {found}, expected {expected}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// There is no such start step.
    #[error(
        "sample.start is {found}, expected 1 to {last}: the noise levels of a schedule of {steps} steps have the indices 0 to {last}, \
         so the paper's step {steps} does not exist and {last} is the last"
    )]
    Start {
        /// The step asked for.
        found: usize,
        /// The last step there is.
        last: usize,
        /// Steps of the schedule.
        steps: usize,
    },
    /// Fewer samples than a batch, and incomplete batches are dropped.
    #[error(
        "{rows} training samples do not fill one batch of {batch_size}, and incomplete batches are dropped; \
         lower train.batch_size, or set train.drop_last to false"
    )]
    FewerThanABatch {
        /// Samples at hand.
        rows: usize,
        /// Samples of a batch.
        batch_size: usize,
    },
    /// Nothing to train on.
    #[error("no training samples: expected at least one")]
    NoSamples,
    /// A buffer has the wrong length.
    #[error("{what}: expected {expected} values, found {found}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Its length as the network implies it.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A time step outside the schedule.
    #[error("time step {found} does not exist: the schedule has the steps 0 to {last}")]
    TimeStep {
        /// The step.
        found: u32,
        /// The last step there is.
        last: usize,
    },
    /// A kernel got buffers that do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A stored tensor is absent.
    #[error("parameter {name:?} is missing: expected shape {expected:?}")]
    MissingParameter {
        /// Its name.
        name: String,
        /// Its shape in this network.
        expected: Vec<usize>,
    },
    /// A stored tensor has another shape: the weights of another network.
    #[error("parameter {name:?} has shape {found:?}, expected {expected:?}: these are the weights of another network")]
    ParameterShape {
        /// Its name.
        name: String,
        /// Its shape in this network.
        expected: Vec<usize>,
        /// Its shape in the file.
        found: Vec<usize>,
    },
    /// A stored tensor has another type.
    #[error("tensor {name:?} has type {found}, expected {expected}")]
    ParameterType {
        /// Its name.
        name: String,
        /// The type that is read.
        expected: &'static str,
        /// Its type in the file.
        found: String,
    },
    /// A stored tensor that the network does not have.
    #[error("tensor {name:?} does not belong to this network")]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// Not a readable safetensors file.
    #[error("not a readable safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A checkpoint that cannot be continued.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// Whoever keeps the checkpoints failed.
    #[error("checkpoint could not be {action}: {source}")]
    Keeper {
        /// `read` or `saved`.
        action: &'static str,
        /// What the keeper said.
        source: KeeperError,
    },
    /// The loss is NaN or infinite.
    #[error(
        "loss is {loss} in epoch {epoch}, step {step} (both counted from 1), from the training samples {} (counted from 0): training stopped; \
         lower train.learning_rate, set train.clip_norm, or look at the features of these samples",
        list(rows, *named)
    )]
    NonFiniteLoss {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// The first few of the step's training samples (rows of the training set, from 0) whose own loss is not finite; where no single
        /// sample can be blamed, the first few of the step.
        rows: Vec<usize>,
        /// How many of them there are.
        named: usize,
    },
    /// The validation loss is NaN or infinite.
    #[error(
        "validation loss is {loss} after epoch {epoch} (counted from 1), from the held-out samples {} (rows of the training set, counted \
         from 0): training stopped; lower train.learning_rate, set train.clip_norm, or look at the features of these samples",
        list(rows, *named)
    )]
    NonFiniteValidation {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// The first few of the held-out samples (rows of the training set, from 0) whose own loss is not finite.
        rows: Vec<usize>,
        /// How many of them there are.
        named: usize,
    },
    /// A hidden layer is no part of a sample.
    #[error("hidden layer {start}..{end}: expected channels of a vector of {dim}, at least one")]
    Hidden {
        /// First channel.
        start: usize,
        /// Behind the last channel.
        end: usize,
        /// Channels of a sample.
        dim: usize,
    },
    /// candle refused an operation.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// The GPU refused.
    #[error(transparent)]
    Cuda(Box<CudaError>),
    /// A state that lives on a GPU was replaced there before it was read back.
    #[error(
        "the training's state on the GPU was replaced by another one before it was read back: synchronise a state before training the next one with the same engine"
    )]
    LeftBehind,
    /// Golden numbers that cannot be read.
    #[error(transparent)]
    Golden(#[from] oodlab_base::golden::GoldenError),
    /// The processor has no fast products of that precision.
    #[error("this processor has no fast products in bf16 (Intel AMX on Linux): set the precision to f32")]
    NoBf16,
    /// TF32 was asked for on the processor.
    #[error("precision tf32 is that of a GPU's tensor cores; expected f32 or bf16 on the processor")]
    NoTf32,
    /// Weights that are NaN or infinite at the end of a training.
    #[error("{count} weights are not finite after the last step: lower train.learning_rate or set train.clip_norm")]
    NonFiniteWeights {
        /// How many.
        count: usize,
    },
    /// Threads could not be started.
    #[error("threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// `5, 17, 40 and 9 more`.
fn list(rows: &[usize], all: usize) -> String {
    let rows_shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let shown = rows_shown.join(", ");
    match all.saturating_sub(rows.len()) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
