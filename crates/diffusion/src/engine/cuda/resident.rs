//! The training whose state lives on the GPU.

use std::collections::BTreeSet;

use oodlab_kernels::adamw::cuda::CudaTrained;
use oodlab_kernels::cuda::{CudaError, Gpu};

use crate::DiffusionError;
use crate::optimiser::TrainState;

/// Tells a state from others: the stamps of its parameters and their average, and its updates, which go on counting while the
/// rest of it is behind.
type Mark = (u64, u64, u64);

fn mark(state: &TrainState) -> Mark {
    (state.parameters.stamp(), state.ema.stamp(), state.updates)
}

/// A state on the GPU.
#[derive(Debug)]
pub(super) struct Resident {
    mark: Mark,
    /// Whether the GPU is ahead.
    ahead: bool,
    pub trained: CudaTrained,
}

impl Resident {
    fn new(gpu: &Gpu, state: &TrainState) -> Result<Resident, CudaError> {
        let trained = CudaTrained {
            parameters: gpu.copy(state.parameters.values())?,
            average: gpu.copy(state.ema.values())?,
            first_moment: gpu.copy(&state.first_moment)?,
            second_moment: gpu.copy(&state.second_moment)?,
        };
        Ok(Resident { mark: mark(state), ahead: false, trained })
    }

    /// Notes a step that the state has counted already.
    pub fn stepped(&mut self, updates: u64) {
        (self.mark.2, self.ahead) = (updates, true);
    }
}

/// The state on the GPU, and the marks of those that were replaced before they were read back.
#[derive(Debug, Default)]
pub(super) struct Residents {
    resident: Option<Resident>,
    lost: BTreeSet<Mark>,
}

impl Residents {
    /// The state on the GPU, copied there unless it is there.
    pub fn get(&mut self, gpu: &Gpu, state: &TrainState) -> Result<&mut Resident, DiffusionError> {
        self.refuse_lost(state)?;
        let known = self.resident.take_if(|resident| resident.mark == mark(state));
        if let Some(other) = self.resident.take().filter(|other| other.ahead) {
            self.lost.insert(other.mark);
        }
        match known {
            Some(known) => Ok(self.resident.insert(known)),
            None => Ok(self.resident.insert(Resident::new(gpu, state)?)),
        }
    }

    /// Reads the state back where the GPU is ahead of it.
    pub fn synchronise(&mut self, state: &mut TrainState) -> Result<(), DiffusionError> {
        self.refuse_lost(state)?;
        let Some(resident) = self.resident.as_mut().filter(|resident| resident.ahead && resident.mark == mark(state))
        else {
            return Ok(());
        };
        let CudaTrained { parameters, average, first_moment, second_moment } = &resident.trained;
        parameters.read_into(state.parameters.values_mut())?;
        average.read_into(state.ema.values_mut())?;
        first_moment.read_into(&mut state.first_moment)?;
        second_moment.read_into(&mut state.second_moment)?;
        (resident.mark, resident.ahead) = (mark(state), false);
        Ok(())
    }

    fn refuse_lost(&self, state: &TrainState) -> Result<(), DiffusionError> {
        if self.lost.contains(&mark(state)) { Err(DiffusionError::LeftBehind) } else { Ok(()) }
    }
}
