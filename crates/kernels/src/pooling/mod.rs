//! Separable weighted pooling of an NHWC map to one vector.
//!
//! `out[c] = Σ_y rows[y] · (Σ_x columns[x] · in[y, x, c])`, f32. Global average pooling has rows = 1/height and
//! columns = 1/width; an average after a linear resampling is again such a sum ([`resampled_average`]). Also each channel's
//! [`maximum`] and [`deviation`].

pub mod cuda;
#[cfg(test)]
mod tests;

use crate::simd::{InstructionSet, SizeError, Vector, at_least, dispatch, equal, padded_channels};

const KERNEL: &str = "pooling";

/// Weights of the plain average over `length` pixels.
#[must_use]
pub fn average(length: usize) -> Vec<f32> {
    vec![(1.0 / length as f64) as f32; length]
}

/// Weights of the average over `outputs` points of the linear interpolation of `inputs` points, corners aligned
/// (`torch.nn.UpsamplingBilinear2d`): point j lies at j · (inputs - 1) / (outputs - 1). Computed in f64.
#[must_use]
pub fn resampled_average(inputs: usize, outputs: usize) -> Vec<f32> {
    let mut weights = vec![0.0f64; inputs];
    let step = if outputs > 1 { (inputs.saturating_sub(1)) as f64 / (outputs - 1) as f64 } else { 0.0 };
    for point in 0..outputs {
        let position = point as f64 * step;
        let before = (position as usize).min(inputs.saturating_sub(1));
        let after = (before + 1).min(inputs.saturating_sub(1));
        let share = position - before as f64;
        weights[before] += (1.0 - share) / outputs as f64;
        weights[after] += share / outputs as f64;
    }
    weights.into_iter().map(|weight| weight as f32).collect()
}

#[derive(Clone, Copy)]
struct Pool<'a> {
    input: *const f32,
    rows: &'a [f32],
    columns: &'a [f32],
    channels: usize,
    output: *mut f32,
}

/// Pools one image.
///
/// # Shapes
/// `input` `[rows.len(), columns.len(), channels]` with a padded number of channels; `output` `[channels]`, written.
///
/// # Errors
/// When a slice is too short, or `channels` is not a padded number.
pub fn pool(
    set: InstructionSet,
    input: &[f32],
    rows: &[f32],
    columns: &[f32],
    channels: usize,
    output: &mut [f32],
) -> Result<(), SizeError> {
    equal(KERNEL, "number of channels", channels, padded_channels(channels))?;
    at_least(KERNEL, "length of the input", input.len(), rows.len() * columns.len() * channels)?;
    at_least(KERNEL, "length of the output", output.len(), channels)?;
    let pool = Pool { input: input.as_ptr(), rows, columns, channels, output: output.as_mut_ptr() };
    dispatch!(set, body, pool: Pool<'_>);
    Ok(())
}

#[inline(always)]
unsafe fn body<V: Vector>(pool: Pool<'_>) {
    for channel in (0..pool.channels).step_by(V::LANES) {
        // SAFETY: `pool` checked the lengths; the padded number of channels is a multiple of every lane count.
        unsafe {
            let mut total = V::splat(0.0);
            let mut from = pool.input.add(channel);
            for &row in pool.rows {
                let mut sum = V::splat(0.0);
                for &column in pool.columns {
                    sum = V::splat(column).mul_add(V::load(from), sum);
                    from = from.wrapping_add(pool.channels);
                }
                total = V::splat(row).mul_add(sum, total);
            }
            total.store(pool.output.add(channel));
        }
    }
}

/// Checked arguments of a reduction over all pixels.
#[derive(Clone, Copy)]
struct Reduction {
    input: *const f32,
    pixels: usize,
    channels: usize,
    output: *mut f32,
    deviation: bool,
}

/// The largest value of each channel.
///
/// # Shapes
/// `input` `[pixels, channels]` with a padded number of channels; `output` `[channels]`, written.
///
/// # Errors
/// When a slice is too short, there are no pixels, or `channels` is not a padded number.
pub fn maximum(
    set: InstructionSet,
    input: &[f32],
    pixels: usize,
    channels: usize,
    output: &mut [f32],
) -> Result<(), SizeError> {
    reduce(set, input, pixels, channels, output, false)
}

/// The population's standard deviation of each channel, in two passes: the mean, then the distances from it.
///
/// # Shapes
/// As [`maximum`].
///
/// # Errors
/// As [`maximum`].
pub fn deviation(
    set: InstructionSet,
    input: &[f32],
    pixels: usize,
    channels: usize,
    output: &mut [f32],
) -> Result<(), SizeError> {
    reduce(set, input, pixels, channels, output, true)
}

fn reduce(
    set: InstructionSet,
    input: &[f32],
    pixels: usize,
    channels: usize,
    output: &mut [f32],
    deviation: bool,
) -> Result<(), SizeError> {
    equal(KERNEL, "number of channels", channels, padded_channels(channels))?;
    at_least(KERNEL, "number of pixels", pixels, 1)?;
    at_least(KERNEL, "length of the input", input.len(), pixels.saturating_mul(channels))?;
    at_least(KERNEL, "length of the output", output.len(), channels)?;
    let reduction = Reduction { input: input.as_ptr(), pixels, channels, output: output.as_mut_ptr(), deviation };
    dispatch!(set, reduce_body, reduction: Reduction);
    if deviation {
        output[..channels].iter_mut().for_each(|variance| *variance = variance.sqrt());
    }
    Ok(())
}

#[inline(always)]
unsafe fn reduce_body<V: Vector>(reduction: Reduction) {
    let Reduction { input, pixels, channels, output, deviation } = reduction;
    let share = 1.0 / pixels as f32;
    for channel in (0..channels).step_by(V::LANES) {
        // SAFETY: `reduce` checked the lengths; the padded number of channels is a multiple of every lane count.
        unsafe {
            let at = |pixel: usize| V::load(input.add(pixel * channels + channel));
            let result = if deviation {
                let mut sum = at(0);
                for pixel in 1..pixels {
                    sum = sum.add(at(pixel));
                }
                let minus_mean = sum.mul(V::splat(-share));
                let mut squares = V::splat(0.0);
                for pixel in 0..pixels {
                    let distance = at(pixel).add(minus_mean);
                    squares = distance.mul_add(distance, squares);
                }
                squares.mul(V::splat(share))
            } else {
                let mut most = at(0);
                // 0, or NaN once a value is not finite: a maximum alone would forget it.
                let mut poison = V::splat(0.0);
                for pixel in 0..pixels {
                    let value = at(pixel);
                    poison = value.mul_add(V::splat(0.0), poison);
                    most = value.max_with(most);
                }
                most.add(poison)
            };
            result.store(output.add(channel));
        }
    }
}
