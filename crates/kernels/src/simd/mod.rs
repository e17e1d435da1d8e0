//! Vectors of f32 and the choice of instruction set at run time.
//!
//! A kernel is written once, generic over `Vector`, as an `#[inline(always)]` body; a wrapper for each instruction set
//! carries the `#[target_feature]`. Instruction sets with a fused multiply-add round once where the portable path rounds
//! twice, so results may differ in the last bits between sets: whoever names results records [`InstructionSet::name`].

mod amx;
mod avx2;
mod avx512;
mod buffer;
mod portable;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::OnceLock;

pub use amx::has_bf16;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::F32x8;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::F32x16;
pub use buffer::AlignedBuffer;
pub(crate) use portable::Portable;

/// Channels in one block: every tensor's channel stride is a multiple of it, on every instruction set.
pub const BLOCK: usize = 16;

/// `channels` rounded up to whole blocks: the distance between two pixels of an NHWC tensor.
#[must_use]
pub const fn padded_channels(channels: usize) -> usize {
    channels.div_ceil(BLOCK) * BLOCK
}

/// The instructions that the kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust, vectorised by the compiler for the build's baseline.
    Portable,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors with fused multiply-add.
    Avx512,
}

impl InstructionSet {
    /// The widest set of this processor.
    #[must_use]
    pub fn detect() -> InstructionSet {
        static FOUND: OnceLock<InstructionSet> = OnceLock::new();
        *FOUND.get_or_init(|| {
            [InstructionSet::Avx512, InstructionSet::Avx2]
                .into_iter()
                .find(|set| set.is_supported())
                .unwrap_or(InstructionSet::Portable)
        })
    }

    /// Whether this processor can run the set.
    #[must_use]
    pub fn is_supported(self) -> bool {
        match self {
            InstructionSet::Portable => true,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The set itself, or the portable one where the processor lacks it.
    #[must_use]
    pub fn or_portable(self) -> InstructionSet {
        if self.is_supported() { self } else { InstructionSet::Portable }
    }

    /// Name for provenance and keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable",
            InstructionSet::Avx2 => "avx2+fma",
            InstructionSet::Avx512 => "avx512f",
        }
    }
}

/// A vector of f32. All functions are unsafe because most need instructions that only the caller knows to be present.
///
/// # Safety
/// The processor must support the implementing type's instruction set; `load` and `store` need `LANES` valid elements.
pub(crate) trait Vector: Copy {
    /// Elements; divides [`BLOCK`].
    const LANES: usize;
    /// The same value in every lane.
    unsafe fn splat(value: f32) -> Self;
    /// Reads `LANES` elements.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes `LANES` elements.
    unsafe fn store(self, to: *mut f32);
    /// self + other
    unsafe fn add(self, other: Self) -> Self;
    /// self * other
    unsafe fn mul(self, other: Self) -> Self;
    /// self / other
    unsafe fn div(self, other: Self) -> Self;
    /// self * factor + term, rounded once where the set has a fused multiply-add.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The larger; `self` where either is NaN.
    unsafe fn max_with(self, bound: Self) -> Self;
    /// The smaller; `self` where either is NaN.
    unsafe fn min_with(self, bound: Self) -> Self;
    /// The square root; self at least 0.
    unsafe fn sqrt(self) -> Self;
    /// To the nearest whole number, ties to even; |self| < 2^22.
    unsafe fn round(self) -> Self;
    /// 2^self for whole numbers in -126 ..= 127.
    unsafe fn power_of_two(self) -> Self;
    /// e^self to about 1e-7 relative, self cut to -87.3 .. 88.
    unsafe fn exp(self) -> Self {
        // SAFETY: the caller's.
        unsafe { exp(self) }
    }
    /// The sum of all lanes, in a fixed order.
    unsafe fn total(self) -> f32 {
        let mut lanes = [0.0f32; BLOCK];
        // SAFETY: no vector has more lanes than a block.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut left = Self::LANES;
        while left > 1 {
            left /= 2;
            for lane in 0..left {
                lanes[lane] += lanes[lane + left];
            }
        }
        lanes[0]
    }
    /// self / divisor for divisors in 1 ..= 2^126, to about 1e-7 relative.
    unsafe fn divided(self, divisor: Self) -> Self {
        // SAFETY: the caller's.
        unsafe { self.div(divisor) }
    }
}

