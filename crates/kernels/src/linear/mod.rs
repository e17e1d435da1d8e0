//! Linear layers for training and scoring: `out = x W^T + b` and its gradients, for rows that lie in the lanes of vectors.
//!
//! Rows go in panels of [`PANEL`]: value f of row r is at `(r / 32 * width + f) * 32 + r % 32` ([`layout`]). So a vector
//! holds one feature of many rows, a weight is one number for all of them, and the product reads weights as they are
//! stored: nothing of a weight is packed ahead, which matters where weights change with every step. What an output's sum
//! runs over comes in order, in one accumulator: bits depend neither on threads nor on other rows.
//!
//! ```text
//! forward          out = W x + b              [outputs][rows] = [outputs, inputs] [inputs][rows]
//! input gradient   dx = W^T dy
//! weight gradient  dW = dy x^T                sums over rows; x as [`layout::by_features`] turns it
//! bias gradient    db = sum of dy over rows
//! ```
//! Sums of products run on 14 weights × 32 rows at a time with AVX-512 (the loop of [`crate::pointwise_conv`]); with [`Numbers::half`]
//! on matrix tiles, with factors rounded to bfloat16 as they are read.

mod gradient;
mod half;
pub mod layout;
mod numbers;
mod product;
#[cfg(test)]
mod tests;
mod tile;

pub use gradient::{bias_gradient, weight_gradient, weight_step, weight_step_cost};
pub use numbers::Numbers;
pub use product::{Begin, forward, input_gradient};

use crate::shape::{ShapeError, expect};

/// Rows of a panel.
pub const PANEL: usize = 32;
/// Weights of a tile.
const TILE: usize = 14;
/// Terms of a sum that are added at a time: with 32 rows each they fill two thirds of the first cache.
const CHUNK: usize = 256;
const KERNEL: &str = "linear";

/// A layer and the rows that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Features that go in.
    pub inputs: usize,
    /// Features that come out.
    pub outputs: usize,
    /// Rows.
    pub rows: usize,
}

impl Shape {
    /// Panels of the rows; the last one may be partly filled.
    #[must_use]
    pub fn panels(self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    fn check_weight(self, weight: &[f32]) -> Result<(), ShapeError> {
        expect(KERNEL, "weight", self.inputs.saturating_mul(self.outputs), weight.len())
    }
}

/// `values` must hold all panels of `rows` rows of `width` features.
pub(crate) fn check_panels(buffer: &'static str, rows: usize, width: usize, values: &[f32]) -> Result<(), ShapeError> {
    let expected = rows.div_ceil(PANEL).saturating_mul(width).saturating_mul(PANEL);
    if values.len() >= expected { Ok(()) } else { expect(KERNEL, buffer, expected, values.len()) }
}

/// Memory that tasks write to in different places.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub *mut f32);

// SAFETY: whoever makes one sees to it that no two tasks touch the same place.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The pointer; a method, so that closures take the whole.
    pub(crate) fn get(self) -> *mut f32 {
        self.0
    }
}

/// The length of the chunks that a sum of `length` terms is cut into: equal ones, as far as that goes.
fn chunk(length: usize) -> usize {
    length.div_ceil(length.div_ceil(CHUNK).max(1)).max(1)
}
