//! AdamW and the average of the weights on a GPU. Nothing is read back: the loss and the gradient's length lie on the GPU,
//! where the update looks at them.

use super::Coefficients;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};

const KERNEL: &str = "AdamW (GPU)";
pub(crate) const SOURCE: Source = Source { name: "adamw", text: include_str!("kernel.cu") };
/// Values whose squares one block of threads sums.
const PART: usize = 1 << 16;

parameters!(AdamwParameters, 104, { parameters, average, first_moment, second_moment, gradient, guard, most_bits } {
    threads: u32, count: u32,
    scale: f32, keep: f32, first: f32, second_keep: f32, second: f32, rate: f32, unbias: f32, epsilon: f32, follow: f32, unused: u32,
});
parameters!(SquaresParameters, 40, { values, parts, sum } { count: u32, part: u32, parts_count: u32, unused: u32 });

/// What is updated, each `[count]`.
#[derive(Debug)]
pub struct CudaTrained {
    /// The weights.
    pub parameters: Buffer<f32>,
    /// Their average.
    pub average: Buffer<f32>,
    /// First moment of the gradients.
    pub first_moment: Buffer<f32>,
    /// Second moment of the gradients.
    pub second_moment: Buffer<f32>,
}

/// The loss of a step and the sum of its gradient's squares, on the GPU.
#[derive(Debug)]
pub struct CudaGuard {
    loss: Buffer<f64>,
    parts: Buffer<f64>,
}

impl CudaGuard {
    /// Room for both.
    ///
    /// # Errors
    /// When the memory is exhausted.
    pub fn new(gpu: &Gpu) -> Result<CudaGuard, CudaError> {
        Ok(CudaGuard { loss: gpu.zeros(2)?, parts: gpu.zeros(1)? })
    }

    /// Where the loss is written: the first element.
    pub fn loss_mut(&mut self) -> &mut Buffer<f64> {
        &mut self.loss
    }

    /// Waits for the queued work and reads the loss.
    ///
    /// # Errors
    /// When work before this failed.
    pub fn loss(&self) -> Result<f64, CudaError> {
        let mut loss = [0.0];
        self.loss.read_into(&mut loss)?;
        Ok(loss[0])
    }

    /// Waits for the queued work and reads the sum of squares.
    ///
    /// # Errors
    /// When work before this failed.
    pub fn squares(&self) -> Result<f64, CudaError> {
        let mut both = [0.0; 2];
        self.loss.read_into(&mut both)?;
        Ok(both[1])
    }

    /// Sums the squares of the first `count` gradients: parts of a fixed length, then the parts, always in one order.
    ///
    /// # Errors
    /// When the buffer is shorter, or the GPU refuses.
    pub fn sum_squares(&mut self, gpu: &Gpu, gradient: &Buffer<f32>, count: usize) -> Result<(), CudaError> {
        let parts = count.div_ceil(PART);
        self.parts.reserve(parts)?;
        let parameters = SquaresParameters {
            values: gpu.address(KERNEL, "length of the gradients", gradient, count)?,
            parts: gpu.address(KERNEL, "length of the parts' sums", &self.parts, parts)?,
            sum: gpu.address_at(KERNEL, "length of the sums", (&self.loss, 1), 1)?,
            count: narrow(KERNEL, "length of the gradients", count)?,
            part: PART as u32,
            parts_count: narrow(KERNEL, "parts", parts)?,
            unused: 0,
        };
        let kernel = |name| Kernel { source: SOURCE, name };
        // SAFETY: each block reads a part of `count` values and writes one of `parts` sums.
        unsafe { gpu.launch(kernel("squares_parts"), Grid::Rows(parameters.parts_count), &parameters) }?;
        // SAFETY: one block reads `parts` sums and writes one element.
        unsafe { gpu.launch(kernel("squares_total"), Grid::Rows(1), &parameters) }
    }
}

/// One update of the first `count` values, with the loss and the squares that the guard holds: nothing changes when the loss
/// is not finite; a gradient that is longer than `most` is scaled down to it (call [`CudaGuard::sum_squares`] before).
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn run(
    gpu: &Gpu,
    coefficients: Coefficients,
    most: Option<f64>,
    trained: &mut CudaTrained,
    gradient: &Buffer<f32>,
    count: usize,
    guard: &CudaGuard,
) -> Result<(), CudaError> {
    let c = coefficients;
    let parameters = AdamwParameters {
        parameters: gpu.address(KERNEL, "length of the parameters", &trained.parameters, count)?,
        average: gpu.address(KERNEL, "length of the average", &trained.average, count)?,
        first_moment: gpu.address(KERNEL, "length of the first moment", &trained.first_moment, count)?,
        second_moment: gpu.address(KERNEL, "length of the second moment", &trained.second_moment, count)?,
        gradient: gpu.address(KERNEL, "length of the gradients", gradient, count)?,
        guard: gpu.address(KERNEL, "length of the guard", &guard.loss, 2)?,
        most_bits: most.unwrap_or(0.0).to_bits(),
        threads: narrow(KERNEL, "length of the parameters", count.div_ceil(4))?,
        count: narrow(KERNEL, "length of the parameters", count)?,
        scale: c.scale,
        keep: c.keep,
        first: c.first,
        second_keep: c.second_keep,
        second: c.second,
        rate: c.rate,
        unbias: c.unbias,
        epsilon: c.epsilon,
        follow: c.follow,
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread reads and writes four elements of its own below `count`; buffers begin at multiples of 256 bytes.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "adamw" }, grid, &parameters) }
}
