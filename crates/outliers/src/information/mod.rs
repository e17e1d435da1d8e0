//! Bounds of the mutual information between outliers and the student's features, as losses.
//!
//! * [`Bound::Club`]: the contrastive log-ratio upper bound (Cheng et al., *CLUB*, ICML 2020), which OAL uses under the name MICL
//!   (`openood/losses/mi_loss.py`, `deep_mi_loss.py`): a network reads an outlier x and answers a Gaussian q(y|x) of the feature y; the
//!   bound is how much more likely q finds the features that belong to the outliers than those of the whole batch.
//! * [`Bound::InfoNce`]: the lower bound of van den Oord et al. (2018) with the critic that the released code defines but never uses.
//!
//! And two ways of training with either ([`Variant`]). As released, an outlier and a feature are paired at random, so nothing ties them
//! together: averaged over the pairings the two halves of CLUB cancel exactly, whatever the networks and the features are. The term has no
//! expected gradient, only noise, and the networks that are to measure it learn to make it small instead of right. A test shows it.

mod estimator;
mod nce;
mod pairs;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use estimator::{Gaussian, club, log_likelihood};
pub(crate) use nce::Critic;

use crate::OutlierError;
use crate::parameters::Maker;

/// Which bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Contrastive log-ratio upper bound.
    #[default]
    Club,
    /// The contrastive lower bound: its critic is trained to raise it, the student to lower it.
    InfoNce,
}

/// How outliers and features are paired, and how the measuring networks are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// A feature is paired with an outlier of its own class; the networks are fitted in a step of their own (CLUB: by the likelihood of the
    /// paired features; InfoNCE: by the bound), and stand still while the student lowers the bound.
    #[default]
    Corrected,
    /// A feature is paired with any outlier; the networks lower the bound together with the student, in its optimiser.
    Released,
}

/// Settings of the terms of mutual information. Their weights are among those of the whole loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InformationConfig {
    /// Which bound.
    pub bound: Bound,
    /// Pairing and training of the measuring networks.
    pub variant: Variant,
    /// Most outliers of a step, 2 to 4096; of a larger batch the first samples are used. Published: 128.
    pub samples: usize,
    /// `released`: learning rate of the measuring networks in the student's optimiser, above 0. Published: 1e-4.
    pub learning_rate: f64,
    /// `corrected`: learning rate of their own optimiser (Adam), above 0. Default 1e-3.
    pub fit_rate: f64,
}

impl Default for InformationConfig {
    fn default() -> InformationConfig {
        InformationConfig {
            bound: Bound::Club,
            variant: Variant::Corrected,
            samples: 128,
            learning_rate: 1e-4,
            fit_rate: 1e-3,
        }
    }
}

impl InformationConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> std::result::Result<(), OutlierError> {
        if !(2..=4096).contains(&self.samples) {
            return Err(OutlierError::setting("information.samples", self.samples, "2 to 4096"));
        }
        let rates = [("information.learning_rate", self.learning_rate), ("information.fit_rate", self.fit_rate)];
        for (name, found) in rates {
            if !(found > 0.0 && found.is_finite()) {
                return Err(OutlierError::setting(name, found, "a positive number"));
            }
        }
        Ok(())
    }
}

/// Hidden layers of the network that answers the mean of boundary outliers, as released. That of the log-variance has one, as wide as the
/// last of these; so has InfoNCE's critic.
pub(crate) const SHALLOW: &[usize] = &[256];
/// Those for diffusion outliers.
pub(crate) const DEEP: &[usize] = &[32, 16, 256];

/// What measures a bound.
#[derive(Debug, Clone)]
pub(crate) enum Estimator {
    Club(Gaussian),
    InfoNce(Critic),
}

impl Estimator {
    /// For outliers of `inputs` values and features of `outputs`.
    pub fn new(
        make: &mut Maker,
        name: &str,
        bound: Bound,
        hidden: &[usize],
        (inputs, outputs): (usize, usize),
    ) -> Result<Estimator> {
        Ok(match bound {
            Bound::Club => Estimator::Club(Gaussian::new(make, name, (inputs, outputs), hidden)?),
            Bound::InfoNce => {
                let width = hidden.last().copied().unwrap_or(1);
                Estimator::InfoNce(Critic::new(make, name, (inputs, outputs), width)?)
            }
        })
    }

    /// The bound in nats, a scalar; `x` `[rows, inputs]`, `y` `[rows, outputs]`, row by row.
    pub fn bound(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        match self {
            Estimator::Club(gaussian) => {
                let (mean, log_variance) = gaussian.forward(x)?;
                club(&mean, &log_variance, y)
            }
            Estimator::InfoNce(critic) => critic.bound(x, y),
        }
    }

    /// What fits the estimator when it is lowered.
    pub fn fit(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        match self {
            Estimator::Club(gaussian) => {
                let (mean, log_variance) = gaussian.forward(x)?;
                log_likelihood(&mean, &log_variance, y)?.neg()
            }
            Estimator::InfoNce(critic) => critic.bound(x, y)?.neg(),
        }
    }
}
