//! A factor and a shift for each channel, on a GPU.

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, activation_code, narrow, parameters};
use crate::simd::{Activation, at_least, equal};

const KERNEL: &str = "affine (GPU)";
pub(crate) const SOURCE: Source = Source { name: "affine", text: include_str!("kernel.cu") };

parameters!(AffineParameters, 56, { input, factor, shift, output } {
    threads: u32, channels: u32, input_stride: u32, output_stride: u32, activation: u32, unused: u32,
});

/// `activation(factor[c] · in[p, c] + shift[c])` with factors and shifts on a GPU.
#[derive(Debug)]
pub struct CudaAffine {
    gpu: Gpu,
    factor: Buffer<f32>,
    shift: Buffer<f32>,
    activation: Activation,
}

impl CudaAffine {
    /// Copies `factor` and `shift`, both `[channels]`, to the GPU.
    ///
    /// # Errors
    /// When their lengths differ or are zero, or the GPU refuses.
    pub fn new(gpu: &Gpu, factor: &[f32], shift: &[f32], activation: Activation) -> Result<CudaAffine, CudaError> {
        at_least(KERNEL, "number of channels", factor.len(), 1)?;
        equal(KERNEL, "length of the shift", shift.len(), factor.len())?;
        Ok(CudaAffine { gpu: gpu.clone(), factor: gpu.copy(factor)?, shift: gpu.copy(shift)?, activation })
    }

    /// Runs over `pixels` pixels.
    ///
    /// # Shapes
    /// `input` and `output` are (buffer, distance between pixels); other channels of the output stay as they are.
    ///
    /// # Errors
    /// When a buffer or a stride is too short, or the GPU refuses.
    pub fn run(
        &self,
        (input, input_stride): (&Buffer<f32>, usize),
        pixels: usize,
        (output, output_stride): (&mut Buffer<f32>, usize),
    ) -> Result<(), CudaError> {
        let channels = self.factor.len();
        at_least(KERNEL, "stride of the input", input_stride, channels)?;
        at_least(KERNEL, "stride of the output", output_stride, channels)?;
        let (read, written) = (pixels.saturating_mul(input_stride), pixels.saturating_mul(output_stride));
        narrow(KERNEL, "length of the input", read)?;
        narrow(KERNEL, "length of the output", written)?;
        let parameters = AffineParameters {
            input: self.gpu.address(KERNEL, "length of the input", input, read)?,
            factor: self.gpu.address(KERNEL, "factors", &self.factor, channels)?,
            shift: self.gpu.address(KERNEL, "shifts", &self.shift, channels)?,
            output: self.gpu.address(KERNEL, "length of the output", output, written)?,
            threads: narrow(KERNEL, "length of the output", pixels * channels)?,
            channels: narrow(KERNEL, "channels", channels)?,
            input_stride: narrow(KERNEL, "stride of the input", input_stride)?,
            output_stride: narrow(KERNEL, "stride of the output", output_stride)?,
            activation: activation_code(self.activation),
            unused: 0,
        };
        let grid = Grid::Each(parameters.threads);
        // SAFETY: each thread reads and writes one channel of one pixel, inside the lengths checked above.
        unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "affine" }, grid, &parameters) }
    }
}
