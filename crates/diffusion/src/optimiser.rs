//! AdamW with decoupled decay, and the average of the weights, in one pass over the parameters.

use oodlab_base::Seed;
use oodlab_kernels::adamw::{self, Coefficients, Slices};

use crate::{DiffusionError, LfdnConfig, Parameters, TrainConfig};

/// Everything that changes in training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The weights that are trained.
    pub parameters: Parameters,
    /// Their average, with which samples are scored.
    pub ema: Parameters,
    /// First moment of the gradients, flat.
    pub first_moment: Vec<f32>,
    /// Second moment of the gradients, flat.
    pub second_moment: Vec<f32>,
    /// Steps taken.
    pub updates: u64,
    gradients: Option<Parameters>,
    /// Room for gradients of several batches.
    accumulated: Vec<f32>,
}

impl TrainState {
    /// The published initialisation; the average begins as a copy of it.
    ///
    /// # Errors
    /// When the sizes are out of range.
    pub fn initialise(config: LfdnConfig, seed: Seed) -> Result<TrainState, DiffusionError> {
        Ok(TrainState::new(Parameters::initialise(config, seed)?))
    }

    /// Training that begins with these parameters.
    #[must_use]
    pub fn new(parameters: Parameters) -> TrainState {
        let zeros = vec![0.0; parameters.count()];
        let (ema, first_moment) = (parameters.clone(), zeros.clone());
        TrainState {
            parameters,
            ema,
            first_moment,
            second_moment: zeros,
            updates: 0,
            gradients: None,
            accumulated: Vec::new(),
        }
    }

    /// Training that is continued.
    ///
    /// # Errors
    /// When the buffers do not belong to one network.
    pub fn resume(
        parameters: Parameters,
        ema: Parameters,
        moments: [Vec<f32>; 2],
        updates: u64,
    ) -> Result<TrainState, DiffusionError> {
        let [first_moment, second_moment] = moments;
        let expected = parameters.count();
        for found in [ema.count(), first_moment.len(), second_moment.len()] {
            if found != expected {
                return Err(DiffusionError::Length { what: "optimiser state", expected, found });
            }
        }
        Ok(TrainState {
            parameters,
            ema,
            first_moment,
            second_moment,
            updates,
            gradients: None,
            accumulated: Vec::new(),
        })
    }

    pub(crate) fn take_gradients(&mut self) -> Result<Parameters, DiffusionError> {
        match self.gradients.take() {
            Some(gradients) => Ok(gradients),
            None => Parameters::zeros(self.parameters.config()),
        }
    }

    pub(crate) fn take_accumulated(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.accumulated)
    }

    pub(crate) fn keep_accumulated(&mut self, accumulated: Vec<f32>) {
        self.accumulated = accumulated;
    }

    pub(crate) fn keep_gradients(&mut self, gradients: Parameters) {
        self.gradients = Some(gradients);
    }
}

/// AdamW (Loshchilov and Hutter 2019) as torch computes it, and an exponential average of the weights.
///
/// ```text
/// p -= lr decay p;  m += (1 - b1)(g - m);  v = b2 v + (1 - b2) g^2
/// p -= lr / (1 - b1^n) m / (sqrt(v) / sqrt(1 - b2^n) + eps)
/// ema += (1 - d)(p - ema),  d = min(ema_decay, (1 + n) / (10 + n)),  n = 1, 2, ..
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    weight_decay: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    /// None: no average is kept.
    ema_decay: Option<f64>,
    clip_norm: Option<f64>,
}

impl AdamW {
    /// The optimiser of these settings.
    #[must_use]
    pub fn new(config: &TrainConfig) -> AdamW {
        AdamW {
            weight_decay: config.weight_decay,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: config.epsilon,
            ema_decay: config.ema.then_some(config.ema_decay),
            clip_norm: config.clip_norm,
        }
    }

    /// One update of parameters, moments and average with the step's learning rate. The coefficients are computed in f64 and narrowed
    /// once. Without averaging the average follows the parameters exactly.
    ///
    /// # Errors
    /// When the gradients belong to another network.
    pub fn step(
        &self,
        state: &mut TrainState,
        gradients: &Parameters,
        learning_rate: f64,
    ) -> Result<(), DiffusionError> {
        let expected = state.parameters.count();
        if gradients.count() != expected {
            return Err(DiffusionError::Length { what: "gradients", expected, found: gradients.count() });
        }
        state.updates += 1;
        let mut coefficients = self.coefficients(state.updates, learning_rate);
        if let Some(most) = self.clip_norm {
            coefficients.scale = adamw::clip_scale(gradients.values(), most);
        }
        let slices = Slices {
            parameters: state.parameters.values_mut(),
            average: state.ema.values_mut(),
            first_moment: &mut state.first_moment,
            second_moment: &mut state.second_moment,
        };
        Ok(adamw::run(coefficients, slices, gradients.values())?)
    }

    /// Most length of a step's gradient, where it is limited.
    pub(crate) fn clip_norm(&self) -> Option<f64> {
        self.clip_norm
    }

    /// Whether every gradient must be known before the first parameter is changed.
    pub(crate) fn clips(&self) -> bool {
        self.clip_norm.is_some()
    }

    /// The numbers of update n (from 1) of gradients that are not clipped.
    pub(crate) fn coefficients(&self, n: u64, learning_rate: f64) -> Coefficients {
        let n = n as f64;
        Coefficients {
            scale: 1.0,
            keep: (1.0 - learning_rate * self.weight_decay) as f32,
            first: (1.0 - self.beta1) as f32,
            second: (1.0 - self.beta2) as f32,
            second_keep: self.beta2 as f32,
            rate: (learning_rate / (1.0 - self.beta1.powf(n))) as f32,
            unbias: (1.0 / (1.0 - self.beta2.powf(n)).sqrt()) as f32,
            epsilon: self.epsilon as f32,
            follow: self.ema_decay.map_or(1.0, |most| (1.0 - most.min((1.0 + n) / (10.0 + n))) as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_goes_by_the_learning_rate_against_the_gradients_sign() {
        let config = LfdnConfig::new(2, 2, 1);
        let train = TrainConfig { learning_rate: 0.01, weight_decay: 0.5, ..TrainConfig::default() };
        let mut state = TrainState::new(Parameters::initialise(config, Seed(1)).expect("small sizes"));
        let before = state.parameters.clone();
        let mut gradients = Parameters::zeros(config).expect("small sizes");
        for (i, g) in gradients.values_mut().iter_mut().enumerate() {
            *g = if i % 2 == 0 { 3.0 } else { -0.02 };
        }
        AdamW::new(&train).step(&mut state, &gradients, train.learning_rate).expect("same sizes");
        for (i, (after, before)) in state.parameters.values().iter().zip(before.values()).enumerate() {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let want = before * (1.0 - 0.005) - 0.01 * sign;
            assert!((after - want).abs() < 1e-6, "{after} instead of {want}");
            let (ema, d) = (state.ema.values()[i], 2.0 / 11.0);
            assert!((ema - (d * before + (1.0 - d) * after)).abs() < 1e-6);
        }
        assert_eq!(state.updates, 1);
        let other = Parameters::zeros(LfdnConfig { dim: 3, ..config }).expect("small sizes");
        assert!(AdamW::new(&train).step(&mut state, &other, 0.01).is_err());
    }
}
