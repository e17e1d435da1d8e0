//! The products with factors in bfloat16 on matrix tiles (Intel AMX), sums in f32: 32 features × 32 rows at a time.
//!
//! Factors are rounded (to even) on the way in: rows once for a product, weights once by the task that has them, so
//! nothing is kept. A tile of the left factor is 16 features × 32 terms, one of the right factor 16 pairs of terms × 16
//! rows; both take a kilobyte. The language has no intrinsics for tiles yet, so their instructions are assembly.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::RefCell;

use rayon::prelude::*;

use super::{PANEL, Shared};
use crate::simd::AlignedBuffer;

/// Features that a task has: two tiles.
pub(super) const BLOCK: usize = 32;
/// Terms of a tile.
const TERMS: usize = 32;
/// Numbers of a tile.
const TILE: usize = 512;
/// Numbers of two tiles: what a block of features or a panel of rows has for 32 terms.
pub(super) const PAIR: usize = 2 * TILE;
/// Tiles of terms that are added at a time: two features' tiles of them fill two thirds of the first cache.
const CHUNK: usize = 15;

/// Tiles of terms in a sum.
pub(super) fn tiles(terms: usize) -> usize {
    terms.div_ceil(TERMS)
}

/// Where term k of feature m lies in a left factor: at `first + k / 32 * chunk + m * feature + k % 32`.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub first: *const f32,
    pub chunk: usize,
    pub feature: usize,
}

/// Rounds a right factor in panels (`[panel][terms][32]`) to tiles `[panel][tile of terms][2][512]`.
///
/// # Safety
/// [`crate::simd::has_bf16`], `from` holds the panels, and `to` has `2 * TILE` numbers for each tile of each panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round_panel(from: *const f32, terms: usize, to: *mut u16) {
    let order = interleaved();
    for pair in 0..tiles(terms) * TERMS / 2 {
        // SAFETY: the caller's; terms that are not there are not read.
        unsafe {
            let load = |term: usize, lane: usize| {
                if term < terms { _mm512_loadu_ps(from.add(term * PANEL + lane)) } else { _mm512_setzero_ps() }
            };
            let place = to.add(pair / 16 * PAIR + pair % 16 * TERMS);
            for half in 0..2 {
                let both = pairs(load(2 * pair, 16 * half), load(2 * pair + 1, 16 * half), order);
                _mm512_storeu_si512(place.add(half * TILE).cast(), both);
            }
        }
    }
}

thread_local! {
    /// A product's right factor, rounded; whoever computes a product takes it out for as long.
    static RIGHT: RefCell<AlignedBuffer> = RefCell::new(AlignedBuffer::default());
}

/// Rounds a right factor, `panels` panels of `terms` terms that begin `stride` values apart, and calls `work` with it.
pub(super) fn with_right(from: &[f32], panels: usize, stride: usize, terms: usize, work: impl FnOnce(Rounded)) {
    let mut buffer = RIGHT.take();
    let each = tiles(terms) * PAIR;
    buffer.reserve(panels * each / 2);
    let to = Shared(buffer.as_mut_ptr());
    (0..panels).into_par_iter().for_each(|panel| {
        let from = &from[panel * stride..];
        // SAFETY: only `Numbers::half` leads here; the caller checked the factor's length, and each panel has a place of its own.
        unsafe { round_panel(from.as_ptr(), terms, to.get().cast::<u16>().add(panel * each)) };
    });
    work(Rounded(to));
    RIGHT.replace(buffer);
}

/// A rounded right factor, which nobody writes any more.
#[derive(Clone, Copy)]
pub(super) struct Rounded(Shared);

impl Rounded {
    pub(super) fn get(self) -> *const u16 {
        self.0.get().cast_const().cast()
    }
}

/// The order that puts two halves of sixteen numbers in turns.
#[target_feature(enable = "avx512f,avx512bw")]
fn interleaved() -> __m512i {
    let mut order = [0u16; 32];
    for (at, place) in order.iter_mut().enumerate() {
        *place = (at / 2 + 16 * (at % 2)) as u16;
    }
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_si512(order.as_ptr().cast()) }
}

/// Sixteen pairs (first, second), rounded.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pairs(first: __m512, second: __m512, order: __m512i) -> __m512i {
    // SAFETY: both are 64 bytes.
    let both: __m512i = unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(second, first)) };
    _mm512_permutexvar_epi16(order, both)
}

