//! Batch norms folded into the convolutions before them: every unit becomes a weight and a bias.
//!
//! weight' = weight · g, bias' = shift - mean · g with g = factor / sqrt(variance + 1e-3), computed in f64, narrowed once.
//! Every tensor of the file is accounted for: it is the network's, or a step counter, or the head, or an error.

use std::collections::{BTreeMap, BTreeSet};

use crate::efficientnet::{Network, Parameter, Unit};
use crate::encoder::find_network;
use crate::error::EncoderError;
use crate::weights::{Tensor, Weights};

/// What becomes of the classification head (`_conv_head`, `_bn1`, `_fc`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadPolicy {
    /// Kept where the weights have one.
    Keep,
    /// Left out.
    Drop,
}

/// Folds the batch norms of a network's weights; names stay (`_blocks.0._bn1` is gone, `_blocks.0._depthwise_conv.bias`
/// is new). Weights that are folded already are checked and given back.
///
/// # Errors
/// When the network is unknown; when a tensor is missing, has another shape, is unknown to the network, or holds a value
/// that is not finite or a negative variance.
pub fn fold(network: &str, weights: &Weights, head: HeadPolicy) -> Result<Weights, EncoderError> {
    let network = find_network(network)?;
    let tensors = fold_tensors(&network, weights, head)?;
    let mut metadata = weights.metadata().clone();
    metadata.insert("folded".to_owned(), "true".to_owned());
    Ok(Weights::from_tensors(tensors).with_source(weights.source()).with_metadata(metadata))
}

/// [`fold`] without the wrapping.
pub(crate) fn fold_tensors(
    network: &Network,
    weights: &Weights,
    head: HeadPolicy,
) -> Result<BTreeMap<String, Tensor>, EncoderError> {
    let already = is_folded(weights);
    let trunk = network.units();
    let head_units = head_units(network, weights);
    let state = |unit: &Unit| if already { unit.folded() } else { unit.state() };
    let mut known = BTreeSet::new();
    for parameter in trunk.iter().chain(&head_units).flat_map(state) {
        check(network, weights, &parameter)?;
        known.insert(parameter.name);
    }
    if let Some(name) = weights.names().find(|name| !known.contains(*name)) {
        return Err(EncoderError::UnknownTensor {
            network: network.name,
            source_name: weights.source().to_owned(),
            tensor: name.to_owned(),
            found: weights.get(name).map(|tensor| tensor.shape.clone()).unwrap_or_default(),
        });
    }
    let kept = if head == HeadPolicy::Keep { &head_units[..] } else { &[] };
    let mut folded = BTreeMap::new();
    for unit in trunk.iter().chain(kept) {
        let (weight, bias) = fold_unit(network, weights, unit, already)?;
        folded.insert(format!("{}.weight", unit.name), Tensor { shape: unit.shape.clone(), values: weight });
        folded.insert(format!("{}.bias", unit.name), Tensor { shape: vec![bias.len()], values: bias });
    }
    Ok(folded)
}

/// A stem with a bias and without a batch norm.
fn is_folded(weights: &Weights) -> bool {
    weights.get("_conv_stem.bias").is_some() && weights.get("_bn0.weight").is_none()
}

/// The head's units when any of its tensors is there (then all must be); the number of classes is the file's own.
fn head_units(network: &Network, weights: &Weights) -> Vec<Unit> {
    let classes = weights.get("_fc.weight").and_then(|tensor| tensor.shape.first().copied()).unwrap_or(1000);
    let units = network.head_units(classes.max(1));
    let any = units.iter().flat_map(Unit::state).any(|parameter| weights.get(&parameter.name).is_some());
    if any { units } else { Vec::new() }
}

fn check(network: &Network, weights: &Weights, parameter: &Parameter) -> Result<(), EncoderError> {
    let counter = parameter.role == crate::efficientnet::Role::Counter;
    let Some(tensor) = weights.get(&parameter.name) else {
        if counter {
            return Ok(());
        }
        return Err(missing(network, weights, parameter));
    };
    if counter {
        return Ok(());
    }
    if tensor.shape != parameter.shape || tensor.values.len() != parameter.elements() {
        return Err(EncoderError::TensorShape {
            network: network.name,
            source_name: weights.source().to_owned(),
            tensor: parameter.name.clone(),
            found: tensor.shape.clone(),
            expected: parameter.shape.clone(),
        });
    }
    match tensor.values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(EncoderError::NotFinite {
            source_name: weights.source().to_owned(),
            tensor: parameter.name.clone(),
            value,
        }),
    }
}

fn missing(network: &Network, weights: &Weights, parameter: &Parameter) -> EncoderError {
    let first = weights.names().next().map_or("no tensor".to_owned(), |name| format!("{name:?}"));
    EncoderError::MissingTensor {
        network: network.name,
        source_name: weights.source().to_owned(),
        tensor: parameter.name.clone(),
        expected: parameter.shape.clone(),
        first,
    }
}

/// Weight and bias of one unit whose tensors were checked.
fn fold_unit(
    network: &Network,
    weights: &Weights,
    unit: &Unit,
    already: bool,
) -> Result<(Vec<f32>, Vec<f32>), EncoderError> {
    let values = |prefix: &str, suffix: &str| {
        let name = format!("{prefix}.{suffix}");
        weights.get(&name).map(|tensor| &tensor.values).ok_or_else(|| {
            let parameter = Parameter { name, shape: unit.shape.clone(), role: crate::efficientnet::Role::Weight };
            missing(network, weights, &parameter)
        })
    };
    let weight = values(&unit.name, "weight")?;
    let Some(norm) = unit.norm.as_ref().filter(|_| !already) else {
        return Ok((weight.clone(), values(&unit.name, "bias")?.clone()));
    };
    let (factor, shift) = (values(norm, "weight")?, values(norm, "bias")?);
    let (mean, variance) = (values(norm, "running_mean")?, values(norm, "running_var")?);
    let row: usize = unit.shape.iter().skip(1).product::<usize>().max(1);
    let mut folded = Vec::with_capacity(weight.len());
    let mut bias = Vec::with_capacity(shift.len());
    for (channel, row) in weight.chunks_exact(row).enumerate() {
        let gain = f64::from(factor[channel]) / (f64::from(variance[channel]) + Network::EPSILON).sqrt();
        if !gain.is_finite() {
            return Err(EncoderError::NegativeVariance {
                source_name: weights.source().to_owned(),
                tensor: format!("{norm}.running_var"),
                value: variance[channel],
            });
        }
        folded.extend(row.iter().map(|&value| (f64::from(value) * gain) as f32));
        bias.push((f64::from(shift[channel]) - f64::from(mean[channel]) * gain) as f32);
    }
    Ok((folded, bias))
}
