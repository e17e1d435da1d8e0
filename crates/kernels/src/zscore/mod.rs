//! Per-sample, per-layer z-score: every layer's span of a row loses its mean and is divided by its unbiased deviation + 1e-5.
//!
//! * Shapes: `raw`, `out` `[rows, width]` f32; `layers` are consecutive spans that cover `0 .. width`, each of two channels or more.
//! * Sums are f64, in order of the channels; a row is one task, so the bits do not depend on the number of threads.
//! * Source: DLSR section 3.1. The paper divides by sqrt(Var + delta); the released program, which this follows, adds 1e-5 after the root
//!   and takes the deviation with n - 1.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

use cpu::check_layers;
pub use cpu::{ADDED_TO_DEVIATION, ZscoreError, run};

/// Every value read and written, six operations.
#[must_use]
pub fn cost(rows: usize, width: usize) -> crate::cost::Cost {
    crate::cost::Cost::elements(rows * width, 2, 6)
}
