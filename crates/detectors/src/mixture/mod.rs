//! Gaussian mixture density, without labels: the score is a sample's negative log-likelihood. Fitted by expectation maximisation as in
//! scikit-learn's `GaussianMixture`, from the samples nearest to each of some centres that k-means++ draws (scikit-learn's own start lets k-means
//! run to its end first). With `on: layers` vectors are z-scored by sample and layer first.

mod em;
mod model;
mod start;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::model::Covariance;

use self::model::Model;
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::space::Space;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mixture {
    /// The vector: the chosen `layers`, z-scored (the default), or `penultimate`.
    pub on: Space,
    /// Gaussians: 10.
    pub components: usize,
    /// `diagonal` (the default) or `full`.
    pub covariance: Covariance,
    /// Added to each variance: 1e-6.
    pub regularisation: f64,
    /// The fit ends when the mean log-likelihood changes by less: 1e-3.
    pub tolerance: f64,
    /// The fit ends after so many steps at the latest: 100.
    pub iterations: usize,
}

impl Default for Mixture {
    fn default() -> Mixture {
        Mixture {
            on: Space::Layers,
            components: 10,
            covariance: Covariance::Diagonal,
            regularisation: 1e-6,
            tolerance: 1e-3,
            iterations: 100,
        }
    }
}

impl Mixture {
    /// Fits vectors, beginning at some of them.
    fn fit_from(
        &self,
        values: &[f32],
        width: usize,
        centres: &[usize],
        cancel: &oodlab_base::Cancel,
    ) -> Result<Arrays, DetectorError> {
        let count = centres.len();
        let mut shares = vec![0.0; values.len() / width * count];
        for (shares, own) in shares.chunks_exact_mut(count).zip(start::nearest(values, width, centres)) {
            shares[own] = 1.0;
        }
        let settings = em::Settings {
            kind: self.covariance,
            regularisation: self.regularisation,
            tolerance: self.tolerance,
            iterations: self.iterations,
        };
        let model = em::fit(values, width, shares, settings, cancel)?;
        Ok(Arrays::default()
            .with_list("log shares", model.log_shares)
            .with("means", &[count, width], model.means)
            .with("roots", &[count, self.covariance.numbers(width)], model.roots))
    }
}

impl Rule for Mixture {
    const KIND: &'static str = "mixture";

    fn check(&self) -> Result<(), DetectorError> {
        for (key, count) in [("components", self.components), ("iterations", self.iterations)] {
            if count == 0 {
                return Err(refuse(key, 0, "at least 1"));
            }
        }
        for (key, value) in [("regularisation", self.regularisation), ("tolerance", self.tolerance)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(refuse(key, value, "0 or a number above"));
            }
        }
        Ok(())
    }

    fn needs(&self) -> Needs {
        self.on.needs()
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("components", [1, 5, 10, 20, 50].map(|value| json!(value)).to_vec())]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let (count, width) = (arrays.f64("log shares").len(), self.on.width(sizes));
        if count == 0 || width == 0 {
            return Err("no components".to_owned());
        }
        arrays.expect("log shares", &[count], true)?;
        arrays.expect("means", &[count, width], true)?;
        arrays.expect("roots", &[count, self.covariance.numbers(width)], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let model = Model {
            kind: self.covariance,
            width: self.on.of(given, Self::KIND)?.width(),
            log_shares: arrays.f64("log shares").to_vec(),
            means: arrays.f64("means").to_vec(),
            roots: arrays.f64("roots").to_vec(),
        };
        let likelihoods = model.log_likelihoods(&self.on.normalised(given, Self::KIND)?);
        Ok(likelihoods.into_iter().map(|likelihood| -likelihood).collect())
    }
}

impl FitsUnlabeled for Mixture {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let values = self.on.normalised(train, Self::KIND)?;
        let width = self.on.of(train, Self::KIND)?.width();
        let stream = context.seed.stream("mixture centres");
        let centres = start::centres(&values, width, self.components, stream).ok_or_else(|| {
            refuse("components", self.components, "at most the number of training vectors that differ; lower it")
        })?;
        self.fit_from(&values, width, &centres, context.cancel)
    }
}
