//! Batch norm (Ioffe & Szegedy, ICML 2015) as one candle operation with gradients: candle's elementwise operations would
//! take most of a training step.
//!
//! `y = (x - mean) / sqrt(variance + epsilon) · factor + shift` for every channel. Sums are taken in f64, channel by
//! channel in the order of images, so the bits do not depend on the number of threads.

use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::values::{Values, slice};

/// Share of the newest batch in the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// What a batch norm knows of the data: means and variances for each channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statistics {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
    /// Batches that went into them.
    pub batches: u64,
}

impl Statistics {
    /// Takes in a batch of `values` numbers a channel, whose variance is that of the population; the unbiased one is kept.
    pub fn follow(&mut self, mean: &[f64], variance: &[f64], values: usize) {
        let unbiased = values as f64 / (values as f64 - 1.0);
        let blend = |running: &mut f32, new: f64| {
            *running = ((1.0 - MOMENTUM) * f64::from(*running) + MOMENTUM * new) as f32;
        };
        self.mean.iter_mut().zip(mean).for_each(|(running, &new)| blend(running, new));
        self.variance.iter_mut().zip(variance).for_each(|(running, &new)| blend(running, new * unbiased));
        self.batches += 1;
    }
}

/// Mean and variance (of the population) of each channel of `[images, channels, height, width]`, and how many numbers went
/// into each.
///
/// # Errors
/// When a channel has fewer than two numbers: its variance would be zero by accident.
pub(super) fn batch_statistics(input: &Tensor) -> Result<(Vec<f64>, Vec<f64>, usize)> {
    let (images, channels, height, width) = input.dims4()?;
    let count = images * height * width;
    if count < 2 {
        return Err(Error::msg(format!("batch norm in training: {count} value a channel, expected at least 2")));
    }
    let input = input.contiguous()?;
    let values = Values::of(&input);
    let values = values.slice()?;
    let planes = Planes { channels, pixels: height * width };
    let moments = (0..channels).into_par_iter().map(|channel| {
        let sum: f64 = planes.of(values, channel).map(|plane| sum(plane, |x| x)).sum();
        let mean = sum / count as f64;
        let squares: f64 = planes.of(values, channel).map(|plane| self::sum(plane, |x| (x - mean) * (x - mean))).sum();
        (mean, squares / count as f64)
    });
    let (mean, variance) = moments.unzip();
    Ok((mean, variance, count))
}

/// Normalises `[images, channels, height, width]`; `factor` and `shift` `[channels]`. With `of_batch`, mean and variance are
/// those of this very input, and gradients go through them; otherwise they are constants.
pub(super) fn batch_norm(
    input: &Tensor,
    (factor, shift): (&Tensor, &Tensor),
    (mean, variance): (&[f64], &[f64]),
    epsilon: f64,
    of_batch: bool,
) -> Result<Tensor> {
    let (_, channels, height, width) = input.dims4()?;
    if factor.dims() != [channels] || shift.dims() != [channels] || mean.len() != channels || variance.len() != channels
    {
        return Err(Error::msg(format!(
            "batch norm of {channels} channels: the input has another number than the norm"
        )));
    }
    let scale = variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
    let planes = Planes { channels, pixels: height * width };
    let norm = BatchNorm { planes, mean: mean.to_vec(), scale, of_batch };
    input.contiguous()?.apply_op3(&factor.contiguous()?, &shift.contiguous()?, norm)
}

/// How channels lie in `[images, channels, pixels]`.
#[derive(Clone, Copy)]
struct Planes {
    channels: usize,
    pixels: usize,
}

impl Planes {
    /// One channel's plane of each image.
    fn of<'a>(&self, values: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        values.chunks_exact(self.pixels.max(1)).skip(channel).step_by(self.channels)
    }

    /// Writes `f(channel, input)` for every element.
    fn map(&self, input: &[f32], output: &mut [f32], f: impl Fn(usize) -> (f32, f32) + Sync) {
        let pixels = self.pixels.max(1);
        output.par_chunks_mut(pixels).zip(input.par_chunks(pixels)).enumerate().for_each(|(plane, (to, from))| {
            let (factor, shift) = f(plane % self.channels);
            for (to, from) in to.iter_mut().zip(from) {
                *to = from * factor + shift;
            }
        });
    }
}

