//! A tiny image autoencoder of 3x3 convolutions, which gives latents an eighth as high and wide as the image.
//!
//! The network is that of TAESD (O. Boer Bohan, <https://github.com/madebyollin/taesd>, MIT), in the version with 32 latent channels. Tensor
//! names are positions in the list of layers:
//!
//! * encoder: 0 convolution; 1 block; 2, 6 and 10 convolution with stride 2 and without bias, each before three blocks; 14 convolution;
//! * decoder: 0 3 tanh(z / 3); 1 convolution; 2 relu; from 3, 8 and 13 on three blocks, each before doubling and a convolution without
//!   bias (7, 12, 17); 18 block; 19 convolution.
//!
//! Channels are as the files have them: 64, and 32 of the latents, in the published ones.

use candle_core::{Device, Tensor};
use oodlab_base::{Cancel, Progress};
use oodlab_encoders::weights::Weights;

use super::layers::{Reader, Step, run};
use crate::OutlierError;
use crate::error::{expect_finite, expect_length};

/// Channels of an image.
const COLOURS: usize = 3;
/// Pixels along a side of the image for one value of a latent.
const REDUCTION: usize = 8;
/// Longest side of an image: one takes some 300 bytes a pixel of memory.
const LONGEST_SIDE: usize = 2048;

/// An encoder and the decoder that belongs to it.
///
/// Images go through it one at a time, so a result depends neither on the images beside it nor on the number of threads.
pub struct TinyAutoencoder {
    encoder: Vec<Step>,
    decoder: Vec<Step>,
    channels: usize,
}

impl TinyAutoencoder {
    /// Builds both networks out of their weight files.
    ///
    /// # Errors
    /// When tensors are missing, misshapen, not finite or belong to no layer (all of them are named), or the latents of one are not those of
    /// the other.
    pub fn load(encoder: &Weights, decoder: &Weights) -> Result<TinyAutoencoder, OutlierError> {
        let (encoder, channels) = read_encoder(encoder)?;
        let source = decoder.source();
        let (decoder, expected) = read_decoder(decoder)?;
        if channels != expected {
            let problem = format!("it decodes latents of {expected} channels, the encoder makes {channels}");
            return Err(OutlierError::File { file: source.to_owned(), problem });
        }
        Ok(TinyAutoencoder { encoder, decoder, channels })
    }

    /// Channels of a latent.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Values of the latent of an image with sides of `side` pixels.
    ///
    /// # Errors
    /// When there can be no such image.
    pub fn latent_width(&self, side: usize) -> Result<usize, OutlierError> {
        let reduced = check_side(side)? / REDUCTION;
        Ok(self.channels * reduced * reduced)
    }

    /// Encodes images.
    ///
    /// # Shapes
    /// `pixels` `[n, 3, side, side]`, 0 to 1, `side` a multiple of 8 up to 2048; the result `[n, channels, side / 8, side / 8]`.
    ///
    /// # Errors
    /// When the buffer does not fit, a value is not between 0 and 1, or the work is cancelled.
    pub fn encode(
        &self,
        pixels: &[f32],
        side: usize,
        work: (&Cancel, &dyn Progress),
    ) -> Result<Vec<f32>, OutlierError> {
        let each = COLOURS * check_side(side)?.pow(2);
        expect_whole("pixels of images", each, pixels)?;
        if let Some(&found) = pixels.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(OutlierError::setting("a pixel to encode", found, "0 to 1 (bytes are divided by 255)"));
        }
        one_by_one(&self.encoder, pixels, [COLOURS, side], ("image latents", work))
    }

    /// Decodes latents.
    ///
    /// # Shapes
    /// `latents` `[n, channels, side / 8, side / 8]`; the result `[n, 3, side, side]`, as the network gives it: about 0 to 1, to be cut to that
    /// range where it is shown.
    ///
    /// # Errors
    /// When the buffer does not fit, a value is not finite, or the work is cancelled.
    pub fn decode(
        &self,
        latents: &[f32],
        side: usize,
        work: (&Cancel, &dyn Progress),
    ) -> Result<Vec<f32>, OutlierError> {
        let each = self.latent_width(side)?;
        expect_whole("latents of images", each, latents)?;
        one_by_one(&self.decoder, latents, [self.channels, side / REDUCTION], ("decoded images", work))
    }
}

/// The encoder, and the channels of its latents.
fn read_encoder(weights: &Weights) -> Result<(Vec<Step>, usize), OutlierError> {
    let mut reader = Reader::new(weights);
    let inner = reader.channels("0.weight", 0, 64);
    let latent = reader.channels("14.weight", 0, 32);
    let mut steps = vec![reader.convolution(0, (COLOURS, inner), 1, true)?, reader.block(1, inner)?];
    for position in [2, 6, 10] {
        steps.push(reader.convolution(position, (inner, inner), 2, false)?);
        for block in 1..=3 {
            steps.push(reader.block(position + block, inner)?);
        }
    }
    steps.push(reader.convolution(14, (inner, latent), 1, true)?);
    reader.finish("encoder")?;
    Ok((steps, latent))
}

/// The decoder, and the channels of the latents that it takes.
fn read_decoder(weights: &Weights) -> Result<(Vec<Step>, usize), OutlierError> {
    let mut reader = Reader::new(weights);
    let inner = reader.channels("1.weight", 0, 64);
    let latent = reader.channels("1.weight", 1, 32);
    let mut steps = vec![Step::Squash, reader.convolution(1, (latent, inner), 1, true)?, Step::Relu];
    for position in [3, 8, 13] {
        for block in 0..3 {
            steps.push(reader.block(position + block, inner)?);
        }
        steps.push(Step::Double);
        steps.push(reader.convolution(position + 4, (inner, inner), 1, false)?);
    }
    steps.push(reader.block(18, inner)?);
    steps.push(reader.convolution(19, (inner, COLOURS), 1, true)?);
    reader.finish("decoder")?;
    Ok((steps, latent))
}

fn check_side(side: usize) -> Result<usize, OutlierError> {
    if (REDUCTION..=LONGEST_SIDE).contains(&side) && side.is_multiple_of(REDUCTION) {
        return Ok(side);
    }
    let expected = format!("a multiple of {REDUCTION} up to {LONGEST_SIDE}; resize the images");
    Err(OutlierError::setting("side of images", side, expected))
}

/// `values` must be whole rows of `each` finite numbers.
fn expect_whole(what: &'static str, each: usize, values: &[f32]) -> Result<(), OutlierError> {
    expect_length(what, values.len().div_ceil(each) * each, values.len())?;
    expect_finite(what, each, values)
}

/// Runs the steps on every map `[channels, side, side]` of `values`.
fn one_by_one(
    steps: &[Step],
    values: &[f32],
    [channels, side]: [usize; 2],
    (label, (cancel, progress)): (&str, (&Cancel, &dyn Progress)),
) -> Result<Vec<f32>, OutlierError> {
    let each = channels * side * side;
    let task = progress.task(label, "images", (values.len() / each) as u64, 0);
    let mut results = Vec::new();
    for map in values.chunks_exact(each) {
        cancel.check()?;
        let map = Tensor::from_slice(map, (1, channels, side, side), &Device::Cpu)?;
        results.extend(run(steps, map)?.flatten_all()?.to_vec1::<f32>()?);
        task.advance(1);
    }
    Ok(results)
}
