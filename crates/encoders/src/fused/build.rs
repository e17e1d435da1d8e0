//! From a network and its folded weights to a program.

use std::collections::BTreeMap;

use oodlab_kernels::dense_conv::DenseConv;
use oodlab_kernels::depthwise_conv::DepthwiseConv;
use oodlab_kernels::pointwise_conv::PointwiseConv;
use oodlab_kernels::simd::{Activation, AlignedBuffer, InstructionSet, SizeError, padded_channels};
use oodlab_kernels::squeeze_excitation::{Layer, SqueezeExcitation};
use oodlab_kernels::window_pool;

use super::block::FusedBlock;
use super::operation::Operation;
use super::tap::PooledMap;
use super::transformer::{FusedTransformer, LayerNorm, Tokens};
use super::{Placed, Program, Shape, Size};
use crate::encoder::{Pooling, Precision};
use crate::network::{Convolution, InvertedResidual, Network, PoolKind, Slot, Step, TransformerBlock, Unit};
use crate::weights::Tensor;

/// Packs all weights. `tensors` are folded and were checked against the network.
pub(crate) fn build(
    network: &Network,
    tensors: &BTreeMap<String, Tensor>,
    resolution: usize,
    (pooling, precision): (Pooling, Precision),
    set: InstructionSet,
) -> Result<Program, SizeError> {
    let classifier = tensors.contains_key(&format!("{}.weight", network.classifier.name));
    let has_head = network.has_head(|name| tensors.contains_key(name));
    let head = if has_head { &network.head[..] } else { &[] };
    let steps: Vec<&Step> = network.trunk.iter().chain(head).collect();
    let mut building = Building {
        layers: Layers { tensors, precision },
        pooling,
        shapes: vec![Shape::default(); network.slots()],
        steps: Vec::with_capacity(steps.len()),
        width: 0,
        operations: 0,
    };
    building.shapes[0] = Shape { size: (resolution, resolution), channels: 3, stride: 3 };
    for (at, step) in steps.iter().enumerate() {
        building.add(step, &steps[at + 1..])?;
    }
    let Building { layers, shapes, steps, mut width, operations, .. } = building;
    let penultimate =
        has_head.then(|| PooledMap::penultimate(network.last, shapes[network.last], network.readout, width));
    let penultimate_width = penultimate.as_ref().map_or(0, PooledMap::width);
    width += penultimate_width;
    let classifier = if classifier { Some(layers.pointwise_of(&network.classifier, Activation::None)?) } else { None };
    let operations_per_image = operations + classifier.as_ref().map_or(0, PointwiseConv::operations_per_pixel);
    let maps = network.slots();
    Ok(Program {
        set,
        resolution,
        maps,
        steps,
        penultimate,
        classifier,
        width,
        penultimate_width,
        operations_per_image,
    })
}

/// The encoder asks first whether the processor has such products, and says so in words.
const NO_BF16: SizeError = SizeError { kernel: "network", what: "number of bf16 products", found: 0, expected: 1 };

/// A program on its way.
struct Building<'a> {
    layers: Layers<'a>,
    pooling: Pooling,
    /// What each map holds now.
    shapes: Vec<Shape>,
    steps: Vec<Placed>,
    width: usize,
    operations: u64,
}

