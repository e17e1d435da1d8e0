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
    unsafe fn sqrt(self) -> F32x16 {
        F32x16(unsafe { _mm512_sqrt_ps(self.0) })
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

    #[inline(always)]
    unsafe fn exp(self) -> F32x16 {
        // Adding 1.5 * 2^23 leaves no bits for a fraction, and the scaling instruction takes whole numbers as they are, so
        // this has a third fewer instructions than the general way. Coefficients: e^r on |r| <= ln 2 / 2, least largest
        // relative error (2e-8 with these roundings) among those of degree 6 that are 1 at 0.
        const MAGIC: f32 = 12_582_912.0;
        const COEFFICIENTS: [f32; 6] = [0.008_374_181, 0.041_668_005, 0.166_664_3, 0.499_999_94, 1.0, 1.0];
        unsafe {
            let x = self.min_with(F32x16::splat(88.0)).max_with(F32x16::splat(-87.3));
            let whole = x.mul_add(F32x16::splat(std::f32::consts::LOG2_E), F32x16::splat(MAGIC));
            let n = whole.add(F32x16::splat(-MAGIC));
            let r = n.mul_add(F32x16::splat(-0.693_359_4), x);
            let r = n.mul_add(F32x16::splat(2.121_944_4e-4), r);
            let mut sum = F32x16::splat(0.001_384_362_4);
            for coefficient in COEFFICIENTS {
                sum = sum.mul_add(r, F32x16::splat(coefficient));
            }
            F32x16(_mm512_scalef_ps(sum.0, n.0))
        }
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn divided(self, divisor: F32x16) -> F32x16 {
        unsafe {
            // Fourteen bits of the reciprocal, and one step of Newton's: the divider would be busy ten cycles.
            let guess = _mm512_rcp14_ps(divisor.0);
            let error = _mm512_fnmadd_ps(divisor.0, guess, _mm512_set1_ps(1.0));
            F32x16(_mm512_mul_ps(self.0, _mm512_fmadd_ps(guess, error, guess)))
        }
    }
}
