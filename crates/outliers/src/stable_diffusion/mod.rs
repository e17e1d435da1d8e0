//! Outliers by Stable Diffusion v1, with weights that the user gives (OAL, `outlier_generation/outlier_generate.py`).
//!
//! The prompt is `A high-quality image of the <class>`; in CLIP's text encoder the embedding of the first token of the class's name is
//! overwritten by one outlier of that class, and the guided latent is the outlier. Images are not decoded: nothing uses them.
//!
//! What differs from the released program: a batch's latents are drawn one after the other, so that one image's memory is enough (its
//! self-attention at 512 px takes about 1 GiB); random numbers are this project's own; the feed-forward layers of candle's U-Net have the
//! tanh form of GELU, not the error function's.

mod config;
mod latents;
mod sampler;
#[cfg(test)]
mod tests;
mod text;
mod tokenizer;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::stable_diffusion::unet_2d::{
    BlockConfig, UNet2DConditionModel, UNet2DConditionModelConfig,
};
use oodlab_base::{Cancel, Progress, Seed};

pub use config::StableDiffusionConfig;
pub use latents::Latents;
pub use sampler::Sampler;

use self::text::{TextEncoder, TextSizes};
use self::tokenizer::Tokenizer;
use crate::{OutlierError, Outliers};

/// Channels of a latent.
const CHANNELS: usize = 4;

/// What the class's name follows.
const PROMPT: &str = "A high-quality image of the";

/// Sizes of both networks.
struct Sizes {
    text: TextSizes,
    unet: UNet2DConditionModelConfig,
}

impl Sizes {
    /// Stable Diffusion v1 (`configs/stable-diffusion/v1-inference.yaml`).
    fn version1() -> Sizes {
        let text = TextSizes { vocabulary: 49_408, positions: 77, width: 768, hidden: 3072, heads: 12, layers: 12 };
        let block = |out_channels, use_cross_attn| BlockConfig { out_channels, use_cross_attn, attention_head_dim: 8 };
        let blocks = vec![block(320, Some(1)), block(640, Some(1)), block(1280, Some(1)), block(1280, None)];
        // Named, though most are candle's defaults: those are not this project's to keep.
        let unet = UNet2DConditionModelConfig {
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            blocks,
            layers_per_block: 2,
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: 768,
            sliced_attention_size: None,
            use_linear_projection: false,
        };
        Sizes { text, unet }
    }
}

/// Stable Diffusion v1, loaded, on the processor.
#[derive(Debug)]
pub struct StableDiffusion {
    config: StableDiffusionConfig,
    tokenizer: Tokenizer,
    text: TextEncoder,
    unet: UNet2DConditionModel,
}

impl StableDiffusion {
    /// Loads the weights of a folder in the layout of diffusers, in f32 (stored halves are widened).
    ///
    /// # Errors
    /// When a setting is out of range, or a file is missing, malformed, or has a tensor of another shape (the error names both shapes).
    pub fn load(folder: &Path, config: StableDiffusionConfig) -> Result<StableDiffusion, OutlierError> {
        StableDiffusion::load_sized(folder, config, Sizes::version1())
    }

    fn load_sized(folder: &Path, config: StableDiffusionConfig, sizes: Sizes) -> Result<StableDiffusion, OutlierError> {
        config.validate()?;
        let tokenizer = Tokenizer::load(&folder.join("tokenizer"))?;
        let text = with_weights(&folder.join("text_encoder").join("model.safetensors"), |weights| {
            TextEncoder::new(&weights, sizes.text)
        })?;
        let unet = with_weights(&folder.join("unet").join("diffusion_pytorch_model.safetensors"), |weights| {
            UNet2DConditionModel::new(weights, CHANNELS, CHANNELS, false, sizes.unet)
        })?;
        Ok(StableDiffusion { config, tokenizer, text, unet })
    }

