//! Window pooling on a GPU.

use super::Kind;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::dense_conv::Padding;
use crate::simd::{SizeError, at_least};

const KERNEL: &str = "window pooling (GPU)";
pub(crate) const SOURCE: Source = Source { name: "window_pool", text: include_str!("kernel.cu") };

parameters!(WindowPoolParameters, 64, { input, output } {
    threads: u32, height: u32, width: u32, rows: u32, columns: u32, channels: u32,
    size: u32, stride: u32, top: u32, left: u32, average: u32, unused: u32,
});

/// The windows of a pooling.
#[derive(Debug, Clone, Copy)]
pub struct CudaWindows {
    /// Maximum or average.
    pub kind: Kind,
    /// Side of a window.
    pub size: usize,
    /// From one window to the next.
    pub stride: usize,
    /// Around the input; counts for nothing.
    pub padding: Padding,
}

/// Pools the windows of a batch.
///
/// # Shapes
/// `input` `[batch, height, width, channels]`; `output` `[batch, rows, columns, channels]`, whose size is given back.
///
/// # Errors
/// When a buffer is too short, a window does not fit or is no larger than the padding, or the GPU refuses.
pub fn pool(
    gpu: &Gpu,
    windows: CudaWindows,
    input: &Buffer<f32>,
    batch: usize,
    (height, width): (usize, usize),
    channels: usize,
    output: &mut Buffer<f32>,
) -> Result<(usize, usize), CudaError> {
    let CudaWindows { kind, size, stride, padding } = windows;
    at_least(KERNEL, "channels", channels, 1)?;
    at_least(KERNEL, "stride", stride, 1)?;
    // Then every window sees a pixel.
    let widest = padding.top.max(padding.left).max(padding.bottom).max(padding.right);
    at_least(KERNEL, "size of a window", size, widest.saturating_add(1))?;
    let Some((rows, columns)) = padding.output_size(height, width, size, stride) else {
        let found = height.min(width);
        return Err(SizeError { kernel: KERNEL, what: "size of the map", found, expected: size }.into());
    };
    let product = |sizes: [usize; 4]| sizes.into_iter().fold(1, usize::saturating_mul);
    let (read, written) = (product([batch, height, width, channels]), product([batch, rows, columns, channels]));
    let number = |what, value| narrow(KERNEL, what, value);
    number("length of the input", read)?;
    let parameters = WindowPoolParameters {
        input: gpu.address(KERNEL, "length of the input", input, read)?,
        output: gpu.address(KERNEL, "length of the output", output, written)?,
        threads: number("length of the output", written)?,
        height: number("height", height)?,
        width: number("width", width)?,
        rows: number("rows", rows)?,
        columns: number("columns", columns)?,
        channels: number("channels", channels)?,
        size: number("size of a window", size)?,
        stride: number("stride", stride)?,
        top: number("padding", padding.top)?,
        left: number("padding", padding.left)?,
        average: u32::from(kind == Kind::Average),
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread writes one element of `written` and reads only pixels inside the map.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "window_pool" }, grid, &parameters) }?;
    Ok((rows, columns))
}
