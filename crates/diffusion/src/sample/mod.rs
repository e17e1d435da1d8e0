//! Reconstruction by DDIM: noise a sample to the start step, then denoise it step by step.
//!
//! With start K and stride s the network is asked at the steps K, K - s, K - 2 s, .. as long as they are 1 or more; the last visited step
//! jumps to the end, however short the jump. Stride 1 is the golden definition.
//! From step t to the next step t' (0 after the last):
//! * `paper`: from level ab\[t\] to ab\[t'\], and to 1 (the clean sample) after the last;
//! * `released`: the program is one index behind: noise is recovered with ab\[t\], the step goes from ab\[t - 1\] to ab\[max(t' - 1, 0)\],
//!   so it ends at index 0 and never at the clean sample.

mod run;

use oodlab_kernels::ddim_step::Coefficients;
use oodlab_kernels::forward_noise;
use serde::{Deserialize, Serialize};

pub use run::{Noise, StreamNoise};

use crate::{DiffusionError, Schedule};

/// Which reading of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The paper's equations.
    #[default]
    Paper,
    /// The released program, one index behind.
    Released,
}

/// How a sample is reconstructed. The defaults are the released program's, with the paper's equations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// Step to which the sample is noised, 1 to T - 1. Default 3.
    pub start: usize,
    /// Steps that one DDIM step goes down, 1 or more. Default 1.
    pub stride: usize,
    /// Share of fresh noise, 0 (deterministic) to 1. Default 1.
    pub eta: f64,
    /// Which reading of the sampler. Default `paper`.
    pub variant: Variant,
}

impl Default for SampleConfig {
    fn default() -> SampleConfig {
        SampleConfig { start: 3, stride: 1, eta: 1.0, variant: Variant::Paper }
    }
}

/// One evaluation of the network and the step that follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What the network is told.
    pub t: u32,
    /// The step that follows.
    pub coefficients: Coefficients,
}

/// The steps of a reconstruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    start: forward_noise::Coefficients,
    steps: Vec<Step>,
}

impl Sampler {
    /// Plans the steps on a schedule.
    ///
    /// # Errors
    /// When the start step is not in 1 .. T - 1, the stride is 0, or eta is not in 0 .. 1.
    pub fn new(config: &SampleConfig, schedule: &Schedule) -> Result<Sampler, DiffusionError> {
        let SampleConfig { start, stride, eta, variant } = *config;
        let last = schedule.steps() - 1;
        if !(1..=last).contains(&start) {
            return Err(DiffusionError::Start { found: start, last, steps: schedule.steps() });
        }
        if stride == 0 {
            let expected = "at least 1".to_owned();
            return Err(DiffusionError::Setting { name: "sample.stride", found: stride.to_string(), expected });
        }
        if !(0.0..=1.0).contains(&eta) {
            let expected = "a number from 0 to 1".to_owned();
            return Err(DiffusionError::Setting { name: "sample.eta", found: eta.to_string(), expected });
        }
        let level = schedule.alpha_bar();
        let steps = (1..=start).rev().step_by(stride).map(|t| {
            let next = t.saturating_sub(stride);
            let (from, to) = match variant {
                Variant::Paper => (level[t], if next == 0 { 1.0 } else { level[next] }),
                Variant::Released => (level[t - 1], level[next.saturating_sub(1)]),
            };
            Step { t: t as u32, coefficients: Coefficients::new(level[t], from, to, eta) }
        });
        Ok(Sampler { start: schedule.forward(start as u32)?, steps: steps.collect() })
    }

    /// The steps, in the order in which they are taken.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

#[cfg(test)]
mod tests;
