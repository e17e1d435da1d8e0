//! The dense convolution on a GPU: a kernel of its own for stems, else unfolded windows and a product, in bounded parts.

use super::Padding;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, activation_code, narrow, parameters};
use crate::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use crate::simd::{Activation, SizeError, at_least, equal, padded_channels};

const KERNEL: &str = "dense convolution (GPU)";
/// A convolution of at most so many input channels and values in a window is computed directly.
const DIRECT: (usize, usize) = (4, 256);
/// Unfolded windows take at most about this much memory at a time.
const PART_BYTES: usize = 256 << 20;
pub(crate) const SOURCE: Source = Source { name: "dense_conv", text: include_str!("kernel.cu") };

parameters!(StemParameters, 88, { input, weights, bias, output } {
    threads: u32, height: u32, width: u32, rows: u32, columns: u32, inputs: u32, input_stride: u32, channels: u32,
    size: u32, stride: u32, top: u32, left: u32, activation: u32, unused: u32,
});

parameters!(UnfoldParameters, 64, { input, windows } {
    threads: u32, first: u32, height: u32, width: u32, rows: u32, columns: u32, inputs: u32, input_stride: u32,
    size: u32, stride: u32, top: u32, left: u32,
});

/// A dense convolution with its weights on a GPU.
#[derive(Debug)]
pub struct CudaDenseConv {
    gpu: Gpu,
    inputs: usize,
    outputs: usize,
    size: usize,
    stride: usize,
    padding: Padding,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// `[window, padded outputs]`
    Direct {
        weights: Buffer<f32>,
        bias: Buffer<f32>,
        activation: Activation,
    },
    Unfolded(CudaPointwiseConv),
}

impl CudaDenseConv {
    /// Copies `weight`, row-major `[outputs, inputs, size, size]`, to the GPU; `channels` is (inputs, outputs).
    ///
    /// # Errors
    /// When a length does not fit, a size is zero, or the GPU refuses.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the processor's kernel and the GPU")]
    pub fn new(
        gpu: &Gpu,
        weight: &[f32],
        bias: &[f32],
        (inputs, outputs): (usize, usize),
        size: usize,
        stride: usize,
        padding: Padding,
        activation: Activation,
    ) -> Result<CudaDenseConv, CudaError> {
        at_least(KERNEL, "number of inputs", inputs, 1)?;
        at_least(KERNEL, "number of outputs", outputs, 1)?;
        at_least(KERNEL, "kernel size", size, 1)?;
        at_least(KERNEL, "stride", stride, 1)?;
        let taps = size.saturating_mul(size);
        let window = taps.saturating_mul(inputs);
        equal(KERNEL, "length of the weight", weight.len(), window.saturating_mul(outputs))?;
        equal(KERNEL, "length of the bias", bias.len(), outputs)?;
        let at = |output: usize, tap: usize, input: usize| weight[(output * inputs + input) * taps + tap];
        let padded = padded_channels(outputs);
        let way = if inputs <= DIRECT.0 && window <= DIRECT.1 {
            let mut weights = vec![0.0; window * padded];
            for (place, weights) in weights.chunks_exact_mut(padded).enumerate() {
                for (output, weight) in weights[..outputs].iter_mut().enumerate() {
                    *weight = at(output, place / inputs, place % inputs);
                }
            }
            let mut padded_bias = bias.to_vec();
            padded_bias.resize(padded, 0.0);
            Way::Direct { weights: gpu.copy(&weights)?, bias: gpu.copy(&padded_bias)?, activation }
        } else {
            // From [o, i, tap] to [o, tap, i]: the order of an unfolded NHWC window.
            let places = (0..outputs).flat_map(|output| (0..window).map(move |place| (output, place)));
            let unfolded: Vec<f32> = places.map(|(output, place)| at(output, place / inputs, place % inputs)).collect();
            Way::Unfolded(CudaPointwiseConv::new(gpu, &unfolded, bias, window, outputs, activation)?)
        };
        Ok(CudaDenseConv { gpu: gpu.clone(), inputs, outputs, size, stride, padding, way })
    }

    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Rows and columns of the output; none where the kernel does not fit.
    #[must_use]
    pub fn output_size(&self, (height, width): (usize, usize)) -> Option<(usize, usize)> {
        self.padding.output_size(height, width, self.size, self.stride)
    }

