//! 256-bit vectors with fused multiply-add.
#![cfg(target_arch = "x86_64")]

use std::arch::x86_64::*;

use super::Vector;

/// Eight f32.
#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);

// SAFETY of every block below: the trait's contract: the caller knows that AVX2 and FMA are present, and that
// pointers have eight valid elements.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one contract for all, stated above")]
impl Vector for F32x8 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> F32x8 {
        F32x8(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> F32x8 {
        F32x8(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: F32x8) -> F32x8 {
        F32x8(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: F32x8) -> F32x8 {
        F32x8(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn div(self, other: F32x8) -> F32x8 {
        F32x8(unsafe { _mm256_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: F32x8, term: F32x8) -> F32x8 {
        F32x8(unsafe { _mm256_fmadd_ps(self.0, factor.0, term.0) })
    }

    #[inline(always)]
    unsafe fn max_with(self, bound: F32x8) -> F32x8 {
        // The instruction gives its second operand where either is NaN.
        F32x8(unsafe { _mm256_max_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn min_with(self, bound: F32x8) -> F32x8 {
        F32x8(unsafe { _mm256_min_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn sqrt(self) -> F32x8 {
        F32x8(unsafe { _mm256_sqrt_ps(self.0) })
    }

    #[inline(always)]
    unsafe fn round(self) -> F32x8 {
        F32x8(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> F32x8 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            F32x8(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
}
