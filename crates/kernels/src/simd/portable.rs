//! Plain Rust, eight lanes: what every processor runs, and what the other sets are compared with.

use super::Vector;

/// Eight f32 in an array, which the compiler turns into the vectors of the build's baseline.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Portable, f: impl Fn(f32, f32) -> f32) -> Portable {
        Portable(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Portable {
        Portable([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Portable {
        // SAFETY: the caller gives eight valid elements; an array of f32 has the alignment of f32.
        Portable(unsafe { *from.cast::<[f32; 8]>() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { *to.cast::<[f32; 8]>() = self.0 }
    }

    #[inline(always)]
    unsafe fn add(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Portable, term: Portable) -> Portable {
        // `f32::mul_add` is a library call where the baseline has no fused multiply-add.
        self.zip(factor, |a, b| a * b).zip(term, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn max_with(self, bound: Portable) -> Portable {
        self.zip(bound, |a, b| if b > a { b } else { a })
    }

    #[inline(always)]
    unsafe fn min_with(self, bound: Portable) -> Portable {
        self.zip(bound, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    unsafe fn sqrt(self) -> Portable {
        Portable(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    unsafe fn round(self) -> Portable {
        // Adding 1.5 * 2^23 leaves no bits for a fraction: the sum is rounded to even.
        const MAGIC: f32 = 12_582_912.0;
        Portable(self.0.map(|x| (x + MAGIC) - MAGIC))
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Portable {
        Portable(self.0.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23)))
    }
}
