//! Pointwise (1×1) convolution: a matrix product with bias, residual and activation in its epilogue.
//!
//! `out[p, o] = activation(bias[o] + Σ_i in[p, i] · weight[o, i]) + residual[p, o]`, pixels p of an NHWC image, f32; or the
//! activation after the residual.
//! The sum runs over i in order in one accumulator, so a pixel's result does not depend on how many pixels there are,
//! on caches or on threads. (The `gemm` crate changes its summation with the shape.)
//!
//! Weights are packed once into panels of up to three blocks of output channels, `[panel][i][channel]`. The same product
//! runs over windows of a map, which is how [`crate::dense_conv`] uses it. It also runs in bfloat16, where matrix tiles are
//! there ([`PointwiseConv::in_bf16`]).

pub mod backward;
pub(crate) mod cpu;
pub mod cuda;
mod half;
#[cfg(test)]
mod tests;
mod tile;
pub(crate) mod wide;

use self::cpu::{Grid, Product};
use self::half::HalfWeights;
use crate::simd::{Activation, AlignedBuffer, BLOCK, InstructionSet, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "pointwise convolution";
/// Blocks of output channels in one panel, at most: with 14 pixels they fill 28 of 32 AVX-512 registers with sums.
const PANEL_BLOCKS: usize = 2;
/// The same where neighbouring pixels lie a multiple of [`SET_BYTES`] apart: only 12 of them fit the first cache together,
/// so a tile has 7 pixels and more channels.
const NARROW_PANEL_BLOCKS: usize = 3;
/// Addresses that are a multiple of it apart compete for the same places of the first cache.
const SET_BYTES: usize = 4096;

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
    activation_last: bool,
    /// In place of `packed` where the product runs in bfloat16.
    half: Option<HalfWeights>,
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

    fn at(&self, pixel: usize) -> usize {
        if self.row_stride == 0 {
            return self.first + pixel;
        }
        self.first + pixel / self.width * self.row_stride + pixel % self.width
    }
}

