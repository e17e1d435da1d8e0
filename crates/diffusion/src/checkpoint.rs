//! Checkpoints: everything from which training goes on to the same bits.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::error::KeeperError;
use crate::optimiser::TrainState;
use crate::parameters::little_endian;
use crate::{DiffusionError, LfdnConfig, Parameters};

/// Keeps the checkpoints of one training.
pub trait Checkpoints {
    /// The latest checkpoint, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    fn latest(&mut self) -> Result<Option<Vec<u8>>, KeeperError>;

    /// Asked before a checkpoint is made, which costs time and memory: whether it would be kept. `epoch_ends` tells an epoch's end from a
    /// step within it.
    fn due(&mut self, _epoch_ends: bool) -> bool {
        true
    }

    /// Keeps the checkpoint after `steps` steps from the first of the training; earlier ones may be dropped once it is safe.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn save(&mut self, steps: u64, bytes: &[u8]) -> Result<(), KeeperError>;
}

/// Keeps nothing: a training that is killed begins again.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn latest(&mut self) -> Result<Option<Vec<u8>>, KeeperError> {
        Ok(None)
    }

    fn due(&mut self, _epoch_ends: bool) -> bool {
        false
    }

    fn save(&mut self, _steps: u64, _bytes: &[u8]) -> Result<(), KeeperError> {
        Ok(())
    }
}

/// The model after the first epoch, as the likelihood regret needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstEpoch {
    /// The trained weights.
    pub parameters: Parameters,
    /// Their average.
    pub ema: Parameters,
}

/// The model after the epoch of the lowest validation loss so far.
#[derive(Debug, Clone, PartialEq)]
pub struct BestEpoch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The trained weights.
    pub parameters: Parameters,
    /// Their average.
    pub ema: Parameters,
}

/// A training after some steps; their number is the state's count of updates.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Mean loss of each finished epoch.
    pub losses: Vec<f64>,
    /// Validation loss after each finished epoch; empty without held-out samples.
    pub validation: Vec<f64>,
    /// Sum of the losses of the epoch under way, each times its samples.
    pub sum: f64,
    /// Weights, average, moments, update count.
    pub state: TrainState,
    /// The model after the first epoch, once that is finished.
    pub first: Option<FirstEpoch>,
    /// The best model so far, when training stops early.
    pub best: Option<BestEpoch>,
    /// Hash of sizes, settings, objective, seed and training set.
    pub training: String,
}

/// The same, borrowed.
pub(crate) struct Parts<'a> {
    pub(crate) losses: &'a [f64],
    pub(crate) validation: &'a [f64],
    pub(crate) sum: f64,
    pub(crate) state: &'a TrainState,
    pub(crate) first: Option<&'a FirstEpoch>,
    pub(crate) best: Option<&'a BestEpoch>,
    pub(crate) training: &'a str,
}

/// Losses are the bits of their f64: JSON would have to print them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    network: LfdnConfig,
    updates: u64,
    training: String,
    losses: Vec<u64>,
    validation: Vec<u64>,
    sum: u64,
    best_epoch: Option<usize>,
}

const HEADER: &str = "oodlab-training";
const STATE: [&str; 2] = ["parameters.", "ema."];
const FIRST: [&str; 2] = ["first.parameters.", "first.ema."];
const BEST: [&str; 2] = ["best.parameters.", "best.ema."];
const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

