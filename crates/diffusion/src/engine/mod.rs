//! Engines: what computes the network. All share [`Parameters`]; the plain one is the specification, others must agree with it.

mod batch;
mod plain;

pub use batch::{Batch, check_rows};
pub use plain::Plain;

use crate::optimiser::{AdamW, TrainState};
use crate::{DiffusionError, Parameters};

/// Computes the latent feature diffusion network and its gradients.
///
/// An engine may keep what it derives from parameters (tensors, copies on a device) as long as [`Parameters::stamp`] stays the same.
pub trait LfdnEngine: Send {
    /// A short name for reports: `plain`.
    fn name(&self) -> &'static str;

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

    /// One training step: gradients, AdamW, averaging. Returns the loss before the step; with a loss that is not finite, nothing is changed.
    ///
    /// An engine that keeps the state elsewhere may leave `state` behind until [`LfdnEngine::synchronise`].
    ///
    /// # Errors
    /// As [`LfdnEngine::gradients`].
    fn train_step(
        &mut self,
        state: &mut TrainState,
        optimiser: &AdamW,
        batch: &Batch<'_>,
    ) -> Result<f64, DiffusionError> {
        let mut gradients = state.take_gradients()?;
        let loss = self.gradients(&state.parameters, batch, &mut gradients)?;
        if loss.is_finite() {
            optimiser.step(state, &gradients)?;
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
