//! Standard normals drawn on a GPU.

use oodlab_base::Stream;

use crate::cuda::{Buffer, CudaError, Gpu};
use crate::uniform::cuda::draw;

/// Fills the first `count` elements with the standard normals at positions `first ..` of the stream, within 1e-6 of the
/// processor's.
///
/// # Errors
/// When the buffer is shorter, or the GPU refuses.
pub fn fill(gpu: &Gpu, stream: Stream, first: u64, out: &mut Buffer<f32>, count: usize) -> Result<(), CudaError> {
    draw(gpu, "normal", stream, first, out, count)
}
