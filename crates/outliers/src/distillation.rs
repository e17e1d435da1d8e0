//! Distillation from a frozen teacher, and the energy of logits.
//!
//! Both terms are Kullback–Leibler divergences of softmaxes at temperature one, the teacher's first, averaged over the batch
//! (`KLDivLoss(reduction='batchmean')` in OAL's trainer). Features go through the softmax too, over the feature axis; the teacher's pass
//! the projector first.

use candle_core::{D, Result, Tensor};

use crate::parameters::{BatchNorm, Linear, Maker};

/// Logarithm of the softmax over the last axis. The largest value is taken off as a constant: that changes nothing but overflow.
pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let moved = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    moved.broadcast_sub(&moved.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// Mean over rows of KL(softmax(teacher) || softmax(student)), a scalar in nats.
///
/// # Shapes
/// Both `[rows, width]`, f32 or f64; gradients reach both.
///
/// # Errors
/// When the shapes differ.
pub fn divergence(teacher: &Tensor, student: &Tensor) -> Result<Tensor> {
    let teacher = log_softmax(teacher)?;
    let gap = (&teacher - log_softmax(student)?)?;
    (teacher.exp()? * gap)?.sum(D::Minus1)?.mean(0)
}

/// Mean over rows of the cross-entropy, a scalar in nats.
///
/// # Shapes
/// `logits` `[rows, classes]`; `one_hot` the same, one 1 a row.
///
/// # Errors
/// When the shapes differ.
pub fn cross_entropy(logits: &Tensor, one_hot: &Tensor) -> Result<Tensor> {
    (log_softmax(logits)? * one_hot)?.sum(D::Minus1)?.mean(0)?.neg()
}

/// Logarithm of the summed exponentials of each row: high for what is in distribution (Liu et al., *Energy-based OOD Detection*,
/// NeurIPS 2020, where the energy is its negative). `[rows]`
///
/// # Errors
/// When `logits` is no matrix.
pub fn log_sum_exp(logits: &Tensor) -> Result<Tensor> {
    let largest = logits.max_keepdim(D::Minus1)?.detach();
    let sum = logits.broadcast_sub(&largest)?.exp()?.sum_keepdim(D::Minus1)?.log()?;
    (sum + largest)?.squeeze(D::Minus1)
}

/// Brings the teacher's features to the student's width: batch norm, linear layer, ReLU, batch norm (OAL's `kd_model.py`). It is trained
/// with the student, and always normalises by the batch.
#[derive(Debug, Clone)]
pub(crate) struct Projector {
    before: BatchNorm,
    linear: Linear,
    after: BatchNorm,
}

impl Projector {
    pub fn new(make: &mut Maker, name: &str, from: usize, to: usize) -> Result<Projector> {
        Ok(Projector {
            before: BatchNorm::new(make, &format!("{name}.0"), from)?,
            linear: Linear::new(make, &format!("{name}.1"), from, to)?,
            after: BatchNorm::new(make, &format!("{name}.3"), to)?,
        })
    }

    /// `features` `[rows, from]`; the result is `[rows, to]`.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        self.after.forward(&self.linear.forward(&self.before.forward(features)?)?.relu()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use candle_core::Device;

    fn matrix<const ROWS: usize>(rows: [[f32; 2]; ROWS]) -> Tensor {
        Tensor::new(&rows, &Device::Cpu).expect("a matrix")
    }

    #[test]
    fn known_values() {
        let scalar = |tensor: Result<Tensor>| tensor.and_then(|t| t.to_scalar::<f32>()).expect("a scalar");
        // Softmaxes (1/2, 1/2) and (1/5, 4/5): KL = ln(1/2) - (ln(1/5) + ln(4/5)) / 2; the second row agrees.
        let (teacher, student) = (matrix([[3.0, 3.0], [1.0, 9.0]]), matrix([[0.0, 4f32.ln()], [2.0, 10.0]]));
        assert!((scalar(divergence(&teacher, &student)) - 0.5 * 0.223_143_55).abs() < 1e-6);
        // The right class has probability 4/5 in the first row.
        let target = matrix([[0.0, 1.0], [0.0, 1.0]]);
        let second = (-8f32).exp().ln_1p();
        assert!((scalar(cross_entropy(&student, &target)) - 0.5 * (0.223_143_55 + second)).abs() < 1e-6);
        let energy = log_sum_exp(&matrix([[0.0, 4f32.ln()], [1000.0, 1000.0]])).and_then(|e| e.to_vec1::<f32>());
        let energy = energy.expect("energies");
        assert!((energy[0] - 5f32.ln()).abs() < 1e-6 && (energy[1] - 1_000.693_1).abs() < 1e-3, "{energy:?}");
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        let teacher = testing::normals("teacher", &[6, 5]);
        testing::check_gradient(&testing::normals("student", &[6, 5]), |x| divergence(&teacher, x));
        let student = testing::normals("student", &[6, 5]);
        testing::check_gradient(&teacher, |x| divergence(x, &student));
        let mut target = vec![0f64; 30];
        (0..6).for_each(|row| target[row * 5 + row % 5] = 1.0);
        let target = Tensor::from_vec(target, (6, 5), &Device::Cpu).expect("a matrix");
        testing::check_gradient(&student, |x| cross_entropy(x, &target));
        testing::check_gradient(&student, |x| log_sum_exp(x)?.sqr()?.sum_all());
    }

    #[test]
    fn the_projector_is_trained_through_both_norms() {
        let mut make = testing::maker(2);
        let projector = Projector::new(&mut make, "projector", 7, 4).expect("a projector");
        let parameters = make.finish();
        assert_eq!(parameters.len(), 6);
        let features = testing::normals("features", &[9, 7]);
        let student = testing::normals("student", &[9, 4]);
        let loss = || divergence(&projector.forward(&features)?, &student);
        testing::check_parameters(&parameters, loss);
        // What comes out has mean zero and variance one in every column, as it begins.
        let made = projector.forward(&features).expect("projects");
        let mean = testing::flat(&made.mean(0).expect("means"));
        assert!(mean.iter().all(|m| m.abs() < 1e-5), "{mean:?}");
    }
}
