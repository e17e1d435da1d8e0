//! The encoder that is none: the features of an image are its own pixels, for detectors that work on pixels.
//!
//! `encoder: {network: pixels}` gives one layer `pixels` of 3 · side · side values, channel first, scaled to -1..1 (or by
//! `normalisation`). It has no weights, and images pass through the same preprocessing, protocols and cache as for any network.

use oodlab_base::KeyBuilder;
use oodlab_features::Layer;

use crate::encoder::{EncoderConfig, Pooling, Precision};
use crate::error::EncoderError;
use crate::network::Normalisation;

/// Its name in an experiment, and that of its only layer.
pub const PIXELS: &str = "pixels";
/// Side where nothing else is said: that of CIFAR's images.
const DEFAULT_SIDE: u32 = 32;
/// Supported sides. The features of a large image would be larger than those of any network here.
const SIDES: (u32, u32) = (8, 128);
/// Raised when the same image gives other features.
const REVISION: u32 = 1;

/// A checked configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pixels {
    pub side: u32,
    pub normalisation: Normalisation,
}

impl Pixels {
    /// Refuses settings that pixels do not have.
    pub fn new(config: &EncoderConfig) -> Result<Pixels, EncoderError> {
        let side = config.resolution.unwrap_or(DEFAULT_SIDE);
        if !(SIDES.0..=SIDES.1).contains(&side) {
            return Err(EncoderError::Resolution { found: side, least: SIDES.0, most: SIDES.1 });
        }
        if config.pooling != Pooling::Average {
            return Err(EncoderError::PixelSetting { setting: "pooling" });
        }
        if config.precision != Precision::F32 {
            return Err(EncoderError::PixelSetting { setting: "precision" });
        }
        if config.weights.is_some() {
            return Err(EncoderError::PixelSetting { setting: "weights" });
        }
        let normalisation = config.normalisation.unwrap_or(Normalisation::HALF);
        if !normalisation.is_sound() {
            return Err(EncoderError::Normalisation(normalisation));
        }
        Ok(Pixels { side, normalisation })
    }

    /// Values of an image.
    pub fn width(&self) -> usize {
        3 * (self.side as usize).pow(2)
    }

    pub fn layers(&self) -> Vec<Layer> {
        Layer::consecutive([(PIXELS, self.width())])
    }

    /// The beginning of the encoder's key: what every image's features depend on but the normalisation.
    pub fn key(&self) -> KeyBuilder {
        KeyBuilder::new("pixels", REVISION).number("resolution", u64::from(self.side))
    }

    /// From interleaved, normalised pixels `[side, side, 3]` to planes `[3, side, side]`.
    pub fn write(&self, interleaved: &[f32], features: &mut [f32]) {
        let plane = (self.side as usize).pow(2);
        for (channel, plane) in features.chunks_exact_mut(plane).enumerate() {
            for (to, pixel) in plane.iter_mut().zip(interleaved.as_chunks::<3>().0) {
                *to = pixel[channel];
            }
        }
    }
}
