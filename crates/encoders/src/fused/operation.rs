//! The operations of a program.

use oodlab_kernels::dense_conv::{DenseConv, Padding};
use oodlab_kernels::pointwise_conv::{Pixels, PointwiseConv};
use oodlab_kernels::simd::{Activation, AlignedBuffer, InstructionSet, SizeError};
use oodlab_kernels::{affine, window_pool};

use super::block::FusedBlock;
use super::tap::PooledMap;
use super::transformer::{FusedTransformer, LayerNorm, Tokens};
use super::{Scratch, Shape};

/// One step with packed weights.
pub(super) enum Operation {
    /// A 1×1 convolution of stride 1.
    Pointwise(PointwiseConv),
    /// Any other convolution.
    Dense(DenseConv),
    /// A convolution behind the `offset` channels that its map holds already.
    Append {
        conv: DenseConv,
        offset: usize,
    },
    Block(Box<FusedBlock>),
    /// A lone batch norm.
    Affine {
        scale: AlignedBuffer,
        shift: AlignedBuffer,
        activation: Activation,
    },
    Pool {
        kind: window_pool::Kind,
        size: usize,
        stride: usize,
        padding: Padding,
    },
    Subsample {
        stride: usize,
        around: usize,
    },
    Tokens(Tokens),
    Transform(Box<FusedTransformer>),
    LayerNorm(LayerNorm),
    Tap(PooledMap),
}

impl Operation {
    /// Reads `input`, writes `output`, which is long enough for its shape.
    pub fn run(
        &self,
        set: InstructionSet,
        (input, from): (&[f32], Shape),
        residual: Option<&[f32]>,
        output: &mut AlignedBuffer,
        to: Shape,
        scratch: &mut Scratch,
    ) -> Result<(), SizeError> {
        let residual = residual.map(|values| (values, to.stride));
        match self {
            Operation::Pointwise(conv) => {
                let pixels = Pixels { values: input, stride: from.stride, count: from.pixels() };
                conv.run_strided(set, pixels, output, to.stride, residual)
            }
            Operation::Dense(conv) => {
                conv.run_map(set, input, from.stride, from.size, output, to.stride, residual, &mut scratch.strip)
            }
            Operation::Append { conv, offset } => {
                let output = &mut output[*offset..];
                conv.run_map(set, input, from.stride, from.size, output, to.stride, residual, &mut scratch.strip)
            }
            Operation::Block(block) => block.run(set, input, from.size, output, scratch).map(drop),
            Operation::Affine { scale, shift, activation } => {
                let (pixels, channels) = (from.pixels(), from.channels);
                affine::apply(set, input, from.stride, pixels, channels, scale, shift, *activation, output, to.stride)
            }
            &Operation::Pool { kind, size, stride, padding } => {
                let pool = |output: &mut [f32]| {
                    window_pool::pool(set, kind, input, from.size, from.stride, size, stride, padding, output).map(drop)
                };
                if from.stride == to.stride {
                    return pool(output);
                }
                // The map has room for channels that come later; the kernel writes pixels as far apart as it reads them.
                scratch.filtered.reserve(to.pixels() * from.stride);
                pool(&mut scratch.filtered)?;
                let pooled = scratch.filtered.chunks_exact(from.stride).take(to.pixels());
                for (to, pooled) in output.chunks_exact_mut(to.stride).zip(pooled) {
                    to[..from.channels].copy_from_slice(&pooled[..from.channels]);
                }
                Ok(())
            }
            &Operation::Subsample { stride, around } => {
                subsample(input, from, stride, around, output, to);
                Ok(())
            }
            Operation::Tokens(tokens) => {
                tokens.run(input, from, output);
                Ok(())
            }
            Operation::Transform(block) => block.run(set, output, to, scratch),
            Operation::LayerNorm(norm) => norm.run(set, input, from, output),
            // The program runs taps itself: they write no map.
            Operation::Tap(_) => Ok(()),
        }
    }
}

/// Every `stride`-th pixel, `around` zero channels before and behind.
fn subsample(input: &[f32], from: Shape, stride: usize, around: usize, output: &mut [f32], to: Shape) {
    let rows = output.chunks_exact_mut(to.size.1 * to.stride).take(to.size.0);
    for (y, row) in rows.enumerate() {
        for (x, pixel) in row.chunks_exact_mut(to.stride).enumerate() {
            let at = (y * stride * from.size.1 + x * stride) * from.stride;
            pixel.fill(0.0);
            pixel[around..around + from.channels].copy_from_slice(&input[at..at + from.channels]);
        }
    }
}
