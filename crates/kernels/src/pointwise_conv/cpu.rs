//! The product on the processor: a tile of pixels × one panel of channels stays in registers while the sum runs.
//!
//! The order of the loops: a block of pixels whose inputs stay in the second cache, panels of output channels, a chunk of
//! the sum whose weights stay in the first cache, tiles of pixels. Between two chunks a tile's sums wait in memory, which
//! does not change them: every sum runs over taps and inputs in order, in one accumulator.

use super::tile::{self, Tile, Tiles};
use crate::simd::{Activation, BLOCK, InstructionSet, Vector, dispatch};

/// Where something lies: a pixel's first value is at `first + y · row + x · column`, in values.
#[derive(Clone, Copy)]
pub(crate) struct Grid<P> {
    pub first: P,
    pub row: usize,
    pub column: usize,
}

/// Checked arguments of one product.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// Rows and columns of output pixels.
    pub size: (usize, usize),
    /// The first input of each output pixel's window.
    pub input: Grid<*const f32>,
    /// Where the parts of a window begin, from its first input, in values.
    pub taps: &'a [usize],
    /// Neighbouring inputs of each part.
    pub inputs: usize,
    /// (first output channel, blocks) of each panel.
    pub panels: &'a [(usize, usize)],
    pub packed: *const f32,
    pub bias: *const f32,
    pub output: Grid<*mut f32>,
    pub residual: Option<Grid<*const f32>>,
    pub activation: Activation,
    /// Whether the activation comes after the residual.
    pub activation_last: bool,
}

/// A run of neighbouring inputs of every window: where it begins, in bytes from the window's first input, and its length.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Segment {
    pub offset: usize,
    pub count: usize,
}

/// Weights of one chunk of a sum, in bytes: they stay in the first cache while all tiles pass.
const CHUNK_BYTES: usize = 32 << 10;
/// Values that the sums of one tile take at most.
const TILE_VALUES: usize = 28 * BLOCK;
/// Tiles of one block of pixels.
pub(super) const BLOCK_TILES: usize = 16;

/// Sums that wait for their next chunk.
#[repr(align(64))]
struct Waiting([std::mem::MaybeUninit<f32>; BLOCK_TILES * TILE_VALUES]);

/// The chunk `from .. to` of a sum whose parts are `taps` of `inputs` values each.
fn segments(taps: &[usize], inputs: usize, from: usize, to: usize) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = from;
    while at < to {
        let (tap, input) = (at / inputs, at % inputs);
        let count = (inputs - input).min(to - at);
        segments.push(Segment { offset: (taps[tap] + input) * size_of::<f32>(), count });
        at += count;
    }
    segments
}

/// Runs the product. Every length was checked by the caller in `mod.rs`.
pub(crate) fn run(set: InstructionSet, product: Product<'_>) {
    dispatch!(set, body, product: Product<'_>);
}

#[inline(always)]
unsafe fn body<V: Vector>(product: Product<'_>) {
    let wide = V::LANES == BLOCK;
    let most = product.panels.iter().map(|&(_, blocks)| blocks).max().unwrap_or(0);
    let length = product.taps.len() * product.inputs;
    let count = (length * most * BLOCK * 4).div_ceil(CHUNK_BYTES).max(1);
    let chunk = length.div_ceil(count);
    let mut waiting = Waiting([std::mem::MaybeUninit::uninit(); BLOCK_TILES * TILE_VALUES]);
    let waiting: *mut f32 = waiting.0.as_mut_ptr().cast();
    let mut cursor = Tiles::new(product.size, wide, most <= 2);
    let mut block = [Tile::default(); BLOCK_TILES];
    let chunks: Vec<(usize, usize, Vec<Segment>)> = (0..length)
        .step_by(chunk)
        .map(|from| (from, (from + chunk).min(length)))
        .map(|(from, to)| (from, to, segments(product.taps, product.inputs, from, to)))
        .collect();
    loop {
        let count = cursor.fill(&mut block);
        if count == 0 {
            return;
        }
        for &(first, blocks) in product.panels {
            let width = blocks * BLOCK;
            for &(from, to, ref segments) in &chunks {
                // SAFETY: the caller checked the lengths; tiles, panels and chunks lie within them.
                unsafe {
                    let weights = product.packed.add(first * length + from * width);
                    let next = weights.wrapping_add((to - from) * width);
                    for (at, tile) in block[..count].iter().enumerate() {
                        let sums = waiting.add(at * TILE_VALUES);
                        // Every tile asks for its share of the next chunk's weights.
                        let step = tile::Step {
                            product: &product,
                            channels: (first, width),
                            segments,
                            first: from == 0,
                            weights,
                            ahead: next.wrapping_add((to - from) * width / count * at),
                            ahead_step: (width / count).max(1),
                            sums,
                        };
                        tile::add::<V>(&step, tile, blocks);
                        if to == length {
                            tile::finish::<V>(&product, tile, first, width, sums);
                        }
                    }
                }
            }
        }
    }
}
