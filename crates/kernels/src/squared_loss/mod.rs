//! The mean squared error of a prediction, and its gradient, in one pass.
//!
//! `d = prediction + bias - target`; `loss = sum d^2 / count`; `gradient = 2 d / count`, where `count` is the number of elements
//! of all the batches of a step, so that the losses and gradients of its parts add up.
//!
//! * Shapes: `prediction` (replaced by the gradient), `target` `[rows, columns]` f32; `bias` `[columns]`; the loss is f64.
//! * Sums are f64: a row in order, then the rows in order.
//! * Source: DLSR (arXiv 2411.10701), the training objective: the network predicts the clean sample.

mod cpu;
pub mod cuda;

pub use cpu::run;

use crate::cost::Cost;

/// Two values read and one written for each element, five operations; the bias read once.
#[must_use]
pub fn cost(rows: usize, columns: usize) -> Cost {
    Cost::elements(rows * columns, 3, 5).and(Cost::elements(columns, 1, 0))
}
