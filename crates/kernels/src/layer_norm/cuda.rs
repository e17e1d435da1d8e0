//! Layer norm on a GPU: a block of threads a row.

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::simd::{at_least, equal};

const KERNEL: &str = "layer norm (GPU)";
pub(crate) const SOURCE: Source = Source { name: "layer_norm", text: include_str!("kernel.cu") };

parameters!(LayerNormParameters, 56, { input, weight, bias, output } {
    rows: u32, width: u32, input_stride: u32, output_stride: u32, epsilon: f32, unused: u32,
});

/// A layer norm with factor and shift on a GPU.
#[derive(Debug)]
pub struct CudaLayerNorm {
    gpu: Gpu,
    weight: Buffer<f32>,
    bias: Buffer<f32>,
    epsilon: f32,
}

impl CudaLayerNorm {
    /// Copies `weight` and `bias`, both `[width]`, to the GPU.
    ///
    /// # Errors
    /// When their lengths differ or are zero, or the GPU refuses.
    pub fn new(gpu: &Gpu, weight: &[f32], bias: &[f32], epsilon: f32) -> Result<CudaLayerNorm, CudaError> {
        at_least(KERNEL, "width", weight.len(), 1)?;
        equal(KERNEL, "length of the bias", bias.len(), weight.len())?;
        Ok(CudaLayerNorm { gpu: gpu.clone(), weight: gpu.copy(weight)?, bias: gpu.copy(bias)?, epsilon })
    }

    /// Normalises `rows` rows.
    ///
    /// # Shapes
    /// `input` and `output` are (buffer, distance between rows).
    ///
    /// # Errors
    /// When a buffer or a stride is too short, or the GPU refuses.
    pub fn run(
        &self,
        (input, input_stride): (&Buffer<f32>, usize),
        rows: usize,
        (output, output_stride): (&mut Buffer<f32>, usize),
    ) -> Result<(), CudaError> {
        let width = self.weight.len();
        at_least(KERNEL, "stride of the input", input_stride, width)?;
        at_least(KERNEL, "stride of the output", output_stride, width)?;
        let (read, written) = (rows.saturating_mul(input_stride), rows.saturating_mul(output_stride));
        narrow(KERNEL, "length of the input", read)?;
        narrow(KERNEL, "length of the output", written)?;
        let parameters = LayerNormParameters {
            input: self.gpu.address(KERNEL, "length of the input", input, read)?,
            weight: self.gpu.address(KERNEL, "factors", &self.weight, width)?,
            bias: self.gpu.address(KERNEL, "shifts", &self.bias, width)?,
            output: self.gpu.address(KERNEL, "length of the output", output, written)?,
            rows: narrow(KERNEL, "rows", rows)?,
            width: narrow(KERNEL, "width", width)?,
            input_stride: narrow(KERNEL, "stride of the input", input_stride)?,
            output_stride: narrow(KERNEL, "stride of the output", output_stride)?,
            epsilon: self.epsilon,
            unused: 0,
        };
        let grid = Grid::Rows(parameters.rows);
        // SAFETY: the block of a row reads and writes `width` elements of that row, inside the lengths checked above.
        unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "layer_norm" }, grid, &parameters) }
    }
}
