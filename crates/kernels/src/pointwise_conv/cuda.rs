//! The pointwise convolution on a GPU: a product by cuBLAS, then bias, residual and activation in one pass.

use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Product, Source, activation_code, narrow, parameters};
use crate::simd::{Activation, at_least, equal, padded_channels};

const KERNEL: &str = "pointwise convolution (GPU)";
pub(crate) const SOURCE: Source = Source { name: "pointwise_conv", text: include_str!("kernel.cu") };

parameters!(FinishParameters, 40, { values, bias, residual } {
    threads: u32, quarter: u32, activation: u32, residual_first: u32,
});

/// What is added to a convolution's result.
#[derive(Debug, Clone, Copy, Default)]
pub enum CudaResidual<'a> {
    /// Nothing.
    #[default]
    None,
    /// A map like the output, before the activation (ResNet).
    BeforeActivation(&'a Buffer<f32>),
    /// A map like the output, after the activation (EfficientNet, ViT).
    AfterActivation(&'a Buffer<f32>),
}

/// A pointwise convolution, or a linear layer, with its weights on a GPU.
#[derive(Debug)]
pub struct CudaPointwiseConv {
    gpu: Gpu,
    inputs: usize,
    outputs: usize,
    /// `[padded_channels(outputs), inputs]`
    weights: Buffer<f32>,
    bias: Buffer<f32>,
    activation: Activation,
}

impl CudaPointwiseConv {
    /// Copies `weight`, row-major `[outputs, inputs]`, and `bias` `[outputs]` to the GPU.
    ///
    /// # Errors
    /// When a length does not fit, a size is zero, or the GPU refuses.
    pub fn new(
        gpu: &Gpu,
        weight: &[f32],
        bias: &[f32],
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Result<CudaPointwiseConv, CudaError> {
        at_least(KERNEL, "number of inputs", inputs, 1)?;
        at_least(KERNEL, "number of outputs", outputs, 1)?;
        equal(KERNEL, "length of the weight", weight.len(), inputs.saturating_mul(outputs))?;
        equal(KERNEL, "length of the bias", bias.len(), outputs)?;
        let padded = padded_channels(outputs);
        let (mut weights, mut padded_bias) = (weight.to_vec(), bias.to_vec());
        weights.resize(padded * inputs, 0.0);
        padded_bias.resize(padded, 0.0);
        let (weights, bias) = (gpu.copy(&weights)?, gpu.copy(&padded_bias)?);
        Ok(CudaPointwiseConv { gpu: gpu.clone(), inputs, outputs, weights, bias, activation })
    }

    /// Input channels.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Convolves `pixels` pixels, `stride` elements apart.
    ///
    /// # Shapes
    /// `input` `[pixels, stride]` with `stride >= inputs`; `output` and a residual
    /// `[pixels, padded_channels(outputs)]`; channels beyond `outputs` become the activation of 0.
    ///
    /// # Errors
    /// When a buffer is too short, or the GPU refuses.
    pub fn run(
        &self,
        (input, stride): (&Buffer<f32>, usize),
        pixels: usize,
        output: &mut Buffer<f32>,
        residual: CudaResidual<'_>,
    ) -> Result<(), CudaError> {
        self.run_at((input, stride), pixels, output, 0, residual)
    }

    /// [`CudaPointwiseConv::run`] with the output from pixel `first` on; a residual too is read from there.
    pub(crate) fn run_at(
        &self,
        (input, stride): (&Buffer<f32>, usize),
        pixels: usize,
        output: &mut Buffer<f32>,
        first: usize,
        residual: CudaResidual<'_>,
    ) -> Result<(), CudaError> {
        let channels = padded_channels(self.outputs);
        let end = first.saturating_add(pixels).saturating_mul(channels);
        narrow(KERNEL, "length of the output", end)?;
        let offset = 4 * (first * channels) as u64;
        let values = self.gpu.address(KERNEL, "length of the output", output, end)? + offset;
        let residual_address = |buffer: &Buffer<f32>| {
            self.gpu.address(KERNEL, "length of the residual", buffer, end).map(|address| address + offset)
        };
        let (residual, residual_first) = match residual {
            CudaResidual::None => (0, 0),
            CudaResidual::BeforeActivation(buffer) => (residual_address(buffer)?, 1),
            CudaResidual::AfterActivation(buffer) => (residual_address(buffer)?, 0),
        };
        let weight = (&self.weights, channels, self.inputs);
        let product = Product::with_weight(pixels, (input, stride), weight);
        self.gpu.product(&product, output, (first * channels, channels))?;
        let parameters = FinishParameters {
            values,
            bias: self.gpu.address(KERNEL, "bias", &self.bias, channels)?,
            residual,
            threads: narrow(KERNEL, "length of the output", pixels * channels / 4)?,
            quarter: narrow(KERNEL, "channels", channels / 4)?,
            activation: activation_code(self.activation),
            residual_first,
        };
        let grid = Grid::Each(parameters.threads);
        // SAFETY: each thread reads and writes four elements of its own, inside the lengths checked above.
        unsafe { self.gpu.launch(Kernel { source: SOURCE, name: "finish" }, grid, &parameters) }
    }
}
