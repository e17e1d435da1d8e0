//! Seeds and streams: every random number is a function of (seed, stream, index).

use crate::philox::philox4x32_10;

/// The seed of an experiment. Everything random in it comes from a named [`Stream`] of this seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of that name. Names are hashed, so two names are two independent streams.
    #[must_use]
    pub fn stream(self, name: &str) -> Stream {
        Stream { seed: self.0, id: name_id(0, name) }
    }
}

/// An endless, seekable sequence of random numbers.
///
/// Position `i` is word `i % 4` of the Philox block with counter `[i / 4 (64 bits), stream id (64 bits)]` and the seed as key.
/// Integers and uniforms are equal to the bit on every device; normals are within 1e-6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    seed: u64,
    id: u64,
}

impl Stream {
    /// A stream of this stream: for an epoch, a step, an image.
    #[must_use]
    pub fn child(self, number: u64) -> Stream {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"oodlab child stream");
        hasher.update(&self.id.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        Stream { seed: self.seed, id: first_u64(&hasher) }
    }

    /// The key words that a device needs to draw from this stream itself.
    #[must_use]
    pub fn key(self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// The two upper counter words of this stream.
    #[must_use]
    pub fn id_words(self) -> [u32; 2] {
        [self.id as u32, (self.id >> 32) as u32]
    }

    /// Four random words: positions `4 * block .. 4 * block + 4`.
    #[must_use]
    #[inline]
    pub fn block(self, block: u64) -> [u32; 4] {
        let [low, high] = self.id_words();
        philox4x32_10([block as u32, (block >> 32) as u32, low, high], self.key())
    }

    /// The random word at a position, uniform over all 32-bit values.
    #[must_use]
    pub fn word(self, index: u64) -> u32 {
        self.block(index / 4)[(index % 4) as usize]
    }

    /// Uniform in [0, 1): the upper 24 bits of [`Stream::word`], so that the f32 is exact.
    #[must_use]
    pub fn uniform(self, index: u64) -> f32 {
        uniform_from_word(self.word(index))
    }

    /// Standard normal at a position; [`normals_from_block`] says how.
    #[must_use]
    pub fn normal(self, index: u64) -> f32 {
        normals_from_block(self.block(index / 4))[(index % 4) as usize]
    }

    /// Uniform integer in `0 .. bound` (bound > 0) by multiply-shift on 64 random bits; its bias is below bound / 2^64.
    #[must_use]
    pub fn below(self, bound: u64, index: u64) -> u64 {
        let words = self.block(index / 2);
        let at = 2 * (index % 2) as usize;
        let bits = u64::from(words[at]) << 32 | u64::from(words[at + 1]);
        ((u128::from(bits) * u128::from(bound)) >> 64) as u64
    }

    /// A random order of `0 .. n` (Fisher–Yates from the back).
    #[must_use]
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            let other = self.below(last as u64 + 1, last as u64) as usize;
            order.swap(last, other);
        }
        order
    }
}

/// Uniform in [0, 1) from one random word.
#[must_use]
#[inline]
pub fn uniform_from_word(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Four standard normals from four random words: two Box–Muller pairs, computed in f64 and narrowed once.
///
/// Words (a, b) give radius `sqrt(-2 ln((a + 1) / 2^32))` and angle `2 pi b / 2^32`; the pair is (radius cos, radius sin).
#[must_use]
#[inline]
pub fn normals_from_block(words: [u32; 4]) -> [f32; 4] {
    let pair = |a: u32, b: u32| {
        let unit = (f64::from(a) + 1.0) * (1.0 / 4_294_967_296.0);
        let radius = libm::sqrt(-2.0 * libm::log(unit));
        let angle = f64::from(b) * (std::f64::consts::TAU / 4_294_967_296.0);
        let (sin, cos) = libm::sincos(angle);
        [(radius * cos) as f32, (radius * sin) as f32]
    };
    let [a, b] = pair(words[0], words[1]);
    let [c, d] = pair(words[2], words[3]);
    [a, b, c, d]
}

fn name_id(parent: u64, name: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"oodlab named stream");
    hasher.update(&parent.to_le_bytes());
    hasher.update(name.as_bytes());
    first_u64(&hasher)
}

fn first_u64(hasher: &blake3::Hasher) -> u64 {
    let hash = hasher.finalize();
    hash.as_bytes()[..8].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_name_and_child() {
        let base = Seed(7).stream("noise");
        let others = [Seed(8).stream("noise"), Seed(7).stream("order"), base.child(0), base.child(1)];
        for other in others {
            assert_ne!(base.block(0), other.block(0));
        }
        assert_eq!(base.block(5), Seed(7).stream("noise").block(5));
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let stream = Seed(1).stream("moments");
        let n = 200_000;
        let draws: Vec<f64> = (0..n).map(|i| f64::from(stream.normal(i))).collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / n as f64;
        assert!(moment(1).abs() < 0.01, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.04, "skewness {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.12, "kurtosis {}", moment(4));
    }

    #[test]
    fn the_smallest_words_give_finite_normals() {
        for words in [[0; 4], [u32::MAX; 4], [0, u32::MAX, u32::MAX, 0]] {
            assert!(normals_from_block(words).iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let stream = Seed(3).stream("below");
        let mut counts = [0u32; 10];
        for i in 0..10_000 {
            counts[stream.below(10, i) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }

    #[test]
    fn a_permutation_is_a_permutation() {
        let mut order = Seed(0).stream("order").permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        assert_eq!(Seed(0).stream("none").permutation(0), Vec::<usize>::new());
    }
}
