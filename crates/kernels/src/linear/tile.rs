//! The product of up to 14 weights with the 32 rows of a panel.

use super::{PANEL, TILE};
use crate::pointwise_conv::cpu::Segment;
#[cfg(target_arch = "x86_64")]
use crate::pointwise_conv::wide::{self, Tile14};
use crate::simd::{Vector, prefetch};

/// From one term to the next in packed factors.
pub(super) const PACKED: usize = 16;

/// `sums[m][lane] += sum over k of left(m, k) right[k][lane]`
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// The first number of the left factor.
    pub left: *const f32,
    /// How the left factor lies.
    pub order: Order,
    /// Runs of terms: where they begin in the left factor, in bytes, and how many there are.
    pub segments: &'a [Segment],
    /// `[k][32]`
    pub right: *const f32,
    /// `[m][32]`
    pub sums: *mut f32,
    /// Whether the sums begin with 0 instead of what is there.
    pub fresh: bool,
    /// What is needed soon, and how many values of it to ask for with each term.
    pub ahead: *const f32,
    pub ahead_step: usize,
}

/// Where left(m, k) is, from the beginning of a segment.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// `m stride + k`
    Rows(usize),
    /// `16 k + m`
    Packed,
}

/// Adds the terms for `count` (1 to 14) values m.
///
/// # Safety
/// The instruction set of `V` is there, and everything that the step points to is as long as its segments say.
#[inline(always)]
pub(super) unsafe fn add<V: Vector>(step: &Step<'_>, count: usize) {
    // SAFETY: the caller's.
    unsafe {
        if V::LANES == 16 {
            #[cfg(target_arch = "x86_64")]
            if count == TILE {
                return fourteen(step);
            }
            let mut m = 0;
            while m < count {
                m += match count - m {
                    8.. => sum::<V, 8>(step, m, 0),
                    4.. => sum::<V, 4>(step, m, 0),
                    2.. => sum::<V, 2>(step, m, 0),
                    _ => sum::<V, 1>(step, m, 0),
                };
            }
        } else {
            for lane in (0..PANEL).step_by(2 * V::LANES) {
                let mut m = 0;
                while m < count {
                    m += match count - m {
                        4.. => sum::<V, 4>(step, m, lane),
                        2.. => sum::<V, 2>(step, m, lane),
                        _ => sum::<V, 1>(step, m, lane),
                    };
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fourteen(step: &Step<'_>) {
    static ZEROS: [f32; PANEL] = [0.0; PANEL];
    let stride = match step.order {
        Order::Rows(stride) => stride,
        Order::Packed => 0,
    };
    let line = PANEL * size_of::<f32>();
    let (start, start_step) = if step.fresh { (ZEROS.as_ptr(), 0) } else { (step.sums.cast_const(), line) };
    let tile = Tile14 {
        rows: [step.left, step.left.wrapping_add(7 * stride)],
        start,
        start_step,
        sums: step.sums,
        stride: stride * size_of::<f32>(),
        ahead: step.ahead,
        ahead_step: step.ahead_step * size_of::<f32>(),
    };
    // SAFETY: the caller's; vectors of 16 lanes are only chosen where AVX-512F is there.
    unsafe {
        match step.order {
            Order::Rows(_) => wide::sum_two(&tile, step.segments, step.right),
            Order::Packed => wide::sum_packed(&tile, step.segments, step.right),
        }
    }
}

/// `M` values from `first` on × two vectors from `lane` on; returns `M`.
#[inline(always)]
unsafe fn sum<V: Vector, const M: usize>(step: &Step<'_>, first: usize, lane: usize) -> usize {
    let (stride, along) = match step.order {
        Order::Rows(stride) => (stride, 1),
        Order::Packed => (1, PACKED),
    };
    // SAFETY: the caller's.
    unsafe {
        let place = step.sums.add(first * PANEL + lane);
        let mut sums = [[V::splat(0.0); 2]; M];
        if !step.fresh {
            for (m, sums) in sums.iter_mut().enumerate() {
                *sums = [V::load(place.add(m * PANEL)), V::load(place.add(m * PANEL + V::LANES))];
            }
        }
        let mut right = step.right.add(lane);
        let mut ahead = step.ahead;
        for segment in step.segments {
            let left = step.left.byte_add(segment.offset).add(first * stride);
            for k in 0..segment.count {
                let vectors = [V::load(right), V::load(right.add(V::LANES))];
                prefetch(ahead);
                for (m, sums) in sums.iter_mut().enumerate() {
                    let value = V::splat(*left.add(m * stride + k * along));
                    *sums = [value.mul_add(vectors[0], sums[0]), value.mul_add(vectors[1], sums[1])];
                }
                right = right.wrapping_add(PANEL);
                ahead = ahead.wrapping_add(step.ahead_step);
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            sums[0].store(place.add(m * PANEL));
            sums[1].store(place.add(m * PANEL + V::LANES));
        }
    }
    M
}
