//! Matrix products with every distance checked.

use super::{Buffer, CudaError, Factors, Gpu, RawProduct, narrow};
use crate::simd::{SizeError, at_least};

const KERNEL: &str = "product";

/// How the right matrix lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `[columns, depth]`: a weight `[outputs, inputs]`, the keys of an attention.
    Transposed,
    /// `[depth, columns]`.
    Plain,
}

/// One matrix in a buffer: where it begins and the distance of its rows, in elements.
pub type Place = (usize, usize);

/// `output[i] = scale · left[i] × right[i]` for i below `batch`, row-major f32; with `accumulate` added to the output.
#[derive(Debug)]
pub struct Product<'a> {
    /// Rows of `left` and of the output.
    pub rows: usize,
    /// Columns of the output.
    pub columns: usize,
    /// What is summed over.
    pub depth: usize,
    /// `[rows, depth]`, or `[depth, rows]` when `left_transposed`.
    pub left: &'a Buffer<f32>,
    /// Where it lies.
    pub left_place: Place,
    /// Whether the columns of `left` are the rows of the output.
    pub left_transposed: bool,
    /// By its layout `[columns, depth]` or `[depth, columns]`.
    pub right: &'a Buffer<f32>,
    /// Where it lies.
    pub right_place: Place,
    /// Its layout.
    pub layout: Right,
    /// Multiplies the sums.
    pub scale: f32,
    /// Whether the sums are added to what the output holds.
    pub accumulate: bool,
    /// What the factors are rounded to.
    pub factors: Factors,
    /// Number of products.
    pub batch: usize,
    /// From one product to the next, in elements: left, right, output.
    pub distances: [usize; 3],
}

impl<'a> Product<'a> {
    /// One product of dense rows with a weight `[columns, depth]`; rows of `left` are `left_stride` apart.
    #[must_use]
    pub fn with_weight(
        rows: usize,
        (left, left_stride): (&'a Buffer<f32>, usize),
        (weight, columns, depth): (&'a Buffer<f32>, usize, usize),
    ) -> Product<'a> {
        Product {
            rows,
            columns,
            depth,
            left,
            left_place: (0, left_stride),
            left_transposed: false,
            right: weight,
            right_place: (0, depth),
            layout: Right::Transposed,
            scale: 1.0,
            accumulate: false,
            factors: Factors::Full,
            batch: 1,
            distances: [0; 3],
        }
    }
}

impl Gpu {
    /// Queues a product whose output lies at `place` of `output`. Nothing is done when it has no elements.
    ///
    /// # Errors
    /// When a matrix does not fit its buffer, a stride is shorter than a row, outputs of a batch overlap, or cuBLAS refuses.
    pub fn product(
        &self,
        product: &Product<'_>,
        output: &mut Buffer<f32>,
        (output_start, output_stride): Place,
    ) -> Result<(), CudaError> {
        let Product { rows, columns, depth, batch, distances, .. } = *product;
        if rows == 0 || columns == 0 || batch == 0 {
            return Ok(());
        }
        at_least(KERNEL, "depth", depth, 1)?;
        let (right_rows, right_columns) = match product.layout {
            Right::Transposed => (columns, depth),
            Right::Plain => (depth, columns),
        };
        let (left_rows, left_columns) = if product.left_transposed { (depth, rows) } else { (rows, depth) };
        let span = |what, count: usize, width: usize, (start, stride): Place, distance: usize| {
            at_least(KERNEL, what, stride, width)?;
            // At most 2^31 each, so that the sum fits 64 bits.
            let (count, stride) = (narrow(KERNEL, what, count)? as usize, narrow(KERNEL, what, stride)? as usize);
            let batch = narrow(KERNEL, "batch", batch)? as usize;
            let last = (batch - 1).checked_mul(distance).and_then(|last| last.checked_add(start));
            let end = last.and_then(|last| last.checked_add((count - 1) * stride + width));
            end.ok_or(SizeError { kernel: KERNEL, what, found: usize::MAX, expected: i32::MAX as usize })
        };
        let left_end = span("left matrix", left_rows, left_columns, product.left_place, distances[0])?;
        let right_end = span("right matrix", right_rows, right_columns, product.right_place, distances[1])?;
        let output_end = span("output", rows, columns, (output_start, output_stride), distances[2])?;
        if batch > 1 {
            // Either the matrices follow one another, or they interleave as columns of one wider matrix.
            let follow = distances[2] >= (rows - 1) * output_stride + columns;
            let interleave = distances[2] >= columns && distances[2] * (batch - 1) + columns <= output_stride;
            if !follow && !interleave {
                let expected = (rows - 1) * output_stride + columns;
                let what = "distance of outputs";
                return Err(SizeError { kernel: KERNEL, what, found: distances[2], expected }.into());
            }
        }
        let at = |address: u64, start: usize| address + 4 * start as u64;
        let number = |what, value| narrow(KERNEL, what, value).map(|value| value as i32);
        let raw = RawProduct {
            left: at(self.address(KERNEL, "left matrix", product.left, left_end)?, product.left_place.0),
            left_stride: number("stride of the left matrix", product.left_place.1)?,
            left_transposed: product.left_transposed,
            right: at(self.address(KERNEL, "right matrix", product.right, right_end)?, product.right_place.0),
            right_stride: number("stride of the right matrix", product.right_place.1)?,
            transposed: product.layout == Right::Transposed,
            output: at(self.address(KERNEL, "output", output, output_end)?, output_start),
            output_stride: number("stride of the output", output_stride)?,
            rows: number("rows", rows)?,
            columns: number("columns", columns)?,
            depth: number("depth", depth)?,
            scale: product.scale,
            accumulate: product.accumulate,
            factors: product.factors,
            batch: number("batch", batch)?,
            distances: distances.map(|distance| distance as i64),
        };
        // SAFETY: every matrix lies inside its buffer, and `output` is borrowed alone.
        unsafe { self.machine.product(&raw) }
    }
}
