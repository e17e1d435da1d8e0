//! A factor and a term for each channel of a map, then an activation: a batch normalisation that no convolution can take
//! in (DenseNet, pre-activation ResNets).
//!
//! `out[p, c] = activation(in[p, c] · scale[c] + shift[c])`, f32.

pub mod cuda;
#[cfg(test)]
mod tests;

use crate::simd::{Activation, InstructionSet, SizeError, Vector, at_least, dispatch, padded_channels};

const KERNEL: &str = "affine map";

#[derive(Clone, Copy)]
struct Affine {
    input: *const f32,
    input_stride: usize,
    pixels: usize,
    /// A whole number of blocks.
    channels: usize,
    scale: *const f32,
    shift: *const f32,
    activation: Activation,
    output: *mut f32,
    output_stride: usize,
}

/// Applies it to the first `channels` channels of each pixel.
///
/// # Shapes
/// Input pixel p begins at `p · input_stride`, output pixel p at `p · output_stride`; whole blocks are read and written,
/// up to `padded_channels(channels)`, so both strides must leave room for them. `scale` and `shift`
/// `[padded_channels(channels)]`.
///
/// # Errors
/// When a slice or a stride is too short.
#[expect(clippy::too_many_arguments, reason = "two maps with their strides")]
pub fn apply(
    set: InstructionSet,
    input: &[f32],
    input_stride: usize,
    pixels: usize,
    channels: usize,
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    output: &mut [f32],
    output_stride: usize,
) -> Result<(), SizeError> {
    let channels = padded_channels(channels);
    if pixels == 0 || channels == 0 {
        return Ok(());
    }
    at_least(KERNEL, "stride of the input", input_stride, channels)?;
    at_least(KERNEL, "stride of the output", output_stride, channels)?;
    at_least(
        KERNEL,
        "length of the input",
        input.len(),
        (pixels - 1).saturating_mul(input_stride).saturating_add(channels),
    )?;
    at_least(
        KERNEL,
        "length of the output",
        output.len(),
        (pixels - 1).saturating_mul(output_stride).saturating_add(channels),
    )?;
    at_least(KERNEL, "length of the scale", scale.len(), channels)?;
    at_least(KERNEL, "length of the shift", shift.len(), channels)?;
    let affine = Affine {
        input: input.as_ptr(),
        input_stride,
        pixels,
        channels,
        scale: scale.as_ptr(),
        shift: shift.as_ptr(),
        activation,
        output: output.as_mut_ptr(),
        output_stride,
    };
    dispatch!(set, body, affine: Affine);
    Ok(())
}

#[inline(always)]
unsafe fn body<V: Vector>(affine: Affine) {
    // SAFETY: `apply` checked the lengths. One loop for each activation, so that it is chosen outside.
    unsafe {
        match affine.activation {
            Activation::None => pixels::<V>(&affine, Activation::None),
            Activation::Relu => pixels::<V>(&affine, Activation::Relu),
            other => pixels::<V>(&affine, other),
        }
    }
}

#[inline(always)]
unsafe fn pixels<V: Vector>(affine: &Affine, activation: Activation) {
    for pixel in 0..affine.pixels {
        // SAFETY: as for `body`.
        unsafe {
            let from = affine.input.add(pixel * affine.input_stride);
            let to = affine.output.add(pixel * affine.output_stride);
            for channel in (0..affine.channels).step_by(V::LANES) {
                let (scale, shift) = (V::load(affine.scale.add(channel)), V::load(affine.shift.add(channel)));
                let value = V::load(from.add(channel)).mul_add(scale, shift);
                activation.apply(value).store(to.add(channel));
            }
        }
    }
}
