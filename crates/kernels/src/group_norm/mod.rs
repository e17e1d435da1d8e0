//! GroupNorm with one group, then SiLU: forward and backward.
//!
//! For each row, with `shift` what the row is told of its step (if anything):
//! ```text
//! u = x + shift;  mean = sum(u) / width;  r = 1 / sqrt(sum((u - mean)^2) / width + 1e-5)
//! n = (u - mean) r;  v = n weight + bias;  y = v / (1 + e^-v)
//! ```
//! and backward, with a prime for the gradient of the loss and s = 1 / (1 + e^-v):
//! ```text
//! v' = y' (s + v s (1 - s));  bias' = sum over rows of v';  weight' = sum over rows of v' n;  h = v' weight
//! x' = r (h - sum(h) / width - n sum(h n) / width);  shift' = sum of x' over the rows of a step
//! ```
//!
//! * Shapes: `x`, `y` `[rows, width]`, `weight`, `bias` `[width]`, `shift` `[steps, width]`, all f32, row-major.
//! * The same on rows in the lanes of vectors is in [`panels`].
//! * Source: Wu and He 2018 (GroupNorm), torch's epsilon; the network of the released DLSR program.

mod cpu;
pub mod cuda;
pub mod panels;
#[cfg(test)]
mod tests;

pub use cpu::{EPSILON, Norm, Shift, Statistics, backward, forward, shift_gradient};

use crate::cost::Cost;

/// Forward: a row read and one written, nine operations a value; the norm's parameters and two statistics a row besides.
#[must_use]
pub fn forward_cost(rows: usize, width: usize) -> Cost {
    Cost::elements(rows * width, 2, 9).and(Cost::elements(2 * (width + rows), 1, 0))
}

/// Backward, with the gradients of weight and bias: input and gradient read, a gradient written, 24 operations a value; the
/// norm's parameters read and their gradients written, two statistics a row read.
#[must_use]
pub fn backward_cost(rows: usize, width: usize) -> Cost {
    Cost::elements(rows * width, 3, 24).and(Cost::elements(4 * width + 2 * rows, 1, 0))
}
