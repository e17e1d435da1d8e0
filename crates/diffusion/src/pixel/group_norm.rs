//! GroupNorm over planes (Wu and He 2018), then SiLU, as one candle operation with gradients: as candle's elementwise operations it would
//! take longer than the convolutions between.
//!
//! `out = y / (1 + exp(-y))`, `y = (x - mean) / sqrt(variance + 1e-5) · weight + bias`, mean and (biased) variance over a group of channels of
//! one image. Sums run over a group's values in order, in f64; gradients of weight and bias are summed image by image, in order.

use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::convolution::{slice, values};
use crate::small::Taken;

/// Groups of channels.
pub(super) const GROUPS: usize = 8;
const EPSILON: f64 = 1e-5;

impl Taken<'_> {
    /// GroupNorm and SiLU of `x`, `[images, channels, height, width]`, channels a multiple of 8.
    pub(crate) fn norm_silu(&mut self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.next()?, self.next()?);
        let (_, channels, height, width) = x.dims4()?;
        if !channels.is_multiple_of(GROUPS) || channels == 0 || height * width == 0 {
            return Err(Error::msg(format!("group norm of {channels} channels, expected a multiple of {GROUPS}")));
        }
        let norm = NormSilu { channels, plane: height * width };
        x.contiguous()?.apply_op3(weight, bias, norm)
    }
}

struct NormSilu {
    channels: usize,
    /// Values of a channel.
    plane: usize,
}

/// What one image gives back.
struct Slopes {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl NormSilu {
    fn group(&self) -> usize {
        self.channels / GROUPS * self.plane
    }

    /// Mean and 1 / deviation of a group.
    fn statistics(group: &[f32]) -> (f32, f32) {
        let count = group.len() as f64;
        let mean = group.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = group.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        (mean as f32, (1.0 / (variance + EPSILON).sqrt()) as f32)
    }

    fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
        let groups = out.par_chunks_mut(self.group()).zip(x.par_chunks(self.group())).enumerate();
        groups.for_each(|(number, (out, x))| {
            let (mean, scale) = NormSilu::statistics(x);
            let first = number % GROUPS * (self.channels / GROUPS);
            let planes = out.chunks_exact_mut(self.plane).zip(x.chunks_exact(self.plane));
            for (channel, (out, x)) in (first..).zip(planes) {
                let (factor, shift) = (scale * weight[channel], bias[channel]);
                for (out, &x) in out.iter_mut().zip(x) {
                    let y = (x - mean) * factor + shift;
                    *out = y / (1.0 + (-y).exp());
                }
            }
        });
    }

    /// Gradients of one image; `slope` is replaced by that of `x`.
    fn backward(&self, x: &[f32], weight: &[f32], bias: &[f32], gradient: &[f32], slope: &mut [f32]) -> Slopes {
        let mut slopes = Slopes { weight: Vec::with_capacity(self.channels), bias: Vec::with_capacity(self.channels) };
        let groups = slope.chunks_exact_mut(self.group()).zip(x.chunks_exact(self.group()));
        for (number, ((slope, x), gradient)) in groups.zip(gradient.chunks_exact(self.group())).enumerate() {
            let (mean, scale) = NormSilu::statistics(x);
            let first = number * (self.channels / GROUPS);
            // Sums over the group of the gradient of the normalised values, alone and times those values.
            let (mut sum, mut product) = (0.0f64, 0.0f64);
            let planes = slope.chunks_exact_mut(self.plane).zip(x.chunks_exact(self.plane));
            for (channel, ((slope, x), gradient)) in (first..).zip(planes.zip(gradient.chunks_exact(self.plane))) {
                let (factor, shift) = (weight[channel], bias[channel]);
                let (mut of_weight, mut of_bias) = (0.0f64, 0.0f64);
                for ((slope, &x), &gradient) in slope.iter_mut().zip(x).zip(gradient) {
                    let normal = (x - mean) * scale;
                    let y = normal * factor + shift;
                    let gate = 1.0 / (1.0 + (-y).exp());
                    let along = gradient * gate * (1.0 + y * (1.0 - gate));
                    of_bias += f64::from(along);
                    of_weight += f64::from(along * normal);
                    *slope = along * factor;
                }
                sum += of_bias * f64::from(factor);
                product += of_weight * f64::from(factor);
                slopes.weight.push(of_weight as f32);
                slopes.bias.push(of_bias as f32);
            }
            let count = x.len() as f64;
            let (sum, product) = ((sum / count) as f32, (product / count) as f32);
            for (slope, &x) in slope.iter_mut().zip(x) {
                *slope = scale * (*slope - sum - (x - mean) * scale * product);
            }
        }
        slopes
    }
}

impl CustomOp3 for NormSilu {
    fn name(&self) -> &'static str {
        "group norm and silu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight, bias) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        if [weight.len(), bias.len()] != [self.channels; 2] {
            return Err(Error::msg(format!("group norm of {} channels: weights of others", self.channels)));
        }
        let mut out = vec![0.0; x.len()];
        self.forward(x, weight, bias, &mut out);
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (factors, shifts) = (values(weight)?, values(bias)?);
        let (input, gradient) = (values(x)?, values(gradient)?);
        let mut slope = vec![0.0; input.len()];
        let image = self.channels * self.plane;
        let images = slope.par_chunks_mut(image).zip(input.par_chunks(image)).zip(gradient.par_chunks(image));
        let parts: Vec<Slopes> =
            images.map(|((slope, x), gradient)| self.backward(x, &factors, &shifts, gradient, slope)).collect();
        let (mut of_weight, mut of_bias) = (vec![0.0f32; self.channels], vec![0.0f32; self.channels]);
        for part in parts {
            of_weight.iter_mut().zip(part.weight).for_each(|(sum, part)| *sum += part);
            of_bias.iter_mut().zip(part.bias).for_each(|(sum, part)| *sum += part);
        }
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(slope, x.dims(), device)?),
            Some(Tensor::from_vec(of_weight, weight.dims(), device)?),
            Some(Tensor::from_vec(of_bias, bias.dims(), device)?),
        ))
    }
}
