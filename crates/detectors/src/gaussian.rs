//! One Gaussian for all training samples, without labels: the score is the squared Mahalanobis distance to their mean, which orders samples
//! as their negative log-likelihood. With `on: layers` vectors are z-scored by sample and layer first, as for DLSR and PCA.
//!
//! `shrinkage` mixes the covariance (divided by the number of samples) with a sphere of the same mean variance, as scikit-learn's
//! `ShrunkCovariance`: `(1 - s) Σ + s tr(Σ) / width I`. Without it, directions in which the training samples do not vary are left out.

use nalgebra::DMatrix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::linear_algebra::{covariance, mean, project, whitening};
use crate::mahalanobis::constant;
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::space::Space;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gaussian {
    /// The vector: the chosen `layers`, z-scored (the default), or `penultimate`.
    pub on: Space,
    /// Share of a sphere in the covariance, 0 to 1. Default 0.
    pub shrinkage: f64,
}

impl Default for Gaussian {
    fn default() -> Gaussian {
        Gaussian { on: Space::Layers, shrinkage: 0.0 }
    }
}

/// `(1 - share) covariance + share · mean variance · I`
pub(crate) fn shrunk(covariance: DMatrix<f64>, share: f64) -> DMatrix<f64> {
    let width = covariance.nrows();
    let sphere = share * covariance.trace() / width.max(1) as f64;
    covariance * (1.0 - share) + DMatrix::from_diagonal_element(width, width, sphere)
}

impl Rule for Gaussian {
    const KIND: &'static str = "gaussian";

    fn check(&self) -> Result<(), DetectorError> {
        if (0.0..=1.0).contains(&self.shrinkage) {
            return Ok(());
        }
        Err(refuse("shrinkage", self.shrinkage, "a share, 0 to 1"))
    }

    fn needs(&self) -> Needs {
        self.on.needs()
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("shrinkage", [0.0, 0.01, 0.1, 0.5, 1.0].map(|value| json!(value)).to_vec())]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let width = self.on.width(sizes);
        let outputs = arrays.shape("whitening").first().copied().unwrap_or(0);
        if outputs == 0 {
            return Err("no directions".to_owned());
        }
        arrays.expect("mean", &[width], true)?;
        arrays.expect("whitening", &[outputs, width], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let (mean, whitening) = (arrays.f64("mean"), arrays.f64("whitening"));
        let width = mean.len();
        let projected = project(&self.on.normalised(given, Self::KIND)?, width, mean, whitening);
        let outputs = whitening.len() / width;
        Ok(projected.chunks_exact(outputs).map(|row| row.iter().map(|x| x * x).sum()).collect())
    }
}

impl FitsUnlabeled for Gaussian {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let values = self.on.normalised(train, Self::KIND)?;
        let width = self.on.of(train, Self::KIND)?.width();
        let mean = mean(&values, width);
        let covariance = covariance(&values, width, |_| &mean);
        context.cancel.check()?;
        let whitening = whitening(shrunk(covariance, self.shrinkage));
        if whitening.is_empty() {
            return Err(constant(Self::KIND));
        }
        let outputs = whitening.len() / width;
        Ok(Arrays::default().with_list("mean", mean).with("whitening", &[outputs, width], whitening))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({}), json!({"shrinkage": 0.2}), json!({"on": "penultimate", "shrinkage": 1})] {
            testing::check_promises(crate::build(Gaussian::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        assert!(crate::build(Gaussian::KIND, json!({"shrinkage": 1.1}), &[]).is_err());
    }

    #[test]
    fn what_lies_far_from_the_mean_scores_high() {
        let detector = crate::build(Gaussian::KIND, json!({"on": "penultimate"}), &[]).expect("valid settings");
        testing::check_distant(detector.as_ref());
        let samples = testing::Samples::new(90, true);
        let fitted = testing::fit(detector.as_ref(), &samples).expect("fits");
        let near = testing::score(fitted.as_ref(), &samples, 0).expect("scores");
        assert!((near.iter().sum::<f64>() / 90.0 - 8.0).abs() < 1e-6, "the width, for the samples fitted on");
    }
}
