//! Depthwise convolution: every channel has its own k × k filter, then bias and activation; NHWC, f32.
//!
//! `out[y, x, c] = activation(bias[c] + Σ_{ky, kx} in[y·s + ky, x·s + kx, c] · weight[c, ky, kx])`, the sum in that order.
//! The input is already padded (its caller wrote it into a frame of zeros), so no pixel needs a test. While the output is
//! written its sum over the pixels is taken along, which a squeeze-excitation needs next.

pub mod backward;
mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

use crate::simd::{Activation, AlignedBuffer, InstructionSet, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "depthwise convolution";

/// A depthwise convolution with packed weights.
#[derive(Clone)]
pub struct DepthwiseConv {
    channels: usize,
    size: usize,
    stride: usize,
    /// `[size · size][padded channels]`
    packed: AlignedBuffer,
    bias: AlignedBuffer,
    activation: Activation,
}

impl DepthwiseConv {
    /// Packs `weight`, row-major `[channels, size, size]`.
    ///
    /// # Errors
    /// When a length does not fit, or a size is zero.
    pub fn new(
        weight: &[f32],
        bias: &[f32],
        channels: usize,
        size: usize,
        stride: usize,
        activation: Activation,
    ) -> Result<DepthwiseConv, SizeError> {
        at_least(KERNEL, "number of channels", channels, 1)?;
        at_least(KERNEL, "kernel size", size, 1)?;
        at_least(KERNEL, "stride", stride, 1)?;
        equal(KERNEL, "length of the weight", weight.len(), channels.saturating_mul(size.saturating_mul(size)))?;
        equal(KERNEL, "length of the bias", bias.len(), channels)?;
        let (taps, padded) = (size * size, padded_channels(channels));
        let mut packed = AlignedBuffer::zeroed(taps * padded);
        for channel in 0..channels {
            for tap in 0..taps {
                packed[tap * padded + channel] = weight[channel * taps + tap];
            }
        }
        let mut padded_bias = AlignedBuffer::zeroed(padded);
        padded_bias[..channels].copy_from_slice(bias);
        Ok(DepthwiseConv { channels, size, stride, packed, bias: padded_bias, activation })
    }

    /// Channels, of input and output.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Side of the square kernel.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Distance between two windows.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Floating-point operations for each output pixel, a multiply-add counted as two.
    #[must_use]
    pub fn operations_per_pixel(&self) -> u64 {
        2 * self.channels as u64 * (self.size * self.size) as u64
    }

    /// Convolves a padded strip of rows.
    ///
    /// # Shapes
    /// `input` `[(rows - 1) · stride + size, input_width, padded_channels]`, `output` `[rows, width, padded_channels]`
    /// dense, with `(width - 1) · stride + size <= input_width`. `sums` `[padded_channels]`: the output's sum over all
    /// pixels of this strip is added, row after row, so that strips of any height give the same bits.
    ///
    /// # Errors
    /// When a slice is too short or a row too narrow.
    pub fn run(
        &self,
        set: InstructionSet,
        input: &[f32],
        input_width: usize,
        output: &mut [f32],
        (rows, width): (usize, usize),
        sums: Option<&mut [f32]>,
    ) -> Result<(), SizeError> {
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let channels = self.bias.len();
        let input_rows = (rows - 1) * self.stride + self.size;
        at_least(KERNEL, "width of the input", input_width, (width - 1) * self.stride + self.size)?;
        at_least(KERNEL, "length of the input", input.len(), input_rows * input_width * channels)?;
        at_least(KERNEL, "length of the output", output.len(), rows * width * channels)?;
        if let Some(sums) = &sums {
            at_least(KERNEL, "length of the sums", sums.len(), channels)?;
        }
        let strip = cpu::Strip {
            input: input.as_ptr(),
            input_width,
            output: output.as_mut_ptr(),
            rows,
            width,
            channels,
            weights: self.packed.as_ptr(),
            bias: self.bias.as_ptr(),
            size: self.size,
            stride: self.stride,
            activation: self.activation,
            sums: sums.map(<[f32]>::as_mut_ptr),
        };
        cpu::run(set, strip);
        Ok(())
    }
}
