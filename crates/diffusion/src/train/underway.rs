//! A training under way: what a checkpoint keeps.

use super::plan::Plan;
use super::{TrainContext, Trained, Training};
use crate::optimiser::TrainState;
use crate::{BestEpoch, Checkpoint, Checkpoints, DiffusionError, FirstEpoch, Parameters, checkpoint};

/// A training between two steps.
pub(super) struct Underway {
    pub(super) state: TrainState,
    /// Steps taken; an engine may leave the state's own count behind.
    pub(super) steps: u64,
    /// Sum of the losses of the epoch under way, each times its samples.
    pub(super) sum: f64,
    pub(super) losses: Vec<f64>,
    validation: Vec<f64>,
    first: Option<FirstEpoch>,
    best: Option<BestEpoch>,
}

impl Underway {
    fn begin(state: TrainState) -> Underway {
        let (losses, validation) = (Vec::new(), Vec::new());
        Underway { state, steps: 0, sum: 0.0, losses, validation, first: None, best: None }
    }

    fn resume(found: Checkpoint) -> Underway {
        let Checkpoint { losses, validation, sum, state, first, best, .. } = found;
        Underway { steps: state.updates, state, sum, losses, validation, first, best }
    }

    /// Samples that were trained on so far, counted anew in each epoch.
    pub(super) fn samples(&self, plan: &Plan) -> u64 {
        let (epoch, steps) = (self.losses.len() as u64, self.steps - self.losses.len() as u64 * plan.steps_per_epoch);
        // Only an epoch's last step may be smaller than the others.
        epoch * plan.used as u64 + (steps * plan.samples_of_a_step).min(plan.used as u64)
    }

    /// Ends the epoch; returns its mean loss.
    pub(super) fn finish_epoch(&mut self, plan: &Plan) -> f64 {
        let loss = std::mem::take(&mut self.sum) / plan.used as f64;
        self.losses.push(loss);
        loss
    }

    /// The weights that score: the average, if there is one.
    pub(super) fn scoring(&self, ema: bool) -> &Parameters {
        if ema { &self.state.ema } else { &self.state.parameters }
    }

    /// Keeps the weights as those after the first epoch.
    pub(super) fn keep_first(&mut self, ema: bool) {
        let (parameters, ema) = (self.state.parameters.clone(), self.scoring(ema).clone());
        self.first = Some(FirstEpoch { parameters, ema });
    }

    /// Notes the validation loss after an epoch, and keeps the weights if it is the lowest and they are wanted. Returns how many epochs
    /// the lowest is ago.
    pub(super) fn compare(&mut self, loss: f64, keep: bool) -> usize {
        self.validation.push(loss);
        let epoch = self.validation.len();
        let best = best_epoch(&self.validation).unwrap_or(epoch);
        if keep && best == epoch {
            let TrainState { parameters, ema, .. } = &self.state;
            self.best = Some(BestEpoch { epoch, parameters: parameters.clone(), ema: ema.clone() });
        }
        epoch - best
    }

    pub(super) fn save(&self, training: &str, keeper: &mut dyn Checkpoints) -> Result<(), DiffusionError> {
        let bytes = checkpoint::write(&checkpoint::Parts {
            losses: &self.losses,
            validation: &self.validation,
            sum: self.sum,
            state: &self.state,
            first: self.first.as_ref(),
            best: self.best.as_ref(),
            training,
        })?;
        keeper.save(self.steps, &bytes).map_err(|source| DiffusionError::Keeper { action: "saved", source })
    }

    pub(super) fn into_trained(
        self,
        ema: bool,
        rates: Vec<f64>,
        stopped: Option<usize>,
    ) -> Result<Trained, DiffusionError> {
        let first = self.first.ok_or_else(|| DiffusionError::Checkpoint("no first epoch in it".into()))?;
        let best_epoch = best_epoch(&self.validation);
        let (parameters, average) = match self.best {
            Some(best) => (best.parameters, best.ema),
            None => (self.state.parameters, self.state.ema),
        };
        let average = if ema { average } else { parameters.clone() };
        // The loss of a step looks at the weights before it: those after the last one are looked at here.
        check_finite(average.values())?;
        let (losses, validation) = (self.losses, self.validation);
        Ok(Trained { first, parameters, ema: average, losses, validation, rates, best_epoch, stopped })
    }
}

/// Refuses weights that are not finite.
pub(crate) fn check_finite(weights: &[f32]) -> Result<(), DiffusionError> {
    match weights.iter().filter(|weight| !weight.is_finite()).count() {
        0 => Ok(()),
        count => Err(DiffusionError::NonFiniteWeights { count }),
    }
}

/// The epoch, from 1, of the lowest loss; the first of equal ones.
fn best_epoch(validation: &[f64]) -> Option<usize> {
    validation.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map(|(epoch, _)| epoch + 1)
}

impl Training<'_> {
    /// The training as the latest usable checkpoint left it, or at its beginning.
    pub(super) fn resume(
        &self,
        training: &str,
        plan: &Plan,
        context: &mut TrainContext<'_>,
    ) -> Result<Underway, DiffusionError> {
        let latest = context.checkpoints.latest();
        let latest = latest.map_err(|source| DiffusionError::Keeper { action: "read", source })?;
        if let Some(bytes) = latest {
            match self.usable(training, plan, &bytes) {
                Ok(found) => {
                    let (epoch, steps) = (found.losses.len(), found.state.updates);
                    tracing::info!(epoch, steps, "training continues from a checkpoint");
                    return Ok(Underway::resume(found));
                }
                Err(reason) => tracing::warn!("training begins anew, its checkpoint cannot be used: {reason}"),
            }
        }
        Ok(Underway::begin(TrainState::initialise(self.network, self.seed)?))
    }

    /// The checkpoint, if it is one of this training.
    fn usable(&self, training: &str, plan: &Plan, bytes: &[u8]) -> Result<Checkpoint, DiffusionError> {
        let broken = |what: String| Err(DiffusionError::Checkpoint(what));
        let found = Checkpoint::from_bytes(bytes)?;
        if found.training != training {
            return broken("it belongs to other settings, another seed or other samples".into());
        }
        let (epochs, steps) = (found.losses.len(), found.state.updates);
        if steps > plan.steps {
            let asked = self.config.epochs;
            return broken(format!("it was made after {epochs} epochs, but only {asked} are asked for"));
        }
        if steps / plan.steps_per_epoch != epochs as u64 {
            let of = plan.steps_per_epoch;
            return broken(format!("it has {steps} steps, which are not {epochs} finished epochs of {of}"));
        }
        let measured = if plan.held_out.is_empty() { 0 } else { epochs };
        let best = found.best.as_ref().map(|best| best.epoch);
        let kept = best_epoch(&found.validation).filter(|_| self.config.patience.is_some());
        if found.validation.len() != measured || best != kept {
            return broken("its validation losses do not fit its epochs".into());
        }
        Ok(found)
    }
}
