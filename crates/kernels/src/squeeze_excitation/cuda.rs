//! The squeeze-excitation on a GPU: the gates of a batch are two products; then every pixel is scaled in place.

use super::Layer;
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};
use crate::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use crate::simd::{Activation, equal, padded_channels};

const KERNEL: &str = "squeeze-excitation (GPU)";
pub(crate) const SOURCE: Source = Source { name: "squeeze_excitation", text: include_str!("kernel.cu") };

parameters!(ScaleParameters, 32, { values, gate } { threads: u32, pixels: u32, quarter: u32, unused: u32 });

/// The two layers of a gate, on a GPU.
#[derive(Debug)]
pub struct CudaSqueezeExcitation {
    gpu: Gpu,
    reduce: CudaPointwiseConv,
    expand: CudaPointwiseConv,
}

impl CudaSqueezeExcitation {
    /// A gate of `channels` channels through `squeezed`.
    ///
    /// # Errors
    /// When a length does not fit, a size is zero, or the GPU refuses.
    pub fn new(
        gpu: &Gpu,
        channels: usize,
        squeezed: usize,
        reduce: Layer<'_>,
        expand: Layer<'_>,
    ) -> Result<CudaSqueezeExcitation, CudaError> {
        let pointwise = |layer: Layer<'_>, inputs, outputs, activation| {
            CudaPointwiseConv::new(gpu, layer.weight, layer.bias, inputs, outputs, activation)
        };
        Ok(CudaSqueezeExcitation {
            gpu: gpu.clone(),
            reduce: pointwise(reduce, channels, squeezed, Activation::Silu)?,
            expand: pointwise(expand, squeezed, channels, Activation::Sigmoid)?,
        })
    }

    /// The gates of a batch.
    ///
    /// # Shapes
    /// `means` and `gate` `[batch, padded_channels(channels)]`; `squeezed` grows as needed.
    ///
    /// # Errors
    /// When a buffer is too short, or the GPU refuses.
    pub fn run(
        &self,
        means: &Buffer<f32>,
        batch: usize,
        gate: &mut Buffer<f32>,
        squeezed: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let (channels, narrow) = (padded_channels(self.reduce.inputs()), padded_channels(self.reduce.outputs()));
        squeezed.reserve(batch.saturating_mul(narrow))?;
        self.reduce.run((means, channels), batch, squeezed, CudaResidual::None)?;
        self.expand.run((squeezed, narrow), batch, gate, CudaResidual::None)
    }

    /// Multiplies every pixel of `values` `[batch, pixels, padded_channels]` by its image's gate, in place.
    ///
    /// # Errors
    /// As [`scale_channels`].
    pub fn apply(
        &self,
        values: &mut Buffer<f32>,
        gate: &Buffer<f32>,
        batch: usize,
        pixels: usize,
    ) -> Result<(), CudaError> {
        scale_channels(&self.gpu, values, gate, batch, pixels, padded_channels(self.reduce.inputs()))
    }
}

/// Multiplies every pixel of `values` `[batch, pixels, channels]` by `gate` `[batch, channels]`, in place.
///
/// # Errors
/// When a buffer is too short, `channels` is not a padded number, or the GPU refuses.
pub fn scale_channels(
    gpu: &Gpu,
    values: &mut Buffer<f32>,
    gate: &Buffer<f32>,
    batch: usize,
    pixels: usize,
    channels: usize,
) -> Result<(), CudaError> {
    equal(KERNEL, "number of channels", channels, padded_channels(channels))?;
    let elements = batch.saturating_mul(pixels).saturating_mul(channels);
    narrow(KERNEL, "length of the values", elements)?;
    let parameters = ScaleParameters {
        values: gpu.address(KERNEL, "length of the values", values, elements)?,
        gate: gpu.address(KERNEL, "length of the gate", gate, batch.saturating_mul(channels))?,
        threads: narrow(KERNEL, "length of the values", elements / 4)?,
        pixels: narrow(KERNEL, "pixels", pixels)?,
        quarter: narrow(KERNEL, "channels", channels / 4)?,
        unused: 0,
    };
    // SAFETY: each thread reads and writes four elements of its own, and one of the `batch · channels / 4` gates.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "scale" }, Grid::Each(parameters.threads), &parameters) }
}
