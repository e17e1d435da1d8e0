//! The specification.

use oodlab_base::Stream;
use oodlab_base::seed::normals_from_block;

use crate::uniform::fill_by_blocks;

/// Fills `out` with the standard normals at positions `first .. first + out.len()` of the stream.
///
/// ```
/// use oodlab_base::Seed;
/// let stream = Seed(0).stream("example");
/// let mut draws = [0.0; 3];
/// oodlab_kernels::normal::fill(stream, 5, &mut draws);
/// assert_eq!(draws[1], stream.normal(6));
/// ```
pub fn fill(stream: Stream, first: u64, out: &mut [f32]) {
    fill_by_blocks(first, out, |block| normals_from_block(stream.block(block)));
}
