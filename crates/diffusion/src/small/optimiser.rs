//! What changes in the training of a small network: the large network's AdamW and average, on flat buffers.

use oodlab_kernels::adamw::{self, Slices};

use super::SmallTrainConfig;
use crate::{AdamW, DiffusionError, TrainConfig};

/// Everything that changes in training.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub parameters: Vec<f32>,
    /// What scores: the average, or the parameters themselves where none is kept.
    pub average: Vec<f32>,
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub updates: u64,
}

impl State {
    pub fn new(parameters: Vec<f32>) -> State {
        let zeros = vec![0.0; parameters.len()];
        State { average: parameters.clone(), parameters, first: zeros.clone(), second: zeros, updates: 0 }
    }

    /// One update.
    pub fn step(&mut self, gradient: &[f32], config: &SmallTrainConfig) -> Result<(), DiffusionError> {
        let optimiser = AdamW::new(&TrainConfig {
            weight_decay: config.weight_decay,
            ema: config.ema_decay > 0.0,
            ema_decay: config.ema_decay,
            ..TrainConfig::default()
        });
        self.updates += 1;
        let slices = Slices {
            parameters: &mut self.parameters,
            average: &mut self.average,
            first_moment: &mut self.first,
            second_moment: &mut self.second,
        };
        Ok(adamw::run(optimiser.coefficients(self.updates, config.learning_rate), slices, gradient)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LfdnConfig, Parameters, TrainState};

    #[test]
    fn it_steps_as_the_large_networks_optimiser() {
        let sizes = LfdnConfig::new(3, 4, 1);
        let large = TrainConfig { weight_decay: 0.1, ..TrainConfig::default() };
        let small =
            SmallTrainConfig { learning_rate: 3e-3, weight_decay: 0.1, ema_decay: 0.9999, ..Default::default() };
        let mut expected = TrainState::initialise(sizes, oodlab_base::Seed(2)).expect("small sizes");
        let mut state = State::new(expected.parameters.values().to_vec());
        let mut gradients = Parameters::zeros(sizes).expect("small sizes");
        for step in 0..5 {
            for (i, g) in gradients.values_mut().iter_mut().enumerate() {
                *g = ((i * i + 7 * step) as f32).sin();
            }
            AdamW::new(&large).step(&mut expected, &gradients, 3e-3).expect("same sizes");
            state.step(gradients.values(), &small).expect("same sizes");
        }
        assert!(state.parameters == expected.parameters.values());
        assert!(state.average == expected.ema.values() && state.average != state.parameters);
        state.step(gradients.values(), &SmallTrainConfig { ema_decay: 0.0, ..small }).expect("same sizes");
        assert!(state.average == state.parameters, "no average: the last weights");
    }
}
