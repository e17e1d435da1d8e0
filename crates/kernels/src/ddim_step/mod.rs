//! One DDIM step of a network that predicts the clean sample x0.
//!
//! With `ar` the noise level by which the predicted noise is recovered, `ac` the level that the step starts from, `ap` the level that it
//! goes to, and eta the share of fresh noise:
//! ```text
//! e  = (x / sqrt(ar) - x0) / sqrt(1 / ar - 1)
//! p  = (x - sqrt(1 - ac) e) / sqrt(ac)
//! s  = eta sqrt((1 - ap) / (1 - ac) (1 - ac / ap))
//! x' = sqrt(ap) p + sqrt(max(0, 1 - ap - s^2)) e + s noise
//! ```
//! All of it is linear in x, x0 and the noise, so a step is `x' = state x + prediction x0 + noise n` with three numbers computed in f64
//! and narrowed once ([`Coefficients::new`]); the cancellations happen in f64.
//!
//! * Shapes: `x` (in place), `x0`, `noise` `[n]` f32.
//! * Source: Song et al. 2021 (DDIM), equation 12; the released DLSR program uses `ar` one index ahead of `ac`, the paper `ar = ac`.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

pub use cpu::{Coefficients, run};

use crate::cost::Cost;

/// State, prediction and noise read, the state written, five operations.
#[must_use]
pub fn cost(length: usize) -> Cost {
    Cost::elements(length, 4, 5)
}

/// The last step with its errors: the sample is read besides, 14 operations, and a squared error and cosines written in f64.
#[must_use]
pub fn scored_cost(rows: usize, width: usize, layers: usize) -> Cost {
    Cost::elements(rows * width, 5, 14).and(Cost::elements(2 * rows * (1 + layers), 1, 0))
}
