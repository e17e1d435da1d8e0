//! Logistic regression: how much each of a few numbers says of whether a sample is out-of-distribution.
//!
//! The objective is that of scikit-learn's `LogisticRegression` with `C = 1` (half the squared weights plus the sum of the samples' losses, the
//! intercept free), found by Newton's method in double precision to the last digits.

use nalgebra::{DMatrix, DVector};

/// Newton steps at most; from zero, a few columns take under twenty.
const STEPS: usize = 100;
/// Halvings of one step at most.
const HALVINGS: usize = 40;
/// The step at which it ends, relative to the weights.
const SMALLEST: f64 = 1e-12;

/// The weights of the columns of `rows` (`[samples, columns]`, row-major) that tell samples with `outside` from those without; larger sums
/// of weighted columns mean outside. None when a number is not finite.
pub(crate) fn weights(rows: &[f64], columns: usize, outside: &[bool]) -> Option<Vec<f64>> {
    // The intercept is the last parameter, and its column is 1.
    let design = DMatrix::from_fn(outside.len(), columns + 1, |row, column| {
        if column == columns { 1.0 } else { rows[row * columns + column] }
    });
    let signs = DVector::from_iterator(outside.len(), outside.iter().map(|&out| if out { 1.0 } else { -1.0 }));
    let mut found = DVector::zeros(columns + 1);
    let mut value = objective(&design, &signs, &found);
    for _ in 0..STEPS {
        let step = newton_step(&design, &signs, &found)?;
        let mut length = 1.0;
        let mut next = &found - &step;
        let mut reached = objective(&design, &signs, &next);
        for _ in 0..HALVINGS {
            if reached <= value {
                break;
            }
            length *= 0.5;
            next = &found - length * &step;
            reached = objective(&design, &signs, &next);
        }
        if !reached.is_finite() {
            return None;
        }
        let small = length * step.amax() <= SMALLEST * found.amax().max(1.0);
        if reached <= value {
            (found, value) = (next, reached);
        }
        if small || length < 1e-9 {
            break;
        }
    }
    Some(found.rows(0, columns).iter().copied().collect())
}

fn objective(design: &DMatrix<f64>, signs: &DVector<f64>, at: &DVector<f64>) -> f64 {
    let margins = (design * at).component_mul(signs);
    // log(1 + e⁻ᵐ), without overflow.
    let loss: f64 = margins.iter().map(|&m| (-m).max(0.0) + (-m.abs()).exp().ln_1p()).sum();
    loss + 0.5 * at.rows(0, at.len() - 1).norm_squared()
}

fn newton_step(design: &DMatrix<f64>, signs: &DVector<f64>, at: &DVector<f64>) -> Option<DVector<f64>> {
    let margins = (design * at).component_mul(signs);
    let wrong = margins.map(|m| 1.0 / (1.0 + m.exp()));
    let last = at.len() - 1;
    let mut gradient = -(design.transpose() * wrong.component_mul(signs));
    let mut scaled = design.clone();
    for (mut row, &p) in scaled.row_iter_mut().zip(&wrong) {
        row *= p * (1.0 - p);
    }
    let mut curvature = design.transpose() * scaled;
    for column in 0..last {
        gradient[column] += at[column];
        curvature[(column, column)] += 1.0;
    }
    // Samples that are told apart entirely leave no curvature along the intercept.
    curvature[(last, last)] += f64::EPSILON;
    Some(curvature.cholesky()?.solve(&gradient))
}

#[cfg(test)]
mod tests {
    use oodlab_base::golden::GoldenFile;

    use super::*;
    use crate::rule::golden::{DENSITY, assert_near};

    /// Also where the columns are of sizes as different as distances in layers of 10 and of 1000 channels, and where they tell all samples apart.
    #[test]
    fn weights_are_those_of_scikit_learn() {
        let file = GoldenFile::parse("density", DENSITY).expect("a golden file");
        for name in ["even", "uneven", "apart"] {
            let tensor = |part: &str| file.tensor(&format!("logistic.{name}.{part}")).expect("a tensor");
            let (rows, outside, expected) = (tensor("rows"), tensor("outside"), tensor("weights"));
            let outside: Vec<bool> = outside.values.iter().map(|&value| value > 0.5).collect();
            let found = weights(&rows.values, rows.shape[1], &outside).expect("finite");
            assert_near(name, &found, &expected.values, 1e-6);
        }
    }

    #[test]
    fn what_is_not_finite_has_no_weights() {
        assert_eq!(weights(&[1.0, f64::NAN, 0.5], 1, &[true, false, true]), None);
    }
}
