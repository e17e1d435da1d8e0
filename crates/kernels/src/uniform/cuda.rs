//! Random numbers drawn on a GPU: words and uniforms equal to the bit, normals within 1e-6.

use oodlab_base::Stream;

use crate::cuda::{Buffer, CudaError, Element, Gpu, Grid, Kernel, Source, narrow, parameters};

pub(crate) const SOURCE: Source = Source { name: "uniform", text: include_str!("kernel.cu") };

parameters!(DrawParameters, 40, { output, first } {
    threads: u32, count: u32, key_0: u32, key_1: u32, id_0: u32, id_1: u32,
});

/// Fills the first `count` elements with the uniform numbers at positions `first ..` of the stream.
///
/// # Errors
/// When the buffer is shorter, or the GPU refuses.
pub fn fill(gpu: &Gpu, stream: Stream, first: u64, out: &mut Buffer<f32>, count: usize) -> Result<(), CudaError> {
    draw(gpu, "uniform", stream, first, out, count)
}

/// Fills the first `count` elements with the words at positions `first ..` of the stream.
///
/// # Errors
/// When the buffer is shorter, or the GPU refuses.
pub fn words(gpu: &Gpu, stream: Stream, first: u64, out: &mut Buffer<u32>, count: usize) -> Result<(), CudaError> {
    draw(gpu, "words", stream, first, out, count)
}

pub(crate) fn draw<T: Element>(
    gpu: &Gpu,
    name: &'static str,
    stream: Stream,
    first: u64,
    out: &mut Buffer<T>,
    count: usize,
) -> Result<(), CudaError> {
    let kernel = "random numbers (GPU)";
    let blocks = ((first % 4) as usize).saturating_add(count).div_ceil(4);
    let ([key_0, key_1], [id_0, id_1]) = (stream.key(), stream.id_words());
    let parameters = DrawParameters {
        output: gpu.address(kernel, "length of the output", out, count)?,
        first,
        threads: narrow(kernel, "blocks", blocks)?,
        count: narrow(kernel, "length of the output", count)?,
        key_0,
        key_1,
        id_0,
        id_1,
    };
    // SAFETY: each thread writes only places below `count`, and each place belongs to one block; elements are 4 bytes.
    unsafe { gpu.launch(Kernel { source: SOURCE, name }, Grid::Each(parameters.threads), &parameters) }
}
