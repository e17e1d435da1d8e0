//! Self-attention of one sequence (Vaswani et al., 2017): `softmax(q kᵀ / √head_width) v` for every head, f32.
//!
//! Both products are those of [`crate::pointwise_conv`], with a head's keys and values packed as its weights, so every sum
//! runs in order. The largest score of a row is subtracted before the exponential. One thread; heads one after another.

pub mod cuda;
#[cfg(test)]
mod tests;

use crate::pointwise_conv::cpu::{self, Grid, Product};
use crate::pointwise_conv::panels;
use crate::simd::{
    Activation, AlignedBuffer, BLOCK, InstructionSet, SizeError, Vector, at_least, dispatch, padded_channels,
};

const KERNEL: &str = "attention";
/// The widest vector.
const LANES: usize = 16;

/// Attends within one sequence.
///
/// # Shapes
/// `qkv` `[tokens, 3 · heads · head_width]`: queries, keys and values of all heads, one head's values next to each other.
/// `output` `[tokens, heads · head_width]`, written. `scratch` grows as needed.
///
/// # Errors
/// When a slice is too short or a size is zero.
pub fn run(
    set: InstructionSet,
    qkv: &[f32],
    tokens: usize,
    heads: usize,
    head_width: usize,
    output: &mut [f32],
    scratch: &mut AlignedBuffer,
) -> Result<(), SizeError> {
    at_least(KERNEL, "number of tokens", tokens, 1)?;
    at_least(KERNEL, "number of heads", heads, 1)?;
    at_least(KERNEL, "width of a head", head_width, 1)?;
    let width = heads.saturating_mul(head_width);
    at_least(KERNEL, "length of queries, keys and values", qkv.len(), tokens.saturating_mul(3).saturating_mul(width))?;
    at_least(KERNEL, "length of the output", output.len(), tokens.saturating_mul(width))?;
    let (padded_tokens, padded_width) = (padded_channels(tokens), padded_channels(head_width));
    let lengths = [
        padded_tokens.max(padded_width),
        padded_tokens * head_width,
        padded_width * tokens,
        tokens * padded_tokens,
        tokens * padded_width,
    ];
    scratch.reserve(lengths.iter().map(|&length| padded_channels(length)).sum());
    let mut rest = &mut scratch[..];
    let [zeros, keys, values, scores, heads_output] = lengths.map(|length| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(padded_channels(length));
        rest = after;
        part
    });
    zeros.fill(0.0);
    let key_panels = panels(padded_tokens / BLOCK, false);
    let value_panels = panels(padded_width / BLOCK, false);
    for head in 0..heads {
        let at = |part: usize, token: usize| &qkv[token * 3 * width + part * width + head * head_width..][..head_width];
        pack(keys, &key_panels, tokens, head_width, |token, i| at(1, token)[i]);
        pack(values, &value_panels, head_width, tokens, |channel, token| at(2, token)[channel]);
        let product = Product {
            size: (1, tokens),
            input: Grid { first: qkv[head * head_width..].as_ptr(), row: 0, column: 3 * width },
            taps: &[0],
            inputs: head_width,
            panels: &key_panels,
            packed: keys.as_ptr(),
            bias: zeros.as_ptr(),
            output: Grid { first: scores.as_mut_ptr(), row: 0, column: padded_tokens },
            residual: None,
            activation: Activation::None,
            activation_last: false,
        };
        // Queries and keys lie inside `qkv`; scores, keys and bias are as long as reserved above.
        cpu::run(set, product);
        let softmax = Softmax {
            scores: scores.as_mut_ptr(),
            rows: tokens,
            length: tokens,
            stride: padded_tokens,
            scale: 1.0 / (head_width as f32).sqrt(),
        };
        dispatch!(set, softmax_body, softmax: Softmax);
        let product = Product {
            size: (1, tokens),
            input: Grid { first: scores.as_ptr(), row: 0, column: padded_tokens },
            inputs: tokens,
            panels: &value_panels,
            packed: values.as_ptr(),
            output: Grid { first: heads_output.as_mut_ptr(), row: 0, column: padded_width },
            ..product
        };
        cpu::run(set, product);
        for token in 0..tokens {
            let from = &heads_output[token * padded_width..][..head_width];
            output[token * width + head * head_width..][..head_width].copy_from_slice(from);
        }
    }
    Ok(())
}

/// Packs a matrix of `outputs` × `inputs` as [`crate::pointwise_conv::PointwiseConv`] does.
fn pack(
    packed: &mut [f32],
    panels: &[(usize, usize)],
    outputs: usize,
    inputs: usize,
    value: impl Fn(usize, usize) -> f32,
) {
    for &(first, blocks) in panels {
        let width = blocks * BLOCK;
        let rows = packed[first * inputs..][..width * inputs].chunks_exact_mut(width);
        for (input, row) in rows.enumerate() {
            for (channel, place) in row.iter_mut().enumerate() {
                *place = if first + channel < outputs { value(first + channel, input) } else { 0.0 };
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Softmax {
    scores: *mut f32,
    rows: usize,
    length: usize,
    /// A whole number of blocks; what lies beyond `length` becomes 0.
    stride: usize,
    scale: f32,
}

#[inline(always)]
unsafe fn softmax_body<V: Vector>(softmax: Softmax) {
    let Softmax { scores, rows, length, stride, scale } = softmax;
    for row in 0..rows {
        // SAFETY: the caller reserved `rows · stride` scores; the stride is a multiple of every lane count.
        unsafe {
            let row = scores.add(row * stride);
            for at in length..stride {
                *row.add(at) = f32::NEG_INFINITY;
            }
            let mut most = V::load(row);
            for at in (V::LANES..stride).step_by(V::LANES) {
                most = V::load(row.add(at)).max_with(most);
            }
            let most = lanes(most)[..V::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let (scales, minus) = (V::splat(scale), V::splat(-most * scale));
            for at in (0..stride).step_by(V::LANES) {
                V::load(row.add(at)).mul_add(scales, minus).exp().store(row.add(at));
            }
            for at in length..stride {
                *row.add(at) = 0.0;
            }
            let mut sums = V::splat(0.0);
            for at in (0..stride).step_by(V::LANES) {
                sums = sums.add(V::load(row.add(at)));
            }
            let sum: f32 = lanes(sums)[..V::LANES].iter().sum();
            let share = V::splat(1.0 / sum);
            for at in (0..stride).step_by(V::LANES) {
                V::load(row.add(at)).mul(share).store(row.add(at));
            }
        }
    }
}

/// A vector's lanes, the first ones of the array.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn lanes<V: Vector>(vector: V) -> [f32; LANES] {
    let mut lanes = [0.0f32; LANES];
    // SAFETY: no vector has more lanes.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes
}
