//! The tensors of a plain network by their names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor, Var};

use super::batch_norm::Statistics;
use crate::error::EncoderError;
use crate::fold::{HeadPolicy, fold_tensors, head_units, is_folded, native};
use crate::network::{Network, Unit};
use crate::weights::{self, Weights};

/// A tensor that gradients reach, or one that they do not.
enum Parameter {
    Frozen(Tensor),
    Trained(Var),
}

/// All tensors of a network: what is trained, and what batch norms remember.
pub(super) struct Parameters {
    tensors: BTreeMap<String, Parameter>,
    /// By the name of the batch norm.
    statistics: BTreeMap<String, Mutex<Statistics>>,
    /// Whether batch norms were folded into the convolutions before them.
    folded: bool,
    metadata: BTreeMap<String, String>,
}

impl Parameters {
    /// Takes over weights, which must be the network's.
    pub fn new(network: &Network, weights: &Weights, train: bool) -> Result<Parameters, EncoderError> {
        let weights = &*native(network, weights)?;
        // Folding checks every name, shape and value; its result is not needed.
        fold_tensors(network, weights, HeadPolicy::Keep)?;
        let folded = is_folded(network, weights);
        if folded && train {
            return Err(super::folded(network, weights.source()));
        }
        let units: Vec<Unit> = network.units().into_iter().chain(head_units(network, weights)).collect();
        let state = |unit: &Unit| if folded { unit.folded() } else { unit.state() };
        let mut tensors = BTreeMap::new();
        for parameter in units.iter().flat_map(state).filter(|parameter| parameter.role.is_trained()) {
            let Some(values) = weights.get(&parameter.name) else { continue };
            let tensor = Tensor::from_slice(&values.values, parameter.shape.as_slice(), &Device::Cpu)?;
            let parameter_of = |tensor: Tensor| match train {
                true => Var::from_tensor(&tensor).map(Parameter::Trained),
                false => Ok(Parameter::Frozen(tensor)),
            };
            tensors.insert(parameter.name, parameter_of(tensor)?);
        }
        let mut statistics = BTreeMap::new();
        for norm in units.iter().filter(|_| !folded).filter_map(Unit::norm) {
            let part = |part: &str| weights.get(&format!("{norm}.{part}")).map(|tensor| tensor.values.clone());
            let remembered = Statistics {
                mean: part("running_mean").unwrap_or_default(),
                variance: part("running_var").unwrap_or_default(),
                batches: part("num_batches_tracked").and_then(|values| values.first().copied()).unwrap_or(0.0) as u64,
            };
            statistics.insert(norm.to_owned(), Mutex::new(remembered));
        }
        Ok(Parameters { tensors, statistics, folded, metadata: weights.metadata().clone() })
    }

    /// Whether batch norms were folded away.
    pub fn is_folded(&self) -> bool {
        self.folded
    }

    /// Whether the tensor is there.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> candle_core::Result<&Tensor> {
        match self.tensors.get(name) {
            Some(Parameter::Frozen(tensor)) => Ok(tensor),
            Some(Parameter::Trained(var)) => Ok(var.as_tensor()),
            None => Err(candle_core::Error::msg(format!("no tensor {name:?}"))),
        }
    }

    /// What a batch norm remembers.
    pub fn statistics(&self, norm: &str) -> candle_core::Result<Statistics> {
        self.with_statistics(norm, |statistics| statistics.clone())
    }

    /// Changes what a batch norm remembers, or reads it.
    pub fn with_statistics<T>(&self, norm: &str, work: impl FnOnce(&mut Statistics) -> T) -> candle_core::Result<T> {
        match self.statistics.get(norm) {
            Some(statistics) => Ok(work(&mut statistics.lock().unwrap_or_else(PoisonError::into_inner))),
            None => Err(candle_core::Error::msg(format!("no batch norm {norm:?}"))),
        }
    }

    /// What is trained, in byte order of the names.
    pub fn trained(&self) -> Vec<(String, Var)> {
        let trained = self.tensors.iter().filter_map(|(name, parameter)| match parameter {
            Parameter::Trained(var) => Some((name.clone(), var.clone())),
            Parameter::Frozen(_) => None,
        });
        trained.collect()
    }

    /// The state dictionary.
    pub fn to_weights(&self) -> candle_core::Result<Weights> {
        let mut tensors = BTreeMap::new();
        for name in self.tensors.keys() {
            let tensor = self.get(name)?;
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            tensors.insert(name.clone(), weights::Tensor { shape: tensor.dims().to_vec(), values });
        }
        for norm in self.statistics.keys() {
            let Statistics { mean, variance, batches } = self.statistics(norm)?;
            let mut add = |part: &str, shape: Vec<usize>, values: Vec<f32>| {
                tensors.insert(format!("{norm}.{part}"), weights::Tensor { shape, values });
            };
            add("running_mean", vec![mean.len()], mean);
            add("running_var", vec![variance.len()], variance);
            add("num_batches_tracked", Vec::new(), vec![batches as f32]);
        }
        Ok(Weights::from_tensors(tensors).with_metadata(self.metadata.clone()))
    }
}
