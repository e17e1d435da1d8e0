//! The same on a GPU. A place is (buffer, first element), so that parameters and gradients may lie in one buffer each.

use super::ROWS_PER_PART;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::simd::at_least;

const KERNEL: &str = "dense layer (GPU)";
pub(crate) const SOURCE: Source = Source { name: "dense", text: include_str!("kernel.cu") };

parameters!(ValuesParameters, 24, { input, output } { threads: u32, unused: u32 });
parameters!(AddBiasParameters, 32, { product, bias, residual } { threads: u32, columns: u32 });
parameters!(ColumnParameters, 40, { input, output } {
    threads: u32, rows: u32, columns: u32, rows_per_part: u32, accumulate: u32, unused: u32,
});

/// SiLU of the first `length` values of `input`.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn silu(gpu: &Gpu, input: &Buffer<f32>, length: usize, out: &mut Buffer<f32>) -> Result<(), CudaError> {
    values(gpu, "silu", input, length, out)
}

/// Replaces the first `length` values of the gradient of SiLU's output by that of its input.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn silu_gradient(
    gpu: &Gpu,
    input: &Buffer<f32>,
    length: usize,
    gradient: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    values(gpu, "silu_gradient", input, length, gradient)
}

fn values(
    gpu: &Gpu,
    name: &'static str,
    input: &Buffer<f32>,
    length: usize,
    output: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    let parameters = ValuesParameters {
        input: gpu.address(KERNEL, "length of the input", input, length)?,
        output: gpu.address(KERNEL, "length of the output", output, length)?,
        threads: narrow(KERNEL, "length of the input", length)?,
        unused: 0,
    };
    // SAFETY: each thread reads and writes one of `length` elements.
    unsafe { gpu.launch(Kernel { source: SOURCE, name }, Grid::Each(parameters.threads), &parameters) }
}

/// Adds a bias at a place, and a residual if there is one, to the product of `rows` rows.
///
/// # Shapes
/// `product`, `residual`: at least `[rows, columns]`; `bias`: `[columns]` from its place on.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn add_bias(
    gpu: &Gpu,
    product: &mut Buffer<f32>,
    (rows, columns): (usize, usize),
    bias: (&Buffer<f32>, usize),
    residual: Option<&Buffer<f32>>,
) -> Result<(), CudaError> {
    let length = rows.saturating_mul(columns);
    let parameters = AddBiasParameters {
        product: gpu.address(KERNEL, "length of the product", product, length)?,
        bias: gpu.address_at(KERNEL, "length of the bias", bias, columns)?,
        residual: match residual {
            Some(residual) => gpu.address(KERNEL, "length of the residual", residual, length)?,
            None => 0,
        },
        threads: narrow(KERNEL, "length of the product", length)?,
        columns: narrow(KERNEL, "columns", columns)?,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread reads and writes one of `length` elements, and one of the bias's by the remainder of `columns`,
    // which is not zero where there is a thread.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "add_bias" }, grid, &parameters) }
}

/// Sums of the columns of `[rows, columns]`, written to or added to a place.
///
/// `scratch` holds the parts' sums; it grows as needed.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn column_sums(
    gpu: &Gpu,
    input: &Buffer<f32>,
    (rows, columns): (usize, usize),
    scratch: &mut Buffer<f32>,
    out: (&mut Buffer<f32>, usize),
    accumulate: bool,
) -> Result<(), CudaError> {
    let parts = rows.div_ceil(ROWS_PER_PART);
    let length = rows.saturating_mul(columns);
    narrow(KERNEL, "length of the input", length)?;
    scratch.reserve(parts * columns)?;
    let parameters = ColumnParameters {
        input: gpu.address(KERNEL, "length of the input", input, length)?,
        output: gpu.address(KERNEL, "length of the parts' sums", scratch, parts * columns)?,
        threads: narrow(KERNEL, "length of the parts' sums", parts * columns)?,
        rows: narrow(KERNEL, "rows", rows)?,
        columns: narrow(KERNEL, "columns", columns)?,
        rows_per_part: ROWS_PER_PART as u32,
        accumulate: 0,
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread writes one element of the parts' sums and reads rows below `rows`.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "column_parts" }, grid, &parameters) }?;
    total(gpu, scratch, (parts, columns), out, accumulate)
}

/// Adds up `[parts, columns]` in order of the parts.
pub(crate) fn total(
    gpu: &Gpu,
    parts: &Buffer<f32>,
    (count, columns): (usize, usize),
    (out, start): (&mut Buffer<f32>, usize),
    accumulate: bool,
) -> Result<(), CudaError> {
    at_least(KERNEL, "number of parts", count, 1)?;
    let length = count.saturating_mul(columns);
    narrow(KERNEL, "length of the parts' sums", length)?;
    let parameters = ColumnParameters {
        input: gpu.address(KERNEL, "length of the parts' sums", parts, length)?,
        output: gpu.address_at(KERNEL, "length of the columns' sums", (&*out, start), columns)?,
        threads: narrow(KERNEL, "columns", columns)?,
        rows: narrow(KERNEL, "number of parts", count)?,
        columns: narrow(KERNEL, "columns", columns)?,
        rows_per_part: 0,
        accumulate: u32::from(accumulate),
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread reads its column of `length` elements and writes one of `columns`.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "column_total" }, grid, &parameters) }
}
