//! Dense k × k convolution of an NHWC map.
//!
//! `out[y, x, o] = activation(bias[o] + Σ_{ky, kx, i} in[y·s + ky - top, x·s + kx - left, i] · weight[o, i, ky, kx])`.
//! No window is unfolded: the product of [`PointwiseConv`] runs over the windows where they lie. A padded map is first
//! copied, a strip of rows at a time, into a frame of zeros, so that no pixel needs a test.

pub mod backward;
pub mod cuda;
#[cfg(test)]
mod tests;

use crate::pointwise_conv::{PointwiseConv, Windows};
use crate::simd::{Activation, AlignedBuffer, BLOCK, InstructionSet, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "dense convolution";
/// Framed rows of about this size stay in the second cache.
const STRIP_BYTES: usize = 512 << 10;
/// Pixels that are a multiple of it apart compete for the same places of the first cache.
const SET_BYTES: usize = 4096;

/// Zeros around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// Rows and columns of the output for an input of `height` × `width`; none where the kernel does not fit.
    #[must_use]
    pub fn output_size(&self, height: usize, width: usize, size: usize, stride: usize) -> Option<(usize, usize)> {
        let extent = |length: usize, before: usize, after: usize| {
            (length + before + after).checked_sub(size).and_then(|room| room.checked_div(stride)).map(|steps| steps + 1)
        };
        Some((extent(height, self.top, self.bottom)?, extent(width, self.left, self.right)?))
    }
}

/// A dense convolution with packed weights.
#[derive(Clone)]
pub struct DenseConv {
    inputs: usize,
    size: usize,
    stride: usize,
    padding: Padding,
    product: PointwiseConv,
    /// Whether the product runs in bfloat16.
    half: bool,
}

impl DenseConv {
    /// Packs `weight`, row-major `[outputs, inputs, size, size]`; `channels` is (inputs, outputs).
    ///
    /// # Errors
    /// When a length does not fit, or a size is zero.
    pub fn new(
        weight: &[f32],
        bias: &[f32],
        (inputs, outputs): (usize, usize),
        size: usize,
        stride: usize,
        padding: Padding,
        activation: Activation,
    ) -> Result<DenseConv, SizeError> {
        at_least(KERNEL, "kernel size", size, 1)?;
        at_least(KERNEL, "stride", stride, 1)?;
        let taps = size.saturating_mul(size);
        let window = taps.saturating_mul(inputs);
        equal(KERNEL, "length of the weight", weight.len(), window.saturating_mul(outputs))?;
        // From [o, i, tap] to [o, tap, i]: the order of an unfolded NHWC window.
        let mut unfolded = vec![0.0; weight.len()];
        for output in 0..outputs {
            for input in 0..inputs {
                for tap in 0..taps {
                    unfolded[output * window + tap * inputs + input] = weight[(output * inputs + input) * taps + tap];
                }
            }
        }
        // A frame can keep its pixels at a good distance; without one they lie where the caller put them.
        let step = if padding == Padding::default() { stride * inputs } else { 1 };
        let product = PointwiseConv::packed(&unfolded, bias, window, outputs, activation, step)?;
        Ok(DenseConv { inputs, size, stride, padding, product, half: false })
    }

    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.product.outputs()
    }

    /// Floating-point operations for each output pixel, a multiply-add counted as two.
    #[must_use]
    pub fn operations_per_pixel(&self) -> u64 {
        self.product.operations_per_pixel()
    }

    /// Rows and columns of the output; none where the kernel does not fit the padded input.
    #[must_use]
    pub fn output_size(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        self.padding.output_size(height, width, self.size, self.stride)
    }

    /// The activation comes after the residual: `activation(sum + bias + residual)`.
    #[must_use]
    pub fn activated_after_residual(mut self) -> DenseConv {
        self.product = self.product.activated_after_residual();
        self
    }

    /// The same with weights and inputs rounded to bfloat16, sums in f32; none where the processor has no fast product of
    /// them ([`crate::simd::has_bf16`]).
    #[must_use]
    pub fn in_bf16(mut self) -> Option<DenseConv> {
        // A window's part is one of its rows.
        self.product = self.product.rounded(self.size)?;
        self.half = true;
        Some(self)
    }

    /// Convolves one image.
    ///
    /// # Shapes
    /// `input` `[height, width, inputs]` dense (no channel padding); `output` `[rows, columns, padded_channels(outputs)]`
    /// with rows and columns of [`DenseConv::output_size`]; `scratch` grows as needed.
    ///
    /// # Errors
    /// When a slice is too short, or the kernel does not fit.
    pub fn run(
        &self,
        set: InstructionSet,
        input: &[f32],
        size: (usize, usize),
        output: &mut [f32],
        scratch: &mut AlignedBuffer,
    ) -> Result<(), SizeError> {
        let channels = padded_channels(self.outputs());
        self.run_map(set, input, self.inputs, size, output, channels, None, scratch)
    }

    /// Convolves one map whose pixels lie any distance apart.
    ///
    /// # Shapes
    /// Input pixel (y, x) begins at `(y · width + x) · input_stride` and what follows its `inputs` values does not matter.
    /// Output and residual (values, distance between pixels) likewise, with rows and columns of
    /// [`DenseConv::output_size`]; whole blocks of channels are written, up to `padded_channels(outputs)`. `scratch` grows
    /// as needed.
    ///
    /// # Errors
    /// When a slice or a stride is too short, or the kernel does not fit.
    #[expect(clippy::too_many_arguments, reason = "two maps with their strides, and a third one")]
    pub fn run_map(
        &self,
        set: InstructionSet,
        input: &[f32],
        input_stride: usize,
        (height, width): (usize, usize),
        output: &mut [f32],
        output_stride: usize,
        residual: Option<(&[f32], usize)>,
        scratch: &mut AlignedBuffer,
    ) -> Result<(), SizeError> {
        let Some((rows, columns)) = self.output_size(height, width) else {
            let found = height.min(width);
            return Err(SizeError { kernel: KERNEL, what: "size of the image", found, expected: self.size });
        };
        let (inputs, size, stride) = (self.inputs, self.size, self.stride);
        at_least(KERNEL, "stride of the input", input_stride, inputs)?;
        let pixels = height.saturating_mul(width);
        let length = if pixels == 0 { 0 } else { (pixels - 1).saturating_mul(input_stride).saturating_add(inputs) };
        at_least(KERNEL, "length of the input", input.len(), length)?;
        // Rounded windows consist of whole rows, which only a frame is sure to have.
        if self.padding == Padding::default() && (size == 1 || !self.half) {
            let (taps, run) = taps(size, inputs, input_stride, width * input_stride);
            let windows = Windows {
                input,
                size: (rows, columns),
                input_row: stride * width * input_stride,
                input_column: stride * input_stride,
                taps: &taps,
                inputs: run,
            };
            let residual = residual.map(|(values, step)| (values, columns * step, step));
            return self.product.run_windows(set, windows, output, (columns * output_stride, output_stride), residual);
        }
        let last = rows.saturating_mul(columns).saturating_sub(1);
        let channels = padded_channels(self.outputs());
        at_least(KERNEL, "stride of the output", output_stride, channels)?;
        at_least(
            KERNEL,
            "length of the output",
            output.len(),
            last.saturating_mul(output_stride).saturating_add(channels),
        )?;
        if let Some((values, step)) = residual {
            at_least(KERNEL, "stride of the residual", step, channels)?;
            at_least(
                KERNEL,
                "length of the residual",
                values.len(),
                last.saturating_mul(step).saturating_add(channels),
            )?;
        }
        let frame = Frame::new(self, width);
        let (taps, run) = taps(size, inputs, frame.pixel, frame.line);
        // An even number of rows, which tiles take in pairs; each strip begins with rows that the last one had too.
        let fitting = (STRIP_BYTES / (4 * frame.line)).saturating_sub(size) / stride + 1;
        let strip = if fitting >= rows { rows } else { (fitting / 2 * 2).max(2) };
        for first in (0..rows).step_by(strip) {
            let count = strip.min(rows - first);
            let framed =
                frame.fill(input, input_stride, (height, width), first * stride, (count - 1) * stride + size, scratch);
            let windows = Windows {
                input: framed,
                size: (count, columns),
                input_row: stride * frame.line,
                input_column: stride * frame.pixel,
                taps: &taps,
                inputs: run,
            };
            let residual = residual.map(|(values, step)| (&values[first * columns * step..], columns * step, step));
            let output = &mut output[first * columns * output_stride..];
            self.product.run_windows(set, windows, output, (columns * output_stride, output_stride), residual)?;
        }
        Ok(())
    }
}

