//! What a training step is given.

use crate::{DiffusionError, LfdnConfig};

/// A batch of training samples.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Noised samples, `[rows, dim]`.
    pub x: &'a [f32],
    /// Their steps, `[rows]`, 0-based.
    pub t: &'a [u32],
    /// The clean samples, `[rows, dim]`.
    pub target: &'a [f32],
}

/// Checks that `values` holds a vector for each step; returns the number of rows.
///
/// # Errors
/// When it does not, or there is no row.
pub fn check_rows(what: &'static str, config: LfdnConfig, t: &[u32], values: &[f32]) -> Result<usize, DiffusionError> {
    if t.is_empty() {
        return Err(DiffusionError::NoSamples);
    }
    let expected = t.len() * config.dim;
    if values.len() != expected {
        return Err(DiffusionError::Length { what, expected, found: values.len() });
    }
    Ok(t.len())
}
