//! One tile: a few pixels of one row or of two × one panel.

use super::cpu::{BLOCK_TILES, Product, Segment};
#[cfg(target_arch = "x86_64")]
use super::wide::{self, Tile14};
use crate::simd::{Activation, BLOCK, Vector, prefetch};

/// Output pixels that are summed together: `columns` of one row, or of two.
#[derive(Clone, Copy, Default)]
pub(super) struct Tile {
    y: usize,
    x: usize,
    rows: usize,
    columns: usize,
    /// Whether the second row continues the first, instead of lying below it.
    beside: bool,
}

/// Cuts a map into tiles.
pub(super) struct Tiles {
    size: (usize, usize),
    wide: bool,
    pairs: bool,
    y: usize,
    x: usize,
}

impl Tiles {
    /// `wide`: vectors of a whole block, with twice the registers; `pairs`: whether panels leave room for two rows.
    pub(super) fn new(size: (usize, usize), wide: bool, pairs: bool) -> Tiles {
        Tiles { size, wide, pairs: wide && pairs, y: 0, x: 0 }
    }

    /// The next tiles; how many there are.
    #[inline(always)]
    pub(super) fn fill(&mut self, tiles: &mut [Tile; BLOCK_TILES]) -> usize {
        let (rows, columns) = self.size;
        let mut count = 0;
        while count < BLOCK_TILES && self.y < rows {
            let below = self.pairs && rows - self.y >= 2;
            let left = columns - self.x;
            let beside = self.pairs && !below && left >= 14;
            let piece = match left {
                7.. if self.wide => 7,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let height = if below || beside { 2 } else { 1 };
            tiles[count] = Tile { y: self.y, x: self.x, rows: height, columns: piece, beside };
            count += 1;
            self.x += if beside { 2 * piece } else { piece };
            if self.x >= columns {
                self.x = 0;
                self.y += if below { 2 } else { 1 };
            }
        }
        count
    }
}

impl Tile {
    /// Where the tile begins in something with these strides, and where its second row does from there.
    #[inline(always)]
    fn place(&self, row: usize, column: usize) -> (usize, usize) {
        let second = if self.beside { self.columns * column } else { row };
        (self.y * row + self.x * column, second)
    }
}

/// What adding one chunk to a tile's sums needs.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub product: &'a Product<'a>,
    /// First channel of the panel, and how many it has.
    pub channels: (usize, usize),
    /// The chunk of the sum.
    pub segments: &'a [Segment],
    /// Whether the chunk is the first one.
    pub first: bool,
    /// The chunk's weights.
    pub weights: *const f32,
    /// Weights that are needed soon, and how many of them to ask for with each input.
    pub ahead: *const f32,
    pub ahead_step: usize,
    /// `[pixels of the tile][channels of the panel]`
    pub sums: *mut f32,
}

/// Adds a chunk to the tile's sums; the first one begins with the bias.
///
/// # Safety
/// Tile, panel and chunk lie within the product's checked lengths.
#[inline(always)]
pub(super) unsafe fn add<V: Vector>(step: &Step<'_>, tile: &Tile, blocks: usize) {
    // SAFETY: the caller's.
    unsafe {
        if V::LANES == BLOCK {
            #[cfg(target_arch = "x86_64")]
            if (tile.rows, tile.columns) == (2, 7) {
                return fourteen(step, tile, blocks);
            }
            match (blocks, tile.rows, tile.columns) {
                (1, 2, 4) => sum::<V, 2, 4, 1>(step, tile, 0),
                (1, 2, 2) => sum::<V, 2, 2, 1>(step, tile, 0),
                (1, 2, _) => sum::<V, 2, 1, 1>(step, tile, 0),
                (1, _, 7) => sum::<V, 1, 7, 1>(step, tile, 0),
                (1, _, 4) => sum::<V, 1, 4, 1>(step, tile, 0),
                (1, _, 2) => sum::<V, 1, 2, 1>(step, tile, 0),
                (1, _, _) => sum::<V, 1, 1, 1>(step, tile, 0),
                (2, 2, 4) => sum::<V, 2, 4, 2>(step, tile, 0),
                (2, 2, 2) => sum::<V, 2, 2, 2>(step, tile, 0),
                (2, 2, _) => sum::<V, 2, 1, 2>(step, tile, 0),
                (2, _, 7) => sum::<V, 1, 7, 2>(step, tile, 0),
                (2, _, 4) => sum::<V, 1, 4, 2>(step, tile, 0),
                (2, _, 2) => sum::<V, 1, 2, 2>(step, tile, 0),
                (2, _, _) => sum::<V, 1, 1, 2>(step, tile, 0),
                (_, _, 7) => sum::<V, 1, 7, 3>(step, tile, 0),
                (_, _, 4) => sum::<V, 1, 4, 3>(step, tile, 0),
                (_, _, 2) => sum::<V, 1, 2, 3>(step, tile, 0),
                (_, _, _) => sum::<V, 1, 1, 3>(step, tile, 0),
            }
        } else {
            for block in 0..blocks {
                match tile.columns {
                    4 => sum::<V, 1, 4, 2>(step, tile, block * BLOCK),
                    2 => sum::<V, 1, 2, 2>(step, tile, block * BLOCK),
                    _ => sum::<V, 1, 1, 2>(step, tile, block * BLOCK),
                }
            }
        }
    }
}

