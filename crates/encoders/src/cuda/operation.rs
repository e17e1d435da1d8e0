//! The operations of a program.

use oodlab_kernels::affine::cuda::CudaAffine;
use oodlab_kernels::cuda::{Buffer, CudaError, Gpu, rearrange};
use oodlab_kernels::dense_conv::cuda::CudaDenseConv;
use oodlab_kernels::layer_norm::cuda::CudaLayerNorm;
use oodlab_kernels::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use oodlab_kernels::simd::padded_channels;
use oodlab_kernels::window_pool;
use oodlab_kernels::window_pool::cuda::CudaWindows;

use super::block::Block;
use super::tap::PooledMap;
use super::transformer::Transformer;
use super::{Scratch, Shape};

/// One step with its weights.
#[derive(Debug)]
pub(super) enum Operation {
    /// A 1×1 convolution of stride 1.
    Pointwise(CudaPointwiseConv),
    /// Any other convolution, whose channels begin at `offset` of its map.
    Dense {
        conv: CudaDenseConv,
        offset: usize,
    },
    Block(Box<Block>),
    /// A lone batch norm.
    Affine(CudaAffine),
    Pool(CudaWindows),
    Subsample {
        stride: usize,
        around: usize,
    },
    /// The class token with its position, then the positions of the patches, `[tokens, width]`.
    Tokens(Buffer<f32>),
    Transform(Box<Transformer>),
    LayerNorm(CudaLayerNorm),
    Tap(PooledMap),
}

impl Operation {
    /// Reads the input, writes the output, which is long enough for its shape.
    pub fn run(
        &self,
        gpu: &Gpu,
        batch: usize,
        (input, from): (&Buffer<f32>, Shape),
        residual: CudaResidual<'_>,
        (output, to): (&mut Buffer<f32>, Shape),
        scratch: &mut Scratch,
    ) -> Result<(), CudaError> {
        let (read, written) = (batch * from.pixels(), batch * to.pixels());
        match self {
            Operation::Pointwise(conv) => {
                let natural = padded_channels(conv.outputs());
                if to.stride == natural {
                    return conv.run((input, from.stride), read, output, residual);
                }
                let staged = &mut scratch.staged;
                staged.reserve(written * natural)?;
                conv.run((input, from.stride), read, staged, residual)?;
                rearrange::copy_channels(gpu, (staged, natural), written, conv.outputs(), (output, to.stride), 0)
            }
            Operation::Dense { conv, offset } => {
                let natural = padded_channels(conv.outputs());
                let Scratch { windows, staged, .. } = scratch;
                if to.stride == natural && *offset == 0 {
                    return conv.run((input, from.stride), batch, from.size, output, residual, windows).map(drop);
                }
                staged.reserve(written * natural)?;
                conv.run((input, from.stride), batch, from.size, staged, residual, windows)?;
                let (staged, output) = ((&*staged, natural), (output, to.stride));
                rearrange::copy_channels(gpu, staged, written, conv.outputs(), output, *offset)
            }
            Operation::Block(block) => block.run(batch, (input, from), (output, to), scratch),
            Operation::Affine(affine) => affine.run((input, from.stride), read, (output, to.stride)),
            Operation::Pool(windows) => {
                if to.stride == from.stride {
                    return window_pool::cuda::pool(gpu, *windows, input, batch, from.size, from.stride, output)
                        .map(drop);
                }
                let staged = &mut scratch.staged;
                staged.reserve(written * from.stride)?;
                window_pool::cuda::pool(gpu, *windows, input, batch, from.size, from.stride, staged)?;
                rearrange::copy_channels(gpu, (staged, from.stride), written, to.channels, (output, to.stride), 0)
            }
            &Operation::Subsample { stride, around } => {
                let (input, output) = ((input, from.stride), (output, to.stride));
                rearrange::subsample(gpu, input, batch, from.size, from.channels, (stride, around), output)
            }
            Operation::Tokens(table) => {
                rearrange::tokens(gpu, (input, from.stride), batch, (table, from.channels), output)
            }
            Operation::LayerNorm(norm) => norm.run((input, from.stride), read, (output, to.stride)),
            // The program runs these itself: one changes its map in place, the other writes none.
            Operation::Transform(_) | Operation::Tap(_) => Ok(()),
        }
    }
}
