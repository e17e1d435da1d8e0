//! Batch norms folded into the convolutions before them: every unit becomes a weight and a bias.
//!
//! weight' = weight · g, bias' = shift - mean · g with g = factor / sqrt(variance + epsilon), computed in f64, narrowed once.
//! A batch norm that stands alone becomes its g and bias'.
//! Every tensor of the file is accounted for: it is the network's, or a step counter, or the head, or an error.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::encoder::find_network;
use crate::error::EncoderError;
use crate::network::{Network, Parameter, Role, Unit, UnitKind};
use crate::weights::{Tensor, Weights};

/// What becomes of the classification head: the classifier, and what comes only with it (EfficientNet's `_conv_head`).
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
    let weights = &*native(network, weights)?;
    let already = is_folded(network, weights);
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
        fold_unit(network, weights, unit, already, &mut folded)?;
    }
    // A tiny variance under a large factor leaves what f32 can hold.
    for (name, tensor) in &folded {
        if let Some(&value) = tensor.values.iter().find(|value| !value.is_finite()) {
            let (source_name, tensor) = (weights.source().to_owned(), format!("{name}, batch norm folded,"));
            return Err(EncoderError::NotFinite { source_name, tensor, value });
        }
    }
    Ok(folded)
}

/// The weights under the network's own names. A network that no name leads to (a test's) knows no other names.
pub(crate) fn native<'a>(network: &Network, weights: &'a Weights) -> Result<Cow<'a, Weights>, EncoderError> {
    match Network::named(network.name) {
        Some(_) => Ok(weights.for_network(network.name)?),
        None => Ok(Cow::Borrowed(weights)),
    }
}

/// Whether no batch norm of the network has its statistics in the file: they were folded into the convolutions.
pub(crate) fn is_folded(network: &Network, weights: &Weights) -> bool {
    let variance = |unit: &Unit| unit.norm().map(|norm| format!("{norm}.running_var"));
    let mut variances = network.units().iter().filter_map(variance).collect::<Vec<_>>().into_iter().peekable();
    variances.peek().is_some() && variances.all(|name| weights.get(&name).is_none())
}

/// The head's units as far as the weights reach: all with the classifier (the number of classes is the file's own), those
/// before it where a file has been cut behind them, none otherwise. A unit of which any tensor is there must be whole.
pub(crate) fn head_units(network: &Network, weights: &Weights) -> Vec<Unit> {
    let weight = format!("{}.weight", network.classifier.name);
    let classes = weights.get(&weight).and_then(|tensor| tensor.shape.first().copied());
    let mut units = network.head_units(classes.unwrap_or(network.classes()).max(1));
    let present = |unit: &Unit| unit.state().iter().any(|parameter| weights.get(&parameter.name).is_some());
    let reached = units.iter().rposition(present).map_or(0, |last| last + 1);
    units.truncate(reached);
    units
}

fn check(network: &Network, weights: &Weights, parameter: &Parameter) -> Result<(), EncoderError> {
    let counter = parameter.role == Role::Counter;
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

/// Adds the folded tensors of one unit, all of which were checked.
fn fold_unit(
    network: &Network,
    weights: &Weights,
    unit: &Unit,
    already: bool,
    folded: &mut BTreeMap<String, Tensor>,
) -> Result<(), EncoderError> {
    let get = |name: String| match weights.get(&name) {
        Some(tensor) => Ok(&tensor.values),
        None => {
            let parameter = Parameter { name, shape: unit.shape.clone(), role: Role::Weight };
            Err(missing(network, weights, &parameter))
        }
    };
    let mut add = |name: String, shape: &[usize], values: Vec<f32>| {
        folded.insert(name, Tensor { shape: shape.to_vec(), values });
    };
    let (weight_name, bias_name) = (format!("{}.weight", unit.name), format!("{}.bias", unit.name));
    let channels = [unit.outputs()];
    let normed = unit.norm().filter(|_| !already);
    match (&unit.kind, normed) {
        (UnitKind::Tensor, _) => add(unit.name.clone(), &unit.shape, get(unit.name.clone())?.clone()),
        (UnitKind::Biasless, _) if !already => {
            add(weight_name.clone(), &unit.shape, get(weight_name)?.clone());
            add(bias_name, &channels, vec![0.0; channels[0]]);
        }
        (_, None) => {
            add(weight_name.clone(), &unit.shape, get(weight_name)?.clone());
            add(bias_name.clone(), &channels, get(bias_name)?.clone());
        }
        (kind, Some(norm)) => {
            let (gains, shifts) = gains_and_shifts(network, weights, norm, &get)?;
            let shifts = shifts.into_iter().map(|shift| shift as f32).collect();
            if *kind == UnitKind::BatchNorm {
                add(weight_name, &channels, gains.into_iter().map(|gain| gain as f32).collect());
            } else {
                let row: usize = unit.shape.iter().skip(1).product::<usize>().max(1);
                let rows = get(weight_name.clone())?.chunks_exact(row).zip(&gains);
                let scaled =
                    rows.flat_map(|(row, &gain)| row.iter().map(move |&value| (f64::from(value) * gain) as f32));
                add(weight_name, &unit.shape, scaled.collect());
            }
            add(bias_name, &channels, shifts);
        }
    }
    Ok(())
}

/// For each channel of a batch norm, factor / sqrt(variance + epsilon) and shift - mean · that.
fn gains_and_shifts<'a>(
    network: &Network,
    weights: &Weights,
    norm: &str,
    get: &impl Fn(String) -> Result<&'a Vec<f32>, EncoderError>,
) -> Result<(Vec<f64>, Vec<f64>), EncoderError> {
    let part = |part: &str| get(format!("{norm}.{part}"));
    let (factor, shift) = (part("weight")?, part("bias")?);
    let (mean, variance) = (part("running_mean")?, part("running_var")?);
    let mut gains = Vec::with_capacity(factor.len());
    for (&factor, &variance) in factor.iter().zip(variance) {
        let gain = f64::from(factor) / (f64::from(variance) + network.batch_norm_epsilon).sqrt();
        if variance < 0.0 || !gain.is_finite() {
            return Err(EncoderError::NegativeVariance {
                source_name: weights.source().to_owned(),
                tensor: format!("{norm}.running_var"),
                value: variance,
            });
        }
        gains.push(gain);
    }
    let shifted = shift.iter().zip(mean).zip(&gains);
    let shifts = shifted.map(|((&shift, &mean), gain)| f64::from(shift) - f64::from(mean) * gain).collect();
    Ok((gains, shifts))
}
