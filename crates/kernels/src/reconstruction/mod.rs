//! How far a reconstruction is from its sample: the squared error of a row, and the cosine of every layer.
//!
//! * Shapes: `sample`, `reconstruction` `[rows, width]` f32; squared error `[rows]` f64; cosines `[rows, layers]` f64.
//! * Sums are f64, in order of the channels; a row is one task. `cosine = a.b / max(|a| |b|, 1e-8)`.
//! * Source: DLSR (arXiv 2411.10701), equations of MSE and MFsim (section 3.3); MFsim is minus the mean of the cosines.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

pub use cpu::{COSINE_FLOOR, layer_cosines, layer_squared_errors, squared_errors};

use crate::cost::Cost;

/// Both vectors read, three operations; an f64 a row written.
#[must_use]
pub fn squared_errors_cost(rows: usize, width: usize) -> Cost {
    Cost::elements(rows * width, 2, 3).and(Cost::elements(2 * rows, 1, 0))
}

/// Both vectors read, six operations; an f64 a layer written.
#[must_use]
pub fn layer_cosines_cost(rows: usize, width: usize, layers: usize) -> Cost {
    Cost::elements(rows * width, 2, 6).and(Cost::elements(2 * rows * layers, 1, 0))
}
