//! The Gaussian q(y|x), its likelihood, and the bound that it gives.

use candle_core::{D, Result, Tensor};

use crate::parameters::{Maker, Perceptron};

/// Networks of mean and log-variance. The log-variance ends with tanh, so it lies within -1 .. 1.
#[derive(Debug, Clone)]
pub(crate) struct Gaussian {
    mean: Perceptron,
    log_variance: Perceptron,
}

impl Gaussian {
    /// `hidden` widths of the mean's network; the log-variance has one hidden layer, as wide as the last of them.
    pub fn new(make: &mut Maker, name: &str, (inputs, outputs): (usize, usize), hidden: &[usize]) -> Result<Gaussian> {
        let sizes: Vec<usize> = std::iter::once(inputs).chain(hidden.iter().copied()).chain([outputs]).collect();
        let last = hidden.last().copied().unwrap_or(outputs);
        Ok(Gaussian {
            mean: Perceptron::new(make, &format!("{name}.mu"), &sizes)?,
            log_variance: Perceptron::new(make, &format!("{name}.logvar"), &[inputs, last, outputs])?,
        })
    }

    /// Mean and log-variance of q(y|x), `[rows, outputs]` each, for `x` `[rows, inputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.mean.forward(x)?, self.log_variance.forward(x)?.tanh()?))
    }
}

/// CLUB: the mean over rows i of `Σ_d [-(μ_id - y_id)² + mean_j (μ_id - y_jd)²] / (2 exp l_id)`.
///
/// The mean over j is `(μ - ȳ)²` plus the population variance of y, so it needs no pairs.
pub(crate) fn club(mean: &Tensor, log_variance: &Tensor, y: &Tensor) -> Result<Tensor> {
    let centre = y.mean_keepdim(0)?;
    let variance = y.broadcast_sub(&centre)?.sqr()?.mean_keepdim(0)?;
    let others = mean.broadcast_sub(&centre)?.sqr()?.broadcast_add(&variance)?;
    let gap = (others - (mean - y)?.sqr()?)?;
    ((gap * log_variance.neg()?.exp()?)? * 0.5)?.sum(D::Minus1)?.mean(0)
}

/// The mean over rows of `Σ_d [-(μ - y)² / exp l - l]`: twice the log-likelihood of q, less a constant (the released code's
/// `loglikeli`).
pub(crate) fn log_likelihood(mean: &Tensor, log_variance: &Tensor, y: &Tensor) -> Result<Tensor> {
    let error = ((mean - y)?.sqr()? * log_variance.neg()?.exp()?)?;
    (error + log_variance)?.sum(D::Minus1)?.mean(0)?.neg()
}