/// Independent sums, so that additions overlap.
const LANES: usize = 8;

/// The sum of `f` over a plane in f64, in one fixed order.
fn sum(plane: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = plane.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += f(f64::from(x));
        }
    }
    sums.into_iter().sum::<f64>() + rest.iter().map(|&x| f(f64::from(x))).sum::<f64>()
}

struct BatchNorm {
    planes: Planes,
    mean: Vec<f64>,
    /// 1 / sqrt(variance + epsilon)
    scale: Vec<f64>,
    of_batch: bool,
}

impl BatchNorm {
    /// Sums of the gradient, and of the gradient times the normalised input, for each channel.
    fn sums(&self, input: &[f32], gradient: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let sums = (0..self.planes.channels).into_par_iter().map(|channel| {
            let (mut plain, mut product) = (0.0, 0.0);
            let planes = self.planes.of(input, channel).zip(self.planes.of(gradient, channel));
            for (input, gradient) in planes {
                plain += sum(gradient, |g| g);
                let (inputs, rest) = input.as_chunks::<LANES>();
                let (gradients, gradient_rest) = gradient.as_chunks::<LANES>();
                let mut sums = [0.0f64; LANES];
                for (input, gradient) in inputs.iter().zip(gradients) {
                    for ((sum, &x), &g) in sums.iter_mut().zip(input).zip(gradient) {
                        *sum += (f64::from(x) - self.mean[channel]) * f64::from(g);
                    }
                }
                product += sums.into_iter().sum::<f64>();
                let rest = rest.iter().zip(gradient_rest);
                product += rest.map(|(&x, &g)| (f64::from(x) - self.mean[channel]) * f64::from(g)).sum::<f64>();
            }
            (plain, product * self.scale[channel])
        });
        sums.unzip()
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
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
        let (input, factor, shift) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let mut output = vec![0.0; input.len()];
        self.planes.map(input, &mut output, |channel| {
            let gain = f64::from(factor[channel]) * self.scale[channel];
            (gain as f32, (f64::from(shift[channel]) - self.mean[channel] * gain) as f32)
        });
        Ok((CpuStorage::F32(output), l1.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        factor: &Tensor,
        shift: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (inputs, factors, gradients) = (Values::of(input), Values::of(factor), Values::of(&gradient));
        let (inputs, factors, gradients) = (inputs.slice()?, factors.slice()?, gradients.slice()?);
        let trained = factor.track_op() || shift.track_op();
        let (plain, product) =
            if self.of_batch || trained { self.sums(inputs, gradients) } else { (Vec::new(), Vec::new()) };
        let input_gradient = if input.track_op() {
            let mut slope = vec![0.0; inputs.len()];
            let gain = |channel: usize| f64::from(factors[channel]) * self.scale[channel];
            self.planes.map(gradients, &mut slope, |channel| (gain(channel) as f32, 0.0));
            if self.of_batch {
                // Minus the parts that moved mean and variance: gain · (Σ g + x̂ Σ g x̂) / count.
                let count = (inputs.len() / self.planes.channels.max(1)) as f64;
                let pixels = self.planes.pixels.max(1);
                slope.par_chunks_mut(pixels).zip(inputs.par_chunks(pixels)).enumerate().for_each(
                    |(plane, (to, from))| {
                        let channel = plane % self.planes.channels;
                        let of_product = gain(channel) * product[channel] / count * self.scale[channel];
                        let constant = gain(channel) * plain[channel] / count - of_product * self.mean[channel];
                        let (of_product, constant) = (of_product as f32, constant as f32);
                        for (to, from) in to.iter_mut().zip(from) {
                            *to -= from * of_product + constant;
                        }
                    },
                );
            }
            Some(Tensor::from_vec(slope, input.dims(), input.device())?)
        } else {
            None
        };
        let narrow = |tracked: bool, sums: &[f64]| match tracked {
            true => {
                let sums: Vec<f32> = sums.iter().map(|&sum| sum as f32).collect();
                Tensor::from_vec(sums, self.planes.channels, input.device()).map(Some)
            }
            false => Ok(None),
        };
        Ok((input_gradient, narrow(factor.track_op(), &product)?, narrow(shift.track_op(), &plain)?))
    }
}
