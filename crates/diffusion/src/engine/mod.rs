//! Engines: what computes the network. All share [`Parameters`]; the plain one is the specification, others must agree with it.

mod accumulate;
mod batch;
mod compute;
mod cuda;
mod fused;
mod plain;

pub use batch::{Batch, check_rows};
pub use compute::{Compute, Precision};
pub use cuda::Cuda;
pub use fused::Fused;
pub use plain::Plain;

use crate::optimiser::{AdamW, TrainState};
use crate::{DiffusionError, Parameters};

/// Computes the latent feature diffusion network and its gradients.
///
/// An engine may keep what it derives from parameters (tensors, copies on a device) as long as [`Parameters::stamp`] stays the same.
pub trait LfdnEngine: Send {
    /// A short name for reports: `plain`, `fused`.
    fn name(&self) -> &'static str;

    /// Whether a row's prediction may differ in its last bits with the number of rows of the call: then batches are padded to one size.
    fn rows_depend_on_their_number(&self) -> bool {
        true
    }

    /// The network's prediction of the clean samples.
    ///
    /// # Shapes
    /// `x`, `out`: `[rows, dim]` f32, row-major; `t`: `[rows]`, 0-based steps.
    ///
    /// # Errors
    /// When the lengths do not agree.
    fn predict(&mut self, parameters: &Parameters, x: &[f32], t: &[u32], out: &mut [f32])
    -> Result<(), DiffusionError>;

    /// The loss of a batch (mean squared error over all its elements) and its gradients, which replace the values of `gradients`.
    ///
    /// # Errors
    /// When the lengths do not agree.
    fn gradients(
        &mut self,
        parameters: &Parameters,
        batch: &Batch<'_>,
        gradients: &mut Parameters,
    ) -> Result<f64, DiffusionError>;

    /// One training step: gradients, clipping, AdamW, averaging. Returns the loss before the step; with a loss that is not finite,
    /// nothing is changed.
    ///
    /// `parts` are the batches whose gradients are accumulated for the step: loss and gradient are those of all their elements
    /// together, up to the order of summation.
    /// An engine that keeps the state elsewhere may leave `state` behind until [`LfdnEngine::synchronise`].
    ///
    /// # Errors
    /// As [`LfdnEngine::gradients`]; also when there is no part.
    fn train_step(
        &mut self,
        state: &mut TrainState,
        optimiser: &AdamW,
        learning_rate: f64,
        parts: &[Batch<'_>],
    ) -> Result<f64, DiffusionError> {
        let mut gradients = state.take_gradients()?;
        let mut sum = state.take_accumulated();
        let loss = accumulate::gradients(self, &state.parameters, parts, &mut gradients, &mut sum)?;
        state.keep_accumulated(sum);
        if loss.is_finite() {
            optimiser.step(state, &gradients, learning_rate)?;
        }
        state.keep_gradients(gradients);
        Ok(loss)
    }

    /// Brings `state` up to date with what the engine computed.
    ///
    /// # Errors
    /// When the engine cannot read back.
    fn synchronise(&mut self, _state: &mut TrainState) -> Result<(), DiffusionError> {
        Ok(())
    }
}
