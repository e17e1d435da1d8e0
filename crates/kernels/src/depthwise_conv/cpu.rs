//! The depthwise convolution on the processor: one vector of channels × a few pixels of a row at a time.

use crate::simd::{Activation, InstructionSet, Vector, dispatch};

/// Checked arguments of one strip.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub input: *const f32,
    pub input_width: usize,
    pub output: *mut f32,
    pub rows: usize,
    pub width: usize,
    pub channels: usize,
    pub weights: *const f32,
    pub bias: *const f32,
    pub size: usize,
    pub stride: usize,
    pub activation: Activation,
    pub sums: Option<*mut f32>,
}

/// Runs the strip. Every length was checked by the caller in `mod.rs`.
pub(super) fn run(set: InstructionSet, strip: Strip) {
    dispatch!(set, body, strip: Strip);
}

#[inline(always)]
unsafe fn body<V: Vector>(strip: Strip) {
    // SAFETY: the caller checked the lengths.
    unsafe {
        match V::LANES {
            16 => sized::<V, 7>(strip),
            _ => sized::<V, 4>(strip),
        }
    }
}

#[inline(always)]
unsafe fn sized<V: Vector, const P: usize>(strip: Strip) {
    // SAFETY: as for `body`. Constant sizes let the compiler unroll the window.
    unsafe {
        match strip.size {
            3 => channels::<V, P>(Strip { size: 3, ..strip }),
            5 => channels::<V, P>(Strip { size: 5, ..strip }),
            _ => channels::<V, P>(strip),
        }
    }
}

#[inline(always)]
unsafe fn channels<V: Vector, const P: usize>(strip: Strip) {
    for channel in (0..strip.channels).step_by(V::LANES) {
        // SAFETY: the padded number of channels is a multiple of every lane count; the rest as for `body`.
        unsafe {
            let mut total = V::splat(0.0);
            if let Some(sums) = strip.sums {
                total = V::load(sums.add(channel));
            }
            for row in 0..strip.rows {
                // A sum a row, then the rows: near to exact even for 112 × 112 pixels.
                let mut row_sum = V::splat(0.0);
                let mut x = 0;
                while x + P <= strip.width {
                    row_sum = row_sum.add(tile::<V, P>(&strip, channel, row, x));
                    x += P;
                }
                if x + 3 <= strip.width {
                    row_sum = row_sum.add(tile::<V, 3>(&strip, channel, row, x));
                    x += 3;
                }
                while x < strip.width {
                    row_sum = row_sum.add(tile::<V, 1>(&strip, channel, row, x));
                    x += 1;
                }
                total = total.add(row_sum);
            }
            if let Some(sums) = strip.sums {
                total.store(sums.add(channel));
            }
        }
    }
}

/// `P` neighbouring output pixels of one row; gives their sum.
#[inline(always)]
unsafe fn tile<V: Vector, const P: usize>(strip: &Strip, channel: usize, row: usize, x: usize) -> V {
    // SAFETY: as for `body`.
    unsafe {
        let step = strip.channels;
        let input = strip.input.add((row * strip.stride * strip.input_width + x * strip.stride) * step + channel);
        let mut sums = [V::load(strip.bias.add(channel)); P];
        for ky in 0..strip.size {
            for kx in 0..strip.size {
                let weight = V::load(strip.weights.add((ky * strip.size + kx) * step + channel));
                let from = input.add((ky * strip.input_width + kx) * step);
                for (p, sum) in sums.iter_mut().enumerate() {
                    *sum = weight.mul_add(V::load(from.add(p * strip.stride * step)), *sum);
                }
            }
        }
        let output = strip.output.add((row * strip.width + x) * step + channel);
        let mut total = V::splat(0.0);
        for (p, &sum) in sums.iter().enumerate() {
            let value = strip.activation.apply(sum);
            value.store(output.add(p * step));
            total = total.add(value);
        }
        total
    }
}