    /// Draws the latents. Each batch has one class, drawn among all, and one of that class's first outliers.
    ///
    /// # Errors
    /// When outliers have no classes or another width than a token's embedding, a class has no outlier or no name that fits the prompt,
    /// a latent is not finite, or the work was cancelled.
    pub fn generate(
        &self,
        outliers: &Outliers,
        class_names: &[String],
        seed: Seed,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Latents, OutlierError> {
        let config = &self.config;
        let rows = self.rows_by_class(outliers, class_names.len())?;
        let prompts = class_names.iter().map(|name| self.prompt(name)).collect::<Result<Vec<_>, _>>()?;
        let empty = self.text.encode(&self.padded(&[]), None)?;
        let steps = sampler::schedule(config.steps)?;
        let side = config.latent_side();
        let length = CHANNELS * side * side;
        let (choices, noise) = (seed.stream("stable diffusion choices"), seed.stream("stable diffusion noise"));
        let mut values = Vec::with_capacity(config.count * length);
        let mut classes = Vec::with_capacity(config.count);
        let calls = config.count * sampler::calls(config.sampler, config.steps);
        let task = progress.task("stable diffusion", "steps", calls as u64, 0);
        let batches = config.count.div_ceil(config.batch);
        for batch in 0..batches {
            let class = choices.below(class_names.len() as u64, 2 * batch as u64) as usize;
            let row = rows[class][choices.below(rows[class].len() as u64, 2 * batch as u64 + 1) as usize];
            let (tokens, word) = &prompts[class];
            let text = self.text.encode(tokens, Some((*word, outliers.row(row))))?;
            let first = batch * config.batch;
            for number in first..config.count.min(first.saturating_add(config.batch)) {
                let mut start = vec![0.0; length];
                oodlab_kernels::normal::fill(noise.child(number as u64), 0, &mut start);
                let latent = sampler::sample(config.sampler, &steps, start, |now, time| {
                    cancel.check()?;
                    let found = self.guided(now, time, &text, &empty)?;
                    task.advance(1);
                    Ok(found)
                })?;
                values.extend_from_slice(&latent);
                classes.push(class as u32);
            }
        }
        crate::error::expect_finite("latents", length, &values)?;
        Ok(Latents { count: config.count, shape: [CHANNELS, side, side], values, classes })
    }

    /// The rows of each class that may be drawn.
    fn rows_by_class(&self, outliers: &Outliers, count: usize) -> Result<Vec<Vec<usize>>, OutlierError> {
        if outliers.width != self.text.width() {
            let expected = format!("{}, the width of a token's embedding", self.text.width());
            return Err(OutlierError::setting("width of outliers", outliers.width, expected));
        }
        if count == 0 {
            return Err(OutlierError::setting("number of class names", count, "at least 1"));
        }
        let needed =
            || "stable diffusion overwrites the word of each outlier's class: give outliers with classes".into();
        let Some(classes) = &outliers.classes else {
            return Err(OutlierError::Missing { what: "classes of outliers", needed: needed() });
        };
        crate::error::expect_length("classes of outliers", outliers.rows(), classes.len())?;
        let mut rows = vec![Vec::new(); count];
        for (row, &class) in classes.iter().enumerate() {
            let Some(own) = rows.get_mut(class as usize) else {
                return Err(OutlierError::Class { what: "outliers", row, found: class, last: count - 1 });
            };
            if own.len() < self.config.first {
                own.push(row);
            }
        }
        match rows.iter().position(Vec::is_empty) {
            None => Ok(rows),
            Some(class) => {
                let advice = "every class that may be drawn needs an outlier";
                Err(OutlierError::FewSamples { class, found: 0, expected: 1, advice })
            }
        }
    }

    /// The tokens of a class's prompt, and the first token of its name.
    fn prompt(&self, name: &str) -> Result<(Vec<u32>, u32), OutlierError> {
        // Words are encoded one by one, so that the parts of a text are the text's.
        let mut tokens = self.tokenizer.encode(PROMPT)?;
        let own = self.tokenizer.encode(name)?;
        tokens.extend_from_slice(&own);
        let room = self.text.positions().saturating_sub(2);
        match own.first() {
            Some(&word) if tokens.len() <= room => Ok((self.padded(&tokens), word)),
            Some(_) => {
                let expected = format!("a prompt of at most {room} tokens, found {}", tokens.len());
                Err(OutlierError::setting("class name", format!("{name:?}"), expected))
            }
            None => Err(OutlierError::setting("class name", format!("{name:?}"), "a word")),
        }
    }

    /// Start, the tokens, and ends up to the full length.
    fn padded(&self, tokens: &[u32]) -> Vec<u32> {
        let mut all = vec![self.tokenizer.start];
        all.extend_from_slice(tokens);
        all.resize(self.text.positions(), self.tokenizer.end);
        all
    }

    /// The noise in a latent: without the text, plus the guidance times what the text adds. One at a time halves the memory.
    fn guided(&self, now: &[f32], time: usize, text: &Tensor, empty: &Tensor) -> Result<Vec<f32>, OutlierError> {
        let side = self.config.latent_side();
        let input = Tensor::from_slice(now, (1, CHANNELS, side, side), &Device::Cpu)?;
        let noise = |context: &Tensor| -> Result<Vec<f32>, OutlierError> {
            Ok(self.unet.forward(&input, time as f64, context)?.flatten_all()?.to_vec1()?)
        };
        let with = noise(text)?;
        // As the released sampler: 1 is no guidance.
        if self.config.guidance == 1.0 {
            return Ok(with);
        }
        let scale = self.config.guidance as f32;
        Ok(noise(empty)?.iter().zip(&with).map(|(without, with)| without + scale * (with - without)).collect())
    }
}

/// Builds a network from a file's tensors; what candle refuses (a tensor's name, the shapes expected and found) is told with the file.
fn with_weights<Network>(
    path: &Path,
    build: impl FnOnce(VarBuilder) -> candle_core::Result<Network>,
) -> Result<Network, OutlierError> {
    let told = |problem: String| OutlierError::File { file: path.display().to_string(), problem };
    let bytes = std::fs::read(path).map_err(|error| told(format!("could not be read ({error})")))?;
    let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu);
    weights.and_then(build).map_err(|error| told(error.to_string()))
}
