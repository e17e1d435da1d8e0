//! From a network and its folded weights to a program.

use std::collections::BTreeMap;
use std::sync::Mutex;

use oodlab_kernels::affine::cuda::CudaAffine;
use oodlab_kernels::cuda::{CudaError, Gpu};
use oodlab_kernels::dense_conv::cuda::CudaDenseConv;
use oodlab_kernels::depthwise_conv::cuda::CudaDepthwiseConv;
use oodlab_kernels::layer_norm::cuda::CudaLayerNorm;
use oodlab_kernels::pointwise_conv::cuda::CudaPointwiseConv;
use oodlab_kernels::pooling;
use oodlab_kernels::pooling::cuda::CudaPool;
use oodlab_kernels::simd::{Activation, SizeError, padded_channels};
use oodlab_kernels::squeeze_excitation::Layer;
use oodlab_kernels::squeeze_excitation::cuda::CudaSqueezeExcitation;
use oodlab_kernels::window_pool;
use oodlab_kernels::window_pool::cuda::CudaWindows;

use super::block::Block;
use super::operation::Operation;
use super::tap::PooledMap;
use super::transformer::Transformer;
use super::{CudaNetwork, LARGEST_BATCH, LARGEST_MAP, Placed, Shape, Size, Workspace};
use crate::encoder::Pooling;
use crate::network::{Convolution, InvertedResidual, Network, PoolKind, Slot, Step, TransformerBlock, Unit};
use crate::weights::Tensor;

/// Copies all weights. `tensors` are folded and were checked against the network.
pub(super) fn build(
    gpu: &Gpu,
    network: &Network,
    tensors: &BTreeMap<String, Tensor>,
    resolution: usize,
    pooling: Pooling,
) -> Result<CudaNetwork, CudaError> {
    let has_classifier = tensors.contains_key(&format!("{}.weight", network.classifier.name));
    let has_head = network.has_head(|name| tensors.contains_key(name));
    let head = if has_head { &network.head[..] } else { &[] };
    let steps: Vec<&Step> = network.trunk.iter().chain(head).collect();
    let mut building = Building {
        layers: Layers { gpu, tensors },
        pooling,
        shapes: vec![Shape::default(); network.slots()],
        steps: Vec::with_capacity(steps.len()),
        width: 0,
        largest: 1,
    };
    building.shapes[0] = Shape { size: (resolution, resolution), channels: 3, stride: 3 };
    for (at, step) in steps.iter().enumerate() {
        building.add(step, &steps[at + 1..])?;
    }
    let Building { layers, shapes, steps, mut width, largest, .. } = building;
    let mut penultimate = None;
    if has_head {
        let map = (network.last, shapes[network.last]);
        let pooled = PooledMap::penultimate(gpu, map, network.readout, width)?;
        width += pooled.width();
        penultimate = Some(pooled);
    }
    let classifier = if has_classifier { Some(layers.pointwise(&network.classifier, Activation::None)?) } else { None };
    let maps = network.slots();
    let workspace = Mutex::new(Workspace::new(gpu, maps)?);
    let batch = (LARGEST_MAP / largest).clamp(1, LARGEST_BATCH);
    Ok(CudaNetwork { gpu: gpu.clone(), resolution, batch, maps, steps, penultimate, classifier, width, workspace })
}

/// A program on its way.
struct Building<'a> {
    layers: Layers<'a>,
    pooling: Pooling,
    /// What each map holds now.
    shapes: Vec<Shape>,
    steps: Vec<Placed>,
    width: usize,
    /// Values of the largest map of one image.
    largest: usize,
}

