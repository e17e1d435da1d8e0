//! Group norm and SiLU on a GPU, forward and backward. A place is (buffer, first element).

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::dense::{self, ROWS_PER_PART};
use crate::simd::{at_least, equal};
use crate::step_rows::cuda::CudaStepIndex;

const KERNEL: &str = "group norm (GPU)";
pub(crate) const SOURCE: Source = Source { name: "group_norm", text: include_str!("kernel.cu") };

parameters!(GroupNormParameters, 96, {
    input, shift, index, weight, bias, gradient, added, output, statistics,
} { threads: u32, rows: u32, width: u32, rows_per_part: u32, epsilon: f32, unused: u32 });

/// A place in a buffer: (buffer, first element).
type From<'a> = (&'a Buffer<f32>, usize);

/// What forward and backward read alike.
#[derive(Debug, Clone, Copy)]
pub struct CudaGroupNorm<'a> {
    /// `[rows, width]`
    pub input: &'a Buffer<f32>,
    /// What is added to the rows of each step before the norm: `[steps, width]` from its place on.
    pub shift: Option<(From<'a>, &'a CudaStepIndex)>,
    /// `[width]` from its place on.
    pub weight: From<'a>,
    /// `[width]` from its place on.
    pub bias: From<'a>,
    /// Rows.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl CudaGroupNorm<'_> {
    fn parameters(&self, gpu: &Gpu) -> Result<GroupNormParameters, CudaError> {
        let CudaGroupNorm { rows, width, .. } = *self;
        at_least(KERNEL, "width", width, 1)?;
        let length = rows.saturating_mul(width);
        narrow(KERNEL, "length of the input", length)?;
        let (mut shift, mut index) = (0, 0);
        if let Some((table, steps)) = self.shift {
            equal(KERNEL, "rows of the index", steps.rows(), rows)?;
            let of_table = steps.steps().saturating_mul(width);
            narrow(KERNEL, "length of the shifts", of_table)?;
            shift = gpu.address_at(KERNEL, "length of the shifts", table, of_table)?;
            index = steps.index_address(gpu, KERNEL)?;
        }
        Ok(GroupNormParameters {
            input: gpu.address(KERNEL, "length of the input", self.input, length)?,
            shift,
            index,
            weight: gpu.address_at(KERNEL, "length of the weight", self.weight, width)?,
            bias: gpu.address_at(KERNEL, "length of the bias", self.bias, width)?,
            gradient: 0,
            added: 0,
            output: 0,
            statistics: 0,
            threads: 0,
            rows: narrow(KERNEL, "rows", rows)?,
            width: narrow(KERNEL, "width", width)?,
            rows_per_part: ROWS_PER_PART as u32,
            epsilon: self.epsilon,
            unused: 0,
        })
    }

    /// Writes the normalised, activated rows, and each row's mean and inverse deviation, which the backward pass reads.
    ///
    /// # Shapes
    /// `out`: at least `[rows, width]`; `statistics`: at least `[rows, 2]`.
    ///
    /// # Errors
    /// When a buffer is too short, the index is of another number of rows, or the GPU refuses.
    pub fn forward(&self, gpu: &Gpu, out: &mut Buffer<f32>, statistics: &mut Buffer<f32>) -> Result<(), CudaError> {
        let parameters = GroupNormParameters {
            output: gpu.address(KERNEL, "length of the output", out, self.rows.saturating_mul(self.width))?,
            statistics: gpu.address(KERNEL, "length of the statistics", statistics, self.rows.saturating_mul(2))?,
            ..self.parameters(gpu)?
        };
        // SAFETY: the block of a row reads and writes that row of `width` elements and its two statistics; the shift's row
        // was checked when the index was made.
        unsafe { launch(gpu, "group_norm_silu", Grid::Rows(parameters.rows), &parameters) }
    }

    /// Writes the gradient of the input (which is also that of each row's shift), plus `added` if there is one.
    ///
    /// # Shapes
    /// `gradient` (of the output), `added`, `out`: at least `[rows, width]`; `statistics` as the forward pass wrote them.
    ///
    /// # Errors
    /// As [`CudaGroupNorm::forward`].
    pub fn backward(
        &self,
        gpu: &Gpu,
        gradient: &Buffer<f32>,
        statistics: &Buffer<f32>,
        added: Option<&Buffer<f32>>,
        out: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let length = self.rows.saturating_mul(self.width);
        let parameters = GroupNormParameters {
            gradient: gpu.address(KERNEL, "length of the gradient", gradient, length)?,
            added: match added {
                Some(added) => gpu.address(KERNEL, "length of what is added", added, length)?,
                None => 0,
            },
            output: gpu.address(KERNEL, "length of the output", out, length)?,
            statistics: gpu.address(KERNEL, "length of the statistics", statistics, self.rows.saturating_mul(2))?,
            ..self.parameters(gpu)?
        };
        // SAFETY: as in `forward`.
        unsafe { launch(gpu, "group_norm_silu_gradient", Grid::Rows(parameters.rows), &parameters) }
    }

    /// Writes (or adds) the gradients of the weight and, behind it, of the bias: `2 · width` values from a place on.
    ///
    /// `scratch` holds the parts' sums ([`crate::dense`]); it grows as needed.
    ///
    /// # Errors
    /// As [`CudaGroupNorm::forward`]; also when there is no row.
    pub fn weight_gradients(
        &self,
        gpu: &Gpu,
        gradient: &Buffer<f32>,
        statistics: &Buffer<f32>,
        scratch: &mut Buffer<f32>,
        out: (&mut Buffer<f32>, usize),
        accumulate: bool,
    ) -> Result<(), CudaError> {
        let CudaGroupNorm { rows, width, .. } = *self;
        let parts = rows.div_ceil(ROWS_PER_PART);
        let of_parts = parts.saturating_mul(2).saturating_mul(width);
        narrow(KERNEL, "length of the parts' sums", of_parts)?;
        scratch.reserve(of_parts)?;
        let parameters = GroupNormParameters {
            gradient: gpu.address(KERNEL, "length of the gradient", gradient, rows.saturating_mul(width))?,
            output: gpu.address(KERNEL, "length of the parts' sums", scratch, of_parts)?,
            statistics: gpu.address(KERNEL, "length of the statistics", statistics, rows.saturating_mul(2))?,
            threads: narrow(KERNEL, "length of the parts' sums", parts * width)?,
            ..self.parameters(gpu)?
        };
        // SAFETY: each thread writes two elements of `of_parts` and reads a column of rows below `rows`.
        unsafe { launch(gpu, "group_norm_silu_parts", Grid::Each(parameters.threads), &parameters) }?;
        dense::cuda::total(gpu, scratch, (parts, 2 * width), out, accumulate)
    }
}

/// # Safety
/// As [`Gpu::launch`].
unsafe fn launch(gpu: &Gpu, name: &'static str, grid: Grid, parameters: &GroupNormParameters) -> Result<(), CudaError> {
    // SAFETY: the caller's contract.
    unsafe { gpu.launch(Kernel { source: SOURCE, name }, grid, parameters) }
}
