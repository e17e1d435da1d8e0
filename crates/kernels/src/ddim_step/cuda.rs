//! One DDIM step on a GPU, equal to the processor's to the bit.

use std::ops::Range;

use super::Coefficients;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::reconstruction::COSINE_FLOOR;
use crate::simd::{at_least, equal};

const KERNEL: &str = "DDIM step (GPU)";
pub(crate) const SOURCE: Source = Source { name: "ddim_step", text: include_str!("kernel.cu") };

parameters!(DdimParameters, 40, { x, x0, noise } { threads: u32, state: f32, prediction: f32, fresh: f32 });

parameters!(ScoredStepParameters, 88, { x, x0, noise, sample, ends, squared, cosines, least_bits } {
    rows: u32, width: u32, layers: u32, state: f32, prediction: f32, fresh: f32,
});

/// Replaces the first `length` values of `x` by the state after the step.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn run(
    gpu: &Gpu,
    coefficients: Coefficients,
    x: &mut Buffer<f32>,
    x0: &Buffer<f32>,
    noise: &Buffer<f32>,
    length: usize,
) -> Result<(), CudaError> {
    let parameters = DdimParameters {
        x: gpu.address(KERNEL, "length of x", x, length)?,
        x0: gpu.address(KERNEL, "length of x0", x0, length)?,
        noise: gpu.address(KERNEL, "length of the noise", noise, length)?,
        threads: narrow(KERNEL, "length of x", length)?,
        state: coefficients.state,
        prediction: coefficients.prediction,
        fresh: coefficients.noise,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread reads and writes one element of its own among `length`.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "ddim_step" }, grid, &parameters) }
}

/// What a last step is measured against, and where the errors go.
#[derive(Debug)]
pub struct CudaScored<'a> {
    /// The samples, `[rows, width]`.
    pub sample: &'a Buffer<f32>,
    /// Rows.
    pub rows: usize,
    /// Where each layer of a row ends; the first begins at 0, each other where the one before ends. Made by [`layer_ends`].
    pub layers: &'a CudaLayers,
    /// The squared error of every row, `[rows]`.
    pub squared: &'a mut Buffer<f64>,
    /// The cosine of every layer of every row, `[rows, layers]`.
    pub cosines: &'a mut Buffer<f64>,
}

/// Consecutive layers that cover a row, on a GPU.
#[derive(Debug)]
pub struct CudaLayers {
    ends: Buffer<u32>,
    layers: usize,
    width: usize,
}

/// Copies where layers end; they must follow one another from 0 on.
///
/// # Errors
/// When they do not, there is none, or the GPU refuses.
pub fn layer_ends(gpu: &Gpu, layers: &[Range<usize>]) -> Result<CudaLayers, CudaError> {
    at_least(KERNEL, "layers", layers.len(), 1)?;
    let mut width = 0;
    let mut ends = Vec::with_capacity(layers.len());
    for layer in layers {
        equal(KERNEL, "start of a layer", layer.start, width)?;
        at_least(KERNEL, "end of a layer", layer.end, layer.start)?;
        width = layer.end;
        ends.push(narrow(KERNEL, "end of a layer", width)?);
    }
    Ok(CudaLayers { ends: gpu.copy(&ends)?, layers: layers.len(), width })
}

/// The last step of a reconstruction: replaces the state, and measures it against the samples while it is at hand.
///
/// # Shapes
/// `x`, `x0`, `noise`: at least `[rows, width]`, with the width that the layers cover.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn run_scored(
    gpu: &Gpu,
    coefficients: Coefficients,
    x: &mut Buffer<f32>,
    x0: &Buffer<f32>,
    noise: &Buffer<f32>,
    scored: CudaScored<'_>,
) -> Result<(), CudaError> {
    let CudaScored { sample, rows, layers, squared, cosines } = scored;
    let length = rows.saturating_mul(layers.width);
    narrow(KERNEL, "length of x", length)?;
    let parameters = ScoredStepParameters {
        x: gpu.address(KERNEL, "length of x", x, length)?,
        x0: gpu.address(KERNEL, "length of x0", x0, length)?,
        noise: gpu.address(KERNEL, "length of the noise", noise, length)?,
        sample: gpu.address(KERNEL, "length of the samples", sample, length)?,
        ends: gpu.address(KERNEL, "layers", &layers.ends, layers.layers)?,
        squared: gpu.address(KERNEL, "length of the squared errors", squared, rows)?,
        cosines: gpu.address(KERNEL, "length of the cosines", cosines, rows.saturating_mul(layers.layers))?,
        least_bits: COSINE_FLOOR.to_bits(),
        rows: narrow(KERNEL, "rows", rows)?,
        width: narrow(KERNEL, "width", layers.width)?,
        layers: narrow(KERNEL, "layers", layers.layers)?,
        state: coefficients.state,
        prediction: coefficients.prediction,
        fresh: coefficients.noise,
    };
    let grid = Grid::Rows(parameters.rows);
    // SAFETY: the block of a row reads and writes that row of `width` elements, which its layers cover without overlap, and
    // its own errors.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "scored_ddim_step" }, grid, &parameters) }
}
