//! The specification.

use oodlab_base::Stream;
use oodlab_base::seed::uniform_from_word;
use rayon::prelude::*;

/// Values that one task draws: long enough to hide its cost, a multiple of a Philox block.
const TASK: usize = 4096;

/// Fills `out` with the uniform numbers at positions `first .. first + out.len()` of the stream.
///
/// ```
/// use oodlab_base::Seed;
/// let stream = Seed(0).stream("example");
/// let mut draws = [0.0; 3];
/// oodlab_kernels::uniform::fill(stream, 5, &mut draws);
/// assert_eq!(draws[1], stream.uniform(6));
/// ```
pub fn fill(stream: Stream, first: u64, out: &mut [f32]) {
    fill_by_blocks(first, out, |block| stream.block(block).map(uniform_from_word));
}

/// Fills `out` from a function that gives four values a Philox block. Every block is computed once, but for those that a task's edge cuts.
pub(crate) fn fill_by_blocks(first: u64, out: &mut [f32], values: impl Fn(u64) -> [f32; 4] + Sync) {
    out.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| {
        let mut position = first + (task * TASK) as u64;
        let to_block_start = ((4 - position % 4) % 4) as usize;
        let (head, rest) = out.split_at_mut(to_block_start.min(out.len()));
        if !head.is_empty() {
            let at = (position % 4) as usize;
            head.copy_from_slice(&values(position / 4)[at..at + head.len()]);
            position += head.len() as u64;
        }
        for part in rest.chunks_mut(4) {
            part.copy_from_slice(&values(position / 4)[..part.len()]);
            position += 4;
        }
    });
}