/// Two rows of seven pixels, with AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fourteen(step: &Step<'_>, tile: &Tile, blocks: usize) {
    let input = step.product.input;
    let (start, second) = tile.place(input.row, input.column);
    // SAFETY: the caller's.
    unsafe {
        let row = input.first.add(start);
        let bias = step.product.bias.add(step.channels.0);
        let sums_step = blocks * BLOCK * size_of::<f32>();
        let (start, start_step) = if step.first { (bias, 0) } else { (step.sums.cast_const(), sums_step) };
        let tile = Tile14 {
            rows: [row, row.add(second)],
            start,
            start_step,
            sums: step.sums,
            stride: input.column * size_of::<f32>(),
            ahead: step.ahead,
            ahead_step: step.ahead_step * size_of::<f32>(),
        };
        match blocks {
            1 => wide::sum_one(&tile, step.segments, step.weights),
            _ => wide::sum_two(&tile, step.segments, step.weights),
        }
    }
}

/// `R` rows of `Q` pixels × `N` vectors of channels, from channel `within` of the panel on.
#[inline(always)]
unsafe fn sum<V: Vector, const R: usize, const Q: usize, const N: usize>(step: &Step<'_>, tile: &Tile, within: usize) {
    let product = step.product;
    let (channel, panel) = step.channels;
    // A constant where one panel is `N` vectors, so that addresses are too.
    let width = if V::LANES == BLOCK { N * BLOCK } else { panel };
    // SAFETY: the caller's.
    unsafe {
        let place = step.sums.add(within);
        let mut sums = [[[V::splat(0.0); N]; Q]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            for (q, sums) in sums.iter_mut().enumerate() {
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = match step.first {
                        true => V::load(product.bias.add(channel + within + n * V::LANES)),
                        false => V::load(place.add((r * Q + q) * width + n * V::LANES)),
                    };
                }
            }
        }
        let (start, second) = tile.place(product.input.row, product.input.column);
        let start = product.input.first.add(start);
        let stride = product.input.column;
        let mut weights = step.weights.add(within);
        let mut ahead = step.ahead;
        for segment in step.segments {
            let start = start.byte_add(segment.offset);
            for i in 0..segment.count {
                let mut row = [V::splat(0.0); N];
                for (n, weight) in row.iter_mut().enumerate() {
                    *weight = V::load(weights.add(n * V::LANES));
                }
                prefetch(ahead);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let from = start.add(r * second + i);
                    for (q, sums) in sums.iter_mut().enumerate() {
                        let value = V::splat(*from.add(q * stride));
                        for (sum, &weight) in sums.iter_mut().zip(&row) {
                            *sum = value.mul_add(weight, *sum);
                        }
                    }
                }
                weights = weights.wrapping_add(width);
                ahead = ahead.wrapping_add(step.ahead_step);
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (q, sums) in sums.iter().enumerate() {
                for (n, sum) in sums.iter().enumerate() {
                    sum.store(place.add((r * Q + q) * width + n * V::LANES));
                }
            }
        }
    }
}

/// Brings a tile's sums through residual and activation to the output.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub(super) unsafe fn finish<V: Vector>(
    product: &Product<'_>,
    tile: &Tile,
    channel: usize,
    width: usize,
    sums: *const f32,
) {
    // SAFETY: the caller's. One loop for each activation, so that it is chosen outside.
    unsafe {
        match product.activation {
            Activation::None => finish_with::<V>(product, Activation::None, tile, channel, width, sums),
            Activation::Relu => finish_with::<V>(product, Activation::Relu, tile, channel, width, sums),
            Activation::Relu6 => finish_with::<V>(product, Activation::Relu6, tile, channel, width, sums),
            Activation::Silu => finish_with::<V>(product, Activation::Silu, tile, channel, width, sums),
            Activation::Sigmoid => finish_with::<V>(product, Activation::Sigmoid, tile, channel, width, sums),
            Activation::Gelu => finish_with::<V>(product, Activation::Gelu, tile, channel, width, sums),
        }
    }
}

#[inline(always)]
unsafe fn finish_with<V: Vector>(
    product: &Product<'_>,
    activation: Activation,
    tile: &Tile,
    channel: usize,
    width: usize,
    sums: *const f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut from = sums;
        let (to, to_second) = tile.place(product.output.row, product.output.column);
        let (skip, skip_second) = product.residual.map_or((0, 0), |grid| tile.place(grid.row, grid.column));
        for row in 0..tile.rows {
            let mut to = product.output.first.add(to + row * to_second + channel);
            let mut skip = product.residual.map(|grid| grid.first.add(skip + row * skip_second + channel));
            for _ in 0..tile.columns {
                for vector in (0..width).step_by(V::LANES) {
                    let mut value = V::load(from.add(vector));
                    value = match skip {
                        None => activation.apply(value),
                        Some(skip) if product.activation_last => activation.apply(value.add(V::load(skip.add(vector)))),
                        Some(skip) => activation.apply(value).add(V::load(skip.add(vector))),
                    };
                    value.store(to.add(vector));
                }
                from = from.add(width);
                to = to.wrapping_add(product.output.column);
                if let (Some(skip), Some(grid)) = (&mut skip, &product.residual) {
                    *skip = skip.wrapping_add(grid.column);
                }
            }
        }
    }
}
