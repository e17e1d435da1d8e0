//! Pointwise (1×1) convolution: a matrix product with bias, residual and activation in its epilogue.
//!
//! `out[p, o] = activation(bias[o] + Σ_i in[p, i] · weight[o, i]) + residual[p, o]`, pixels p of an NHWC image, f32.
//! The sum runs over i in order in one accumulator, so a pixel's result does not depend on how many pixels there are,
//! on caches or on threads. (The `gemm` crate changes its summation with the shape.)
//!
//! Weights are packed once into panels of up to three blocks of output channels, `[panel][i][channel]`.

mod cpu;
#[cfg(test)]
mod tests;

use crate::simd::{Activation, AlignedBuffer, BLOCK, InstructionSet, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "pointwise convolution";
/// Blocks of output channels in one panel, at most: 3 × 7 pixels fill 21 of 32 AVX-512 registers with sums.
const PANEL_BLOCKS: usize = 3;

/// A pointwise convolution with packed weights.
#[derive(Clone)]
pub struct PointwiseConv {
    inputs: usize,
    outputs: usize,
    /// (first output channel, blocks) of each panel.
    panels: Vec<(usize, usize)>,
    packed: AlignedBuffer,
    bias: AlignedBuffer,
    activation: Activation,
}

/// Where the pixels of the output lie: pixel p goes to `first + p / width * row_stride + p % width`, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Where pixel 0 goes.
    pub first: usize,
    /// Pixels in a row.
    pub width: usize,
    /// From the beginning of a row to that of the next.
    pub row_stride: usize,
}

/// The pixels that go in: pixel p begins at `values[p · stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    /// f32, at least `(count - 1) · stride + inputs` of them.
    pub values: &'a [f32],
    /// From one pixel to the next.
    pub stride: usize,
    /// Number of pixels.
    pub count: usize,
}

impl Placement {
    /// One after the other, from `first` on.
    #[must_use]
    pub fn dense(first: usize) -> Placement {
        Placement { first, width: usize::MAX, row_stride: 0 }
    }

    #[inline(always)]
    fn at(&self, pixel: usize) -> usize {
        if self.row_stride == 0 {
            return self.first + pixel;
        }
        self.first + pixel / self.width * self.row_stride + pixel % self.width
    }
}

impl PointwiseConv {
    /// Packs `weight`, row-major `[outputs, inputs]`.
    ///
    /// # Errors
    /// When a length does not fit, or a size is zero.
    pub fn new(
        weight: &[f32],
        bias: &[f32],
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Result<PointwiseConv, SizeError> {
        at_least(KERNEL, "number of inputs", inputs, 1)?;
        at_least(KERNEL, "number of outputs", outputs, 1)?;
        equal(KERNEL, "length of the weight", weight.len(), inputs.saturating_mul(outputs))?;
        equal(KERNEL, "length of the bias", bias.len(), outputs)?;
        let blocks = padded_channels(outputs) / BLOCK;
        let count = blocks.div_ceil(PANEL_BLOCKS);
        let mut panels = Vec::with_capacity(count);
        let mut packed = AlignedBuffer::zeroed(blocks * BLOCK * inputs);
        for panel in 0..count {
            let (first, end) = (panel * blocks / count, (panel + 1) * blocks / count);
            let width = (end - first) * BLOCK;
            let start = first * BLOCK * inputs;
            for channel in first * BLOCK..outputs.min(end * BLOCK) {
                for input in 0..inputs {
                    packed[start + input * width + channel - first * BLOCK] = weight[channel * inputs + input];
                }
            }
            panels.push((first * BLOCK, end - first));
        }
        let mut padded = AlignedBuffer::zeroed(blocks * BLOCK);
        padded[..outputs].copy_from_slice(bias);
        Ok(PointwiseConv { inputs, outputs, panels, packed, bias: padded, activation })
    }

    /// Input channels.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Floating-point operations for each pixel, a multiply-add counted as two.
    #[must_use]
    pub fn operations_per_pixel(&self) -> u64 {
        2 * self.inputs as u64 * self.outputs as u64
    }

    /// Convolves all pixels.
    ///
    /// # Shapes
    /// `output` `[.., padded_channels(outputs)]`, written where `placement` says
    /// (channels beyond `outputs` become the activation of 0); `residual` like `output` but dense, added last.
    ///
    /// # Errors
    /// When a slice is too short.
    pub fn run(
        &self,
        set: InstructionSet,
        pixels: Pixels<'_>,
        output: &mut [f32],
        placement: Placement,
        residual: Option<&[f32]>,
    ) -> Result<(), SizeError> {
        self.run_packed(&self.packed, set, pixels, output, placement, residual)
    }

    /// [`PointwiseConv::run`] with every input channel i multiplied by `scale[i]` (a squeeze-excitation's gate), which is
    /// folded into a copy of the weights; `scratch` holds it.
    ///
    /// # Errors
    /// When a slice is too short.
    #[expect(clippy::too_many_arguments, reason = "the arguments of `run` and two more")]
    pub fn run_scaled(
        &self,
        scale: &[f32],
        scratch: &mut AlignedBuffer,
        set: InstructionSet,
        pixels: Pixels<'_>,
        output: &mut [f32],
        placement: Placement,
        residual: Option<&[f32]>,
    ) -> Result<(), SizeError> {
        at_least(KERNEL, "length of the scale", scale.len(), self.inputs)?;
        scratch.reserve(self.packed.len());
        for &(first, blocks) in &self.panels {
            let (start, width) = (first * self.inputs, blocks * BLOCK);
            let from = self.packed[start..][..width * self.inputs].chunks_exact(width);
            let to = scratch[start..][..width * self.inputs].chunks_exact_mut(width);
            for ((to, from), &scale) in to.zip(from).zip(scale) {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = from * scale;
                }
            }
        }
        self.run_packed(scratch, set, pixels, output, placement, residual)
    }

    fn run_packed(
        &self,
        packed: &[f32],
        set: InstructionSet,
        pixels: Pixels<'_>,
        output: &mut [f32],
        placement: Placement,
        residual: Option<&[f32]>,
    ) -> Result<(), SizeError> {
        if pixels.count == 0 {
            return Ok(());
        }
        let output_stride = self.bias.len();
        let Pixels { values: input, stride: input_stride, count: pixels } = pixels;
        at_least(KERNEL, "stride of the input", input_stride, self.inputs)?;
        at_least(KERNEL, "length of the input", input.len(), (pixels - 1) * input_stride + self.inputs)?;
        if placement.row_stride != 0 {
            at_least(KERNEL, "width of an output row", placement.width, 1)?;
            at_least(KERNEL, "stride of the output rows", placement.row_stride, placement.width)?;
        }
        at_least(KERNEL, "length of the output", output.len(), (placement.at(pixels - 1) + 1) * output_stride)?;
        if let Some(residual) = residual {
            at_least(KERNEL, "length of the residual", residual.len(), pixels * output_stride)?;
        }
        at_least(KERNEL, "length of the packed weights", packed.len(), self.packed.len())?;
        cpu::run(
            set,
            cpu::Product {
                inputs: self.inputs,
                input: input.as_ptr(),
                input_stride,
                pixels,
                panels: &self.panels,
                packed: packed.as_ptr(),
                bias: self.bias.as_ptr(),
                output: output.as_mut_ptr(),
                output_stride,
                placement,
                residual: residual.map(<[f32]>::as_ptr),
                activation: self.activation,
            },
        );
        Ok(())
    }
}