/// Rounds `count` features of a left factor to tiles `[tile of terms][2][512]`.
///
/// # Safety
/// [`crate::simd::has_bf16`], and the factor has `count` features of `terms` terms.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round_left(left: Left, count: usize, terms: usize, to: &mut AlignedBuffer) {
    to.reserve(tiles(terms) * TILE);
    let to = to.as_mut_ptr().cast::<u16>();
    for tile in 0..tiles(terms) {
        let there = (terms - tile * TERMS).min(TERMS);
        let mask = if there == TERMS { u32::MAX } else { (1 << there) - 1 };
        for feature in 0..BLOCK {
            let mask = if feature < count { mask } else { 0 };
            // SAFETY: the caller's; the masks keep reads within the factor, and the buffer was reserved.
            unsafe {
                let from = left.first.wrapping_add(tile * left.chunk + feature * left.feature);
                let low = _mm512_maskz_loadu_ps(mask as u16, from);
                let high = _mm512_maskz_loadu_ps((mask >> 16) as u16, from.wrapping_add(16));
                let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
                let place = to.add((2 * tile + feature / 16) * TILE + feature % 16 * TERMS);
                _mm512_storeu_si512(place.cast(), both);
            }
        }
    }
}

/// [`round_left`] of a factor whose term k of feature m is at `first + k * stride + m`.
///
/// # Safety
/// As [`round_left`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round_left_turned(
    first: *const f32,
    stride: usize,
    count: usize,
    terms: usize,
    to: &mut AlignedBuffer,
) {
    to.reserve(tiles(terms) * TILE);
    let to = to.as_mut_ptr().cast::<u16>();
    let order = interleaved();
    for tile in 0..tiles(terms) {
        for half in 0..2 {
            let there = count.saturating_sub(16 * half).min(16);
            let mask = ((1u32 << there) - 1) as u16;
            let mut rows = [_mm512_setzero_si512(); 16];
            for (pair, row) in rows.iter_mut().enumerate() {
                let term = tile * TERMS + 2 * pair;
                let load = |term: usize| {
                    let from = first.wrapping_add(term * stride + 16 * half);
                    // SAFETY: the caller's; the mask keeps reads within the factor.
                    unsafe { _mm512_maskz_loadu_ps(if term < terms { mask } else { 0 }, from) }
                };
                *row = pairs(load(term), load(term + 1), order);
            }
            transpose(&mut rows);
            for (feature, row) in rows.iter().enumerate() {
                // SAFETY: the buffer was reserved.
                unsafe { _mm512_storeu_si512(to.add((2 * tile + half) * TILE + feature * TERMS).cast(), *row) };
            }
        }
    }
}

/// Turns 16 × 16 words of 32 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: &mut [__m512i; 16]) {
    // Four rounds; each joins rows at twice the distance of the one before.
    let mut next = [_mm512_setzero_si512(); 16];
    for at in 0..8 {
        next[2 * at] = _mm512_unpacklo_epi32(rows[2 * at], rows[2 * at + 1]);
        next[2 * at + 1] = _mm512_unpackhi_epi32(rows[2 * at], rows[2 * at + 1]);
    }
    for at in 0..4 {
        let [a, b, c, d] = [next[4 * at], next[4 * at + 1], next[4 * at + 2], next[4 * at + 3]];
        rows[4 * at] = _mm512_unpacklo_epi64(a, c);
        rows[4 * at + 1] = _mm512_unpackhi_epi64(a, c);
        rows[4 * at + 2] = _mm512_unpacklo_epi64(b, d);
        rows[4 * at + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for at in 0..4 {
        next[at] = _mm512_shuffle_i32x4::<0x88>(rows[at], rows[at + 4]);
        next[at + 4] = _mm512_shuffle_i32x4::<0xdd>(rows[at], rows[at + 4]);
        next[at + 8] = _mm512_shuffle_i32x4::<0x88>(rows[at + 8], rows[at + 12]);
        next[at + 12] = _mm512_shuffle_i32x4::<0xdd>(rows[at + 8], rows[at + 12]);
    }
    for at in 0..4 {
        rows[at] = _mm512_shuffle_i32x4::<0x88>(next[at], next[at + 8]);
        rows[at + 4] = _mm512_shuffle_i32x4::<0x88>(next[at + 4], next[at + 12]);
        rows[at + 8] = _mm512_shuffle_i32x4::<0xdd>(next[at], next[at + 8]);
        rows[at + 12] = _mm512_shuffle_i32x4::<0xdd>(next[at + 4], next[at + 12]);
    }
}

/// Tiles are configured while it lives.
pub(super) struct Tiles;

/// Eight tiles of 16 rows × 64 bytes.
#[repr(C, align(64))]
struct Configuration([u8; 64]);

static CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Configuration(bytes)
};