/// Asks for the cache line at `address`, which need not be valid.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is part of the baseline and never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// [`Vector::exp`] where there is nothing better (Cephes `expf`: range reduction by ln 2, degree 5).
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn exp<V: Vector>(x: V) -> V {
    // SAFETY: no memory is touched; the caller vouches for the instruction set.
    unsafe {
        let x = x.min_with(V::splat(88.0)).max_with(V::splat(-87.3));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_add(V::splat(-0.693_359_4), x);
        let r = n.mul_add(V::splat(2.121_944_4e-4), r);
        let p = V::splat(1.987_569_1e-4).mul_add(r, V::splat(1.398_199_9e-3));
        let p = p.mul_add(r, V::splat(8.333_452e-3));
        let p = p.mul_add(r, V::splat(4.166_579_6e-2));
        let p = p.mul_add(r, V::splat(1.666_666_5e-1));
        let p = p.mul_add(r, V::splat(0.5));
        let y = p.mul_add(r.mul(r), r).add(V::splat(1.0));
        y.mul(n.power_of_two())
    }
}

/// 1 / (1 + e^-x)
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Vector>(x: V) -> V {
    // SAFETY: as for `exp`.
    unsafe {
        let e = x.mul(V::splat(-1.0)).exp();
        V::splat(1.0).divided(e.add(V::splat(1.0)))
    }
}

/// x / 2 · (1 + erf(x / √2)), with the error function's approximation 7.1.26 of Abramowitz and Stegun (1.5e-7 absolute).
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn gelu<V: Vector>(x: V) -> V {
    // SAFETY: as for `exp`.
    unsafe {
        let positive = x.max_with(V::splat(0.0));
        // Beyond 12 the complement is nothing; infinity times 0 would be NaN, and subnormal numbers are slow.
        let size = x.max_with(x.mul(V::splat(-1.0))).min_with(V::splat(12.0));
        let z = size.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
        let t = V::splat(1.0).divided(V::splat(0.327_591_1).mul_add(z, V::splat(1.0)));
        let p = V::splat(1.061_405_4).mul_add(t, V::splat(-1.453_152));
        let p = p.mul_add(t, V::splat(1.421_413_7));
        let p = p.mul_add(t, V::splat(-0.284_496_74));
        let p = p.mul_add(t, V::splat(0.254_829_6)).mul(t);
        let half_complement = p.mul(z.mul(z).mul(V::splat(-1.0)).exp()).mul(V::splat(0.5));
        // gelu(x) = x - x · c for x > 0 and x · c below, c half the complement of erf at |x| / √2.
        size.mul(V::splat(-1.0)).mul_add(half_complement, positive)
    }
}

/// What follows a convolution's bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// x / (1 + e^-x), also called swish.
    Silu,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// x / 2 · (1 + erf(x / √2)), the exact form.
    Gelu,
}

impl Activation {
    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    pub(crate) unsafe fn apply<V: Vector>(self, x: V) -> V {
        // SAFETY: as for `exp`.
        unsafe {
            match self {
                Activation::None => x,
                Activation::Relu => x.max_with(V::splat(0.0)),
                Activation::Relu6 => x.max_with(V::splat(0.0)).min_with(V::splat(6.0)),
                Activation::Silu => {
                    let e = x.mul(V::splat(-1.0)).exp();
                    x.divided(e.add(V::splat(1.0)))
                }
                Activation::Sigmoid => sigmoid(x),
                Activation::Gelu => gelu(x),
            }
        }
    }

    /// The activation of one number, in f64: for naive loops that kernels are checked against.
    #[must_use]
    pub fn of(self, x: f64) -> f64 {
        match self {
            Activation::None => x,
            Activation::Relu => x.max(0.0),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Gelu => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        }
    }
}

