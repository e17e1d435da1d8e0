//! Sums of Gram matrices of raised maps, as OpenOOD's `gram_postprocessor.py`.

use candle_core::{Error, Tensor};
use oodlab_features::Layer;
use serde::Serialize;

use crate::encoder::PENULTIMATE;
use crate::error::EncoderError;
use crate::network::Network;
use crate::plain::{Mode, PlainNetwork};

/// What is kept of the row sums of one map and power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GramColumns {
    /// Three numbers: the smallest, the largest, their sum.
    Range,
    /// All of them, one a channel.
    Channels,
}

/// All taps but the last, and the penultimate vector, each with the columns of every power, one behind the other.
pub(super) fn layers(network: &Network, powers: &[u32], columns: GramColumns) -> Vec<Layer> {
    let mut taps = network.taps();
    taps.pop();
    let read = taps.iter().map(|tap| (tap.name.as_str(), tap.channels)).chain([(PENULTIMATE, network.penultimate())]);
    Layer::consecutive(read.map(|(name, channels)| {
        let width = if columns == GramColumns::Range { 3 } else { channels };
        (name, powers.len() * width)
    }))
}

/// The numbers of [`layers`].
pub(super) fn numbers(
    network: &PlainNetwork,
    image: &Tensor,
    powers: &[u32],
    columns: GramColumns,
) -> Result<Vec<f32>, EncoderError> {
    let mut output = network.forward(image, Mode::Infer)?;
    output.taps.pop();
    output.taps.extend(output.penultimate);
    let mut numbers = Vec::new();
    for map in &output.taps {
        let (channels, values) = (map.dim(1)?, map.flatten_all()?.to_vec1::<f32>()?);
        if values.is_empty() {
            return Err(Error::msg("a map without pixels has no Gram matrix").into());
        }
        for &power in powers {
            let sums = row_sums(&values, channels, power);
            match columns {
                GramColumns::Channels => numbers.extend(sums.iter().map(|&sum| sum as f32)),
                GramColumns::Range => {
                    let least = sums.iter().copied().fold(f64::INFINITY, f64::min);
                    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    numbers.extend([least, largest, sums.iter().sum()].map(|x| x as f32));
                }
            }
        }
    }
    Ok(numbers)
}

/// The root of the row sums of `Fᵖ (Fᵖ)ᵀ`, F `[channels, pixels]`, of the order of the power, with their signs. A row sum is the product of
/// one map with the sum of all: the matrix itself is not needed.
fn row_sums(values: &[f32], channels: usize, power: u32) -> Vec<f64> {
    let pixels = values.len() / channels;
    let raised: Vec<f64> = values.iter().map(|&x| f64::from(x).powi(power as i32)).collect();
    let mut total = vec![0.0; pixels];
    for map in raised.chunks_exact(pixels) {
        total.iter_mut().zip(map).for_each(|(sum, x)| *sum += x);
    }
    let root = |sum: f64| sum.signum() * sum.abs().powf(1.0 / f64::from(power));
    raised.chunks_exact(pixels).map(|map| root(map.iter().zip(&total).map(|(a, b)| a * b).sum())).collect()
}