/// Where the parts of a window begin, and how long each is: a whole row of the window where pixels follow each other
/// without a gap, else one pixel.
fn taps(size: usize, inputs: usize, pixel: usize, line: usize) -> (Vec<usize>, usize) {
    if pixel == inputs {
        return ((0..size).map(|row| row * line).collect(), size * inputs);
    }
    let at = |tap: usize| tap / size * line + tap % size * pixel;
    ((0..size * size).map(at).collect(), inputs)
}

/// Rows of a map with zeros around it.
struct Frame {
    inputs: usize,
    padding: Padding,
    /// From one pixel to the next.
    pixel: usize,
    /// From one row to the next.
    line: usize,
}

impl Frame {
    fn new(conv: &DenseConv, width: usize) -> Frame {
        let DenseConv { inputs, stride, padding, .. } = *conv;
        let crowded = !conv.half && (4 * stride * inputs).is_multiple_of(SET_BYTES);
        let pixel = if crowded { inputs + BLOCK } else { inputs };
        Frame { inputs, padding, pixel, line: (width + padding.left + padding.right) * pixel }
    }

    /// Copies `count` rows of the padded map, from row `first` on, to the front of `scratch`.
    fn fill<'a>(
        &self,
        input: &[f32],
        input_stride: usize,
        (height, width): (usize, usize),
        first: usize,
        count: usize,
        scratch: &'a mut AlignedBuffer,
    ) -> &'a [f32] {
        let Frame { inputs, padding, pixel, line } = *self;
        scratch.reserve(count * line);
        for (row, to) in scratch[..count * line].chunks_exact_mut(line).enumerate() {
            let Some(y) = (first + row).checked_sub(padding.top).filter(|&y| y < height) else {
                to.fill(0.0);
                continue;
            };
            let (left, right) = (padding.left * pixel, (padding.left + width) * pixel);
            to[..left].fill(0.0);
            to[right..].fill(0.0);
            let from = &input[y * width * input_stride..];
            let to = &mut to[left..right];
            if pixel == inputs && input_stride == inputs {
                to.copy_from_slice(&from[..width * inputs]);
            } else {
                for (to, from) in to.chunks_exact_mut(pixel).zip(from.chunks(input_stride)) {
                    to[..inputs].copy_from_slice(&from[..inputs]);
                }
            }
        }
        &scratch[..count * line]
    }
}
