//! What a dense layer needs besides its product: SiLU and its derivative, bias and residual, the sums of columns.
//!
//! * `silu(x) = x / (1 + e^-x)`; the gradient of its input is `g s (1 + x (1 - s))` with `s = 1 / (1 + e^-x)`.
//! * Bias and residual: `out[r, c] = product[r, c] + bias[c] (+ residual[r, c])`, in place of the product or of the residual.
//! * Sums of columns, the gradient of a bias: rows are taken in parts of [`ROWS_PER_PART`], in order inside a part, then the
//!   parts in order, so that equal inputs give equal bits.
//! * Shapes: `[rows, columns]` f32, row-major, dense.
//! * Source: Elfwing et al. 2018 (SiLU); the rest is what PyTorch's `Linear` computes.

mod cpu;
pub mod cuda;

pub use cpu::{add_bias, column_sums, silu, silu_gradient};

use crate::cost::Cost;

/// Rows that are summed by one task before the parts' sums are added.
pub const ROWS_PER_PART: usize = 16;

/// SiLU of `length` values: one read, one written, four operations.
#[must_use]
pub fn silu_cost(length: usize) -> Cost {
    Cost::elements(length, 2, 4)
}

/// The gradient of SiLU's input: two read, one written, nine operations.
#[must_use]
pub fn silu_gradient_cost(length: usize) -> Cost {
    Cost::elements(length, 3, 9)
}

/// Bias and residual added to `[rows, columns]`: two read, one written; the bias read once.
#[must_use]
pub fn add_bias_cost(rows: usize, columns: usize) -> Cost {
    Cost::elements(rows * columns, 3, 2).and(Cost::elements(columns, 1, 0))
}

/// Sums of the columns of `[rows, columns]`: all read, a row written.
#[must_use]
pub fn column_sums_cost(rows: usize, columns: usize) -> Cost {
    Cost::elements(rows * columns, 1, 1).and(Cost::elements(columns, 1, 0))
}