    /// Convolves a batch.
    ///
    /// # Shapes
    /// `input` `[batch, height, width, input_stride]` with `input_stride >= inputs`; `output` and a residual
    /// `[batch, rows, columns, padded_channels(outputs)]` with [`CudaDenseConv::output_size`], which is given back;
    /// `windows` grows as needed.
    ///
    /// # Errors
    /// When a buffer is too short, the kernel does not fit, or the GPU refuses.
    pub fn run(
        &self,
        (input, input_stride): (&Buffer<f32>, usize),
        batch: usize,
        (height, width): (usize, usize),
        output: &mut Buffer<f32>,
        residual: CudaResidual<'_>,
        windows: &mut Buffer<f32>,
    ) -> Result<(usize, usize), CudaError> {
        let Some((rows, columns)) = self.output_size((height, width)) else {
            let found = height.min(width);
            return Err(SizeError { kernel: KERNEL, what: "size of the map", found, expected: self.size }.into());
        };
        at_least(KERNEL, "stride of the input", input_stride, self.inputs)?;
        let number = |what, value| narrow(KERNEL, what, value);
        let product = |sizes: [usize; 4]| sizes.into_iter().fold(1, usize::saturating_mul);
        let read = product([batch, height, width, input_stride]);
        let written = product([batch, rows, columns, padded_channels(self.outputs)]);
        number("length of the input", read)?;
        number("length of the output", written)?;
        let pixels = batch * rows * columns;
        let input_address = self.gpu.address(KERNEL, "length of the input", input, read)?;
        match &self.way {
            Way::Direct { weights, bias, activation } => {
                if !matches!(residual, CudaResidual::None) {
                    let what = "residuals of a convolution with few input channels";
                    return Err(SizeError { kernel: KERNEL, what, found: 1, expected: 0 }.into());
                }
                let channels = padded_channels(self.outputs);
                let window = self.size * self.size * self.inputs;
                let parameters = StemParameters {
                    input: input_address,
                    weights: self.gpu.address(KERNEL, "weights", weights, window * channels)?,
                    bias: self.gpu.address(KERNEL, "bias", bias, channels)?,
                    output: self.gpu.address(KERNEL, "length of the output", output, written)?,
                    threads: number("length of the output", written)?,
                    height: number("height", height)?,
                    width: number("width", width)?,
                    rows: number("rows", rows)?,
                    columns: number("columns", columns)?,
                    inputs: number("inputs", self.inputs)?,
                    input_stride: number("stride of the input", input_stride)?,
                    channels: number("outputs", channels)?,
                    size: number("kernel size", self.size)?,
                    stride: number("stride", self.stride)?,
                    top: number("padding", self.padding.top)?,
                    left: number("padding", self.padding.left)?,
                    activation: activation_code(*activation),
                    unused: 0,
                };
                let grid = Grid::Each(parameters.threads);
                // SAFETY: each thread writes one element of `written` and reads only pixels inside the map.
                unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "stem" }, grid, &parameters) }?;
            }
            Way::Unfolded(conv) => {
                let window = conv.inputs();
                let part = (PART_BYTES / 4 / window).clamp(1, pixels.max(1));
                windows.reserve(part * window)?;
                for first in (0..pixels).step_by(part) {
                    let count = part.min(pixels - first);
                    let parameters = UnfoldParameters {
                        input: input_address,
                        windows: self.gpu.address(KERNEL, "windows", windows, count * window)?,
                        threads: number("unfolded windows", count * window)?,
                        first: number("pixels", first)?,
                        height: number("height", height)?,
                        width: number("width", width)?,
                        rows: number("rows", rows)?,
                        columns: number("columns", columns)?,
                        inputs: number("inputs", self.inputs)?,
                        input_stride: number("stride of the input", input_stride)?,
                        size: number("kernel size", self.size)?,
                        stride: number("stride", self.stride)?,
                        top: number("padding", self.padding.top)?,
                        left: number("padding", self.padding.left)?,
                    };
                    let grid = Grid::Each(parameters.threads);
                    // SAFETY: each thread writes one of `count · window` elements and reads only inside the map.
                    unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "unfold" }, grid, &parameters) }?;
                    conv.run_at((windows, window), count, output, first, residual)?;
                }
            }
        }
        Ok((rows, columns))
    }
}