impl Tiles {
    /// # Safety
    /// [`crate::simd::has_bf16`].
    pub(super) unsafe fn configure() -> Tiles {
        // SAFETY: the caller's.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly)) };
        Tiles
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: only made where tiles are configured.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// A block of sums: 32 × 32.
#[repr(C, align(64))]
struct Sums([f32; BLOCK * PANEL]);

/// Where sums are: row m begins at `first + m * stride`; `rows` and `columns` of a block are there.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub first: *mut f32,
    pub stride: usize,
    pub rows: usize,
    pub columns: usize,
}

/// Adds the terms of tiles `from .. to` of both factors to the sums; they begin with 0 where `fresh`.
///
/// # Safety
/// Tiles are configured; `left` and `right` hold `to` tiles of terms, the place its rows and columns.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn add(left: *const u16, right: *const u16, from: usize, to: usize, place: Place, fresh: bool) {
    let whole = place.rows == BLOCK && place.columns == PANEL;
    let mut sums = Sums([0.0; BLOCK * PANEL]);
    let (first, stride) = if whole { (place.first, place.stride) } else { (sums.0.as_mut_ptr(), PANEL) };
    // SAFETY: the caller's; a block that is not all there goes through one that is.
    unsafe {
        if !whole && !fresh {
            for m in 0..place.rows {
                first.add(m * PANEL).copy_from_nonoverlapping(place.first.add(m * place.stride), place.columns);
            }
        }
        let (right_half, lower) = (first.add(16), first.add(16 * stride));
        if fresh {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
        } else {
            asm!(
                "tileloadd tmm0, [{a} + {stride}]",
                "tileloadd tmm1, [{b} + {stride}]",
                "tileloadd tmm2, [{c} + {stride}]",
                "tileloadd tmm3, [{d} + {stride}]",
                a = in(reg) first,
                b = in(reg) right_half,
                c = in(reg) lower,
                d = in(reg) lower.add(16),
                stride = in(reg) 4 * stride,
                options(nostack, readonly),
            );
        }
        asm!(
            "2:",
            "tileloadd tmm4, [{left} + {line}]",
            "tileloadd tmm6, [{right} + {line}]",
            "tileloadd tmm7, [{right} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{left} + {line} + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, 2048",
            "add {right}, 2048",
            "dec {count}",
            "jnz 2b",
            left = inout(reg) left.add(PAIR * from) => _,
            right = inout(reg) right.add(PAIR * from) => _,
            count = inout(reg) to - from => _,
            line = in(reg) 64usize,
            options(nostack, readonly),
        );
        asm!(
            "tilestored [{a} + {stride}], tmm0",
            "tilestored [{b} + {stride}], tmm1",
            "tilestored [{c} + {stride}], tmm2",
            "tilestored [{d} + {stride}], tmm3",
            a = in(reg) first,
            b = in(reg) right_half,
            c = in(reg) lower,
            d = in(reg) lower.add(16),
            stride = in(reg) 4 * stride,
            options(nostack),
        );
        if !whole {
            for m in 0..place.rows {
                place.first.add(m * place.stride).copy_from_nonoverlapping(first.add(m * PANEL), place.columns);
            }
        }
    }
}

/// All terms of a block of features × all panels, whose sums begin with what is in `place(panel)`.
///
/// # Safety
/// As [`add`], for every panel of `right`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn add_panels(
    left: *const u16,
    right: *const u16,
    terms: usize,
    panels: usize,
    fresh: bool,
    place: impl Fn(usize) -> Place,
) {
    let count = tiles(terms);
    for from in (0..count).step_by(CHUNK) {
        for panel in 0..panels {
            let right = right.wrapping_add(panel * count * PAIR);
            // SAFETY: the caller's.
            unsafe { add(left, right, from, (from + CHUNK).min(count), place(panel), fresh && from == 0) };
        }
    }
}
