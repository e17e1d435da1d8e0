//! From scores of held-out in-distribution samples to a threshold, and how well it is known.

use serde::{Deserialize, Serialize};

/// Half of what a 95 % interval leaves out.
const TAIL: f64 = 0.025;

/// Samples that score at most this much count as in-distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// In units of the score.
    pub value: f64,
    /// Share of in-distribution samples that should be accepted, 0..1.
    pub acceptance: f64,
    /// Share of the held-out samples that is: the smallest that is at least `acceptance`.
    pub accepted: f64,
    /// 95 % interval of the score below which that share of all in-distribution samples lies, from order statistics; no upper end where
    /// there are too few samples for one.
    pub interval: (Option<f64>, Option<f64>),
    /// 95 % interval of the share of new in-distribution samples that the threshold accepts (Beta of the order statistic).
    pub acceptance_interval: (f64, f64),
    /// Number of held-out samples.
    pub samples: usize,
    /// Where they come from: set and split.
    pub held_out: String,
}

impl Threshold {
    /// Of finite scores, at least one, and a share above 0 and at most 1.
    pub fn of(scores: &[f64], acceptance: f64, held_out: String) -> Option<Threshold> {
        let mut sorted = scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        // The product may lie one bit above a whole number: 0.95 * 20.
        let rank = ((acceptance * n as f64 - 1e-9).ceil() as usize).clamp(1, n.max(1));
        let value = *sorted.get(rank - 1)?;
        // Ties with the threshold are accepted too.
        let accepted = sorted.partition_point(|&score| score <= value);
        // The share's quantile lies at or above the l-th smallest sample with probability P(Binomial(n, share) >= l).
        let low = (1..=n).rev().find(|&l| below(n, acceptance, l) <= TAIL);
        let high = (1..=n).find(|&u| below(n, acceptance, u) >= 1.0 - TAIL);
        let at = |rank: Option<usize>| rank.and_then(|rank| sorted.get(rank - 1).copied());
        Some(Threshold {
            value,
            acceptance,
            accepted: accepted as f64 / n as f64,
            interval: (at(low), at(high)),
            acceptance_interval: (beta_quantile(n, rank, TAIL), beta_quantile(n, rank, 1.0 - TAIL)),
            samples: n,
            held_out,
        })
    }

    /// Whether a sample of this score counts as in-distribution.
    pub fn accepts(&self, score: f64) -> bool {
        score <= self.value
    }
}

/// P(Binomial(n, p) < k).
fn below(n: usize, p: f64, k: usize) -> f64 {
    if p <= 0.0 {
        return if k > 0 { 1.0 } else { 0.0 };
    }
    if p >= 1.0 {
        return if k > n { 1.0 } else { 0.0 };
    }
    let log_factorial = |x: usize| libm::lgamma(x as f64 + 1.0);
    let term = |i: usize| {
        (log_factorial(n) - log_factorial(i) - log_factorial(n - i) + i as f64 * p.ln() + (n - i) as f64 * (-p).ln_1p())
            .exp()
    };
    // Beyond forty deviations of the mean nothing is left in double precision.
    let reach = 40.0 * (n as f64 * p * (1.0 - p)).sqrt() + 40.0;
    let first = (n as f64 * p - reach).max(0.0) as usize;
    let last = k.min(n + 1).min((n as f64 * p + reach).ceil() as usize + 1);
    if first >= last { if k > first { 1.0 } else { 0.0 } } else { (first..last).map(term).sum::<f64>().min(1.0) }
}

/// The quantile `q` of Beta(k, n + 1 - k), the share of all samples below the k-th smallest of n: P(Beta <= p) = P(Binomial(n, p) >= k).
fn beta_quantile(n: usize, k: usize, q: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if 1.0 - below(n, middle, k) < q { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: usize, acceptance: f64) -> Threshold {
        let scores: Vec<f64> = (1..=n).map(|i| i as f64).collect();
        Threshold::of(&scores, acceptance, "test".into()).expect("scores")
    }

    /// Values of scipy.stats: binom.ppf for the ranks, beta.ppf for the shares.
    #[test]
    fn ranks_and_shares_are_those_of_the_binomial_and_the_beta() {
        let found = of(1000, 0.95);
        assert_eq!((found.value, found.accepted), (950.0, 0.95));
        assert_eq!(found.interval, (Some(936.0), Some(964.0)));
        let (low, high) = found.acceptance_interval;
        assert!((low - 0.934_609_512).abs() < 1e-8 && (high - 0.961_794_763).abs() < 1e-8, "{low} {high}");
    }

    #[test]
    fn few_samples_have_no_upper_end() {
        let found = of(20, 0.95);
        assert_eq!(found.value, 19.0);
        assert_eq!(found.interval.1, None);
        assert_eq!(of(1, 0.95).value, 1.0);
        assert!(Threshold::of(&[], 0.95, String::new()).is_none());
    }

    #[test]
    fn ties_are_accepted() {
        let found = Threshold::of(&[1.0, 2.0, 2.0, 2.0], 0.5, String::new()).expect("scores");
        assert_eq!((found.value, found.accepted), (2.0, 1.0));
        assert!(found.accepts(2.0) && !found.accepts(2.1));
    }
}
