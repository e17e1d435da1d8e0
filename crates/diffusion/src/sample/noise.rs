//! Where the randomness of a reconstruction comes from.

use oodlab_base::{Seed, Stream};
use oodlab_kernels::normal;

/// Where the noise of a reconstruction comes from.
pub trait Noise {
    /// Fills `out` (`[rows, dim]`) with the noise of step `k` (0: the forward noise; 1, 2, ..: after each evaluation of the network) for the
    /// rows that begin with row `first` of this call.
    fn fill(&self, draw: usize, k: usize, first: usize, dim: usize, out: &mut [f32]);

    /// A whole number drawn evenly from `0 .. bound` for a row of this call: its stride less one.
    fn below(&self, draw: usize, row: usize, bound: u64) -> u64;
}

/// Noise as a function of (seed, draw, sample index, step): a sample's reconstruction does not depend on its batch or shard.
#[derive(Debug, Clone, Copy)]
pub struct StreamNoise {
    seed: Seed,
    first_index: u64,
}

impl StreamNoise {
    /// The noise of samples `first_index ..`.
    #[must_use]
    pub fn new(seed: Seed, first_index: u64) -> StreamNoise {
        StreamNoise { seed, first_index }
    }

    /// The first draw's stream is that of a single draw: more draws are added to it.
    fn stream(&self, draw: usize) -> Stream {
        match draw {
            0 => self.seed.stream("lfdn sampling noise"),
            more => self.seed.stream("lfdn sampling noise, further draws").child(more as u64),
        }
    }

    fn sample(&self, row: usize) -> u64 {
        self.first_index.wrapping_add(row as u64)
    }
}

impl Noise for StreamNoise {
    fn fill(&self, draw: usize, k: usize, first: usize, dim: usize, out: &mut [f32]) {
        normal::fill(self.stream(draw).child(k as u64), self.sample(first).wrapping_mul(dim as u64), out);
    }

    fn below(&self, draw: usize, row: usize, bound: u64) -> u64 {
        self.seed.stream("lfdn sampling stride").child(draw as u64).below(bound, self.sample(row))
    }
}
