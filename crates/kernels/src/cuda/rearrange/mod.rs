//! Values moved and converted on a GPU: images in, channels appended, pixels left out, tokens made of patches.

use super::{Buffer, CudaError, Element, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::simd::{at_least, equal};

pub(crate) const SOURCE: Source = Source { name: "rearrange", text: include_str!("kernel.cu") };

parameters!(ImageParameters, 48, { input, output } {
    threads: u32, pixels: u32,
    factor_0: f32, factor_1: f32, factor_2: f32, shift_0: f32, shift_1: f32, shift_2: f32,
});

parameters!(CopyParameters, 40, { input, output } {
    threads: u32, channels: u32, input_stride: u32, output_stride: u32, start: u32, unused: u32,
});

parameters!(SubsampleParameters, 56, { input, output } {
    threads: u32, height: u32, width: u32, rows: u32, columns: u32, channels: u32, input_stride: u32,
    output_stride: u32, stride: u32, around: u32,
});

parameters!(TokenParameters, 40, { input, table, output } { threads: u32, tokens: u32, width: u32, stride: u32 });

/// Normalises 8-bit images: `output = pixel · factor + shift` with a (factor, shift) for each of three channels.
///
/// # Shapes
/// `input` and `output` `[images, pixels, 3]`.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn normalise(
    gpu: &Gpu,
    input: &Buffer<u8>,
    (images, pixels): (usize, usize),
    factors: [(f32, f32); 3],
    output: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    image(gpu, "normalise", input, (images, pixels), factors, output)
}

/// Reorders planes to pixels: `input` `[images, 3, pixels]`, `output` `[images, pixels, 3]`.
///
/// # Errors
/// When a buffer is too short, or the GPU refuses.
pub fn interleave(
    gpu: &Gpu,
    input: &Buffer<f32>,
    (images, pixels): (usize, usize),
    output: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    image(gpu, "interleave", input, (images, pixels), [(0.0, 0.0); 3], output)
}

fn image<T: Element>(
    gpu: &Gpu,
    name: &'static str,
    input: &Buffer<T>,
    (images, pixels): (usize, usize),
    [(factor_0, shift_0), (factor_1, shift_1), (factor_2, shift_2)]: [(f32, f32); 3],
    output: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    let kernel = "image (GPU)";
    let values = images.saturating_mul(pixels).saturating_mul(3);
    let parameters = ImageParameters {
        input: gpu.address(kernel, "length of the images", input, values)?,
        output: gpu.address(kernel, "length of the output", output, values)?,
        threads: narrow(kernel, "length of the images", values)?,
        pixels: narrow(kernel, "pixels", pixels)?,
        factor_0,
        factor_1,
        factor_2,
        shift_0,
        shift_1,
        shift_2,
    };
    // SAFETY: each thread writes one of `values` elements and reads one of as many.
    unsafe { gpu.launch(Kernel { source: SOURCE, name }, Grid::Each(parameters.threads), &parameters) }
}

/// Copies the first `channels` channels of each of `pixels` pixels to channel `start` and further of another map.
///
/// # Shapes
/// `input` and `output` are (buffer, distance between pixels).
///
/// # Errors
/// When a buffer or a stride is too short, or the GPU refuses.
pub fn copy_channels(
    gpu: &Gpu,
    (input, input_stride): (&Buffer<f32>, usize),
    pixels: usize,
    channels: usize,
    (output, output_stride): (&mut Buffer<f32>, usize),
    start: usize,
) -> Result<(), CudaError> {
    let kernel = "copy of channels (GPU)";
    at_least(kernel, "stride of the input", input_stride, channels)?;
    at_least(kernel, "stride of the output", output_stride, start.saturating_add(channels))?;
    let (read, written) = (pixels.saturating_mul(input_stride), pixels.saturating_mul(output_stride));
    narrow(kernel, "length of the input", read)?;
    narrow(kernel, "length of the output", written)?;
    let parameters = CopyParameters {
        input: gpu.address(kernel, "length of the input", input, read)?,
        output: gpu.address(kernel, "length of the output", output, written)?,
        threads: narrow(kernel, "values", pixels * channels)?,
        channels: narrow(kernel, "channels", channels)?,
        input_stride: narrow(kernel, "stride of the input", input_stride)?,
        output_stride: narrow(kernel, "stride of the output", output_stride)?,
        start: narrow(kernel, "first channel", start)?,
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread reads and writes one channel of one pixel, inside the lengths checked above.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "copy_channels" }, grid, &parameters) }
}

