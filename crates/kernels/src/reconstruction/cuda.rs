//! Errors of reconstructions on a GPU.

use std::ops::Range;

use super::COSINE_FLOOR;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::simd::at_least;

const KERNEL: &str = "reconstruction (GPU)";
pub(crate) const SOURCE: Source = Source { name: "reconstruction", text: include_str!("kernel.cu") };

parameters!(ReconstructionParameters, 56, { sample, reconstruction, spans, output, least_bits } {
    threads: u32, layers: u32, width: u32, unused: u32,
});

/// What is compared: `rows` rows of `width` values in each buffer.
#[derive(Debug, Clone, Copy)]
pub struct CudaPairs<'a> {
    /// `[rows, width]`
    pub sample: &'a Buffer<f32>,
    /// `[rows, width]`
    pub reconstruction: &'a Buffer<f32>,
    /// Rows.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
}

/// The sum of squared differences of every row, `[rows]`.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn squared_errors(gpu: &Gpu, pairs: CudaPairs<'_>, out: &mut Buffer<f64>) -> Result<(), CudaError> {
    launch(gpu, "squared_errors", pairs, std::slice::from_ref(&(0..pairs.width)), out)
}

/// The cosine over every layer's span, `[rows, layers]`.
///
/// # Errors
/// When a buffer is too short, a layer ends past the width, or the GPU refuses.
pub fn layer_cosines(
    gpu: &Gpu,
    pairs: CudaPairs<'_>,
    layers: &[Range<usize>],
    out: &mut Buffer<f64>,
) -> Result<(), CudaError> {
    launch(gpu, "layer_cosines", pairs, layers, out)
}

fn launch(
    gpu: &Gpu,
    name: &'static str,
    pairs: CudaPairs<'_>,
    layers: &[Range<usize>],
    out: &mut Buffer<f64>,
) -> Result<(), CudaError> {
    let CudaPairs { sample, reconstruction, rows, width } = pairs;
    let number = |what, value| narrow(KERNEL, what, value);
    let length = rows.saturating_mul(width);
    number("length of the rows", length)?;
    let mut spans = Vec::with_capacity(2 * layers.len());
    for layer in layers {
        at_least(KERNEL, "width", width, layer.end)?;
        spans.extend([number("start of a layer", layer.start)?, number("end of a layer", layer.end)?]);
    }
    let on_gpu = gpu.copy(&spans)?;
    let written = rows.saturating_mul(layers.len());
    let parameters = ReconstructionParameters {
        sample: gpu.address(KERNEL, "length of the samples", sample, length)?,
        reconstruction: gpu.address(KERNEL, "length of the reconstructions", reconstruction, length)?,
        spans: gpu.address(KERNEL, "layers", &on_gpu, spans.len())?,
        output: gpu.address(KERNEL, "length of the output", out, written)?,
        least_bits: COSINE_FLOOR.to_bits(),
        threads: number("length of the output", written)?,
        layers: number("layers", layers.len())?,
        width: number("width", width)?,
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread writes one of `written` elements and reads a span below the width of its row. The spans are freed
    // behind the kernel, in the order of the queue.
    unsafe { gpu.launch(Kernel { source: SOURCE, name }, grid, &parameters) }
}
