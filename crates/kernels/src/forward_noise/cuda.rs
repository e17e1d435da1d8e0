//! Forward noise on a GPU, equal to the processor's to the bit.

use super::Coefficients;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};

const KERNEL: &str = "forward noise (GPU)";
pub(crate) const SOURCE: Source = Source { name: "forward_noise", text: include_str!("kernel.cu") };

parameters!(ForwardNoiseParameters, 40, { z, noise, coefficients, output } { threads: u32, width: u32 });

/// Writes `signal z + noise_coefficient noise` for every row.
///
/// # Shapes
/// `z`, `noise`, `out`: at least `[rows, width]`, row-major; `coefficients`: `[rows]`.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn run(
    gpu: &Gpu,
    z: &Buffer<f32>,
    noise: &Buffer<f32>,
    width: usize,
    coefficients: &[Coefficients],
    out: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    let length = coefficients.len().saturating_mul(width);
    let flat: Vec<f32> = coefficients.iter().flat_map(|c| [c.signal, c.noise]).collect();
    let on_gpu = gpu.copy(&flat)?;
    let parameters = ForwardNoiseParameters {
        z: gpu.address(KERNEL, "length of z", z, length)?,
        noise: gpu.address(KERNEL, "length of the noise", noise, length)?,
        coefficients: gpu.address(KERNEL, "coefficients", &on_gpu, flat.len())?,
        output: gpu.address(KERNEL, "length of the output", out, length)?,
        threads: narrow(KERNEL, "length of z", length)?,
        width: narrow(KERNEL, "width", width)?,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread writes one of `length` elements and reads as far; the coefficients are freed behind the kernel,
    // in the order of the queue.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "forward_noise" }, grid, &parameters) }
}
