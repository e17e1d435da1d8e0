//! Tokens: class token and positions, transformer blocks.

use oodlab_kernels::pointwise_conv::{Pixels, PointwiseConv};
use oodlab_kernels::simd::{InstructionSet, SizeError, padded_channels};
use oodlab_kernels::{attention, layer_norm};

use super::{Scratch, Shape};
use crate::network::Network;

/// Factor and shift of a layer norm.
pub(super) struct LayerNorm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl LayerNorm {
    pub fn run(&self, set: InstructionSet, input: &[f32], shape: Shape, output: &mut [f32]) -> Result<(), SizeError> {
        let (rows, epsilon) = (shape.pixels(), Network::LAYER_NORM_EPSILON as f32);
        layer_norm::rows(set, input, rows, shape.stride, shape.channels, &self.weight, &self.bias, epsilon, output)
    }
}

/// Puts the class token before the patches and adds the positions.
pub(super) struct Tokens {
    /// The class token with its position, then the positions of the patches, `[tokens, width]`.
    pub table: Vec<f32>,
}

impl Tokens {
    pub fn run(&self, input: &[f32], shape: Shape, output: &mut [f32]) {
        let Shape { channels, stride, .. } = shape;
        let (first, rest) = self.table.split_at(channels);
        output[..channels].copy_from_slice(first);
        let patches = input.chunks_exact(stride).zip(rest.chunks_exact(channels));
        for (to, (patch, position)) in output[stride..].chunks_exact_mut(stride).zip(patches) {
            for ((to, value), position) in to.iter_mut().zip(patch).zip(position) {
                *to = value + position;
            }
        }
    }
}

/// One block with packed weights.
pub(super) struct FusedTransformer {
    pub norm1: LayerNorm,
    pub qkv: PointwiseConv,
    pub project: PointwiseConv,
    pub norm2: LayerNorm,
    pub expand: PointwiseConv,
    pub contract: PointwiseConv,
    pub heads: usize,
}

impl FusedTransformer {
    /// Floating-point operations for `tokens` tokens.
    pub fn operations(&self, tokens: usize) -> u64 {
        let linear = [&self.qkv, &self.project, &self.expand, &self.contract];
        let linear: u64 = linear.into_iter().map(PointwiseConv::operations_per_pixel).sum();
        let attention = 4 * tokens as u64 * tokens as u64 * self.project.inputs() as u64;
        linear * tokens as u64 + attention
    }

    /// Changes the tokens in place.
    pub fn run(
        &self,
        set: InstructionSet,
        tokens: &mut [f32],
        shape: Shape,
        scratch: &mut Scratch,
    ) -> Result<(), SizeError> {
        let (count, width) = (shape.pixels(), shape.channels);
        let head_width = width / self.heads.max(1);
        let Scratch { strip, filtered, pooled, gated_weights: work, .. } = scratch;
        let hidden = padded_channels(self.qkv.outputs().max(self.expand.outputs()));
        strip.reserve(count * hidden);
        filtered.reserve(shape.length());
        pooled.reserve(shape.length());

        self.norm1.run(set, tokens, shape, filtered)?;
        let stride = padded_channels(self.qkv.outputs());
        let pixels = Pixels { values: filtered, stride: shape.stride, count };
        self.qkv.run_strided(set, pixels, strip, stride, None)?;
        attention::run(set, strip, count, self.heads, head_width, pooled, work)?;
        // The sum goes to `filtered`, which nobody reads any more, then back.
        let pixels = Pixels { values: pooled, stride: shape.stride, count };
        self.project.run_strided(set, pixels, filtered, shape.stride, Some((tokens, shape.stride)))?;
        tokens[..shape.length()].copy_from_slice(&filtered[..shape.length()]);

        self.norm2.run(set, tokens, shape, filtered)?;
        let stride = padded_channels(self.expand.outputs());
        let pixels = Pixels { values: filtered, stride: shape.stride, count };
        self.expand.run_strided(set, pixels, strip, stride, None)?;
        let pixels = Pixels { values: strip, stride, count };
        self.contract.run_strided(set, pixels, pooled, shape.stride, Some((tokens, shape.stride)))?;
        tokens[..shape.length()].copy_from_slice(&pooled[..shape.length()]);
        Ok(())
    }
}
