//! Reconstruction: noise a sample to the start step, then denoise it step by step.
//!
//! With start K and stride s the network is asked at the steps K, K - s, K - 2 s, .. as long as they are 1 or more; the last visited step
//! jumps to the end, however short the jump. Stride 1 is the golden definition.
//! From step t to the next step t' (0 after the last):
//! * `paper`: from level ab\[t\] to ab\[t'\], and to 1 (the clean sample) after the last;
//! * `released`: the program is one index behind: noise is recovered with ab\[t\], the step goes from ab\[t - 1\] to ab\[max(t' - 1, 0)\],
//!   so it ends at index 0 and never at the clean sample. From t = 1 it leaves the state where it is. The program knows stride 1 only;
//!   with longer strides the rule above goes on to hold.
//!
//! What several reconstructions can share. Two start steps share the forward noise and nothing else: the state that one trajectory has at
//! step t is partly denoised, the state from which another starts there is not, so the network has to be asked for both. Strides of one
//! start share the first evaluation. In the `paper` reading the last state is the last prediction; so the prediction of the first
//! evaluation is the reconstruction by a stride of K or more, and every trajectory holds it.

mod config;
mod noise;
mod run;
mod step;

pub use config::{Method, SampleConfig, Stride, Variant};
pub use noise::{Noise, StreamNoise};
pub use run::Observation;
pub use step::Step;

use std::ops::Range;

use crate::train::check_hidden;
use crate::{DiffusionError, Schedule};

/// How samples are reconstructed, checked against a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    config: SampleConfig,
    starts: Vec<usize>,
    schedule: Schedule,
    hidden: Option<Range<usize>>,
}

impl Sampler {
    /// The sampler of these settings.
    ///
    /// # Errors
    /// When the start step is not in 1 .. T - 1, the stride or the number of draws is 0, or eta is out of range.
    pub fn new(config: &SampleConfig, schedule: &Schedule) -> Result<Sampler, DiffusionError> {
        Sampler::with_starts(config, &[config.start], schedule)
    }

    /// The sampler of these settings from several start steps, which take the place of the one in `config`. All begin with the same
    /// forward noise.
    ///
    /// # Errors
    /// As [`Sampler::new`]; also when there is no start step.
    pub fn with_starts(
        config: &SampleConfig,
        starts: &[usize],
        schedule: &Schedule,
    ) -> Result<Sampler, DiffusionError> {
        config.validate()?;
        let last = schedule.steps() - 1;
        if let Some(&found) = starts.iter().find(|start| !(1..=last).contains(*start)) {
            return Err(DiffusionError::Start { found, last, steps: schedule.steps() });
        }
        if starts.is_empty() {
            let expected = "at least one start step".to_owned();
            return Err(DiffusionError::Setting { name: "sample.start", found: "an empty list".to_owned(), expected });
        }
        Ok(Sampler { config: *config, starts: starts.to_vec(), schedule: schedule.clone(), hidden: None })
    }

    /// The same sampler with these channels hidden: they are zero, the mean of z-scored channels, whenever the network looks. What it
    /// predicts for them is rebuilt from the other channels alone. Their state is noised and stepped like any other, so outside of the
    /// `paper` reading's last state a trace of the sample itself is in it: score the prediction.
    ///
    /// # Errors
    /// When the span is empty, or reaches beyond `dim` channels.
    pub fn hiding(mut self, span: Range<usize>, dim: usize) -> Result<Sampler, DiffusionError> {
        check_hidden(&span, dim)?;
        self.hidden = Some(span);
        Ok(self)
    }

    /// The steps from the first start with the fixed stride, in the order in which they are taken; with a random one those of stride 1.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let stride = match self.config.stride {
            Stride::Every(stride) => stride,
            Stride::Random => 1,
        };
        step::path(self.starts[0], stride).map(|t| self.step(t, stride)).collect()
    }

    /// Evaluations of the network for one sample under one model, over all draws and starts; with a random stride their mean over the
    /// strides that may be drawn.
    #[must_use]
    pub fn evaluations(&self) -> f64 {
        let of = |start: usize| match self.config.stride {
            Stride::Every(stride) => start.div_ceil(stride) as f64,
            Stride::Random => (1..=start).map(|stride| start.div_ceil(stride) as f64).sum::<f64>() / start as f64,
        };
        self.config.draws as f64 * self.starts.iter().map(|&start| of(start)).sum::<f64>()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &SampleConfig {
        &self.config
    }

    /// The start steps, in the order in which they are taken.
    #[must_use]
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }
}

#[cfg(test)]
mod tests;
