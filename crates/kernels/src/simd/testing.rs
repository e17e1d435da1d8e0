//! What the convolution tests share: all instruction sets, and numbers that look random.

use super::{AlignedBuffer, InstructionSet, padded_channels};
use oodlab_base::{Seed, Tolerance};

pub(crate) const ALL_SETS: [InstructionSet; 3] =
    [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];

/// Sums of at most a few hundred products of numbers in -1 .. 1, f32 against f64.
pub(crate) const TOLERANCE: Tolerance = Tolerance::mixed("3e-6", 3e-6, 3e-6);

/// `count` numbers in -1 .. 1.
pub(crate) fn numbers(name: &str, count: usize) -> Vec<f32> {
    let stream = Seed(5).stream(name);
    (0..count as u64).map(|index| 2.0 * stream.uniform(index) - 1.0).collect()
}

/// Pixels of `channels` dense channels spread to the padded stride; the gaps hold NaN, which no result may depend on.
pub(crate) fn spread(dense: &[f32], channels: usize) -> AlignedBuffer {
    let stride = padded_channels(channels);
    let mut buffer = AlignedBuffer::zeroed(dense.len() / channels * stride);
    for (to, from) in buffer.chunks_exact_mut(stride).zip(dense.chunks_exact(channels)) {
        to[channels..].fill(f32::NAN);
        to[..channels].copy_from_slice(from);
    }
    buffer
}

/// The first `channels` of every pixel, in f64.
pub(crate) fn gather(padded: &[f32], channels: usize) -> Vec<f64> {
    let stride = padded_channels(channels);
    padded.chunks_exact(stride).flat_map(|pixel| pixel[..channels].iter().map(|&x| f64::from(x))).collect()
}
