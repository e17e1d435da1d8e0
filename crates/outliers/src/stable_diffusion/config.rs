//! Settings of Stable Diffusion outliers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampler::{Sampler, schedule};
use crate::OutlierError;

/// Pixels of an image for one value of a latent, per side.
const REDUCTION: usize = 8;

/// Settings of latents by Stable Diffusion v1. Defaults are the published ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StableDiffusionConfig {
    /// The user's folder with weights, in the layout of diffusers (`text_encoder/model.safetensors`,
    /// `unet/diffusion_pytorch_model.safetensors`, `tokenizer/vocab.json`, `tokenizer/merges.txt`). No default.
    pub folder: String,
    /// How latents are drawn. Default `plms`.
    pub sampler: Sampler,
    /// Steps of the sampler, a divisor of 1000 from 1 to 500. Default 50.
    pub steps: usize,
    /// Strength of the classifier-free guidance, at least 0; 1 is none. Default 7.5.
    pub guidance: f64,
    /// Side of the images in pixels, a multiple of 64 from 64 to 1024. Default 512: latents of 64 × 64.
    pub side: usize,
    /// Number of latents, 1 to 100 000. Default 300.
    pub count: usize,
    /// Latents that share a class and an outlier, at least 1. Default 3.
    pub batch: usize,
    /// How many outliers of a class may be drawn, from its first on, at least 1. Default 1000.
    pub first: usize,
}

impl Default for StableDiffusionConfig {
    fn default() -> StableDiffusionConfig {
        StableDiffusionConfig {
            folder: String::new(),
            sampler: Sampler::Plms,
            steps: 50,
            guidance: 7.5,
            side: 512,
            count: 300,
            batch: 3,
            first: 1000,
        }
    }
}

impl StableDiffusionConfig {
    /// Height and width of a latent.
    #[must_use]
    pub fn latent_side(&self) -> usize {
        self.side / REDUCTION
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// When one is out of its range.
    pub fn validate(&self) -> Result<(), OutlierError> {
        schedule(self.steps)?;
        let refuse = |name, found: String, expected: &str| Err(OutlierError::setting(name, found, expected));
        if !self.guidance.is_finite() || self.guidance < 0.0 {
            return refuse("stable_diffusion.guidance", self.guidance.to_string(), "a finite number of at least 0");
        }
        if !(64..=1024).contains(&self.side) || !self.side.is_multiple_of(64) {
            return refuse("stable_diffusion.side", self.side.to_string(), "a multiple of 64 from 64 to 1024");
        }
        if !(1..=100_000).contains(&self.count) {
            return refuse("stable_diffusion.count", self.count.to_string(), "1 to 100000");
        }
        if self.batch == 0 {
            return refuse("stable_diffusion.batch", self.batch.to_string(), "at least 1");
        }
        if self.first == 0 {
            return refuse("stable_diffusion.first", self.first.to_string(), "at least 1");
        }
        Ok(())
    }
}
