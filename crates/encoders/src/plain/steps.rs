//! What each step of a network computes.

use candle_core::{D, Error, Result, Tensor};
use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

use super::Mode;
use super::activation::activate;
use super::batch_norm::{batch_norm, batch_statistics};
use super::convolution::convolve;
use super::parameters::Parameters;
use super::window_pool::window_pool;
use crate::network::{InvertedResidual, Network, Slot, Step, TransformerBlock, Unit, UnitKind};

/// A network while it runs.
pub(super) struct Run<'a> {
    network: &'a Network,
    parameters: &'a Parameters,
    mode: Mode,
    /// Maps `[images, channels, height, width]`; tokens `[images, tokens, width]`.
    maps: Vec<Option<Tensor>>,
    /// The maps of the taps that were passed, as `[images, channels, height, width]`.
    pub taps: Vec<Tensor>,
}

impl<'a> Run<'a> {
    pub fn new(network: &'a Network, parameters: &'a Parameters, mode: Mode, images: Tensor) -> Run<'a> {
        let mut maps = vec![None; network.slots()];
        maps[0] = Some(images);
        Run { network, parameters, mode, maps, taps: Vec::new() }
    }

    /// What a map holds now.
    pub fn map(&self, slot: Slot) -> Result<&Tensor> {
        let held = self.maps.get(slot).and_then(Option::as_ref);
        held.ok_or_else(|| Error::msg(format!("map {slot} is read before it is written")))
    }

    /// Puts another map in a map's place; later steps read it.
    pub fn replace(&mut self, slot: Slot, map: Tensor) {
        if let Some(held) = self.maps.get_mut(slot) {
            *held = Some(map);
        }
    }

    /// Runs one step.
    pub fn step(&mut self, step: &Step) -> Result<()> {
        let output = match step {
            Step::Convolve(step) => {
                let mut output = self.convolution(&step.unit, self.map(step.from)?, step.stride, step.padding)?;
                if let Some(slot) = step.residual {
                    output = (output + self.map(slot)?)?;
                }
                output = activate(&output, step.activation)?;
                if step.append { Tensor::cat(&[self.map(step.to)?, &output], 1)? } else { output }
            }
            Step::InvertedResidual(step) => self.inverted_residual(step)?,
            Step::Normalise { norm, activation, from, .. } => {
                activate(&self.norm(norm, self.map(*from)?)?, *activation)?
            }
            Step::Pool(step) => window_pool(self.map(step.from)?, step.kind, step.size, step.stride, step.padding)?,
            Step::Subsample { stride, around, from, .. } => subsample(self.map(*from)?, *stride, *around)?,
            Step::Tokens { class_token, positions, from, .. } => {
                let patches = self.map(*from)?.flatten_from(2)?.transpose(1, 2)?;
                let class_token = self.parameters.get(&class_token.name)?;
                let (images, _, width) = patches.dims3()?;
                let tokens = Tensor::cat(&[&class_token.broadcast_as((images, 1, width))?.contiguous()?, &patches], 1)?;
                tokens.broadcast_add(self.parameters.get(&positions.name)?)?
            }
            Step::Transform(step) => self.transform(step)?,
            Step::NormaliseTokens { norm, from, .. } => self.layer_norm(norm, self.map(*from)?)?,
            Step::Tap(tap) => {
                let map = self.map(tap.from)?;
                let map = if map.rank() == 3 {
                    let tokens = map.dim(1)?.saturating_sub(tap.skip);
                    map.narrow(1, tap.skip, tokens)?.transpose(1, 2)?.unsqueeze(3)?.contiguous()?
                } else {
                    map.clone()
                };
                self.taps.push(map);
                return Ok(());
            }
        };
        if let Some(slot) = step.writes() {
            self.maps[slot] = Some(output);
        }
        Ok(())
    }

    /// A convolution with its bias or its batch norm.
    fn convolution(&self, unit: &Unit, input: &Tensor, stride: usize, padding: Padding) -> Result<Tensor> {
        let weight = self.parameters.get(&format!("{}.weight", unit.name))?;
        let output = convolve(input, weight, stride, padding)?;
        match &unit.kind {
            UnitKind::Normed(_) if !self.parameters.is_folded() => self.norm(unit, &output),
            UnitKind::Biasless if !self.parameters.is_folded() => Ok(output),
            _ => {
                let bias = self.parameters.get(&format!("{}.bias", unit.name))?;
                output.broadcast_add(&bias.reshape((1, (), 1, 1))?)
            }
        }
    }

    /// The batch norm of a unit; in training it learns of this batch. Folded, a lone one is a factor and a shift.
    fn norm(&self, unit: &Unit, input: &Tensor) -> Result<Tensor> {
        if self.parameters.is_folded() {
            let part = |part: &str| self.parameters.get(&format!("{}.{part}", unit.name))?.reshape((1, (), 1, 1));
            return input.broadcast_mul(&part("weight")?)?.broadcast_add(&part("bias")?);
        }
        let name = unit.norm().unwrap_or(&unit.name);
        let part = |part: &str| self.parameters.get(&format!("{name}.{part}"));
        let (factor, shift) = (part("weight")?, part("bias")?);
        let epsilon = self.network.batch_norm_epsilon;
        match self.mode {
            Mode::Train => {
                let (mean, variance, values) = batch_statistics(input)?;
                let output = batch_norm(input, (factor, shift), (&mean, &variance), epsilon, true)?;
                self.parameters.with_statistics(name, |statistics| statistics.follow(&mean, &variance, values))?;
                Ok(output)
            }
            Mode::Infer => {
                let statistics = self.parameters.statistics(name)?;
                let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
                let (mean, variance) = (wide(&statistics.mean), wide(&statistics.variance));
                batch_norm(input, (factor, shift), (&mean, &variance), epsilon, false)
            }
        }
    }

    fn inverted_residual(&self, step: &InvertedResidual) -> Result<Tensor> {
        let input = self.map(step.from)?;
        let pointwise = |unit: &Unit, input: &Tensor| self.convolution(unit, input, 1, Padding::default());
        let mut inner = input.clone();
        if let Some(unit) = &step.expand {
            inner = activate(&pointwise(unit, &inner)?, step.activation)?;
        }
        inner = self.convolution(&step.depthwise, &inner, step.stride, step.padding)?;
        inner = activate(&inner, step.activation)?;
        if let Some((reduce, expand)) = &step.gate {
            let squeezed = inner.mean_keepdim((2, 3))?;
            let squeezed = activate(&pointwise(reduce, &squeezed)?, Activation::Silu)?;
            let gate = activate(&pointwise(expand, &squeezed)?, Activation::Sigmoid)?;
            inner = inner.broadcast_mul(&gate)?;
        }
        let output = pointwise(&step.project, &inner)?;
        if step.residual { output + input } else { Ok(output) }
    }

    fn transform(&self, step: &TransformerBlock) -> Result<Tensor> {
        let tokens = self.map(step.map)?;
        let (images, count, width) = tokens.dims3()?;
        let heads = step.heads;
        let head_width = width / heads;

        let normed = self.layer_norm(&step.norm1, tokens)?;
        let qkv = self.linear(&step.qkv, &normed)?.reshape((images, count, 3, heads, head_width))?;
        // [images, heads, tokens, head width] each.
        let part = |index: usize| qkv.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let scores = (queries.matmul(&keys.transpose(2, 3)?)? / (head_width as f64).sqrt())?;
        let mixed = softmax(&scores)?.matmul(&values)?.transpose(1, 2)?.reshape((images, count, width))?;
        let tokens = (tokens + self.linear(&step.project, &mixed)?)?;

        let normed = self.layer_norm(&step.norm2, &tokens)?;
        let hidden = activate(&self.linear(&step.expand, &normed)?, Activation::Gelu)?;
        tokens + self.linear(&step.contract, &hidden)?
    }

    /// `input · weightᵀ + bias` over the last axis.
    pub fn linear(&self, unit: &Unit, input: &Tensor) -> Result<Tensor> {
        let weight = self.parameters.get(&format!("{}.weight", unit.name))?;
        let bias = self.parameters.get(&format!("{}.bias", unit.name))?;
        let mut dims = input.dims().to_vec();
        let rows = input.reshape(((), input.dim(D::Minus1)?))?;
        if let Some(last) = dims.last_mut() {
            *last = weight.dim(0)?;
        }
        rows.matmul(&weight.t()?)?.broadcast_add(bias)?.reshape(dims)
    }

    fn layer_norm(&self, unit: &Unit, input: &Tensor) -> Result<Tensor> {
        let part = |part: &str| self.parameters.get(&format!("{}.{part}", unit.name));
        let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normed = centred.broadcast_div(&(variance + Network::LAYER_NORM_EPSILON)?.sqrt()?)?;
        normed.broadcast_mul(part("weight")?)?.broadcast_add(part("bias")?)
    }
}

/// Softmax over the last axis; the largest score is taken off first, as a constant, which changes nothing but overflow.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let exponents = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    exponents.broadcast_div(&exponents.sum_keepdim(D::Minus1)?)
}

/// Every `stride`-th pixel, zero channels on both sides.
fn subsample(map: &Tensor, stride: usize, around: usize) -> Result<Tensor> {
    let (_, _, height, width) = map.dims4()?;
    let kept = |length: usize| {
        let kept: Vec<u32> = (0..length as u32).step_by(stride.max(1)).collect();
        Tensor::new(kept, map.device())
    };
    let mut output = map.clone();
    if stride != 1 {
        output = map.index_select(&kept(height)?, 2)?.index_select(&kept(width)?, 3)?;
    }
    output.pad_with_zeros(1, around, around)
}
