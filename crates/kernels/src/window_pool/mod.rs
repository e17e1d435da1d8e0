//! Maximum or average of the windows of an NHWC map, f32.
//!
//! The maximum ignores the padding. The average divides the sum by the window's whole area, padding included as zeros
//! (`torch.nn.AvgPool2d` with its defaults).

pub mod cuda;
#[cfg(test)]
mod tests;

use crate::dense_conv::Padding;
use crate::simd::{InstructionSet, SizeError, Vector, at_least, dispatch, equal, padded_channels};

const KERNEL: &str = "window pooling";

/// What is taken of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The largest value, of each channel.
    Max,
    /// The sum of each channel over `size · size`.
    Average,
}

#[derive(Clone, Copy)]
struct Pool {
    kind: Kind,
    input: *const f32,
    height: usize,
    width: usize,
    channels: usize,
    size: usize,
    stride: usize,
    padding: Padding,
    rows: usize,
    columns: usize,
    output: *mut f32,
}

/// Pools one map; gives its rows and columns.
///
/// # Shapes
/// `input` `[height, width, channels]` with a padded number of channels; `output` `[rows, columns, channels]`, written.
///
/// # Errors
/// When a slice is too short, `channels` is not a padded number, the window does not fit or lies in the padding alone.
#[expect(clippy::too_many_arguments, reason = "two maps and a window")]
pub fn pool(
    set: InstructionSet,
    kind: Kind,
    input: &[f32],
    (height, width): (usize, usize),
    channels: usize,
    size: usize,
    stride: usize,
    padding: Padding,
    output: &mut [f32],
) -> Result<(usize, usize), SizeError> {
    equal(KERNEL, "number of channels", channels, padded_channels(channels))?;
    at_least(KERNEL, "stride", stride, 1)?;
    let most = padding.top.max(padding.bottom).max(padding.left).max(padding.right);
    at_least(KERNEL, "window size", size, most + 1)?;
    let Some((rows, columns)) = padding.output_size(height, width, size, stride).filter(|_| height > 0 && width > 0)
    else {
        return Err(SizeError { kernel: KERNEL, what: "size of the map", found: height.min(width), expected: size });
    };
    at_least(KERNEL, "length of the input", input.len(), height.saturating_mul(width).saturating_mul(channels))?;
    at_least(KERNEL, "length of the output", output.len(), rows.saturating_mul(columns).saturating_mul(channels))?;
    let pool = Pool {
        kind,
        input: input.as_ptr(),
        height,
        width,
        channels,
        size,
        stride,
        padding,
        rows,
        columns,
        output: output.as_mut_ptr(),
    };
    dispatch!(set, body, pool: Pool);
    Ok((rows, columns))
}

/// The part of window `at` that lies inside `0 .. length`.
#[inline(always)]
fn inside(at: usize, stride: usize, size: usize, before: usize, length: usize) -> (usize, usize) {
    let from = (at * stride).saturating_sub(before);
    let to = (at * stride + size).saturating_sub(before).min(length);
    (from.min(to), to)
}

#[inline(always)]
unsafe fn body<V: Vector>(pool: Pool) {
    let Pool { channels, width, .. } = pool;
    let share = 1.0 / (pool.size * pool.size) as f32;
    for row in 0..pool.rows {
        let (top, bottom) = inside(row, pool.stride, pool.size, pool.padding.top, pool.height);
        for column in 0..pool.columns {
            let (left, right) = inside(column, pool.stride, pool.size, pool.padding.left, width);
            for channel in (0..channels).step_by(V::LANES) {
                // SAFETY: `pool` checked the lengths; the padded number of channels is a multiple of every lane count.
                unsafe {
                    let first = pool.input.add(channel);
                    let to = pool.output.add((row * pool.columns + column) * channels + channel);
                    match pool.kind {
                        Kind::Max => {
                            let mut most = V::splat(f32::NEG_INFINITY);
                            // 0, or NaN once a value is not finite: a maximum alone would forget it.
                            let mut poison = V::splat(0.0);
                            for y in top..bottom {
                                for x in left..right {
                                    let value = V::load(first.add((y * width + x) * channels));
                                    poison = value.mul_add(V::splat(0.0), poison);
                                    most = value.max_with(most);
                                }
                            }
                            most.add(poison).store(to);
                        }
                        Kind::Average => {
                            let mut sum = V::splat(0.0);
                            for y in top..bottom {
                                for x in left..right {
                                    sum = sum.add(V::load(first.add((y * width + x) * channels)));
                                }
                            }
                            sum.mul(V::splat(share)).store(to);
                        }
                    }
                }
            }
        }
    }
}
