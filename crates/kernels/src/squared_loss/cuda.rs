//! The same on a GPU, where the loss stays until it is read.

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::simd::at_least;

const KERNEL: &str = "squared loss (GPU)";
pub(crate) const SOURCE: Source = Source { name: "squared_loss", text: include_str!("kernel.cu") };

parameters!(SquaredLossParameters, 64, { prediction, bias, target, sums, loss, count_bits } {
    rows: u32, columns: u32, factor: f32, accumulate: u32,
});

/// Replaces the prediction by its gradient, and writes the loss to (or adds it to) the first element of `loss`.
///
/// # Shapes
/// `prediction`, `target`: at least `[rows, columns]`; `bias`: `[columns]` from its place on; `count`: elements of the whole
/// step; `sums` grows as needed.
///
/// # Errors
/// When a buffer is too short, there is no row, or the GPU refuses.
#[expect(clippy::too_many_arguments, reason = "one pass over what three kernels would do")]
pub fn run(
    gpu: &Gpu,
    prediction: &mut Buffer<f32>,
    (rows, columns): (usize, usize),
    bias: (&Buffer<f32>, usize),
    target: &Buffer<f32>,
    count: usize,
    sums: &mut Buffer<f64>,
    loss: &mut Buffer<f64>,
    accumulate: bool,
) -> Result<(), CudaError> {
    at_least(KERNEL, "rows", rows, 1)?;
    at_least(KERNEL, "elements of the step", count, 1)?;
    let length = rows.saturating_mul(columns);
    narrow(KERNEL, "length of the prediction", length)?;
    sums.reserve(rows)?;
    let parameters = SquaredLossParameters {
        prediction: gpu.address(KERNEL, "length of the prediction", prediction, length)?,
        bias: gpu.address_at(KERNEL, "length of the bias", bias, columns)?,
        target: gpu.address(KERNEL, "length of the target", target, length)?,
        sums: gpu.address(KERNEL, "length of the rows' sums", sums, rows)?,
        loss: gpu.address(KERNEL, "length of the loss", loss, 1)?,
        count_bits: (count as f64).to_bits(),
        rows: narrow(KERNEL, "rows", rows)?,
        columns: narrow(KERNEL, "columns", columns)?,
        factor: (2.0 / count as f64) as f32,
        accumulate: u32::from(accumulate),
    };
    let kernel = |name| Kernel { source: SOURCE, name };
    // SAFETY: the block of a row reads and writes that row of `columns` elements, and one sum.
    unsafe { gpu.launch(kernel("squared_loss"), Grid::Rows(parameters.rows), &parameters) }?;
    // SAFETY: one block reads `rows` sums and writes one element.
    unsafe { gpu.launch(kernel("squared_loss_total"), Grid::Rows(1), &parameters) }
}
