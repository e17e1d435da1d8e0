//! Squeeze-excitation gate (Hu et al., CVPR 2018): one factor a channel from the channels' means over the image.
//!
//! gate = sigmoid(W2 · silu(W1 · mean + b1) + b2), f32. Two small products; the gate itself is applied by whoever reads
//! the tensor next ([`crate::pointwise_conv::PointwiseConv::run_scaled`], or in place by [`scale_channels`]).

pub mod cuda;
#[cfg(test)]
mod tests;

use crate::pointwise_conv::{Pixels, Placement, PointwiseConv};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, SizeError, Vector, at_least, dispatch, padded_channels};

const KERNEL: &str = "squeeze-excitation";

/// The two layers of a gate.
#[derive(Clone)]
pub struct SqueezeExcitation {
    reduce: PointwiseConv,
    expand: PointwiseConv,
}

/// The weights of one of the two layers: `weight` row-major `[outputs, inputs]`.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// `[outputs, inputs]`
    pub weight: &'a [f32],
    /// `[outputs]`
    pub bias: &'a [f32],
}

impl SqueezeExcitation {
    /// A gate of `channels` channels through `squeezed`.
    ///
    /// # Errors
    /// When a length does not fit, or a size is zero.
    pub fn new(
        channels: usize,
        squeezed: usize,
        reduce: Layer<'_>,
        expand: Layer<'_>,
    ) -> Result<SqueezeExcitation, SizeError> {
        Ok(SqueezeExcitation {
            reduce: PointwiseConv::new(reduce.weight, reduce.bias, channels, squeezed, Activation::Silu)?,
            expand: PointwiseConv::new(expand.weight, expand.bias, squeezed, channels, Activation::Sigmoid)?,
        })
    }

    /// Floating-point operations for each image, a multiply-add counted as two.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.reduce.operations_per_pixel() + self.expand.operations_per_pixel()
    }

    /// The gate of one image.
    ///
    /// # Shapes
    /// `sums` `[padded_channels(channels)]`, the sum of each channel over `pixels` pixels: divided in place to become the
    /// mean. `gate` `[padded_channels(channels)]`, written. `scratch` grows as needed.
    ///
    /// # Errors
    /// When a slice is too short.
    pub fn run(
        &self,
        set: InstructionSet,
        sums: &mut [f32],
        pixels: usize,
        gate: &mut [f32],
        scratch: &mut AlignedBuffer,
    ) -> Result<(), SizeError> {
        at_least(KERNEL, "number of pixels", pixels, 1)?;
        for sum in sums.iter_mut() {
            *sum /= pixels as f32;
        }
        scratch.reserve(padded_channels(self.reduce.outputs()));
        let mean = Pixels { values: sums, stride: self.reduce.inputs(), count: 1 };
        self.reduce.run(set, mean, scratch, Placement::dense(0), None)?;
        let squeezed = Pixels { values: scratch, stride: self.expand.inputs(), count: 1 };
        self.expand.run(set, squeezed, gate, Placement::dense(0), None)
    }
}

#[derive(Clone, Copy)]
struct Scaling {
    values: *mut f32,
    pixels: usize,
    gate: *const f32,
    channels: usize,
}

/// Multiplies every pixel of `values` `[.., channels]` by `gate` `[channels]`, in place.
///
/// # Errors
/// When the gate is shorter than `channels`, or `channels` is not a padded number.
pub fn scale_channels(set: InstructionSet, values: &mut [f32], gate: &[f32], channels: usize) -> Result<(), SizeError> {
    at_least(KERNEL, "number of channels", channels, 1)?;
    let expected = padded_channels(channels);
    if channels != expected {
        return Err(SizeError { kernel: KERNEL, what: "number of channels", found: channels, expected });
    }
    at_least(KERNEL, "length of the gate", gate.len(), channels)?;
    let pixels = values.len() / channels;
    let scaling = Scaling { values: values.as_mut_ptr(), pixels, gate: gate.as_ptr(), channels };
    dispatch!(set, scale_body, scaling: Scaling);
    Ok(())
}

#[inline(always)]
unsafe fn scale_body<V: Vector>(scaling: Scaling) {
    for pixel in 0..scaling.pixels {
        for channel in (0..scaling.channels).step_by(V::LANES) {
            // SAFETY: `scale_channels` checked the gate's length; `pixels` whole pixels lie in `values`.
            unsafe {
                let place = scaling.values.add(pixel * scaling.channels + channel);
                V::load(place).mul(V::load(scaling.gate.add(channel))).store(place);
            }
        }
    }
}
