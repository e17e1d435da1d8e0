//! One DDIM step on a GPU, equal to the processor's to the bit.

use super::Coefficients;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};

const KERNEL: &str = "DDIM step (GPU)";
pub(crate) const SOURCE: Source = Source { name: "ddim_step", text: include_str!("kernel.cu") };

parameters!(DdimParameters, 40, { x, x0, noise } { threads: u32, state: f32, prediction: f32, fresh: f32 });

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
