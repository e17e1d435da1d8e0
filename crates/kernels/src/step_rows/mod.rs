//! Rows that share a step: each row of a batch takes one row of a table, and the table's gradient is the sum over them.
//!
//! * Gather: `out[r] = table[index[r]]`; sums: `out[s] = sum of values[r] over the rows r with index[r] = s`, in order of the
//!   rows, so that equal inputs give equal bits.
//! * Shapes: `table`, sums `[steps, columns]`; `values`, gathered rows `[rows, columns]` f32; `index` `[rows]`, below `steps`.
//! * Source: the embedding of a time step depends on the step alone; a batch has far fewer steps than rows can have.

mod cpu;
pub mod cuda;

pub use cpu::{StepIndex, gather, sums};

use crate::cost::Cost;

/// Gathering: a value read and one written for each element; the index read once.
#[must_use]
pub fn gather_cost(rows: usize, columns: usize) -> Cost {
    Cost::elements(rows * columns, 2, 0).and(Cost::elements(rows, 1, 0))
}

/// Sums: every value read, the table written, an addition each; the index read once.
#[must_use]
pub fn sums_cost(rows: usize, steps: usize, columns: usize) -> Cost {
    let table = Cost::elements(steps * columns, 1, 0);
    Cost::elements(rows * columns, 1, 1).and(table).and(Cost::elements(rows, 1, 0))
}
