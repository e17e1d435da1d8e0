//! The depthwise convolution on a GPU: a whole batch of unpadded maps.

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, activation_code, narrow, parameters};
use crate::dense_conv::Padding;
use crate::simd::{Activation, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "depthwise convolution (GPU)";
pub(crate) const SOURCE: Source = Source { name: "depthwise_conv", text: include_str!("kernel.cu") };

parameters!(DepthwiseParameters, 80, { input, weights, bias, output } {
    threads: u32, height: u32, width: u32, rows: u32, columns: u32, quarter: u32,
    size: u32, stride: u32, top: u32, left: u32, activation: u32, unused: u32,
});

/// A depthwise convolution with its weights on a GPU.
#[derive(Debug)]
pub struct CudaDepthwiseConv {
    gpu: Gpu,
    channels: usize,
    size: usize,
    stride: usize,
    padding: Padding,
    activation: Activation,
    weights: Buffer<f32>,
    bias: Buffer<f32>,
}

impl CudaDepthwiseConv {
    /// Copies `weight`, row-major `[channels, size, size]`, and `bias` `[channels]` to the GPU.
    ///
    /// # Errors
    /// When a length does not fit, a size is zero, or the GPU refuses.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the processor's kernel, the GPU and the padding")]
    pub fn new(
        gpu: &Gpu,
        weight: &[f32],
        bias: &[f32],
        channels: usize,
        size: usize,
        stride: usize,
        padding: Padding,
        activation: Activation,
    ) -> Result<CudaDepthwiseConv, CudaError> {
        at_least(KERNEL, "number of channels", channels, 1)?;
        at_least(KERNEL, "kernel size", size, 1)?;
        at_least(KERNEL, "stride", stride, 1)?;
        let taps = size.saturating_mul(size);
        equal(KERNEL, "length of the weight", weight.len(), channels.saturating_mul(taps))?;
        equal(KERNEL, "length of the bias", bias.len(), channels)?;
        let padded = padded_channels(channels);
        let mut packed = vec![0.0; taps * padded];
        for (channel, weight) in weight.chunks_exact(taps).enumerate() {
            for (tap, &weight) in weight.iter().enumerate() {
                packed[tap * padded + channel] = weight;
            }
        }
        let mut padded_bias = bias.to_vec();
        padded_bias.resize(padded, 0.0);
        let (weights, bias) = (gpu.copy(&packed)?, gpu.copy(&padded_bias)?);
        Ok(CudaDepthwiseConv { gpu: gpu.clone(), channels, size, stride, padding, activation, weights, bias })
    }

    /// Channels, of input and output.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows and columns of the output; none where the kernel does not fit.
    #[must_use]
    pub fn output_size(&self, (height, width): (usize, usize)) -> Option<(usize, usize)> {
        self.padding.output_size(height, width, self.size, self.stride)
    }

    /// Convolves a batch.
    ///
    /// # Shapes
    /// `input` `[batch, height, width, padded_channels]`; `output` `[batch, rows, columns, padded_channels]` with
    /// [`CudaDepthwiseConv::output_size`], which is given back.
    ///
    /// # Errors
    /// When a buffer is too short, the kernel does not fit, or the GPU refuses.
    pub fn run(
        &self,
        input: &Buffer<f32>,
        batch: usize,
        (height, width): (usize, usize),
        output: &mut Buffer<f32>,
    ) -> Result<(usize, usize), CudaError> {
        let Some((rows, columns)) = self.output_size((height, width)) else {
            let found = height.min(width);
            return Err(SizeError { kernel: KERNEL, what: "size of the map", found, expected: self.size }.into());
        };
        let channels = padded_channels(self.channels);
        let elements =
            |height: usize, width: usize| batch.saturating_mul(height).saturating_mul(width).saturating_mul(channels);
        let (read, written) = (elements(height, width), elements(rows, columns));
        let number = |what, value| narrow(KERNEL, what, value);
        number("length of the input", read)?;
        number("length of the output", written)?;
        let parameters = DepthwiseParameters {
            input: self.gpu.address(KERNEL, "length of the input", input, read)?,
            weights: self.gpu.address(KERNEL, "weights", &self.weights, self.size * self.size * channels)?,
            bias: self.gpu.address(KERNEL, "bias", &self.bias, channels)?,
            output: self.gpu.address(KERNEL, "length of the output", output, written)?,
            threads: number("length of the output", written / 4)?,
            height: number("height", height)?,
            width: number("width", width)?,
            rows: number("rows", rows)?,
            columns: number("columns", columns)?,
            quarter: number("channels", channels / 4)?,
            size: number("kernel size", self.size)?,
            stride: number("stride", self.stride)?,
            top: number("padding", self.padding.top)?,
            left: number("padding", self.padding.left)?,
            activation: activation_code(self.activation),
            unused: 0,
        };
        let grid = Grid::Each(parameters.threads);
        // SAFETY: each thread writes four elements of its own among `written`, and reads only pixels inside the map.
        unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "depthwise" }, grid, &parameters) }?;
        Ok((rows, columns))
    }
}