impl Building<'_> {
    /// Adds one step; `later` are those behind it.
    fn add(&mut self, step: &Step, later: &[&Step]) -> Result<(), CudaError> {
        let from = step.reads().first().copied().unwrap_or(0);
        let input = self.shapes[from];
        let residual = if let Step::Convolve(step) = step { step.residual } else { None };
        let to = step.writes().unwrap_or(from);
        // A map to which channels are appended later has room for them from the beginning.
        let stride = |channels: usize| padded_channels(channels + appended_channels(to, later));
        let plain = |size: Size, channels: usize| Shape { size, channels, stride: stride(channels) };
        let (operation, output) = match step {
            Step::Convolve(step) if step.append => {
                let (conv, _) = self.layers.dense(step, input)?;
                let mut output = self.shapes[to];
                let offset = output.channels;
                output.channels += step.unit.outputs();
                (Operation::Dense { conv, offset }, output)
            }
            Step::Convolve(step) if step.size() == 1 && step.stride == 1 => {
                let conv = self.layers.pointwise(&step.unit, step.activation)?;
                (Operation::Pointwise(conv), plain(input.size, step.unit.outputs()))
            }
            Step::Convolve(step) => {
                let (conv, size) = self.layers.dense(step, input)?;
                (Operation::Dense { conv, offset: 0 }, plain(size, step.unit.outputs()))
            }
            Step::InvertedResidual(step) => {
                let (block, size) = self.layers.block(step, input)?;
                let expanded = padded_channels(step.depthwise.outputs());
                self.largest = self.largest.max(input.pixels() * expanded);
                (Operation::Block(Box::new(block)), plain(size, step.project.outputs()))
            }
            Step::Normalise { norm, activation, .. } => {
                let Layer { weight, bias } = self.layers.get(&norm.name);
                let affine = CudaAffine::new(self.layers.gpu, weight, bias, *activation)?;
                (Operation::Affine(affine), plain(input.size, input.channels))
            }
            Step::Pool(step) => {
                let size = step.padding.output_size(input.size.0, input.size.1, step.size, step.stride);
                let kind = match step.kind {
                    PoolKind::Max => window_pool::Kind::Max,
                    PoolKind::Average => window_pool::Kind::Average,
                };
                let windows = CudaWindows { kind, size: step.size, stride: step.stride, padding: step.padding };
                (Operation::Pool(windows), plain(fits(size, input.size)?, input.channels))
            }
            &Step::Subsample { stride, around, .. } => {
                let size = (input.size.0.div_ceil(stride.max(1)), input.size.1.div_ceil(stride.max(1)));
                (Operation::Subsample { stride, around }, plain(size, input.channels + 2 * around))
            }
            Step::Tokens { class_token, positions, .. } => {
                let (token, table) = (self.layers.tensor(&class_token.name), self.layers.tensor(&positions.name));
                let mut table = table.to_vec();
                table.iter_mut().zip(token).for_each(|(position, token)| *position += token);
                let expected = (input.pixels() + 1) * input.channels;
                if table.len() != expected {
                    let what = "number of positions times channels";
                    return Err(SizeError { kernel: "tokens", what, found: table.len(), expected }.into());
                }
                let table = self.layers.gpu.copy(&table)?;
                (Operation::Tokens(table), plain((input.pixels() + 1, 1), input.channels))
            }
            Step::Transform(step) => {
                self.largest = self.largest.max(input.pixels() * padded_channels(step.expand.outputs()));
                self.largest = self.largest.max(step.heads * input.pixels() * input.pixels());
                (Operation::Transform(Box::new(self.layers.transformer(step)?)), input)
            }
            Step::NormaliseTokens { norm, .. } => {
                (Operation::LayerNorm(self.layers.layer_norm(norm)?), plain(input.size, input.channels))
            }
            Step::Tap(tap) => {
                let gpu = self.layers.gpu;
                let pooled = PooledMap::tap(gpu, (from, input), tap.skip, tap.stride, self.pooling, self.width)?;
                self.width += pooled.width();
                (Operation::Tap(pooled), input)
            }
        };
        if let Some(slot) = residual {
            let (found, expected) = (self.shapes[slot].stride, padded_channels(output.channels));
            if self.shapes[slot].size != output.size || found != expected {
                let (kernel, what) = ("network (GPU)", "stride of a residual");
                return Err(SizeError { kernel, what, found, expected }.into());
            }
        }
        self.largest = self.largest.max(output.length());
        self.shapes[to] = output;
        self.steps.push(Placed { operation, from, residual, to, input, output });
        Ok(())
    }
}

