//! Softmax and log-sum-exp of logits, in f64, safe for large ones.

use crate::DetectorError;
use crate::rule::refuse;

/// log Σ exp(x)
pub(crate) fn log_sum_exp(logits: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + logits.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// Probabilities of one row of logits.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f64> {
    normalised(logits.iter().map(|&x| f64::from(x)))
}

/// The same in double precision.
pub(crate) fn softmax_f64(logits: &[f64]) -> Vec<f64> {
    normalised(logits.iter().copied())
}

fn normalised(logits: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.map(|x| (x - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

/// Refuses what no logit can be divided by.
pub(crate) fn check_temperature(key: &str, temperature: f64) -> Result<(), DetectorError> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(());
    }
    Err(refuse(key, temperature, "a number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(softmax(&[1e6, 1e6]), [0.5, 0.5]);
        assert!((log_sum_exp([1000.0, 1000.0].into_iter()) - (1000.0 + 2f64.ln())).abs() < 1e-12);
    }
}
