//! A Weibull distribution fitted to the largest of some distances, as libMR fits it (Scheirer et al., TPAMI 2011): the tail is moved so that its
//! smallest distance lies at 10,000, and scale and shape maximise the likelihood.
//!
//! So far from zero the shape is some ten thousands, and powers of it lose most digits. With `t = ln(x / 10000)` the logarithm of a Weibull
//! variable has an extreme value distribution of location `μ = ln(scale / 10000)` and width `σ = 1 / shape`; all is computed with these, and the
//! logarithms by `ln_1p` of a distance over 10,000.

/// Where the smallest distance of the tail is moved: libMR's `translate_amount`.
const MOVED_TO: f64 = 10_000.0;
/// Halvings of the interval of ln σ: to the last bit.
const HALVINGS: usize = 200;
/// σ of a tail whose distances are all equal: next to a step.
const STEEPEST: f64 = 1e-12;

/// The fitted distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weibull {
    /// The smallest distance of the tail.
    pub smallest: f64,
    /// μ.
    pub location: f64,
    /// σ, above 0.
    pub width: f64,
}

impl Weibull {
    /// Of the `tail` largest distances, or of all where there are fewer; there is one at least.
    pub fn of_largest(mut distances: Vec<f64>, tail: usize) -> Weibull {
        distances.sort_unstable_by(|a, b| b.total_cmp(a));
        distances.truncate(tail.max(1));
        let smallest = distances.last().copied().unwrap_or(0.0);
        let logs: Vec<f64> = distances.iter().map(|distance| ((distance - smallest) / MOVED_TO).ln_1p()).collect();
        let count = logs.len().max(1) as f64;
        let largest = logs.first().copied().unwrap_or(0.0);
        let mean = logs.iter().sum::<f64>() / count;
        // Weights relative to the largest logarithm: no power overflows.
        let weight = |log: f64, width: f64| ((log - largest) / width).exp();
        // The derivative of the likelihood by σ has one zero: below it σ is too small.
        let too_narrow = |width: f64| {
            let total: f64 = logs.iter().map(|&log| weight(log, width)).sum();
            let weighted: f64 = logs.iter().map(|&log| log * weight(log, width)).sum();
            width + mean - weighted / total < 0.0
        };
        // σ is at most the range of the logarithms, since the weighted mean exceeds the plain one by less.
        let (mut low, mut high) = (STEEPEST.ln(), largest.max(STEEPEST).ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if too_narrow(middle.exp()) { low = middle } else { high = middle }
        }
        let width = (0.5 * (low + high)).exp();
        let powers: f64 = logs.iter().map(|&log| weight(log, width)).sum();
        Weibull { smallest, location: largest + width * (powers / count).ln(), width }
    }

    /// The share of the distribution below a distance, 0..1: libMR's `w_score`.
    pub fn below(self, distance: f64) -> f64 {
        let moved = (distance - self.smallest) / MOVED_TO;
        if moved <= -1.0 {
            return 0.0;
        }
        -(-((moved.ln_1p() - self.location) / self.width).exp()).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_is_a_maximum_of_the_likelihood() {
        let distances: Vec<f64> = (1..60).map(|i| 3.0 + (i as f64 * 0.77).sin() + 0.01 * i as f64).collect();
        let tail = 20;
        let best = Weibull::of_largest(distances.clone(), tail);
        let mut sorted = distances;
        sorted.sort_by(|a, b| b.total_cmp(a));
        let likelihood = |location: f64, width: f64| -> f64 {
            let of = |distance: &f64| {
                let z = (((distance - best.smallest) / MOVED_TO).ln_1p() - location) / width;
                z - z.exp() - width.ln()
            };
            sorted[..tail].iter().map(of).sum()
        };
        let here = likelihood(best.location, best.width);
        for (by_location, by_width) in
            [(1e-3, 0.0), (-1e-3, 0.0), (0.0, 1e-3), (0.0, -1e-3), (1e-3, 1e-3), (-1e-3, 1e-3)]
        {
            let there = likelihood(best.location + by_location * best.width, best.width * (1.0 + by_width));
            assert!(there < here, "{by_location} {by_width}: {there} {here}");
        }
        assert!(best.below(0.0) < 1e-3 && best.below(9.0) > 0.999);
        assert_eq!(best.below(best.smallest - 2.0 * MOVED_TO), 0.0);
    }

    #[test]
    fn equal_distances_are_a_step() {
        for distances in [vec![2.0], vec![2.0; 30]] {
            let step = Weibull::of_largest(distances, 20);
            assert!(step.below(1.999) == 0.0 && step.below(2.001) == 1.0, "{step:?}");
        }
    }
}
