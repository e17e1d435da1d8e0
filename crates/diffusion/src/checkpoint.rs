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

    /// Keeps the checkpoint after `epoch` finished epochs; earlier ones may be dropped once it is safe.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn save(&mut self, epoch: usize, bytes: &[u8]) -> Result<(), KeeperError>;
}

/// Keeps nothing: a training that is killed begins again.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn latest(&mut self) -> Result<Option<Vec<u8>>, KeeperError> {
        Ok(None)
    }

    fn save(&mut self, _epoch: usize, _bytes: &[u8]) -> Result<(), KeeperError> {
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

/// A training after some finished epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Finished epochs, at least one.
    pub epoch: usize,
    /// Mean loss of each finished epoch.
    pub losses: Vec<f64>,
    /// Weights, average, moments, update count.
    pub state: TrainState,
    /// The model after the first epoch.
    pub first: FirstEpoch,
    /// Hash of sizes, settings, schedule, seed and training set.
    pub training: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    network: LfdnConfig,
    epoch: usize,
    updates: u64,
    training: String,
    /// Bits of the f64 losses: JSON would have to print them.
    losses: Vec<u64>,
}

const HEADER: &str = "oodlab-training";
const PREFIXES: [&str; 4] = ["parameters.", "ema.", "first.parameters.", "first.ema."];
const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

impl Checkpoint {
    /// The checkpoint as a safetensors file: `parameters.*`, `ema.*`, `first.parameters.*`, `first.ema.*` with published names, and the
    /// flat `first_moment`, `second_moment`.
    ///
    /// # Errors
    /// When the file cannot be laid out (never for valid sizes).
    pub fn to_bytes(&self) -> Result<Vec<u8>, DiffusionError> {
        write(&self.losses, &self.state, &self.first, &self.training)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When it is not safetensors, not a checkpoint, or its parts do not belong to one network.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, DiffusionError> {
        let broken = |what: &str| DiffusionError::Checkpoint(what.to_owned());
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
        let header = header.ok_or_else(|| broken("no training header: this is another kind of file"))?;
        let header: Header = serde_json::from_str(header).map_err(|error| broken(&error.to_string()))?;
        if header.epoch == 0 || header.losses.len() != header.epoch {
            return Err(broken("expected at least one finished epoch and a loss for each"));
        }
        let file = SafeTensors::deserialize(bytes)?;
        let [parameters, ema, first_parameters, first_ema] =
            PREFIXES.map(|prefix| Parameters::from_views(header.network, &file, prefix));
        let [first_moment, second_moment] = MOMENTS.map(|name| flat(&file, name));
        Ok(Checkpoint {
            epoch: header.epoch,
            losses: header.losses.into_iter().map(f64::from_bits).collect(),
            state: TrainState::resume(parameters?, ema?, [first_moment?, second_moment?], header.updates)?,
            first: FirstEpoch { parameters: first_parameters?, ema: first_ema? },
            training: header.training,
        })
    }
}

/// Writes a checkpoint without copying the models first: at the paper's size they are 350 MB each.
pub(crate) fn write(
    losses: &[f64],
    state: &TrainState,
    first: &FirstEpoch,
    training: &str,
) -> Result<Vec<u8>, DiffusionError> {
    let header = Header {
        network: state.parameters.config(),
        epoch: losses.len(),
        updates: state.updates,
        training: training.to_owned(),
        losses: losses.iter().map(|loss| loss.to_bits()).collect(),
    };
    let header = serde_json::to_string(&header).map_err(|error| DiffusionError::Checkpoint(error.to_string()))?;
    let models = [&state.parameters, &state.ema, &first.parameters, &first.ema];
    let mut views = Vec::new();
    for (prefix, model) in PREFIXES.iter().zip(models) {
        views.extend(model.views(prefix)?);
    }
    for (name, values) in MOMENTS.iter().zip([&state.first_moment, &state.second_moment]) {
        views.push(((*name).to_owned(), TensorView::new(Dtype::F32, vec![values.len()], little_endian(values))?));
    }
    Ok(safetensors::serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))?)
}

fn flat(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, DiffusionError> {
    let view = file.tensor(name)?;
    if view.dtype() != Dtype::F32 {
        let found = format!("{:?}", view.dtype());
        return Err(DiffusionError::ParameterType { name: name.to_owned(), expected: "F32", found });
    }
    Ok(view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}
