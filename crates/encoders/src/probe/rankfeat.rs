//! RankFeat, as OpenOOD's `rankfeat_postprocessor.py`.

use candle_core::Tensor;

use super::rank_one::without_first;
use crate::error::EncoderError;
use crate::plain::{PlainNetwork, Point};

/// The mean of two answers: without the first singular component of the map that the readout reads, and without that of the last tap but
/// one, from which the network then goes on.
pub(super) fn logits(network: &PlainNetwork, image: &Tensor) -> Result<Vec<f32>, EncoderError> {
    let before = Point::Tap(network.network().taps().len().saturating_sub(2));
    let (last, before) = (without(network, image, Point::Last)?, without(network, image, before)?);
    Ok(last.into_iter().zip(before).map(|(a, b)| f32::midpoint(a, b)).collect())
}

/// The logits where one map lacks its first component.
pub(super) fn without(network: &PlainNetwork, image: &Tensor, changed: Point) -> Result<Vec<f32>, EncoderError> {
    let mut change = |point: Point, map: &Tensor| if point == changed { without_first(map) } else { Ok(map.clone()) };
    let logits = network.forward_changed(image, &mut change)?.logits;
    let logits = logits.ok_or_else(|| candle_core::Error::msg("the network has no classifier"))?;
    Ok(logits.flatten_all()?.to_vec1()?)
}