/// Calls `$body::<V>($args)` with the vector type of an instruction set, inside a function that has its target feature.
macro_rules! dispatch {
    ($set:expr, $body:ident, $args:ident : $type:ty) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f")]
        unsafe fn avx512(arguments: $type) {
            // SAFETY: this function's own contract.
            unsafe { $body::<$crate::simd::F32x16>(arguments) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(arguments: $type) {
            // SAFETY: this function's own contract.
            unsafe { $body::<$crate::simd::F32x8>(arguments) }
        }
        match $set.or_portable() {
            // SAFETY: `or_portable` checked the instruction set; the caller checked every length.
            #[cfg(target_arch = "x86_64")]
            $crate::simd::InstructionSet::Avx512 => unsafe { avx512($args) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::simd::InstructionSet::Avx2 => unsafe { avx2($args) },
            // SAFETY: the portable vector needs nothing; the caller checked every length.
            _ => unsafe { $body::<$crate::simd::Portable>($args) },
        }
    }};
}
pub(crate) use dispatch;

/// A slice or a size that does not fit a kernel's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kernel}: {what} is {found}, expected {expected}")]
pub struct SizeError {
    /// The kernel.
    pub kernel: &'static str,
    /// The argument.
    pub what: &'static str,
    /// Its length or value.
    pub found: usize,
    /// What the shape asks for (at least, for buffers).
    pub expected: usize,
}

/// `found` must be equal to `expected`.
pub(crate) fn equal(kernel: &'static str, what: &'static str, found: usize, expected: usize) -> Result<(), SizeError> {
    if found == expected { Ok(()) } else { Err(SizeError { kernel, what, found, expected }) }
}

/// `found` must be at least `expected`.
pub(crate) fn at_least(
    kernel: &'static str,
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), SizeError> {
    if found >= expected { Ok(()) } else { Err(SizeError { kernel, what, found, expected }) }
}

#[cfg(test)]
mod tests {
    use super::{Activation, AlignedBuffer, InstructionSet, Vector};
    use oodlab_base::Tolerance;

    struct Run<'a> {
        values: &'a mut [f32],
        activation: Activation,
    }

    #[inline(always)]
    unsafe fn body<V: Vector>(run: Run<'_>) {
        for at in (0..run.values.len()).step_by(V::LANES) {
            // SAFETY: the length is a multiple of every lane count.
            unsafe {
                let place = run.values.as_mut_ptr().add(at);
                run.activation.apply(V::load(place)).store(place);
            }
        }
    }

    /// f32 against f64 over the useful range, on every set that this processor has.
    #[test]
    fn activations_agree_with_f64() {
        let tolerance = Tolerance::mixed("3e-7 relative", 1e-30, 3e-7);
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            for activation in [Activation::Relu, Activation::Relu6, Activation::Silu, Activation::Sigmoid] {
                let inputs: Vec<f32> = (0..4096).map(|i| (i as f32 - 2048.0) / 25.0).collect();
                let mut got = AlignedBuffer::zeroed(inputs.len());
                got.copy_from_slice(&inputs);
                let run = Run { values: &mut got, activation };
                dispatch!(set, body, run: Run<'_>);
                let want = inputs.iter().map(|&x| activation.of(f64::from(x)));
                let got = got.iter().map(|&x| f64::from(x));
                tolerance.compare(got, want).assert(&format!("{activation:?} with {}", set.name()));
            }
        }
    }

    #[test]
    fn the_gaussian_unit_agrees_with_f64() {
        let tolerance = Tolerance::mixed("2e-6", 2e-6, 2e-6);
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            let inputs: Vec<f32> = (0..8192).map(|i| (i as f32 - 4096.0) / 250.0).collect();
            let mut got = AlignedBuffer::zeroed(inputs.len());
            got.copy_from_slice(&inputs);
            let run = Run { values: &mut got, activation: Activation::Gelu };
            dispatch!(set, body, run: Run<'_>);
            let want = inputs.iter().map(|&x| Activation::Gelu.of(f64::from(x)));
            tolerance.compare(got.iter().map(|&x| f64::from(x)), want).assert(set.name());
        }
        // By hand: the normal distribution's share below 1.
        assert!((Activation::Gelu.of(1.0) - 0.841_344_746).abs() < 1e-9);
    }

    #[test]
    fn nan_stays_nan_and_infinity_saturates() {
        for set in [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512] {
            for activation in
                [Activation::Relu, Activation::Relu6, Activation::Silu, Activation::Sigmoid, Activation::Gelu]
            {
                let mut got = AlignedBuffer::zeroed(16);
                got.copy_from_slice(&[[f32::NAN; 8], [f32::INFINITY; 8]].concat());
                let run = Run { values: &mut got, activation };
                dispatch!(set, body, run: Run<'_>);
                assert!(got[..8].iter().all(|x| x.is_nan()), "{activation:?} with {}", set.name());
                let bounded = matches!(activation, Activation::Relu6 | Activation::Sigmoid);
                let want = if bounded { activation.of(1e30) as f32 } else { f32::INFINITY };
                assert!(got[8..].iter().all(|&x| x == want), "{activation:?} with {}", set.name());
            }
        }
    }
}