/// Channels that later steps append to a map, until another step writes it anew.
fn appended_channels(map: Slot, later: &[&Step]) -> usize {
    let writing = later.iter().filter(|step| step.writes() == Some(map));
    let appending = writing.map_while(|step| match step {
        Step::Convolve(step) if step.append => Some(step.unit.outputs()),
        _ => None,
    });
    appending.sum()
}

fn fits(output: Option<Size>, input: Size) -> Result<Size, SizeError> {
    let found = input.0.min(input.1);
    output.ok_or(SizeError { kernel: "network (GPU)", what: "side of a map", found, expected: found + 1 })
}

/// Folded tensors by the name of their layer, and where they go.
struct Layers<'a> {
    gpu: &'a Gpu,
    tensors: &'a BTreeMap<String, Tensor>,
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
    fn pointwise(&self, unit: &Unit, activation: Activation) -> Result<CudaPointwiseConv, CudaError> {
        let Layer { weight, bias } = self.get(&unit.name);
        let inputs = unit.shape.get(1).copied().unwrap_or(0);
        CudaPointwiseConv::new(self.gpu, weight, bias, inputs, bias.len(), activation)
    }

    fn dense(&self, step: &Convolution, input: Shape) -> Result<(CudaDenseConv, Size), CudaError> {
        let Layer { weight, bias } = self.get(&step.unit.name);
        let channels = (step.inputs(), step.unit.outputs());
        let Convolution { stride, padding, activation, .. } = *step;
        let conv = CudaDenseConv::new(self.gpu, weight, bias, channels, step.size(), stride, padding, activation)?;
        let size = fits(conv.output_size(input.size), input.size)?;
        Ok((conv, size))
    }

    fn block(&self, step: &InvertedResidual, input: Shape) -> Result<(Block, Size), CudaError> {
        let expand = match &step.expand {
            Some(unit) => Some(self.pointwise(unit, step.activation)?),
            None => None,
        };
        let Layer { weight, bias } = self.get(&step.depthwise.name);
        let channels = step.depthwise.outputs();
        let InvertedResidual { stride, padding, activation, .. } = *step;
        let depthwise =
            CudaDepthwiseConv::new(self.gpu, weight, bias, channels, step.size(), stride, padding, activation)?;
        let size = fits(depthwise.output_size(input.size), input.size)?;
        let gate = match &step.gate {
            Some((reduce, expand)) => {
                let (squeezed, reduce, expand) = (reduce.outputs(), self.get(&reduce.name), self.get(&expand.name));
                let gate = CudaSqueezeExcitation::new(self.gpu, channels, squeezed, reduce, expand)?;
                let means = CudaPool::weighted(self.gpu, &pooling::average(size.0), &pooling::average(size.1))?;
                Some((gate, means))
            }
            None => None,
        };
        let project = self.pointwise(&step.project, Activation::None)?;
        Ok((Block { expand, depthwise, gate, project, residual: step.residual }, size))
    }

    fn layer_norm(&self, unit: &Unit) -> Result<CudaLayerNorm, CudaError> {
        let Layer { weight, bias } = self.get(&unit.name);
        CudaLayerNorm::new(self.gpu, weight, bias, Network::LAYER_NORM_EPSILON as f32)
    }

    fn transformer(&self, step: &TransformerBlock) -> Result<Transformer, CudaError> {
        let linear = |unit: &Unit| self.pointwise(unit, Activation::None);
        Ok(Transformer {
            norm1: self.layer_norm(&step.norm1)?,
            qkv: linear(&step.qkv)?,
            project: linear(&step.project)?,
            norm2: self.layer_norm(&step.norm2)?,
            expand: self.pointwise(&step.expand, Activation::Gelu)?,
            contract: linear(&step.contract)?,
            heads: step.heads,
        })
    }
}