impl Checkpoint {
    /// The checkpoint as a safetensors file: `parameters.*` and `ema.*` with published names, the same under `first.` and `best.` once they
    /// exist, and the flat `first_moment`, `second_moment`.
    ///
    /// # Errors
    /// When the file cannot be laid out (never for valid sizes).
    pub fn to_bytes(&self) -> Result<Vec<u8>, DiffusionError> {
        write(&Parts {
            losses: &self.losses,
            validation: &self.validation,
            sum: self.sum,
            state: &self.state,
            first: self.first.as_ref(),
            best: self.best.as_ref(),
            training: &self.training,
        })
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When it is not safetensors, not a checkpoint, or its parts do not belong to one network or one moment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, DiffusionError> {
        let broken = |what: &str| DiffusionError::Checkpoint(what.to_owned());
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
        let header = header.ok_or_else(|| broken("no training header: this is another kind of file"))?;
        let header: Header = serde_json::from_str(header).map_err(|error| broken(&error.to_string()))?;
        let [losses, validation] =
            [header.losses, header.validation].map(|bits| bits.into_iter().map(f64::from_bits).collect::<Vec<f64>>());
        let sum = f64::from_bits(header.sum);
        if !losses.iter().chain(&validation).chain([&sum]).all(|loss| loss.is_finite()) {
            return Err(broken("expected finite losses"));
        }
        let epochs = losses.len();
        if !(validation.is_empty() || validation.len() == epochs) {
            return Err(broken("expected a validation loss for each finished epoch, or none"));
        }
        if header.best_epoch.is_some_and(|best| best == 0 || best > validation.len()) {
            return Err(broken("its best epoch is none of those that were measured"));
        }
        let file = SafeTensors::deserialize(bytes)?;
        let model = |prefix: &str| Parameters::from_views(header.network, &file, prefix);
        let pair = |[parameters, ema]: [&str; 2]| Ok::<_, DiffusionError>((model(parameters)?, model(ema)?));
        let (parameters, ema) = pair(STATE)?;
        let first = if epochs > 0 { Some(pair(FIRST)?) } else { None };
        let best = header.best_epoch.map(|epoch| Ok::<_, DiffusionError>((epoch, pair(BEST)?))).transpose()?;
        let [first_moment, second_moment] = MOMENTS.map(|name| flat(&file, name));
        Ok(Checkpoint {
            losses,
            validation,
            sum,
            state: TrainState::resume(parameters, ema, [first_moment?, second_moment?], header.updates)?,
            first: first.map(|(parameters, ema)| FirstEpoch { parameters, ema }),
            best: best.map(|(epoch, (parameters, ema))| BestEpoch { epoch, parameters, ema }),
            training: header.training,
        })
    }
}

/// Writes a checkpoint without copying the models first: at the paper's size they are 350 MB each.
pub(crate) fn write(parts: &Parts<'_>) -> Result<Vec<u8>, DiffusionError> {
    let state = parts.state;
    let bits = |losses: &[f64]| losses.iter().map(|loss| loss.to_bits()).collect();
    let header = Header {
        network: state.parameters.config(),
        updates: state.updates,
        training: parts.training.to_owned(),
        losses: bits(parts.losses),
        validation: bits(parts.validation),
        sum: parts.sum.to_bits(),
        best_epoch: parts.best.map(|best| best.epoch),
    };
    let header = serde_json::to_string(&header).map_err(|error| DiffusionError::Checkpoint(error.to_string()))?;
    let mut models = vec![(STATE, [&state.parameters, &state.ema])];
    models.extend(parts.first.map(|first| (FIRST, [&first.parameters, &first.ema])));
    models.extend(parts.best.map(|best| (BEST, [&best.parameters, &best.ema])));
    let mut views = Vec::new();
    for (prefixes, pair) in models {
        for (prefix, model) in prefixes.iter().zip(pair) {
            views.extend(model.views(prefix)?);
        }
    }
    for (name, values) in MOMENTS.iter().zip([&state.first_moment, &state.second_moment]) {
        views.push(((*name).to_owned(), TensorView::new(Dtype::F32, vec![values.len()], little_endian(values))?));
    }
    Ok(safetensors::serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))?)
}

pub(crate) fn flat(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, DiffusionError> {
    let view = file.tensor(name)?;
    if view.dtype() != Dtype::F32 {
        let found = format!("{:?}", view.dtype());
        return Err(DiffusionError::ParameterType { name: name.to_owned(), expected: "F32", found });
    }
    Ok(view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}
