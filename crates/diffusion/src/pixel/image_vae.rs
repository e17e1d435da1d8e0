//! Encoder and decoder of the autoencoder on images: channel-first values in -1..1.

use candle_core::{Result, Tensor};

use super::doubled::doubled;
use crate::DiffusionError;
use crate::small::vae::OUTPUT_GAIN;
use crate::small::{LayoutBuilder, Taken};

/// Times that the side is halved.
const HALVINGS: usize = 3;
/// Widest first map.
const MOST_CHANNELS: usize = 256;
/// Largest side.
const MOST_SIDE: usize = 256;

/// Refuses sizes that cannot be halved three times, or are out of range.
pub(crate) fn check(side: usize, channels: usize) -> std::result::Result<(), DiffusionError> {
    let refuse = |name, found: usize, expected: &str| {
        Err(DiffusionError::Setting { name, found: found.to_string(), expected: expected.to_owned() })
    };
    if !(1 << HALVINGS..=MOST_SIDE).contains(&side) || !side.is_multiple_of(1 << HALVINGS) {
        return refuse("side of the images", side, "a multiple of 8 from 8 to 256");
    }
    if !(1..=MOST_CHANNELS).contains(&channels) {
        return refuse("network.channels", channels, "1 to 256");
    }
    Ok(())
}

pub(crate) fn layout(layout: &mut LayoutBuilder, side: usize, channels: usize, latent: usize) {
    let deep = channels << (HALVINGS - 1);
    let flat = deep * (side >> HALVINGS).pow(2);
    let mut inputs = 3;
    for number in 0..HALVINGS {
        layout.convolution(&format!("encoder.{number}"), inputs, channels << number, 3, 1.0);
        inputs = channels << number;
    }
    layout.linear("encoder.latent", flat, 2 * latent, OUTPUT_GAIN);
    layout.linear("decoder.latent", latent, flat, 1.0);
    for number in (0..HALVINGS).rev() {
        let (outputs, gain) = if number == 0 { (3, OUTPUT_GAIN) } else { (channels << (number - 1), 1.0) };
        layout.convolution(&format!("decoder.{number}"), channels << number, outputs, 3, gain);
    }
}

/// Convolutions of stride 2 with ReLU, then a linear layer. `x`: `[rows, 3 side side]`; the result is `[rows, 2 latent]`.
pub(crate) fn encode(p: &mut Taken<'_>, x: &Tensor, side: usize) -> Result<Tensor> {
    let mut x = x.reshape((x.dim(0)?, 3, side, side))?;
    for _ in 0..HALVINGS {
        x = p.convolution(&x, 2)?.relu()?;
    }
    p.linear(&x.flatten_from(1)?)
}

/// A linear layer, then three times: doubled (nearest), convolved. `z`: `[rows, latent]`; the result is `[rows, 3 side side]`.
pub(crate) fn decode(p: &mut Taken<'_>, z: &Tensor, side: usize, channels: usize) -> Result<Tensor> {
    let (rows, small) = (z.dim(0)?, side >> HALVINGS);
    let mut x = p.linear(z)?.reshape((rows, channels << (HALVINGS - 1), small, small))?;
    for _ in 0..HALVINGS {
        x = p.convolution(&doubled(&x.relu()?)?, 1)?;
    }
    x.flatten_from(1)
}
