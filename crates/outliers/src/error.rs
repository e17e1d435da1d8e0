//! Everything that can go wrong in making outliers and training students.

use oodlab_base::Cancelled;
use oodlab_base::golden::GoldenError;
use oodlab_diffusion::{DiffusionError, KeeperError};
use oodlab_encoders::EncoderError;

/// What the outlier crate refuses, and why.
#[derive(Debug, thiserror::Error)]
pub enum OutlierError {
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
    /// A buffer has the wrong length.
    #[error("{what}: expected {expected} values, found {found}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Its length as the rest implies it.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "{what}: the value at row {row}, column {column} (both counted from 0) is {found}, expected finite numbers"
    )]
    NotFinite {
        /// Which buffer.
        what: &'static str,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        found: f32,
    },
    /// Something that the settings ask for was not given.
    #[error("{what} missing: {needed}")]
    Missing {
        /// What is absent.
        what: &'static str,
        /// What asks for it, and what to do.
        needed: String,
    },
    /// A class label that does not exist.
    #[error("{what}: row {row} (counted from 0) has class {found}, expected 0 to {last}")]
    Class {
        /// Which rows.
        what: &'static str,
        /// The row.
        row: usize,
        /// Its class.
        found: u32,
        /// The last class there is.
        last: usize,
    },
    /// A class with too few samples.
    #[error("class {class} has {found} samples, expected at least {expected}: {advice}")]
    FewSamples {
        /// The class.
        class: usize,
        /// Its samples.
        found: usize,
        /// How many are needed.
        expected: usize,
        /// Why, and what to do.
        advice: &'static str,
    },
    /// A vector without a direction.
    #[error("{what}: row {row} (counted from 0) is zero, so it has no direction")]
    ZeroVector {
        /// Which rows.
        what: &'static str,
        /// The row.
        row: usize,
    },
    /// The loss is NaN or infinite.
    #[error(
        "loss is {loss} in epoch {epoch}, step {step} (both counted from 1; {terms}): training stopped; \
         lower train.learning_rate or the weights of the terms, or look at the samples"
    )]
    NonFiniteLoss {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// The value of each term.
        terms: String,
    },
    /// Weights that are NaN or infinite after a step.
    #[error("{count} weights are not finite after epoch {epoch} (counted from 1): lower train.learning_rate")]
    NonFiniteWeights {
        /// How many.
        count: usize,
        /// Epoch, from 1.
        epoch: usize,
    },
    /// A stored model or checkpoint that cannot be used.
    #[error("stored {what}: {problem}")]
    Stored {
        /// `student`, `checkpoint`.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Whoever keeps the checkpoints failed.
    #[error("checkpoint could not be {action}: {source}")]
    Keeper {
        /// `read` or `saved`.
        action: &'static str,
        /// What the keeper said.
        source: KeeperError,
    },
    /// A file with another content than was expected.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// candle refused an operation.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// The diffusion crate refused.
    #[error(transparent)]
    Diffusion(Box<DiffusionError>),
    /// A network refused.
    #[error(transparent)]
    Encoder(Box<EncoderError>),
    /// Golden numbers that cannot be read.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<DiffusionError> for OutlierError {
    fn from(error: DiffusionError) -> OutlierError {
        match error {
            // Whoever waits asks for this variant by name.
            DiffusionError::Cancelled(cancelled) => OutlierError::Cancelled(cancelled),
            other => OutlierError::Diffusion(Box::new(other)),
        }
    }
}

impl From<EncoderError> for OutlierError {
    fn from(error: EncoderError) -> OutlierError {
        OutlierError::Encoder(Box::new(error))
    }
}

impl OutlierError {
    /// A setting out of its range.
    pub(crate) fn setting(name: &'static str, found: impl ToString, expected: impl Into<String>) -> OutlierError {
        OutlierError::Setting { name, found: found.to_string(), expected: expected.into() }
    }
}

/// `found` must be `expected` values.
pub(crate) fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), OutlierError> {
    if expected == found { Ok(()) } else { Err(OutlierError::Length { what, expected, found }) }
}

/// All values of rows of that width must be finite.
pub(crate) fn expect_finite(what: &'static str, width: usize, values: &[f32]) -> Result<(), OutlierError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let (row, column) = (at / width.max(1), at % width.max(1));
            Err(OutlierError::NotFinite { what, row, column, found: values[at] })
        }
    }
}
