//! The gradient of several batches that make one step.

use rayon::prelude::*;

use super::{Batch, LfdnEngine};
use crate::{DiffusionError, Parameters};

/// Values that one thread sums at a time.
const TASK: usize = 1 << 15;

/// Loss and gradient of all elements of `parts` together: the parts' own, weighted by their rows. `sum` is room that is used again.
///
/// # Errors
/// As [`LfdnEngine::gradients`]; also when there is no part.
pub fn gradients<E: LfdnEngine + ?Sized>(
    engine: &mut E,
    parameters: &Parameters,
    parts: &[Batch<'_>],
    gradients: &mut Parameters,
    sum: &mut Vec<f32>,
) -> Result<f64, DiffusionError> {
    if let [one] = parts {
        return engine.gradients(parameters, one, gradients);
    }
    let rows: usize = parts.iter().map(|part| part.t.len()).sum();
    if rows == 0 {
        return Err(DiffusionError::NoSamples);
    }
    sum.resize(gradients.count(), 0.0);
    let mut loss = 0.0;
    for (number, part) in parts.iter().enumerate() {
        let share = part.t.len() as f64 / rows as f64;
        loss += share * engine.gradients(parameters, part, gradients)?;
        let (share, gradients) = (share as f32, gradients.values().par_chunks(TASK));
        sum.par_chunks_mut(TASK).zip(gradients).for_each(|(sum, gradients)| {
            for (sum, gradient) in sum.iter_mut().zip(gradients) {
                *sum = if number == 0 { 0.0 } else { *sum } + share * gradient;
            }
        });
    }
    let sum = sum.par_chunks(TASK);
    gradients.values_mut().par_chunks_mut(TASK).zip(sum).for_each(|(to, from)| to.copy_from_slice(from));
    Ok(loss)
}
