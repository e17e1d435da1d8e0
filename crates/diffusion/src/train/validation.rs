//! The loss of samples that are not trained on.

use super::draw::Streams;
use super::plan::Plan;
use super::{MOST_NAMED, Training};
use crate::{DiffusionError, LfdnEngine, Parameters};

impl Training<'_> {
    /// Mean squared error over all elements of the held-out samples. Steps, noise and hidden layers of a sample are functions of the seed
    /// and its place among them, not of the epoch, so that epochs can be compared.
    pub(super) fn validation(
        &self,
        epoch: usize,
        plan: &Plan,
        engine: &mut dyn LfdnEngine,
        parameters: &Parameters,
    ) -> Result<f64, DiffusionError> {
        let [steps, noise, hidden] = ["lfdn validation steps", "lfdn validation noise", "lfdn validation hidden layer"]
            .map(|name| self.seed.stream(name));
        let mut errors = Vec::with_capacity(plan.held_out.len());
        for rows in plan.held_out.chunks(self.config.batch_size) {
            let drawn = self.show(rows, &Streams { steps, noise, hidden, first: errors.len() as u64 })?;
            errors.extend(drawn.squared_errors(engine, parameters)?);
        }
        let loss = errors.iter().sum::<f64>() / (errors.len() * self.network.dim) as f64;
        if loss.is_finite() {
            return Ok(loss);
        }
        let bad: Vec<usize> =
            errors.iter().zip(&plan.held_out).filter(|(error, _)| !error.is_finite()).map(|(_, &row)| row).collect();
        let rows = bad.iter().copied().take(MOST_NAMED).collect();
        Err(DiffusionError::NonFiniteValidation { loss, epoch: epoch + 1, rows, named: bad.len() })
    }
}
