//! Denoising diffusion on pixels (Ho et al. 2020): the network predicts the noise; a sample is noised to a step and brought back by a few
//! deterministic DDIM steps (Song et al. 2021, eta 0).

use candle_core::{Device, Tensor};
use oodlab_base::{Cancel, Seed, Stream, Task};
use oodlab_kernels::normal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::unet::Unet;
use crate::small::{SmallNetwork, SmallParameters, Taken, in_batches};
use crate::{DiffusionError, Entry};

/// Steps of the schedule, and its first and last beta, which rise linearly: those of Ho et al.
const STEPS: usize = 1000;
const BETAS: (f64, f64) = (1e-4, 0.02);

/// How a sample is reconstructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PixelSampleConfig {
    /// Step to which the sample is noised, 1 to 999. Default 250.
    pub start: usize,
    /// DDIM steps from there to the clean image, evenly spaced, 1 to `start`. Default 10.
    pub steps: usize,
}

impl Default for PixelSampleConfig {
    fn default() -> PixelSampleConfig {
        PixelSampleConfig { start: 250, steps: 10 }
    }
}

impl PixelSampleConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn validate(&self) -> Result<(), DiffusionError> {
        let refuse = |name, found: usize, expected: String| {
            Err(DiffusionError::Setting { name, found: found.to_string(), expected })
        };
        if !(1..STEPS).contains(&self.start) {
            return refuse("sample.start", self.start, format!("1 to {}", STEPS - 1));
        }
        if !(1..=self.start).contains(&self.steps) {
            return refuse("sample.steps", self.steps, format!("1 to {}, the start step", self.start));
        }
        Ok(())
    }

    /// The steps at which the network is asked, falling from `start`.
    fn visited(&self) -> Vec<usize> {
        (1..=self.steps).rev().map(|k| (self.start * k).div_ceil(self.steps)).collect()
    }
}

/// The network with its schedule: all sizes, no parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Ddpm {
    unet: Unet,
    /// Share of the signal's variance left after each step.
    alpha_bar: Vec<f64>,
}

impl Ddpm {
    /// The network for images of `side` pixels, with `channels` in its first map.
    ///
    /// # Errors
    /// When the side is no multiple of 4, or the channels none of 8, or out of range.
    pub fn new(side: usize, channels: usize) -> Result<Ddpm, DiffusionError> {
        let beta = |step: usize| BETAS.0 + (BETAS.1 - BETAS.0) * step as f64 / (STEPS - 1) as f64;
        let mut product = 1.0;
        let left = |step: usize| {
            product *= 1.0 - beta(step);
            product
        };
        Ok(Ddpm { unet: Unet::new(side, channels)?, alpha_bar: (0..STEPS).map(left).collect() })
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.layout().last().map_or(0, |entry| entry.span.end)
    }

    /// Reconstructs samples in batches of `batch` rows; the noise of a sample depends on the seed and on its place, `first_index` on.
    /// Counts samples.
    ///
    /// # Errors
    /// When `x` are no whole samples, the parameters are another network's, settings are out of range, or the work is cancelled.
    pub fn reconstruct(
        &self,
        parameters: &SmallParameters,
        x: &[f32],
        (batch, config): (usize, &PixelSampleConfig),
        (seed, first_index): (Seed, u64),
        (cancel, task): (&Cancel, &dyn Task),
    ) -> Result<Vec<f32>, DiffusionError> {
        config.validate()?;
        let tensors = parameters.tensors()?;
        let (dim, visited) = (self.dim(), config.visited());
        let stream = seed.stream("pixel ddpm reconstruction noise");
        let found = in_batches(x, dim, batch, (cancel, task), |clean, first| {
            let mut noise = vec![0.0; clean.elem_count()];
            for (row, noise) in noise.chunks_exact_mut(dim).enumerate() {
                normal::fill(stream.child(first_index + (first + row) as u64), 0, noise);
            }
            let rows = clean.dim(0)?;
            let noise = Tensor::from_vec(noise, (rows, dim), &Device::Cpu)?;
            let (signal, scale) = self.level(visited[0]);
            let mut x = ((clean * signal)? + (noise * scale)?)?;
            for (at, &step) in visited.iter().enumerate() {
                cancel.check()?;
                let (signal, scale) = self.level(step);
                let noise = self.unet.forward(&mut Taken::new(&tensors), &x, &vec![step as u32; rows])?;
                let clean = ((x - (&noise * scale)?)? * (1.0 / signal))?.clamp(-1.0, 1.0)?;
                x = match visited.get(at + 1) {
                    None => clean,
                    Some(&next) => {
                        let (signal, scale) = self.level(next);
                        ((clean * signal)? + (noise * scale)?)?
                    }
                };
            }
            Ok(vec![x.flatten_all()?.to_vec1()?])
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Factors of signal and noise at a step.
    pub(super) fn level(&self, step: usize) -> (f64, f64) {
        (self.alpha_bar[step].sqrt(), (1.0 - self.alpha_bar[step]).sqrt())
    }
}

impl SmallNetwork for Ddpm {
    fn name(&self) -> &'static str {
        "pixel ddpm"
    }

    fn settings(&self) -> Value {
        json!({"side": self.unet.side, "channels": self.unet.channels})
    }

    fn dim(&self) -> usize {
        3 * self.unet.side * self.unet.side
    }

    fn layout(&self) -> Vec<Entry> {
        self.unet.layout()
    }

    /// The mean squared error of the predicted noise, at steps drawn uniformly.
    fn loss(&self, parameters: &[Tensor], x: &Tensor, draws: Stream) -> candle_core::Result<Tensor> {
        let (rows, dim) = x.dims2()?;
        let (of_step, of_noise) = (draws.child(0), draws.child(1));
        let t: Vec<u32> = (0..rows as u64).map(|row| of_step.below(STEPS as u64, row) as u32).collect();
        let mut noise = vec![0.0; rows * dim];
        normal::fill(of_noise, 0, &mut noise);
        let noise = Tensor::from_vec(noise, (rows, dim), &Device::Cpu)?;
        let levels: Vec<(f64, f64)> = t.iter().map(|&step| self.level(step as usize)).collect();
        let column = |values: Vec<f32>| Tensor::from_vec(values, (rows, 1), &Device::Cpu);
        let signal = column(levels.iter().map(|level| level.0 as f32).collect())?;
        let scale = column(levels.iter().map(|level| level.1 as f32).collect())?;
        let noised = (x.broadcast_mul(&signal)? + noise.broadcast_mul(&scale)?)?;
        (self.unet.forward(&mut Taken::new(parameters), &noised, &t)? - noise)?.sqr()?.mean_all()
    }
}