/// (first channel, blocks) of the panels that `blocks` blocks are dealt to; `narrow` tiles leave room for more of them.
pub(crate) fn panels(blocks: usize, narrow: bool) -> Vec<(usize, usize)> {
    let count = blocks.div_ceil(if narrow { NARROW_PANEL_BLOCKS } else { PANEL_BLOCKS });
    let first = |panel: usize| panel * blocks / count;
    (0..count).map(|panel| (first(panel) * BLOCK, first(panel + 1) - first(panel))).collect()
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
        PointwiseConv::packed(weight, bias, inputs, outputs, activation, inputs)
    }

    /// [`PointwiseConv::new`] for pixels that will lie `step` values apart, which has no influence on results.
    pub(crate) fn packed(
        weight: &[f32],
        bias: &[f32],
        inputs: usize,
        outputs: usize,
        activation: Activation,
        step: usize,
    ) -> Result<PointwiseConv, SizeError> {
        at_least(KERNEL, "number of inputs", inputs, 1)?;
        at_least(KERNEL, "number of outputs", outputs, 1)?;
        equal(KERNEL, "length of the weight", weight.len(), inputs.saturating_mul(outputs))?;
        equal(KERNEL, "length of the bias", bias.len(), outputs)?;
        let blocks = padded_channels(outputs) / BLOCK;
        let panels = panels(blocks, (4 * step).is_multiple_of(SET_BYTES));
        let mut packed = AlignedBuffer::zeroed(blocks * BLOCK * inputs);
        for &(first, count) in &panels {
            let width = count * BLOCK;
            for channel in first..outputs.min(first + width) {
                for input in 0..inputs {
                    packed[first * inputs + input * width + channel - first] = weight[channel * inputs + input];
                }
            }
        }
        let mut padded = AlignedBuffer::zeroed(blocks * BLOCK);
        padded[..outputs].copy_from_slice(bias);
        Ok(PointwiseConv {
            inputs,
            outputs,
            panels,
            packed,
            bias: padded,
            activation,
            activation_last: false,
            half: None,
        })
    }

    /// The activation comes after the residual: `activation(sum + bias + residual)`.
    #[must_use]
    pub fn activated_after_residual(mut self) -> PointwiseConv {
        self.activation_last = true;
        self
    }

    /// The same with weights and inputs rounded to bfloat16 (8 bits of precision), sums in f32; none where the processor
    /// has no fast product of them ([`crate::simd::has_bf16`]). The instruction set that it is run with has no influence.
    #[must_use]
    pub fn in_bf16(self) -> Option<PointwiseConv> {
        self.rounded(1)
    }

    /// [`PointwiseConv::in_bf16`] for windows of `taps` parts.
    pub(crate) fn rounded(mut self, taps: usize) -> Option<PointwiseConv> {
        if !crate::simd::has_bf16() {
            return None;
        }
        if self.half.is_none() {
            self.half = Some(HalfWeights::new(&self, taps));
            self.packed = AlignedBuffer::default();
        }
        Some(self)
    }

    /// Runs a product whose lengths were checked.
    fn dispatch(&self, set: InstructionSet, product: Product<'_>, scale: Option<&[f32]>) {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(half) = &self.half {
            // SAFETY: only `rounded` makes these weights, where the processor has tiles; the caller checked the lengths.
            return unsafe { half::run(half, &product, scale) };
        }
        let _ = scale;
        cpu::run(set, product);
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
        self.run_packed(&self.packed, None, set, pixels, output, placement, residual)
    }

    /// [`PointwiseConv::run`] with every input channel i multiplied by `scale[i]` (a squeeze-excitation's gate), which is
    /// folded into a copy of the weights that `scratch` holds (in bfloat16: multiplied into the inputs).
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
        if self.half.is_some() {
            return self.run_packed(&self.packed, Some(scale), set, pixels, output, placement, residual);
        }
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
        self.run_packed(scratch, None, set, pixels, output, placement, residual)
    }

    /// [`PointwiseConv::run`] with any distance between output pixels: pixel p goes to `output[p · output_stride ..]`.
    /// Whole blocks of channels are written, up to `padded_channels(outputs)`, so the stride must leave room for them.
    ///
    /// # Shapes
    /// `residual` is (values, distance between pixels), of as many channels as are written.
    ///
    /// # Errors
    /// When a slice or a stride is too short.
    pub fn run_strided(
        &self,
        set: InstructionSet,
        pixels: Pixels<'_>,
        output: &mut [f32],
        output_stride: usize,
        residual: Option<(&[f32], usize)>,
    ) -> Result<(), SizeError> {
        let Pixels { values, stride, count } = pixels;
        at_least(KERNEL, "stride of the input", stride, self.inputs)?;
        let windows = Windows {
            input: values,
            size: (1, count),
            input_row: 0,
            input_column: stride,
            taps: &[0],
            inputs: self.inputs,
        };
        self.run_windows(set, windows, output, (0, output_stride), residual.map(|(values, step)| (values, 0, step)))
    }

    /// Sums over windows of several parts. Output pixel (y, x) goes to `y · row + x · column` of the output, whose strides
    /// are (row, column); `residual` is (values, row, column).
    pub(crate) fn run_windows(
        &self,
        set: InstructionSet,
        windows: Windows<'_>,
        output: &mut [f32],
        (row, column): (usize, usize),
        residual: Option<(&[f32], usize, usize)>,
    ) -> Result<(), SizeError> {
        let Windows { input, size, input_row, input_column, taps, inputs } = windows;
        let (rows, columns) = size;
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let channels = self.bias.len();
        // Where something of `length` values behind the last pixel's place ends.
        let end = |row: usize, column: usize, length: usize| {
            let row = (rows - 1).checked_mul(row)?;
            row.checked_add((columns - 1).checked_mul(column)?)?.checked_add(length)
        };
        let fits = |what: &'static str, found: usize, end: Option<usize>| {
            at_least(KERNEL, what, found, end.unwrap_or(usize::MAX))
        };
        equal(KERNEL, "inputs of a window", taps.len() * inputs, self.inputs)?;
        let last = taps.iter().copied().max().unwrap_or(0);
        fits("length of the input", input.len(), end(input_row, input_column, last + inputs))?;
        at_least(KERNEL, "stride of the output", column, channels)?;
        fits("length of the output", output.len(), end(row, column, channels))?;
        if let Some((values, row, column)) = residual {
            at_least(KERNEL, "stride of the residual", column, channels)?;
            fits("length of the residual", values.len(), end(row, column, channels))?;
        }
        self.dispatch(
            set,
            Product {
                size,
                input: Grid { first: input.as_ptr(), row: input_row, column: input_column },
                taps,
                inputs,
                panels: &self.panels,
                packed: self.packed.as_ptr(),
                bias: self.bias.as_ptr(),
                output: Grid { first: output.as_mut_ptr(), row, column },
                residual: residual.map(|(values, row, column)| Grid { first: values.as_ptr(), row, column }),
                activation: self.activation,
                activation_last: self.activation_last,
            },
            None,
        );
        Ok(())
    }

    /// `scale` is for products in bfloat16, whose inputs it multiplies; others have it in their weights.
    #[expect(clippy::too_many_arguments, reason = "the arguments of `run_scaled`")]
    fn run_packed(
        &self,
        packed: &[f32],
        scale: Option<&[f32]>,
        set: InstructionSet,
        pixels: Pixels<'_>,
        output: &mut [f32],
        placement: Placement,
        residual: Option<&[f32]>,
    ) -> Result<(), SizeError> {
        if pixels.count == 0 {
            return Ok(());
        }
        let channels = self.bias.len();
        let Pixels { values: input, stride, count } = pixels;
        at_least(KERNEL, "stride of the input", stride, self.inputs)?;
        at_least(
            KERNEL,
            "length of the input",
            input.len(),
            (count - 1).saturating_mul(stride).saturating_add(self.inputs),
        )?;
        if placement.row_stride != 0 {
            at_least(KERNEL, "width of an output row", placement.width, 1)?;
            at_least(KERNEL, "stride of the output rows", placement.row_stride, placement.width)?;
        }
        at_least(KERNEL, "length of the output", output.len(), (placement.at(count - 1) + 1) * channels)?;
        if let Some(residual) = residual {
            at_least(KERNEL, "length of the residual", residual.len(), count * channels)?;
        }
        at_least(KERNEL, "length of the packed weights", packed.len(), self.packed.len())?;
        // Whole rows of the placement, then what is left.
        let width = if placement.row_stride == 0 { count } else { placement.width };
        let rows = count / width;
        for (first, size) in [(0, (rows, width)), (rows * width, (1, count % width))] {
            if size.0 * size.1 == 0 {
                continue;
            }
            let product = Product {
                size,
                input: Grid { first: input[first * stride..].as_ptr(), row: width * stride, column: stride },
                taps: &[0],
                inputs: self.inputs,
                panels: &self.panels,
                packed: packed.as_ptr(),
                bias: self.bias.as_ptr(),
                output: Grid {
                    first: output[placement.at(first) * channels..].as_mut_ptr(),
                    row: placement.row_stride * channels,
                    column: channels,
                },
                residual: residual.map(|residual| Grid {
                    first: residual[first * channels..].as_ptr(),
                    row: width * channels,
                    column: channels,
                }),
                activation: self.activation,
                activation_last: self.activation_last,
            };
            self.dispatch(set, product, scale);
        }
        Ok(())
    }
}

/// The windows of a map's output pixels: that of (y, x) begins at `y · input_row + x · input_column` of the input, and
/// consists of `inputs` values from each of `taps` on.
#[derive(Clone, Copy)]
pub(crate) struct Windows<'a> {
    pub input: &'a [f32],
    pub size: (usize, usize),
    pub input_row: usize,
    pub input_column: usize,
    pub taps: &'a [usize],
    pub inputs: usize,
}
