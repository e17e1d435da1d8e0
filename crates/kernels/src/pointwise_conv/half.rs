//! The product in bfloat16 on matrix tiles (Intel AMX): 32 pixels × 32 channels at a time, sums in f32.
//!
//! Inputs are rounded to bfloat16 (to even) on the way in, a block of pixels at a time; weights once. A pixel's sum runs
//! over the same chunks of 32 inputs wherever it lies, and bias, residual and activation are f32. The language has no
//! intrinsics for tiles yet, so their instructions are assembly. Sums stay in tiles from one piece of it to the next: such
//! pieces keep their order, and nothing else in the program uses tiles.

use super::PointwiseConv;
use crate::simd::{AlignedBuffer, BLOCK};

/// Inputs that one tile holds of a pixel.
const CHUNK: usize = 32;
/// Weights of one chunk × one block of channels.
const TILE: usize = CHUNK * BLOCK;

/// Weights in the order of the tiles: `[panel][part of the window][chunk][block][pair of inputs][channel][2]`.
#[derive(Clone)]
pub(crate) struct HalfWeights {
    /// Two bfloat16 in the place of each f32.
    packed: AlignedBuffer,
    /// Parts of a window.
    taps: usize,
    /// Chunks of each part, the last one filled with zeros.
    chunks: usize,
    blocks: usize,
}

/// The nearest bfloat16, ties to even.
fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

