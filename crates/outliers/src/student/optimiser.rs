//! What changes a student's parameters, and those of what measures it.

use candle_core::Tensor;
use candle_core::backprop::GradStore;

use crate::OutlierError;
use crate::parameters::Parameter;

/// Denominator of Adam's step, and how slowly its moments follow: torch's defaults.
const ADAM: (f64, f64, f64) = (1e-8, 0.9, 0.999);

/// SGD with Nesterov momentum and weight decay, as torch has it: `g += decay · p; v = momentum · v + g; p -= rate · (g + momentum · v)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sgd {
    pub momentum: f64,
    pub weight_decay: f64,
    /// v, one buffer a parameter.
    pub velocity: Vec<Vec<f32>>,
}

impl Sgd {
    pub fn new(parameters: &[&Parameter], momentum: f64, weight_decay: f64) -> Sgd {
        Sgd { momentum, weight_decay, velocity: zeros(parameters) }
    }

    /// Forgets all momentum.
    pub fn reset(&mut self) {
        self.velocity.iter_mut().for_each(|velocity| velocity.fill(0.0));
    }

    /// One step; `rates` has one learning rate a parameter. A parameter that the loss does not reach, or whose rate is zero, stays as it is.
    pub fn step(&mut self, parameters: &[&Parameter], rates: &[f64], found: &GradStore) -> Result<(), OutlierError> {
        let (momentum, decay) = (self.momentum as f32, self.weight_decay as f32);
        for ((parameter, velocity), &rate) in parameters.iter().zip(&mut self.velocity).zip(rates) {
            let Some(gradient) = found.get(&parameter.var).filter(|_| rate > 0.0) else { continue };
            let (mut values, gradient) = (parameter.values()?, flat(gradient)?);
            let rate = rate as f32;
            for ((p, v), g) in values.iter_mut().zip(velocity).zip(gradient) {
                let g = g + decay * *p;
                *v = momentum * *v + g;
                *p -= rate * (g + momentum * *v);
            }
            parameter.set(&values)?;
        }
        Ok(())
    }
}

/// Adam (Kingma & Ba, 2015) without decay: fits the networks that measure a bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adam {
    pub first: Vec<Vec<f32>>,
    pub second: Vec<Vec<f32>>,
    pub updates: u64,
}

impl Adam {
    pub fn new(parameters: &[&Parameter]) -> Adam {
        Adam { first: zeros(parameters), second: zeros(parameters), updates: 0 }
    }

    pub fn step(&mut self, parameters: &[&Parameter], rate: f64, found: &GradStore) -> Result<(), OutlierError> {
        let (epsilon, keep_first, keep_second) = ADAM;
        self.updates += 1;
        let steps = self.updates as f64;
        let rate = (rate / (1.0 - keep_first.powf(steps))) as f32;
        let unbias = (1.0 / (1.0 - keep_second.powf(steps)).sqrt()) as f32;
        let (keep_first, keep_second, epsilon) = (keep_first as f32, keep_second as f32, epsilon as f32);
        for ((parameter, first), second) in parameters.iter().zip(&mut self.first).zip(&mut self.second) {
            let Some(gradient) = found.get(&parameter.var) else { continue };
            let (mut values, gradient) = (parameter.values()?, flat(gradient)?);
            for (((p, m), v), g) in values.iter_mut().zip(first).zip(second).zip(gradient) {
                *m = keep_first * *m + (1.0 - keep_first) * g;
                *v = keep_second * *v + (1.0 - keep_second) * g * g;
                *p -= rate * *m / (v.sqrt() * unbias + epsilon);
            }
            parameter.set(&values)?;
        }
        Ok(())
    }
}

fn zeros(parameters: &[&Parameter]) -> Vec<Vec<f32>> {
    parameters.iter().map(|parameter| vec![0.0; parameter.var.elem_count()]).collect()
}

fn flat(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// `rate` along a cosine from 1 to `last` over `steps` steps (OpenOOD's `cosine_annealing`, stepped after every batch).
pub(super) fn cosine(step: usize, steps: usize, last: f64) -> f64 {
    let turned = (std::f64::consts::PI * step as f64 / steps.max(1) as f64).cos();
    last + (1.0 - last) * 0.5 * (1.0 + turned)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn parameter() -> Parameter {
        let var = Var::from_slice(&[1.0f32, -2.0], 2, &Device::Cpu).expect("a variable");
        Parameter { name: "p".to_owned(), var }
    }

    /// Half the squared length: the gradient is the parameter itself.
    fn gradient(parameter: &Parameter) -> GradStore {
        let loss = parameter.var.sqr().and_then(|squares| squares.sum_all()? * 0.5);
        loss.and_then(|loss| loss.backward()).expect("a gradient")
    }

    #[test]
    fn two_steps_by_hand() {
        let parameter = parameter();
        let all = [&parameter];
        let mut sgd = Sgd::new(&all, 0.5, 0.1);
        sgd.step(&all, &[0.1], &gradient(&parameter)).expect("a step");
        // g = 1.1, v = 1.1, p = 1 - 0.1 (1.1 + 0.55) = 0.835
        assert!((parameter.values().expect("values")[0] - 0.835).abs() < 1e-6);
        sgd.step(&all, &[0.1], &gradient(&parameter)).expect("a step");
        // g = 0.9185, v = 0.55 + 0.9185 = 1.4685, p = 0.835 - 0.1 (0.9185 + 0.73425) = 0.669725
        assert!((parameter.values().expect("values")[0] - 0.669_725).abs() < 1e-6);
        assert!((parameter.values().expect("values")[1] + 2.0 * 0.669_725).abs() < 1e-6);
    }

    #[test]
    fn adams_first_step_is_the_rate_whatever_the_gradient() {
        let parameter = parameter();
        let all = [&parameter];
        let mut adam = Adam::new(&all);
        adam.step(&all, 0.01, &gradient(&parameter)).expect("a step");
        let found = parameter.values().expect("values");
        assert!((found[0] - 0.99).abs() < 1e-6 && (found[1] + 1.99).abs() < 1e-6, "{found:?}");
        // m = 0.09 + 0.099, v = 0.999e-3 + 0.9801e-3; unbiased 0.99474 and 0.990045.
        adam.step(&all, 0.01, &gradient(&parameter)).expect("a step");
        let found = parameter.values().expect("values");
        assert!((f64::from(found[0]) - (0.99 - 0.01 * 0.994_736_8 / 0.990_045_f64.sqrt())).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn the_cosine_falls_from_one_to_the_last() {
        assert_eq!(cosine(0, 10, 0.01), 1.0);
        assert!((cosine(5, 10, 0.01) - 0.505).abs() < 1e-12);
        assert!((cosine(10, 10, 0.01) - 0.01).abs() < 1e-12);
    }
}
