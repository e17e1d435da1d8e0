//! Transformer blocks.

use oodlab_kernels::attention;
use oodlab_kernels::cuda::{Buffer, CudaError, Gpu};
use oodlab_kernels::layer_norm::cuda::CudaLayerNorm;
use oodlab_kernels::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use oodlab_kernels::simd::padded_channels;

use super::{Scratch, Shape};

/// One block with its weights.
#[derive(Debug)]
pub(super) struct Transformer {
    pub norm1: CudaLayerNorm,
    pub qkv: CudaPointwiseConv,
    pub project: CudaPointwiseConv,
    pub norm2: CudaLayerNorm,
    pub expand: CudaPointwiseConv,
    pub contract: CudaPointwiseConv,
    pub heads: usize,
}

impl Transformer {
    /// Changes the tokens: `tokens` holds the new ones afterwards, in memory that was `scratch`'s before.
    pub fn run(
        &self,
        gpu: &Gpu,
        batch: usize,
        tokens: &mut Buffer<f32>,
        shape: Shape,
        scratch: &mut Scratch,
    ) -> Result<(), CudaError> {
        let (count, stride) = (batch * shape.pixels(), shape.stride);
        let head_width = shape.channels / self.heads.max(1);
        let Scratch { staged, filtered, attended, scores, .. } = scratch;
        let (qkv, hidden) = (padded_channels(self.qkv.outputs()), padded_channels(self.expand.outputs()));
        staged.reserve(count * qkv.max(hidden))?;
        filtered.reserve(count * stride)?;
        attended.reserve(count * stride)?;

        self.norm1.run((tokens, stride), count, (filtered, stride))?;
        self.qkv.run((filtered, stride), count, staged, CudaResidual::None)?;
        let sequence = (batch, shape.pixels());
        attention::cuda::run(gpu, staged, sequence, self.heads, head_width, attended, scores)?;
        self.project.run((attended, stride), count, filtered, CudaResidual::AfterActivation(tokens))?;
        std::mem::swap(tokens, filtered);

        self.norm2.run((tokens, stride), count, (filtered, stride))?;
        self.expand.run((filtered, stride), count, staged, CudaResidual::None)?;
        self.contract.run((staged, hidden), count, attended, CudaResidual::AfterActivation(tokens))?;
        std::mem::swap(tokens, attended);
        Ok(())
    }
}
