//! AdamW and the average of the weights on flat buffers: what [`crate::AdamW`] does for the large network.

use super::SmallTrainConfig;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// Everything that changes in training.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub parameters: Vec<f32>,
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

    /// One update (Loshchilov and Hutter 2019, as torch computes it), then the average: its decay after update n is
    /// min(ema_decay, (1 + n) / (10 + n)). Coefficients are f64, narrowed once.
    pub fn step(&mut self, gradient: &[f32], config: &SmallTrainConfig) {
        self.updates += 1;
        let n = self.updates as f64;
        let keep = (1.0 - config.learning_rate * config.weight_decay) as f32;
        let (first, second, second_keep) = ((1.0 - BETA1) as f32, (1.0 - BETA2) as f32, BETA2 as f32);
        let rate = (config.learning_rate / (1.0 - BETA1.powf(n))) as f32;
        let unbias = (1.0 / (1.0 - BETA2.powf(n)).sqrt()) as f32;
        let follow = (1.0 - config.ema_decay.min((1.0 + n) / (10.0 + n))) as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        let weights = self.parameters.iter_mut().zip(&mut self.average);
        for (((p, average), (m, v)), &g) in weights.zip(moments).zip(gradient) {
            *m += first * (g - *m);
            *v = second_keep * *v + second * g * g;
            *p = *p * keep - rate * *m / (v.sqrt() * unbias + EPSILON);
            *average += follow * (*p - *average);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdamW, LfdnConfig, Parameters, TrainConfig, TrainState};

    #[test]
    fn it_steps_as_the_large_networks_optimiser() {
        let sizes = LfdnConfig::new(3, 4, 1);
        let large = TrainConfig { learning_rate: 3e-3, weight_decay: 0.1, ..TrainConfig::default() };
        let small =
            SmallTrainConfig { learning_rate: 3e-3, weight_decay: 0.1, ema_decay: 0.9999, ..Default::default() };
        let mut expected = TrainState::initialise(sizes, oodlab_base::Seed(2)).expect("small sizes");
        let mut state = State::new(expected.parameters.values().to_vec());
        let mut gradients = Parameters::zeros(sizes).expect("small sizes");
        for step in 0..5 {
            for (i, g) in gradients.values_mut().iter_mut().enumerate() {
                *g = ((i * i + 7 * step) as f32).sin();
            }
            AdamW::new(&large).step(&mut expected, &gradients, large.learning_rate).expect("same sizes");
            state.step(gradients.values(), &small);
        }
        assert!(state.parameters == expected.parameters.values());
        assert!(state.average == expected.ema.values());
        // Without averaging the average is the weights, up to the rounding of p + 1 (q - p).
        let last = SmallTrainConfig { ema_decay: 0.0, ..small };
        state.step(gradients.values(), &last);
        assert!(state.parameters.iter().zip(&state.average).all(|(p, average)| (p - average).abs() <= 1e-6));
    }
}
