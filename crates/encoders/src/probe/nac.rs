//! Neuron states, as the `nac_postprocessor.py` of NAC's own OpenOOD takes them.

use candle_core::{Error, Tensor, Var};
use oodlab_features::Layer;

use crate::encoder::PENULTIMATE;
use crate::error::EncoderError;
use crate::network::Network;
use crate::plain::{PlainNetwork, Point};

/// The taps and the penultimate vector of these names, shallow to deep.
///
/// # Errors
/// When the network has no layer of a name.
pub(super) fn layers(network: &Network, names: &[String]) -> Result<Vec<Layer>, EncoderError> {
    let taps = network.taps();
    let all: Vec<(&str, usize)> = taps
        .iter()
        .map(|tap| (tap.name.as_str(), tap.channels))
        .chain([(PENULTIMATE, network.penultimate())])
        .collect();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|(known, _)| known != name)) {
        let known = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(EncoderError::UnknownLayer { network: network.name, layer: unknown.clone(), known });
    }
    Ok(Layer::consecutive(all.into_iter().filter(|(name, _)| names.iter().any(|wanted| wanted == name))))
}

/// Of each channel of these layers: the sum of its pixels, times the sum of their slopes of the divergence of the uniform distribution from
/// the predicted one.
pub(super) fn states(network: &PlainNetwork, image: &Tensor, layers: &[Layer]) -> Result<Vec<f32>, EncoderError> {
    let taps = network.network().taps();
    // What stands at a layer, and the zeros that were added to it: their slopes are the map's.
    let mut seen: Vec<(Tensor, Var)> = Vec::new();
    let mut watch = |point: Point, map: &Tensor| {
        let name = match point {
            Point::Tap(index) => taps.get(index).map(|tap| tap.name.as_str()),
            Point::Penultimate => Some(PENULTIMATE),
            Point::Last => None,
        };
        if !layers.iter().any(|layer| Some(layer.name.as_str()) == name) {
            return Ok(map.clone());
        }
        let zeros = Var::zeros(map.dims(), map.dtype(), map.device())?;
        let changed = (map + zeros.as_tensor())?;
        seen.push((map.clone(), zeros));
        Ok(changed)
    };
    let logits = network.forward_changed(image, &mut watch)?.logits;
    let logits = logits.ok_or_else(|| Error::msg("the network has no classifier"))?;
    let gradients = divergence(&logits)?.backward()?;
    let mut states = Vec::new();
    for (map, zeros) in &seen {
        let slopes = gradients.get(zeros).ok_or_else(|| Error::msg("a layer does not reach the logits"))?;
        let (values, slopes) = (channel_sums(&map.detach())?, channel_sums(slopes)?);
        states.extend(values.iter().zip(slopes).map(|(value, slope)| (value * slope) as f32));
    }
    Ok(states)
}

/// The divergence of the uniform distribution from the softmax of one image's logits, but for a constant: `logsumexp(z) - mean(z)`.
pub(super) fn divergence(logits: &Tensor) -> candle_core::Result<Tensor> {
    let below = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    below.exp()?.sum_all()?.log()? - below.mean_all()?
}

/// Sums over pixels or tokens, in f64: `[1, channels, height, width]`, `[1, tokens, channels]` and `[1, channels]` to `[channels]`.
fn channel_sums(map: &Tensor) -> candle_core::Result<Vec<f64>> {
    let tokens = map.rank() == 3;
    let channels = map.dim(if tokens { 2 } else { 1 })?;
    let values: Vec<f32> = map.flatten_all()?.to_vec1()?;
    let pixels = values.len().checked_div(channels).unwrap_or(0);
    let mut sums = vec![0.0; channels];
    for (at, &value) in values.iter().enumerate() {
        sums[if tokens { at % channels } else { at / pixels }] += f64::from(value);
    }
    Ok(sums)
}
