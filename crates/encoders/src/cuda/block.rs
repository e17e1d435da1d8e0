//! The inverted residual block, the whole map at a time.

use oodlab_kernels::cuda::{Buffer, CudaError};
use oodlab_kernels::depthwise_conv::cuda::CudaDepthwiseConv;
use oodlab_kernels::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use oodlab_kernels::pooling::cuda::{CudaMaps, CudaPool, CudaSpan};
use oodlab_kernels::simd::padded_channels;
use oodlab_kernels::squeeze_excitation::cuda::CudaSqueezeExcitation;

use super::{Scratch, Shape};

/// One block with its weights.
#[derive(Debug)]
pub(super) struct Block {
    pub expand: Option<CudaPointwiseConv>,
    pub depthwise: CudaDepthwiseConv,
    /// The gate and the means that it is computed from.
    pub gate: Option<(CudaSqueezeExcitation, CudaPool)>,
    pub project: CudaPointwiseConv,
    pub residual: bool,
}

impl Block {
    pub fn run(
        &self,
        batch: usize,
        (input, from): (&Buffer<f32>, Shape),
        (output, to): (&mut Buffer<f32>, Shape),
        scratch: &mut Scratch,
    ) -> Result<(), CudaError> {
        let Scratch { staged, filtered, lines, pooled, squeezed, gate: factors, .. } = scratch;
        let channels = padded_channels(self.depthwise.channels());
        let expanded = match &self.expand {
            Some(expand) => {
                staged.reserve(batch * from.pixels() * channels)?;
                expand.run((input, from.stride), batch * from.pixels(), staged, CudaResidual::None)?;
                &*staged
            }
            None => input,
        };
        filtered.reserve(batch * to.pixels() * channels)?;
        self.depthwise.run(expanded, batch, from.size, filtered)?;
        if let Some((gate, means)) = &self.gate {
            pooled.reserve(batch * channels)?;
            factors.reserve(batch * channels)?;
            let maps = CudaMaps { values: filtered, batch, channels, skip: 0, image_pixels: to.pixels() };
            let span = CudaSpan { stride: channels, start: 0, kept: channels };
            means.run(maps, pooled, span, lines)?;
            gate.run(pooled, batch, factors, squeezed)?;
            gate.apply(filtered, factors, batch, to.pixels())?;
        }
        let residual = if self.residual { CudaResidual::AfterActivation(input) } else { CudaResidual::None };
        self.project.run((filtered, channels), batch * to.pixels(), output, residual)
    }
}
