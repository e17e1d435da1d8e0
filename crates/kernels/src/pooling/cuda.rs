//! Pooling on a GPU: separable weights in two steps, so that large maps of few channels too occupy it; maximum; deviation.

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::simd::{at_least, equal, padded_channels};

const KERNEL: &str = "pooling (GPU)";
pub(crate) const SOURCE: Source = Source { name: "pooling", text: include_str!("kernel.cu") };

parameters!(PoolParameters, 64, { input, weights, output } {
    threads: u32, length: u32, channels: u32, kept: u32, output_stride: u32, output_start: u32,
    lines: u32, image: u32, skip: u32, unused: u32,
});

parameters!(StatisticParameters, 48, { input, output } {
    threads: u32, pixels: u32, image_pixels: u32, skip: u32, channels: u32, kept: u32, output_stride: u32,
    output_start: u32,
});

/// Pooling, with its weights on a GPU.
#[derive(Debug)]
pub struct CudaPool {
    gpu: Gpu,
    method: Method,
}

#[derive(Debug)]
enum Method {
    Weighted { rows: Buffer<f32>, columns: Buffer<f32> },
    Statistic { name: &'static str, pixels: usize },
}

/// What is pooled.
#[derive(Debug, Clone, Copy)]
pub struct CudaMaps<'a> {
    /// `[batch, skip + pixels, channels]`
    pub values: &'a Buffer<f32>,
    /// Images.
    pub batch: usize,
    /// From one pixel to the next; a padded number of channels.
    pub channels: usize,
    /// Leading pixels of each image that are left out.
    pub skip: usize,
    /// Pixels from one image to the next.
    pub image_pixels: usize,
}

/// Where pooled vectors go: channel c of image i to `i · stride + start + c`, for the first `kept` channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaSpan {
    /// From one image's vector to the next.
    pub stride: usize,
    /// Where the first channel goes.
    pub start: usize,
    /// Channels that are written.
    pub kept: usize,
}

impl CudaPool {
    /// Weighted sums; the weights of the map's rows and columns are copied to the GPU.
    ///
    /// # Errors
    /// When there are none, or the GPU refuses.
    pub fn weighted(gpu: &Gpu, rows: &[f32], columns: &[f32]) -> Result<CudaPool, CudaError> {
        at_least(KERNEL, "number of rows", rows.len(), 1)?;
        at_least(KERNEL, "number of columns", columns.len(), 1)?;
        let method = Method::Weighted { rows: gpu.copy(rows)?, columns: gpu.copy(columns)? };
        Ok(CudaPool { gpu: gpu.clone(), method })
    }

    /// The largest of `pixels` pixels.
    ///
    /// # Errors
    /// When there are none.
    pub fn maximum(gpu: &Gpu, pixels: usize) -> Result<CudaPool, CudaError> {
        CudaPool::statistic(gpu, "maximum", pixels)
    }

    /// The standard deviation over `pixels` pixels, divided by their number.
    ///
    /// # Errors
    /// When there are none.
    pub fn deviation(gpu: &Gpu, pixels: usize) -> Result<CudaPool, CudaError> {
        CudaPool::statistic(gpu, "deviation", pixels)
    }

    fn statistic(gpu: &Gpu, name: &'static str, pixels: usize) -> Result<CudaPool, CudaError> {
        at_least(KERNEL, "number of pixels", pixels, 1)?;
        Ok(CudaPool { gpu: gpu.clone(), method: Method::Statistic { name, pixels } })
    }

    /// Pools a batch.
    ///
    /// # Shapes
    /// `maps` with at least as many pixels as were announced behind those that are left out; `output` as `span` says;
    /// `lines` grows as needed.
    ///
    /// # Errors
    /// When a buffer is too short, the span does not fit its stride, or the GPU refuses.
    pub fn run(
        &self,
        maps: CudaMaps<'_>,
        output: &mut Buffer<f32>,
        span: CudaSpan,
        lines: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let CudaMaps { values, batch, channels, skip, image_pixels } = maps;
        equal(KERNEL, "number of channels", channels, padded_channels(channels))?;
        at_least(KERNEL, "number of channels", channels, span.kept)?;
        at_least(KERNEL, "channels kept", span.kept, 1)?;
        at_least(KERNEL, "stride of the output", span.stride, span.start.saturating_add(span.kept))?;
        let number = |what, value| narrow(KERNEL, what, value);
        let (read, written) =
            (batch.saturating_mul(image_pixels).saturating_mul(channels), batch.saturating_mul(span.stride));
        number("length of the input", read)?;
        number("length of the output", written)?;
        let input = self.gpu.address(KERNEL, "length of the input", values, read)?;
        let output = self.gpu.address(KERNEL, "length of the output", output, written)?;
        let threads = number("vectors", batch * span.kept)?;
        let (output_stride, output_start) = (number("stride", span.stride)?, number("start", span.start)?);
        let kept = number("channels kept", span.kept)?;
        match &self.method {
            Method::Statistic { name, pixels } => {
                at_least(KERNEL, "pixels of an image", image_pixels, skip.saturating_add(*pixels))?;
                let parameters = StatisticParameters {
                    input,
                    output,
                    threads,
                    pixels: number("pixels", *pixels)?,
                    image_pixels: number("pixels of an image", image_pixels)?,
                    skip: number("pixels left out", skip)?,
                    channels: number("channels", channels)?,
                    kept,
                    output_stride,
                    output_start,
                };
                // SAFETY: each thread writes one element below `start + kept <= stride` of its image's vector, and reads
                // pixels of its image.
                unsafe { self.gpu.launch(Kernel { source: SOURCE, name }, Grid::Each(threads), &parameters) }
            }
            Method::Weighted { rows, columns } => {
                let (count, length) = (rows.len(), columns.len());
                let needed = skip.saturating_add(count.saturating_mul(length));
                at_least(KERNEL, "pixels of an image", image_pixels, needed)?;
                let between = batch * count * channels;
                lines.reserve(between)?;
                let lines = self.gpu.address(KERNEL, "lines", lines, between)?;
                let kernel = Kernel { source: SOURCE, name: "pool" };
                let padded = number("channels", channels)?;
                let of_columns = PoolParameters {
                    input,
                    weights: self.gpu.address(KERNEL, "columns", columns, length)?,
                    output: lines,
                    threads: number("lines", between)?,
                    length: number("columns", length)?,
                    channels: padded,
                    kept: padded,
                    output_stride: padded,
                    output_start: 0,
                    lines: number("rows", count)?,
                    image: number("pixels of an image", image_pixels * channels)?,
                    skip: number("pixels left out", skip * channels)?,
                    unused: 0,
                };
                // SAFETY: thread t writes element t of `lines` and reads a line of its image.
                unsafe { self.gpu.launch(kernel, Grid::Each(of_columns.threads), &of_columns) }?;
                let of_rows = PoolParameters {
                    input: lines,
                    weights: self.gpu.address(KERNEL, "rows", rows, count)?,
                    output,
                    threads,
                    length: number("rows", count)?,
                    channels: padded,
                    kept,
                    output_stride,
                    output_start,
                    lines: 1,
                    image: number("lines of an image", count * channels)?,
                    skip: 0,
                    unused: 0,
                };
                // SAFETY: each thread writes one element below `start + kept <= stride` of its image's vector.
                unsafe { self.gpu.launch(kernel, Grid::Each(threads), &of_rows) }
            }
        }
    }
}