impl Building<'_> {
    /// Adds one step; `later` are those behind it.
    fn add(&mut self, step: &Step, later: &[&Step]) -> Result<(), SizeError> {
        let from = step.reads().first().copied().unwrap_or(0);
        let input = self.shapes[from];
        let residual = if let Step::Convolve(step) = step { step.residual } else { None };
        let to = step.writes().unwrap_or(from);
        // A map to which channels are appended later has room for them from the beginning.
        let stride = |channels: usize| {
            let appended = appended_channels(to, later);
            let slack = if appended > 0 { padded_channels(1) } else { 0 };
            padded_channels(channels + appended + slack)
        };
        let plain = |size: Size, channels: usize| Shape { size, channels, stride: stride(channels) };
        let (operation, output) = match step {
            Step::Convolve(step) if step.append => {
                let (conv, size) = self.layers.dense(step, input)?;
                self.operations += pixels(size) * conv.operations_per_pixel();
                let mut output = self.shapes[to];
                let offset = output.channels;
                output.channels += step.unit.outputs();
                (Operation::Append { conv, offset }, output)
            }
            Step::Convolve(step) if step.size() == 1 && step.stride == 1 => {
                let conv = self.layers.pointwise_of(&step.unit, step.activation)?.activated_after_residual();
                self.operations += pixels(input.size) * conv.operations_per_pixel();
                (Operation::Pointwise(conv), plain(input.size, step.unit.outputs()))
            }
            Step::Convolve(step) => {
                let (conv, size) = self.layers.dense(step, input)?;
                self.operations += pixels(size) * conv.operations_per_pixel();
                (Operation::Dense(conv), plain(size, step.unit.outputs()))
            }
            Step::InvertedResidual(step) => {
                let block = self.layers.block(step)?;
                let size = fits(block.output_size(input.size), input.size)?;
                self.operations += block.operations(input.size, size);
                (Operation::Block(Box::new(block)), plain(size, step.project.outputs()))
            }
            Step::Normalise { norm, activation, .. } => {
                let Layer { weight, bias } = self.layers.get(&norm.name);
                let (scale, shift) = (padded(weight), padded(bias));
                (Operation::Affine { scale, shift, activation: *activation }, plain(input.size, input.channels))
            }
            Step::Pool(step) => {
                let size = step.padding.output_size(input.size.0, input.size.1, step.size, step.stride);
                let size = fits(size, input.size)?;
                let kind = match step.kind {
                    PoolKind::Max => window_pool::Kind::Max,
                    PoolKind::Average => window_pool::Kind::Average,
                };
                let pool = Operation::Pool { kind, size: step.size, stride: step.stride, padding: step.padding };
                (pool, plain(size, input.channels))
            }
            &Step::Subsample { stride, around, .. } => {
                let size = (input.size.0.div_ceil(stride), input.size.1.div_ceil(stride));
                (Operation::Subsample { stride, around }, plain(size, input.channels + 2 * around))
            }
            Step::Tokens { class_token, positions, .. } => {
                let (token, table) = (self.layers.tensor(&class_token.name), self.layers.tensor(&positions.name));
                let mut table = table.to_vec();
                table.iter_mut().zip(token).for_each(|(position, token)| *position += token);
                let expected = (input.pixels() + 1) * input.channels;
                if table.len() != expected {
                    let what = "number of positions times channels";
                    return Err(SizeError { kernel: "tokens", what, found: table.len(), expected });
                }
                (Operation::Tokens(Tokens { table }), plain((input.pixels() + 1, 1), input.channels))
            }
            Step::Transform(step) => {
                let block = self.layers.transformer(step)?;
                self.operations += block.operations(input.pixels());
                (Operation::Transform(Box::new(block)), input)
            }
            Step::NormaliseTokens { norm, .. } => {
                (Operation::LayerNorm(self.layers.layer_norm(norm)), plain(input.size, input.channels))
            }
            Step::Tap(tap) => {
                let pooled = PooledMap::tap(from, input, tap.skip, tap.stride, self.pooling, self.width);
                self.width += pooled.width();
                (Operation::Tap(pooled), input)
            }
        };
        self.shapes[to] = output;
        self.steps.push(Placed { operation, from, residual, to, input, output });
        Ok(())
    }
}

/// Channels that later steps append to a map, until another step writes it anew.
fn appended_channels(map: Slot, later: &[&Step]) -> usize {
    let mut channels = 0;
    for step in later.iter().filter(|step| step.writes() == Some(map)) {
        match step {
            Step::Convolve(step) if step.append => channels += step.unit.outputs(),
            _ => break,
        }
    }
    channels
}

fn pixels(size: Size) -> u64 {
    size.0 as u64 * size.1 as u64
}

