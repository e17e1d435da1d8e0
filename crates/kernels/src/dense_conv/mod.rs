//! Dense k × k convolution of an image with few channels (a network's stem), by unfolding windows into rows.
//!
//! `out[y, x, o] = activation(bias[o] + Σ_{ky, kx, i} in[y·s + ky - top, x·s + kx - left, i] · weight[o, i, ky, kx])`.
//! A strip of output rows is unfolded to `[pixels, k · k · inputs]` and multiplied by [`PointwiseConv`].

#[cfg(test)]
mod tests;

use crate::pointwise_conv::{Pixels, Placement, PointwiseConv};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "dense convolution";
/// Unfolded rows of about this size stay in the second cache.
const STRIP_BYTES: usize = 256 << 10;

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
        let product = PointwiseConv::new(&unfolded, bias, window, outputs, activation)?;
        Ok(DenseConv { inputs, size, stride, padding, product })
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
        (height, width): (usize, usize),
        output: &mut [f32],
        scratch: &mut AlignedBuffer,
    ) -> Result<(), SizeError> {
        let Some((rows, columns)) = self.output_size(height, width) else {
            let found = height.min(width);
            return Err(SizeError { kernel: KERNEL, what: "size of the image", found, expected: self.size });
        };
        let channels = padded_channels(self.outputs());
        at_least(KERNEL, "length of the input", input.len(), height * width * self.inputs)?;
        at_least(KERNEL, "length of the output", output.len(), rows * columns * channels)?;
        let window = self.size * self.size * self.inputs;
        let stride = padded_channels(window);
        let strip = (STRIP_BYTES / (4 * stride * columns)).clamp(1, rows);
        scratch.reserve(strip * columns * stride);
        for first in (0..rows).step_by(strip) {
            let count = strip.min(rows - first);
            for row in 0..count {
                let unfolded = &mut scratch[row * columns * stride..][..columns * stride];
                self.unfold(input, (height, width), first + row, unfolded, stride);
            }
            let placement = Placement::dense(first * columns);
            let pixels = Pixels { values: scratch, stride, count: count * columns };
            self.product.run(set, pixels, output, placement, None)?;
        }
        Ok(())
    }

    /// The windows of one output row, one after the other.
    fn unfold(&self, input: &[f32], (height, width): (usize, usize), row: usize, unfolded: &mut [f32], stride: usize) {
        let line = self.size * self.inputs;
        for (column, window) in unfolded.chunks_exact_mut(stride).enumerate() {
            // The window's columns begin at `left - padding.left` of the image; `from .. to` of them are inside.
            let left = column * self.stride;
            let from = self.padding.left.saturating_sub(left).min(self.size);
            let to = (width + self.padding.left).saturating_sub(left).min(self.size).max(from);
            for ky in 0..self.size {
                let window = &mut window[ky * line..][..line];
                let y = (row * self.stride + ky).checked_sub(self.padding.top).filter(|&y| y < height);
                let Some(y) = y else {
                    window.fill(0.0);
                    continue;
                };
                window[..from * self.inputs].fill(0.0);
                window[to * self.inputs..].fill(0.0);
                if to > from {
                    let at = (y * width + left + from - self.padding.left) * self.inputs;
                    let count = (to - from) * self.inputs;
                    window[from * self.inputs..to * self.inputs].copy_from_slice(&input[at..at + count]);
                }
            }
        }
    }
}