impl HalfWeights {
    /// Rounds a product's weights, whose windows have `taps` parts.
    pub(super) fn new(conv: &PointwiseConv, taps: usize) -> HalfWeights {
        let run = conv.inputs / taps;
        let (chunks, blocks) = (run.div_ceil(CHUNK), conv.bias.len() / BLOCK);
        let mut packed = AlignedBuffer::zeroed(blocks * taps * chunks * TILE / 2);
        let at = |k: usize, channel: usize| {
            let panel = conv.panels.iter().rev().find(|&&(first, _)| first <= channel);
            panel.map_or(0.0, |&(first, count)| conv.packed[first * conv.inputs + k * count * BLOCK + channel - first])
        };
        let mut places = packed.iter_mut();
        for panel in (0..blocks).step_by(2) {
            for (tap, chunk) in (0..taps).flat_map(|tap| (0..chunks).map(move |chunk| (tap, chunk))) {
                for block in panel..(panel + 2).min(blocks) {
                    for (pair, channel) in (0..BLOCK).flat_map(|pair| (0..BLOCK).map(move |channel| (pair, channel))) {
                        let value = |half: usize| {
                            let input = chunk * CHUNK + 2 * pair + half;
                            if input < run { round(at(tap * run + input, block * BLOCK + channel)) } else { 0 }
                        };
                        let bits = u32::from(value(0)) | u32::from(value(1)) << 16;
                        places.by_ref().take(1).for_each(|place| *place = f32::from_bits(bits));
                    }
                }
            }
        }
        HalfWeights { packed, taps, chunks, blocks }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use tiles::run;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles {
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::cell::RefCell;

    use super::super::cpu::Product;
    use super::{CHUNK, HalfWeights, TILE};
    use crate::simd::{Activation, AlignedBuffer, BLOCK, F32x16, Vector};

    /// Pixels of a tile.
    const ROWS: usize = 16;
    /// Rounded inputs of a block of pixels, in bytes: they stay in the second cache.
    const BLOCK_BYTES: usize = 256 << 10;

    thread_local! {
        /// Rounded inputs.
        static ROUNDED: RefCell<AlignedBuffer> = RefCell::new(AlignedBuffer::default());
    }

    /// Eight tiles of 16 rows × 64 bytes.
    #[repr(C, align(64))]
    struct Configuration([u8; 64]);

    static CONFIGURATION: Configuration = {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            bytes[16 + 2 * tile] = 64;
            bytes[48 + tile] = ROWS as u8;
            tile += 1;
        }
        Configuration(bytes)
    };

    /// The sums of four tiles: first and second pixels × first and second block.
    #[repr(C, align(64))]
    struct Sums([f32; 4 * ROWS * BLOCK]);

    /// Sixteen neighbouring pixels: where their rounded inputs begin, and the place of the first one in the output.
    #[derive(Clone, Copy)]
    struct Pixels {
        from: usize,
        y: usize,
        x: usize,
    }

    /// Runs the product, whose inputs are multiplied by `scale` first where there is one.
    ///
    /// # Safety
    /// [`crate::simd::has_bf16`] is true, and the product's lengths were checked (its `packed` and `panels` are not used);
    /// the scale has as many values as a window has inputs, which are one part then.
    pub(crate) unsafe fn run(weights: &HalfWeights, product: &Product<'_>, scale: Option<&[f32]>) {
        ROUNDED.with_borrow_mut(|rounded| {
            // SAFETY: the caller's; the tiles are configured before they are used.
            unsafe {
                asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly));
                let _release = Release;
                match weights.taps {
                    1 => pixels(weights, product, scale, rounded),
                    _ => windows(weights, product, rounded),
                }
            }
        });
    }

    /// Leaves the tiles unused, whatever happens between.
    struct Release;

    impl Drop for Release {
        fn drop(&mut self) {
            // SAFETY: only made where tiles are configured.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }

    /// Windows of one part: a block of pixels is rounded to rows of whole chunks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn pixels(weights: &HalfWeights, product: &Product<'_>, scale: Option<&[f32]>, rounded: &mut AlignedBuffer) {
        let (rows, columns) = product.size;
        let length = weights.chunks * CHUNK;
        let block = (BLOCK_BYTES / (2 * length) / (2 * ROWS)).clamp(1, 16) * 2 * ROWS;
        rounded.reserve(block * length / 2);
        let to = rounded.as_mut_ptr().cast::<u16>();
        let mut tiles = Vec::with_capacity(block / ROWS);
        for first in (0..rows * columns).step_by(block) {
            let count = block.min(rows * columns - first);
            let (mut y, mut x) = (first / columns, first % columns);
            tiles.clear();
            for pixel in 0..count {
                if pixel % ROWS == 0 {
                    tiles.push(Pixels { from: pixel * length, y, x });
                }
                // SAFETY: the caller's; the block's rows were reserved.
                unsafe {
                    let from =
                        product.input.first.add(y * product.input.row + x * product.input.column + product.taps[0]);
                    round(from, product.inputs, scale.map(<[f32]>::as_ptr), to.add(pixel * length), length);
                }
                x += 1;
                if x == columns {
                    (y, x) = (y + 1, 0);
                }
            }
            // The last tile's unused pixels hold what was there before: their sums go nowhere.
            // SAFETY: as above.
            unsafe { multiply(weights, product, to, length, &[0], &tiles, columns) };
        }
    }

    /// Windows of several parts: all that they cover is rounded where it lies, and tiles read it in place.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn windows(weights: &HalfWeights, product: &Product<'_>, rounded: &mut AlignedBuffer) {
        let (rows, columns) = product.size;
        let (row, column) = (product.input.row, product.input.column);
        let last = product.taps.iter().copied().max().unwrap_or(0);
        let end = (rows - 1) * row + (columns - 1) * column + last;
        // What tiles read beyond the windows, in both directions, must be numbers.
        let room = (end + 2 * ROWS * column + weights.chunks * CHUNK).next_multiple_of(CHUNK);
        rounded.reserve(room / 2);
        let to = rounded.as_mut_ptr().cast::<u16>();
        // SAFETY: the caller's; the room was reserved.
        unsafe { round(product.input.first, end + product.inputs, None, to, room) };
        // Tiles run on over the borders between two rows where those are a few pixels wide, else each row has its own.
        let pitch = if row % column == 0 { row / column } else { usize::MAX };
        let joined = pitch < columns.next_multiple_of(ROWS);
        let mut tiles = Vec::new();
        if joined {
            for at in (0..(rows - 1) * pitch + columns).step_by(ROWS) {
                tiles.push(Pixels { from: at * column, y: at / pitch, x: at % pitch });
            }
        } else {
            for (y, x) in (0..rows).flat_map(|y| (0..columns).step_by(ROWS).map(move |x| (y, x))) {
                tiles.push(Pixels { from: y * row + x * column, y, x });
            }
        }
        let pitch = if joined { pitch } else { usize::MAX };
        // SAFETY: as above.
        unsafe { multiply(weights, product, to, column, product.taps, &tiles, pitch) };
    }

    /// `count` values to bfloat16, and zeros up to `room`, a whole number of blocks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn round(from: *const f32, count: usize, scale: Option<*const f32>, to: *mut u16, room: usize) {
        for at in (0..room).step_by(BLOCK) {
            let mask = match count.saturating_sub(at) {
                left @ 0..16 => (1u32 << left) as u16 - 1,
                _ => u16::MAX,
            };
            // SAFETY: the caller's; the mask keeps reads within `count`.
            unsafe {
                let mut value = _mm512_maskz_loadu_ps(mask, from.wrapping_add(at));
                if let Some(scale) = scale {
                    value = _mm512_mul_ps(value, _mm512_maskz_loadu_ps(mask, scale.wrapping_add(at)));
                }
                let half: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(value));
                _mm256_storeu_si256(to.add(at).cast(), half);
            }
        }
    }

    /// All channels of the pixels of `tiles`, two tiles at a time. `step`: from one pixel's rounded inputs to the next;
    /// `pitch`: pixels from one row to the next.
    #[target_feature(enable = "avx512f")]
    unsafe fn multiply(
        weights: &HalfWeights,
        product: &Product<'_>,
        inputs: *const u16,
        step: usize,
        taps: &[usize],
        tiles: &[Pixels],
        pitch: usize,
    ) {
        let mut sums = Sums([0.0; 4 * ROWS * BLOCK]);
        let packed = weights.packed.as_ptr().cast::<u16>();
        for block in (0..weights.blocks).step_by(2) {
            let blocks = (weights.blocks - block).min(2);
            for pair in tiles.chunks(2) {
                let second = pair.last().copied().unwrap_or(pair[0]);
                // SAFETY: the caller's: tiles lie within the rounded inputs, panels within the weights.
                unsafe {
                    let mut panel = packed.add(block * weights.taps * weights.chunks * TILE);
                    asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
                    for &tap in taps {
                        let (a, b) = (inputs.add(pair[0].from + tap), inputs.add(second.from + tap));
                        panel = match blocks {
                            2 => add_two([a, b], 2 * step, panel, weights.chunks),
                            _ => add_one([a, b], 2 * step, panel, weights.chunks),
                        };
                    }
                    asm!(
                        "tilestored [{sums} + {stride}], tmm0",
                        "tilestored [{sums} + {stride} + 1024], tmm1",
                        "tilestored [{sums} + {stride} + 2048], tmm2",
                        "tilestored [{sums} + {stride} + 3072], tmm3",
                        sums = in(reg) sums.0.as_mut_ptr(),
                        stride = in(reg) 64usize,
                        options(nostack),
                    );
                    for (tile, pixels) in pair.iter().enumerate() {
                        finish(product, &sums, tile, (block * BLOCK, blocks), *pixels, pitch);
                    }
                }
            }
        }
    }

    /// Adds the chunks of one part of the windows: two tiles of pixels × two blocks; gives where the weights go on.
    #[inline(always)]
    unsafe fn add_two([a, b]: [*const u16; 2], stride: usize, weights: *const u16, chunks: usize) -> *const u16 {
        let after;
        // SAFETY: the caller's; tiles are configured, and the compiler uses none of them.
        unsafe {
            asm!(
                "2:",
                "tileloadd tmm4, [{a} + {stride}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tileloadd tmm7, [{weights} + {line} + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{b} + {stride}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 64",
                "add {b}, 64",
                "add {weights}, 2048",
                "dec {chunks}",
                "jnz 2b",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                weights = inout(reg) weights => after,
                chunks = inout(reg) chunks => _,
                stride = in(reg) stride,
                line = in(reg) 64usize,
                options(nostack, readonly),
            );
        }
        after
    }

    /// [`add_two`] for one block.
    #[inline(always)]
    unsafe fn add_one([a, b]: [*const u16; 2], stride: usize, weights: *const u16, chunks: usize) -> *const u16 {
        let after;
        // SAFETY: as for `add_two`.
        unsafe {
            asm!(
                "2:",
                "tileloadd tmm4, [{a} + {stride}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "tileloadd tmm5, [{b} + {stride}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "add {a}, 64",
                "add {b}, 64",
                "add {weights}, 1024",
                "dec {chunks}",
                "jnz 2b",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                weights = inout(reg) weights => after,
                chunks = inout(reg) chunks => _,
                stride = in(reg) stride,
                line = in(reg) 64usize,
                options(nostack, readonly),
            );
        }
        after
    }

    /// Bias, residual and activation of one tile's pixels that lie in the output.
    #[inline(always)]
    unsafe fn finish(
        product: &Product<'_>,
        sums: &Sums,
        tile: usize,
        channels: (usize, usize),
        pixels: Pixels,
        pitch: usize,
    ) {
        // SAFETY: the caller's. One loop for each activation, so that it is chosen outside.
        unsafe {
            match product.activation {
                Activation::None => finish_with(product, Activation::None, sums, tile, channels, pixels, pitch),
                Activation::Relu => finish_with(product, Activation::Relu, sums, tile, channels, pixels, pitch),
                Activation::Silu => finish_with(product, Activation::Silu, sums, tile, channels, pixels, pitch),
                Activation::Gelu => finish_with(product, Activation::Gelu, sums, tile, channels, pixels, pitch),
                other => finish_with(product, other, sums, tile, channels, pixels, pitch),
            }
        }
    }

    #[inline(always)]
    unsafe fn finish_with(
        product: &Product<'_>,
        activation: Activation,
        sums: &Sums,
        tile: usize,
        (channel, blocks): (usize, usize),
        pixels: Pixels,
        pitch: usize,
    ) {
        let Pixels { mut y, mut x, .. } = pixels;
        let (rows, columns) = product.size;
        for pixel in 0..ROWS {
            if y >= rows {
                return;
            }
            if x < columns {
                for block in 0..blocks {
                    let channel = channel + block * BLOCK;
                    // SAFETY: the caller's; the pixel and its channels lie in the output.
                    unsafe {
                        let sum = F32x16::load(sums.0.as_ptr().add(((tile * 2 + block) * ROWS + pixel) * BLOCK));
                        let mut value = sum.add(F32x16::load(product.bias.add(channel)));
                        let skip = product
                            .residual
                            .map(|skip| F32x16::load(skip.first.add(y * skip.row + x * skip.column + channel)));
                        value = match skip {
                            None => activation.apply(value),
                            Some(skip) if product.activation_last => activation.apply(value.add(skip)),
                            Some(skip) => activation.apply(value).add(skip),
                        };
                        value.store(
                            product.output.first.add(y * product.output.row + x * product.output.column + channel),
                        );
                    }
                }
            }
            x += 1;
            if x == pitch {
                (y, x) = (y + 1, 0);
            }
        }
    }
}