/// Every `stride`-th pixel of a batch of maps, with `around` zero channels before and behind (the CIFAR ResNets' option A).
///
/// # Shapes
/// `input` `[batch, height, width, input_stride]`, `output` `[batch, rows, columns, output_stride]` with rows and columns
/// the quotients by `stride`, rounded up; every channel of the output is written.
///
/// # Errors
/// When a buffer or a stride is too short, or the GPU refuses.
pub fn subsample(
    gpu: &Gpu,
    (input, input_stride): (&Buffer<f32>, usize),
    batch: usize,
    (height, width): (usize, usize),
    channels: usize,
    (stride, around): (usize, usize),
    (output, output_stride): (&mut Buffer<f32>, usize),
) -> Result<(), CudaError> {
    let kernel = "subsampling (GPU)";
    at_least(kernel, "stride", stride, 1)?;
    at_least(kernel, "stride of the input", input_stride, channels)?;
    at_least(kernel, "stride of the output", output_stride, channels.saturating_add(around.saturating_mul(2)))?;
    let (rows, columns) = (height.div_ceil(stride), width.div_ceil(stride));
    let product = |sizes: [usize; 4]| sizes.into_iter().fold(1, usize::saturating_mul);
    let read = product([batch, height, width, input_stride]);
    let written = product([batch, rows, columns, output_stride]);
    let number = |what, value| narrow(kernel, what, value);
    number("length of the input", read)?;
    let parameters = SubsampleParameters {
        input: gpu.address(kernel, "length of the input", input, read)?,
        output: gpu.address(kernel, "length of the output", output, written)?,
        threads: number("length of the output", written)?,
        height: number("height", height)?,
        width: number("width", width)?,
        rows: number("rows", rows)?,
        columns: number("columns", columns)?,
        channels: number("channels", channels)?,
        input_stride: number("stride of the input", input_stride)?,
        output_stride: number("stride of the output", output_stride)?,
        stride: number("stride", stride)?,
        around: number("zero channels", around)?,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread writes one of `written` elements; its pixel lies inside the map, since rows and columns are
    // quotients rounded up.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "subsample" }, grid, &parameters) }
}

/// Puts the class token before the patches of each image and adds the positions.
///
/// # Shapes
/// `input` `[batch, tokens - 1, stride]`; `table` `[tokens, width]`: the class token with its position, then the positions of
/// the patches; `output` `[batch, tokens, stride]`.
///
/// # Errors
/// When a buffer or the stride is too short, or the GPU refuses.
pub fn tokens(
    gpu: &Gpu,
    (input, stride): (&Buffer<f32>, usize),
    batch: usize,
    (table, width): (&Buffer<f32>, usize),
    output: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    let kernel = "tokens (GPU)";
    at_least(kernel, "width", width, 1)?;
    at_least(kernel, "stride of the tokens", stride, width)?;
    let tokens = table.len() / width;
    at_least(kernel, "tokens", tokens, 1)?;
    equal(kernel, "length of the positions", table.len(), tokens * width)?;
    let written = batch.saturating_mul(tokens).saturating_mul(stride);
    narrow(kernel, "length of the output", written)?;
    let parameters = TokenParameters {
        input: gpu.address(kernel, "length of the input", input, batch * (tokens - 1) * stride)?,
        table: gpu.address(kernel, "positions", table, tokens * width)?,
        output: gpu.address(kernel, "length of the output", output, written)?,
        threads: narrow(kernel, "values", batch * tokens * width)?,
        tokens: narrow(kernel, "tokens", tokens)?,
        width: narrow(kernel, "width", width)?,
        stride: narrow(kernel, "stride of the tokens", stride)?,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread writes one channel of one token and reads that of its patch, inside the lengths checked above.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "tokens" }, grid, &parameters) }
}
