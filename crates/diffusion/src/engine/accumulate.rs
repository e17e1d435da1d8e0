//! The gradient of several batches that make one step.

use super::{Batch, LfdnEngine};
use crate::{DiffusionError, Parameters};

/// Loss and gradient of all elements of `parts` together: the parts' own, weighted by their rows.
///
/// # Errors
/// As [`LfdnEngine::gradients`]; also when there is no part.
pub fn gradients<E: LfdnEngine + ?Sized>(
    engine: &mut E,
    parameters: &Parameters,
    parts: &[Batch<'_>],
    gradients: &mut Parameters,
) -> Result<f64, DiffusionError> {
    if let [one] = parts {
        return engine.gradients(parameters, one, gradients);
    }
    let rows: usize = parts.iter().map(|part| part.t.len()).sum();
    if rows == 0 {
        return Err(DiffusionError::NoSamples);
    }
    let (mut loss, mut sum) = (0.0, vec![0.0_f32; gradients.count()]);
    for part in parts {
        let weight = part.t.len() as f64 / rows as f64;
        loss += weight * engine.gradients(parameters, part, gradients)?;
        for (sum, gradient) in sum.iter_mut().zip(gradients.values()) {
            *sum += weight as f32 * gradient;
        }
    }
    gradients.values_mut().copy_from_slice(&sum);
    Ok(loss)
}
