//! The product on the processor: a tile of pixels × one panel of channels stays in registers while the sum runs.

use super::Placement;
use crate::simd::{Activation, BLOCK, InstructionSet, Vector, dispatch, prefetch};

/// Checked arguments of one product.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub inputs: usize,
    pub input: *const f32,
    pub input_stride: usize,
    pub pixels: usize,
    pub panels: &'a [(usize, usize)],
    pub packed: *const f32,
    pub bias: *const f32,
    pub output: *mut f32,
    pub output_stride: usize,
    pub placement: Placement,
    pub residual: Option<*const f32>,
    pub activation: Activation,
}

/// A panel of at most this many bytes stays in the first cache while all pixels pass.
const SMALL_PANEL_BYTES: usize = 24 << 10;
/// Weights beyond this do not stay in the second cache from one tile of pixels to the next.
const LARGE_WEIGHT_BYTES: usize = 1 << 20;

/// How many inputs ahead weights are fetched from the second cache.
const PREFETCH_STEPS: usize = 8;

/// Runs the product. Every length was checked by the caller in `mod.rs`.
pub(super) fn run(set: InstructionSet, product: Product<'_>) {
    dispatch!(set, body, product: Product<'_>);
}

#[inline(always)]
unsafe fn body<V: Vector>(product: Product<'_>) {
    // SAFETY: the caller checked the lengths; pixels and panels below lie within them.
    unsafe {
        // Wide vectors have registers for 7 pixels (all maps at 224 are multiples of 7), the others for fewer.
        match V::LANES {
            16 => tiles::<V, 7>(product),
            _ => tiles::<V, 4>(product),
        }
    }
}

#[inline(always)]
unsafe fn tiles<V: Vector, const P: usize>(product: Product<'_>) {
    let width = product.panels.iter().map(|&(_, blocks)| blocks).max().unwrap_or(0) * BLOCK;
    let panel_bytes = width * product.inputs * 4;
    let weight_bytes = product.panels.iter().map(|&(_, blocks)| blocks).sum::<usize>() * BLOCK * product.inputs * 4;
    // SAFETY: as for `body`.
    unsafe {
        if panel_bytes <= SMALL_PANEL_BYTES || weight_bytes > LARGE_WEIGHT_BYTES {
            for &panel in product.panels {
                let mut pixel = 0;
                while pixel < product.pixels {
                    let count = P.min(product.pixels - pixel);
                    panel_tile::<V, P>(&product, panel, pixel, count);
                    pixel += count;
                }
            }
        } else {
            let mut pixel = 0;
            while pixel < product.pixels {
                let count = P.min(product.pixels - pixel);
                for &panel in product.panels {
                    panel_tile::<V, P>(&product, panel, pixel, count);
                }
                pixel += count;
            }
        }
    }
}

#[inline(always)]
unsafe fn panel_tile<V: Vector, const P: usize>(
    product: &Product<'_>,
    (first, blocks): (usize, usize),
    pixel: usize,
    count: usize,
) {
    // SAFETY: as for `body`.
    unsafe {
        if V::LANES == BLOCK {
            match blocks {
                1 => counted::<V, 1, P>(product, first, blocks, 0, pixel, count),
                2 => counted::<V, 2, P>(product, first, blocks, 0, pixel, count),
                _ => counted::<V, 3, P>(product, first, blocks, 0, pixel, count),
            }
        } else {
            for block in 0..blocks {
                counted::<V, 2, P>(product, first, blocks, block * BLOCK, pixel, count);
            }
        }
    }
}

/// A full tile, or its last pixels one by one.
#[inline(always)]
unsafe fn counted<V: Vector, const N: usize, const P: usize>(
    product: &Product<'_>,
    first: usize,
    blocks: usize,
    within: usize,
    pixel: usize,
    count: usize,
) {
    // SAFETY: as for `body`.
    unsafe {
        let panel = product.packed.add(first * product.inputs + within);
        let width = blocks * BLOCK;
        let channel = first + within;
        if count == P {
            tile::<V, N, P>(product, panel, width, channel, pixel);
        } else {
            let mut at = pixel;
            if count >= at - pixel + 3 {
                tile::<V, N, 3>(product, panel, width, channel, at);
                at += 3;
            }
            while at < pixel + count {
                tile::<V, N, 1>(product, panel, width, channel, at);
                at += 1;
            }
        }
    }
}

/// `P` pixels × `N` vectors of channels.
#[inline(always)]
unsafe fn tile<V: Vector, const N: usize, const P: usize>(
    product: &Product<'_>,
    panel: *const f32,
    width: usize,
    channel: usize,
    pixel: usize,
) {
    // SAFETY: the tile's pixels and channels lie within the checked lengths.
    unsafe {
        let input = product.input.add(pixel * product.input_stride);
        let stride = product.input_stride;
        let mut sums = [[V::splat(0.0); N]; P];
        for v in 0..N {
            let bias = V::load(product.bias.add(channel + v * V::LANES));
            for sum in &mut sums {
                sum[v] = bias;
            }
        }
        for i in 0..product.inputs {
            let row = panel.add(i * width);
            let mut weights = [V::splat(0.0); N];
            for (v, weight) in weights.iter_mut().enumerate() {
                *weight = V::load(row.add(v * V::LANES));
                prefetch(row.wrapping_add(PREFETCH_STEPS * width + v * V::LANES));
            }
            for (p, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*input.add(p * stride + i));
                for (sum, &weight) in sums.iter_mut().zip(&weights) {
                    *sum = value.mul_add(weight, *sum);
                }
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            let to = product.output.add(product.placement.at(pixel + p) * product.output_stride + channel);
            for (v, &sum) in sums.iter().enumerate() {
                let mut value = product.activation.apply(sum);
                if let Some(residual) = product.residual {
                    let at = (pixel + p) * product.output_stride + channel + v * V::LANES;
                    value = value.add(V::load(residual.add(at)));
                }
                value.store(to.add(v * V::LANES));
            }
        }
    }
}
