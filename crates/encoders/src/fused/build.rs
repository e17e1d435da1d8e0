//! From a network and its folded weights to a program.

use std::collections::BTreeMap;

use oodlab_kernels::dense_conv::DenseConv;
use oodlab_kernels::depthwise_conv::DepthwiseConv;
use oodlab_kernels::pointwise_conv::PointwiseConv;
use oodlab_kernels::pooling;
use oodlab_kernels::simd::{Activation, InstructionSet, SizeError};
use oodlab_kernels::squeeze_excitation::{Layer, SqueezeExcitation};

use super::{FusedBlock, Head, Operation, Program, Size, Tap};
use crate::efficientnet::{Block, Network};
use crate::encoder::Pooling;
use crate::weights::Tensor;

/// Stride of the stage that the released neck brings all others to.
const NECK_STRIDE: f64 = 16.0;

/// Packs all weights. `tensors` are folded and were checked against the network.
pub(crate) fn build(
    network: &Network,
    tensors: &BTreeMap<String, Tensor>,
    resolution: usize,
    pooling: Pooling,
    set: InstructionSet,
) -> Result<Program, SizeError> {
    let layers = Layers(tensors);
    let activation = network.activation();
    let stem = layers.dense("_conv_stem", (3, network.stem), network)?;
    let mut size = fits(stem.output_size(resolution, resolution), resolution)?;
    let mut operations_per_image = pixels(size) * stem.operations_per_pixel();
    let mut operations = vec![Operation::Stem(stem)];
    let mut taps = network.taps().into_iter().peekable();
    let mut width = 0;
    for (index, block) in network.blocks.iter().enumerate() {
        let fused = layers.block(index, block, activation)?;
        let output = fits(fused.output_size(size), size.0.min(size.1))?;
        let expand = fused.expand.as_ref().map_or(0, PointwiseConv::operations_per_pixel);
        let gate = fused.gate.as_ref().map_or(0, SqueezeExcitation::operations);
        let after = fused.depthwise.operations_per_pixel() + fused.project.operations_per_pixel();
        operations_per_image += pixels(size) * expand + gate + pixels(output) * after;
        size = output;
        operations.push(Operation::Block(Box::new(fused)));
        if let Some(tap) = taps.next_if(|tap| tap.block == index) {
            let weights = |length: usize| match pooling {
                Pooling::Average => pooling::average(length),
                Pooling::Released => {
                    let scaled = (length as f64 * tap.stride as f64 / NECK_STRIDE).floor() as usize;
                    pooling::resampled_average(length, scaled.max(1))
                }
            };
            let (rows, columns) = (weights(size.0), weights(size.1));
            operations.push(Operation::Tap(Tap { start: width, channels: tap.channels, rows, columns }));
            width += tap.channels;
        }
    }
    let head = layers.head(network, activation)?;
    Ok(Program { set, resolution, operations, head, width, operations_per_image })
}

fn pixels(size: Size) -> u64 {
    size.0 as u64 * size.1 as u64
}

fn fits(output: Option<Size>, found: usize) -> Result<Size, SizeError> {
    output.ok_or(SizeError { kernel: "network", what: "side of a map", found, expected: found + 1 })
}

/// Folded tensors by the name of their convolution.
struct Layers<'a>(&'a BTreeMap<String, Tensor>);

impl<'a> Layers<'a> {
    /// Weight and bias; empty where absent, which the kernels refuse.
    fn get(&self, name: &str) -> Layer<'a> {
        let values = |suffix: &str| self.0.get(&format!("{name}.{suffix}")).map_or(&[][..], |tensor| &tensor.values);
        Layer { weight: values("weight"), bias: values("bias") }
    }

    fn dense(&self, name: &str, channels: (usize, usize), network: &Network) -> Result<DenseConv, SizeError> {
        let Layer { weight, bias } = self.get(name);
        let (size, stride) = (crate::efficientnet::STEM_SIZE, crate::efficientnet::STEM_STRIDE);
        DenseConv::new(weight, bias, channels, size, stride, network.stem_padding, network.activation())
    }

    fn pointwise(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Result<PointwiseConv, SizeError> {
        let Layer { weight, bias } = self.get(name);
        PointwiseConv::new(weight, bias, inputs, outputs, activation)
    }

    fn block(&self, index: usize, block: &Block, activation: Activation) -> Result<FusedBlock, SizeError> {
        let name = |part: &str| format!("_blocks.{index}.{part}");
        let Block { inputs, expanded, outputs, size, stride, squeezed, padding } = *block;
        let expand = match block.expands() {
            true => Some(self.pointwise(&name("_expand_conv"), inputs, expanded, activation)?),
            false => None,
        };
        let Layer { weight, bias } = self.get(&name("_depthwise_conv"));
        let depthwise = DepthwiseConv::new(weight, bias, expanded, size, stride, activation)?;
        let gate = match squeezed {
            Some(squeezed) => {
                let (reduce, expand) = (self.get(&name("_se_reduce")), self.get(&name("_se_expand")));
                Some(SqueezeExcitation::new(expanded, squeezed, reduce, expand)?)
            }
            None => None,
        };
        let project = self.pointwise(&name("_project_conv"), expanded, outputs, Activation::None)?;
        Ok(FusedBlock { expand, depthwise, padding, gate, project, residual: block.is_residual() })
    }

    /// The classifier, where its weights are there.
    fn head(&self, network: &Network, activation: Activation) -> Result<Option<Head>, SizeError> {
        let classes = self.get("_fc").bias.len();
        if classes == 0 {
            return Ok(None);
        }
        let trunk = network.blocks.last().map_or(network.stem, |block| block.outputs);
        let conv = self.pointwise("_conv_head", trunk, network.head, activation)?;
        let linear = self.pointwise("_fc", network.head, classes, Activation::None)?;
        Ok(Some(Head { conv, linear }))
    }
}
