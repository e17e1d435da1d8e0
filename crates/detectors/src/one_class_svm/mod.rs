//! One-class SVM (Schölkopf et al., 2001), without labels: a plane in the feature space of a Gaussian kernel that has all but a share `nu` of
//! the training samples above it; the score is how far a sample lies below. The kernel is `exp(-gamma |x - y|²)` by random
//! Fourier features (Rahimi and Recht, NeurIPS 2007): the mean of `components` cosines, as scikit-learn's `RBFSampler`. With `on: layers`
//! vectors are z-scored by sample and layer first.
//!
//! The linear problem is the one of scikit-learn's `OneClassSVM` (and `SGDOneClassSVM`), solved to a known tolerance. Its scores are
//! `OneClassSVM`'s times -1 / (nu · samples), which changes no order.

mod solve;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::linear_algebra::project;
use crate::mahalanobis::constant;
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::space::Space;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OneClassSvm {
    /// The vector: the chosen `layers`, z-scored (the default), or `penultimate`.
    pub on: Space,
    /// Share of the training samples below the plane, above 0 to 1: 0.5.
    pub nu: f64,
    /// Of the kernel, above 0; none: 1 / (width · variance of all numbers), scikit-learn's `scale`.
    pub gamma: Option<f64>,
    /// Random Fourier features: 256.
    pub components: usize,
    /// Training samples at most, drawn without replacement: 20,000.
    pub max_samples: usize,
    /// How far, relative to it, the objective may be above its least value: 1e-4.
    pub tolerance: f64,
    /// The fit ends after so many steps at the latest: 2000.
    pub iterations: usize,
}

impl Default for OneClassSvm {
    fn default() -> OneClassSvm {
        OneClassSvm {
            on: Space::Layers,
            nu: 0.5,
            gamma: None,
            components: 256,
            max_samples: 20_000,
            tolerance: 1e-4,
            iterations: 2000,
        }
    }
}

/// Samples that are mapped at once while scoring.
const ROWS: usize = 4096;

/// `√(2 / components) cos(directions · x + offsets)`, `[rows, components]`.
fn fourier(values: &[f32], width: usize, directions: &[f64], offsets: &[f64]) -> Vec<f64> {
    let mut found = project(values, width, &vec![0.0; width], directions);
    let scale = (2.0 / offsets.len() as f64).sqrt();
    found.par_chunks_exact_mut(offsets.len()).for_each(|row| {
        row.iter_mut().zip(offsets).for_each(|(x, offset)| *x = scale * (*x + offset).cos());
    });
    found
}

/// The variance of all numbers.
fn variance(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count
}

impl OneClassSvm {
    fn settings(&self) -> solve::Settings {
        solve::Settings { nu: self.nu, tolerance: self.tolerance, steps: self.iterations }
    }
}

impl Rule for OneClassSvm {
    const KIND: &'static str = "one-class-svm";

    fn check(&self) -> Result<(), DetectorError> {
        if !(self.nu > 0.0 && self.nu <= 1.0) {
            return Err(refuse("nu", self.nu, "a share above 0, up to 1"));
        }
        if let Some(gamma) = self.gamma.filter(|gamma| !(*gamma > 0.0 && gamma.is_finite())) {
            return Err(refuse("gamma", gamma, "a number above 0"));
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(refuse("tolerance", self.tolerance, "0 or a number above"));
        }
        for (key, count) in
            [("components", self.components), ("max_samples", self.max_samples), ("iterations", self.iterations)]
        {
            if count == 0 {
                return Err(refuse(key, 0, "at least 1"));
            }
        }
        Ok(())
    }

    fn needs(&self) -> Needs {
        self.on.needs()
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("nu", [0.01, 0.1, 0.5].map(|value| json!(value)).to_vec())]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let (count, width) = (arrays.f64("offsets").len(), self.on.width(sizes));
        if count == 0 || width == 0 {
            return Err("no components".to_owned());
        }
        arrays.expect("offsets", &[count], true)?;
        arrays.expect("directions", &[count, width], true)?;
        arrays.expect("normal", &[count], true)?;
        arrays.expect("rho", &[1], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let values = self.on.normalised(given, Self::KIND)?;
        let width = self.on.of(given, Self::KIND)?.width();
        let (normal, rho) = (arrays.f64("normal"), arrays.number("rho"));
        let mut scores = Vec::with_capacity(given.rows());
        for part in values.chunks(ROWS * width) {
            let mapped = fourier(part, width, arrays.f64("directions"), arrays.f64("offsets"));
            let below = |row: &[f64]| rho - row.iter().zip(normal).map(|(z, w)| z * w).sum::<f64>();
            scores.extend(mapped.chunks_exact(normal.len()).map(below));
        }
        Ok(scores)
    }
}

impl FitsUnlabeled for OneClassSvm {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let mut values = self.on.normalised(train, Self::KIND)?;
        let width = self.on.of(train, Self::KIND)?.width();
        let stream = context.seed.stream("one-class svm");
        if self.max_samples < train.rows() {
            let mut rows = stream.child(2).permutation(train.rows());
            rows.truncate(self.max_samples);
            rows.sort_unstable();
            let drawn: Vec<f32> =
                rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect();
            values = drawn.into();
        }
        let variance = variance(&values);
        if variance <= 0.0 {
            return Err(constant(Self::KIND));
        }
        let gamma = self.gamma.unwrap_or(1.0 / (width as f64 * variance));
        // The kernel's transform is a Gaussian of variance 2 gamma.
        let mut draws = vec![0.0f32; self.components * width];
        oodlab_kernels::normal::fill(stream.child(0), 0, &mut draws);
        let directions: Vec<f64> = draws.iter().map(|&x| (2.0 * gamma).sqrt() * f64::from(x)).collect();
        let turn = |at: usize| std::f64::consts::TAU * f64::from(stream.child(1).uniform(at as u64));
        let offsets: Vec<f64> = (0..self.components).map(turn).collect();
        let mapped = fourier(&values, width, &directions, &offsets);
        let found = solve::solve(&mapped, self.components, self.settings(), context.cancel)?;
        Ok(Arrays::default()
            .with("directions", &[self.components, width], directions)
            .with_list("offsets", offsets)
            .with_list("normal", found.w)
            .with_list("rho", vec![found.rho]))
    }
}
