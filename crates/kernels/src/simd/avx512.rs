//! 512-bit vectors with fused multiply-add.
#![cfg(target_arch = "x86_64")]

use std::arch::x86_64::*;

use super::Vector;

/// Sixteen f32.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

// SAFETY of every block below: the trait's contract: the caller knows that AVX-512F is present, and that
// pointers have sixteen valid elements.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one contract for all, stated above")]
impl Vector for F32x16 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> F32x16 {
        F32x16(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> F32x16 {
        F32x16(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: F32x16) -> F32x16 {
        F32x16(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: F32x16) -> F32x16 {
        F32x16(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn div(self, other: F32x16) -> F32x16 {
        F32x16(unsafe { _mm512_div_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: F32x16, term: F32x16) -> F32x16 {
        F32x16(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
    }

    #[inline(always)]
    unsafe fn max_with(self, bound: F32x16) -> F32x16 {
        // The instruction gives its second operand where either is NaN.
        F32x16(unsafe { _mm512_max_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn min_with(self, bound: F32x16) -> F32x16 {
        F32x16(unsafe { _mm512_min_ps(bound.0, self.0) })
    }

    #[inline(always)]
    unsafe fn round(self) -> F32x16 {
        F32x16(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> F32x16 {
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            F32x16(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }
    }
}
