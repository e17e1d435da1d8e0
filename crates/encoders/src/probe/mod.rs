//! What a detector reads off a network beside its features: gradients, maps, answers to changed images.
//!
//! A probe is a pure function of one image and the weights, computed by [`crate::plain`] one image at a time, so that it depends neither on a
//! batch nor on threads. Its columns are kept like features and read by the detector that asked for them.

mod gram;
mod nac;
mod odin;
mod rank_one;
mod rankfeat;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{Device, Tensor};
use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::RgbImage;
use oodlab_features::Layer;
use serde::Serialize;

pub use gram::GramColumns;

use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::network::Normalisation;
use crate::plain::PlainNetwork;

/// Raised when the same weights and images give other numbers.
const REVISION: u32 = 1;

/// What is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Gram matrices (Sastry and Oore, ICML 2020): of all taps but the last, and of the penultimate vector, the row sums of the Gram matrices
    /// of the maps raised to powers, under the root of the power. One layer each, the columns of one power behind those of the other.
    Gram {
        /// The powers, 1 to 10.
        powers: Vec<u32>,
        /// What is kept of the row sums.
        columns: GramColumns,
    },
    /// Neuron states (Liu et al., ICLR 2024): each channel times its slope of the divergence of the uniform distribution from the predicted
    /// one, both summed over the pixels. One layer each, shallow to deep.
    Nac {
        /// Names of taps, and `penultimate`.
        layers: Vec<String>,
    },
    /// ODIN (Liang et al., ICLR 2018): logits of the image after a small step that makes its predicted class more likely. One layer `logits`.
    Odin {
        /// Divides the logits before the softmax whose gradient is taken.
        temperature: f64,
        /// Length of the step, in units of normalised pixels times the deviation (OpenOOD divides by it).
        noise: f64,
    },
    /// RankFeat (Song, Sebe and Wang, NeurIPS 2022): the mean of the logits without the first singular component of the last map, and of
    /// those without that of the map one stage before. One layer `logits`.
    RankFeat,
}

/// A network ready to be probed.
pub struct ProbedNetwork {
    probe: Probe,
    network: Arc<PlainNetwork>,
    normalisation: Normalisation,
    resolution: usize,
    layers: Vec<Layer>,
    key: Key,
}

impl ProbedNetwork {
    /// The preprocessing of `encoder`, and `network` of the same configuration and weights; several probes may share it.
    ///
    /// # Errors
    /// When the weights have no classifier, or the network has no layer of a name.
    pub fn new(probe: &Probe, encoder: &Encoder, network: Arc<PlainNetwork>) -> Result<ProbedNetwork, EncoderError> {
        let classes = encoder.classes();
        if classes == 0 {
            return Err(EncoderError::NoClassifier { network: network.network().name.to_owned() });
        }
        let layers = match probe {
            Probe::Gram { powers, columns } => gram::layers(network.network(), powers, *columns),
            Probe::Nac { layers } => nac::layers(network.network(), layers)?,
            Probe::Odin { .. } | Probe::RankFeat => Layer::consecutive([("logits", classes)]),
        };
        let key = KeyBuilder::new("probe", REVISION)
            .key("encoder", &encoder.key())
            .text("probe", &serde_json::to_string(probe).unwrap_or_default())
            .finish();
        let (normalisation, resolution) = (encoder.normalisation(), encoder.resolution() as usize);
        Ok(ProbedNetwork { probe: probe.clone(), network, normalisation, resolution, layers, key })
    }

    /// Hash of everything that the numbers depend on beside the image.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Spans of the numbers.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Length of the vector of one image.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.end)
    }

    /// Probes one image, which was brought to the encoder's resolution.
    ///
    /// # Errors
    /// When the image has another size, or candle fails.
    pub fn run(&self, image: &RgbImage) -> Result<Vec<f32>, EncoderError> {
        let side = self.resolution;
        if (image.width as usize, image.height as usize) != (side, side) || image.pixels.len() != 3 * side * side {
            let (found, expected) = (image.pixels.len(), 3 * side * side);
            return Err(EncoderError::InputLength { found, images: 1, resolution: side as u32, expected });
        }
        let factors = self.normalisation.factors();
        let mut planes = vec![0.0; 3 * side * side];
        for (at, pixel) in image.pixels.as_chunks::<3>().0.iter().enumerate() {
            for (channel, (&value, (factor, shift))) in pixel.iter().zip(factors).enumerate() {
                planes[channel * side * side + at] = f32::from(value) * factor + shift;
            }
        }
        let image = Tensor::from_vec(planes, (1, 3, side, side), &Device::Cpu)?;
        match &self.probe {
            Probe::Gram { powers, columns } => gram::numbers(&self.network, &image, powers, *columns),
            Probe::Nac { .. } => nac::states(&self.network, &image, &self.layers),
            &Probe::Odin { temperature, noise } => {
                odin::logits(&self.network, &image, temperature, noise, self.normalisation)
            }
            Probe::RankFeat => rankfeat::logits(&self.network, &image),
        }
    }
}
