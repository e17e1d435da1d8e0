//! AdamW with decoupled decay and an exponential average of the weights, in one pass over all of them.
//!
//! With the step's numbers computed in f64 and narrowed once, for each parameter p with gradient g:
//! ```text
//! g = scale g;  m += first (g - m);  v = second_keep v + second g^2
//! p = keep p - rate m / (sqrt(v) unbias + epsilon);  ema += follow (p - ema)
//! ```
//!
//! * Shapes: all `[n]` f32.
//! * Source: Loshchilov and Hutter 2019 (algorithm 2), as torch computes it; the average as in the released DLSR program.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

pub use cpu::{Coefficients, Slices, clip_scale, part, run};

use crate::cost::Cost;

/// Parameters, average and moments read and written, gradients read; 16 operations each.
#[must_use]
pub fn cost(count: usize) -> Cost {
    Cost::elements(count, 9, 16)
}

/// The sum of the gradients' squares: all read, two operations each.
#[must_use]
pub fn squares_cost(count: usize) -> Cost {
    Cost::elements(count, 1, 2)
}