fn fits(output: Option<Size>, input: Size) -> Result<Size, SizeError> {
    let found = input.0.min(input.1);
    output.ok_or(SizeError { kernel: "network", what: "side of a map", found, expected: found + 1 })
}

fn padded(values: &[f32]) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::zeroed(padded_channels(values.len()));
    buffer[..values.len()].copy_from_slice(values);
    buffer
}

/// Folded tensors by the name of their layer.
struct Layers<'a> {
    tensors: &'a BTreeMap<String, Tensor>,
    precision: Precision,
}

impl<'a> Layers<'a> {
    /// A tensor; empty where absent, which the kernels refuse.
    fn tensor(&self, name: &str) -> &'a [f32] {
        self.tensors.get(name).map_or(&[][..], |tensor| &tensor.values)
    }

    fn get(&self, name: &str) -> Layer<'a> {
        Layer { weight: self.tensor(&format!("{name}.weight")), bias: self.tensor(&format!("{name}.bias")) }
    }

    /// A 1×1 convolution or a linear layer; a classifier has as many outputs as the file has biases.
    fn pointwise_of(&self, unit: &Unit, activation: Activation) -> Result<PointwiseConv, SizeError> {
        let Layer { weight, bias } = self.get(&unit.name);
        let inputs = unit.shape.get(1).copied().unwrap_or(0);
        let conv = PointwiseConv::new(weight, bias, inputs, bias.len(), activation)?;
        match self.precision {
            Precision::F32 => Ok(conv),
            Precision::Bf16 => conv.in_bf16().ok_or(NO_BF16),
        }
    }

    fn dense(&self, step: &Convolution, input: Shape) -> Result<(DenseConv, Size), SizeError> {
        let Layer { weight, bias } = self.get(&step.unit.name);
        let channels = (step.inputs(), step.unit.outputs());
        let conv = DenseConv::new(weight, bias, channels, step.size(), step.stride, step.padding, step.activation)?;
        let size = fits(conv.output_size(input.size.0, input.size.1), input.size)?;
        let conv = match self.precision {
            Precision::F32 => conv,
            Precision::Bf16 => conv.in_bf16().ok_or(NO_BF16)?,
        };
        Ok((conv.activated_after_residual(), size))
    }

    fn block(&self, step: &InvertedResidual) -> Result<FusedBlock, SizeError> {
        let expand = match &step.expand {
            Some(unit) => Some(self.pointwise_of(unit, step.activation)?),
            None => None,
        };
        let Layer { weight, bias } = self.get(&step.depthwise.name);
        let channels = step.depthwise.outputs();
        let depthwise = DepthwiseConv::new(weight, bias, channels, step.size(), step.stride, step.activation)?;
        let gate = match &step.gate {
            Some((reduce, expand)) => {
                let squeezed = reduce.outputs();
                Some(SqueezeExcitation::new(channels, squeezed, self.get(&reduce.name), self.get(&expand.name))?)
            }
            None => None,
        };
        let project = self.pointwise_of(&step.project, Activation::None)?;
        Ok(FusedBlock { expand, depthwise, padding: step.padding, gate, project, residual: step.residual })
    }

    fn layer_norm(&self, unit: &Unit) -> LayerNorm {
        let Layer { weight, bias } = self.get(&unit.name);
        LayerNorm { weight: weight.to_vec(), bias: bias.to_vec() }
    }

    fn transformer(&self, step: &TransformerBlock) -> Result<FusedTransformer, SizeError> {
        let linear = |unit: &Unit| self.pointwise_of(unit, Activation::None);
        Ok(FusedTransformer {
            norm1: self.layer_norm(&step.norm1),
            qkv: linear(&step.qkv)?,
            project: linear(&step.project)?,
            norm2: self.layer_norm(&step.norm2),
            expand: self.pointwise_of(&step.expand, Activation::Gelu)?,
            contract: linear(&step.contract)?,
            heads: step.heads,
        })
    }
}
