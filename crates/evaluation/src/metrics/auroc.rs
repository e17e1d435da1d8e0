//! Area under the receiver operating characteristic, and its DeLong interval.

use super::{Counts, Positive};

/// An estimate with the ends of its 95 % interval, all within 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate itself.
    pub estimate: f64,
    /// Lower end, at most the estimate.
    pub low: f64,
    /// Upper end, at least the estimate.
    pub high: f64,
}

/// The 97.5 % point of the standard normal distribution.
pub(super) const NORMAL_975: f64 = 1.959_963_984_540_054;

impl Counts {
    /// The probability that an OOD score exceeds an ID score, ties counting one half (Mann-Whitney). The number of
    /// ordered pairs is counted in integers and divided once.
    #[must_use]
    pub fn auroc(&self) -> f64 {
        let pairs = 2 * u128::from(self.total(Positive::Id)) * u128::from(self.total(Positive::Ood));
        self.half_pairs() as f64 / pairs as f64
    }

    /// The variance of [`Counts::auroc`] after DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988): the sum over
    /// the two classes of the unbiased variance of their placements, each divided by the class's size. The sums of
    /// squares are exact integers. `None` when a class holds a single score, whose placement has no variance.
    #[must_use]
    pub fn auroc_variance(&self) -> Option<f64> {
        let (n_id, n_ood) = (u128::from(self.total(Positive::Id)), u128::from(self.total(Positive::Ood)));
        if n_id < 2 || n_ood < 2 {
            return None;
        }
        let (mut id_squares, mut ood_squares) = (0u128, 0u128);
        for [id_below, id_at, ood_below, ood_at] in self.groups() {
            // Placements, doubled so that ties stay integers.
            let of_ood = u128::from(2 * id_below + id_at);
            let of_id = 2 * n_ood - u128::from(2 * ood_below + ood_at);
            ood_squares += of_ood * of_ood * u128::from(ood_at);
            id_squares += of_id * of_id * u128::from(id_at);
        }
        let sum = u128::from(self.half_pairs());
        // Unbiased variance of n doubled placements scaled by 1 / (2 m), over n:
        // (n Σa² - (Σa)²) / (n (n - 1)) / (4 m²) / n.
        let part = |n: u128, m: u128, squares: u128| {
            (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64 / (4 * m * m) as f64 / n as f64
        };
        Some(part(n_ood, n_id, ood_squares) + part(n_id, n_ood, id_squares))
    }

    /// The AUROC with its plain (not logit) normal 95 % DeLong interval, clamped to 0..1.
    ///
    /// When the variance is 0 (perfect separation, constant scores) the interval is the point: it then understates the
    /// uncertainty. When a class holds a single score the variance is unknown and the interval is 0..1.
    #[must_use]
    pub fn auroc_interval(&self) -> Interval {
        let estimate = self.auroc();
        match self.auroc_variance() {
            None => Interval { estimate, low: 0.0, high: 1.0 },
            Some(variance) => {
                let half_width = NORMAL_975 * variance.sqrt();
                Interval { estimate, low: (estimate - half_width).max(0.0), high: (estimate + half_width).min(1.0) }
            }
        }
    }
}
