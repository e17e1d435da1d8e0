//! Area under the threshold curves (AUTC).

use super::{Counts, Positive};

impl Counts {
    /// The mean of the areas under the share of ID rejected (score above the threshold) and the share of OOD accepted
    /// (score at most the threshold), over thresholds from the least score to the greatest, that range scaled to 0..1: AUTC of
    /// Humblot-Renaux, Escalera and Moeslund, "Beyond AUROC & co. for evaluating out-of-distribution detection performance"
    /// (CVPR workshops 2023), as the exact integral of the steps (pytorch-ood 0.4). Lower is better, one half is chance.
    ///
    /// Unlike the other metrics it changes with a monotone transformation of the scores: it rewards scores that lie far
    /// apart. Thresholds are finite: infinite scores lie beyond the first or the last of them and count as 0 or 1 on the
    /// scaled range, which finite scores alone span. Where that range is a point, scores at it count as one half.
    #[must_use]
    pub fn autc(&self) -> f64 {
        let mut finite = self.thresholds().iter().copied().filter(|threshold| threshold.is_finite());
        let low = finite.next().unwrap_or(0.0);
        let high = finite.next_back().unwrap_or(low);
        // The range of finite numbers may be infinite; that of their halves is not.
        let unit = if (high - low).is_finite() { 1.0 } else { 0.5 };
        let (low, range) = (unit * low, unit * high - unit * low);
        let scaled = |threshold: f64| {
            if threshold.is_infinite() {
                f64::from(u8::from(threshold > 0.0))
            } else if range == 0.0 {
                0.5
            } else {
                (unit * threshold - low) / range
            }
        };
        // The integral of the share above t over t in 0..1 is the mean.
        let (mut id, mut ood) = (0.0, 0.0);
        for (&threshold, [_, id_at, _, ood_at]) in self.thresholds().iter().zip(self.groups()) {
            let place = scaled(threshold);
            id += id_at as f64 * place;
            ood += ood_at as f64 * (1.0 - place);
        }
        f64::midpoint(id / self.total(Positive::Id) as f64, ood / self.total(Positive::Ood) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn autc(id: &[f64], ood: &[f64]) -> f64 {
        Counts::new(id, ood).unwrap().autc()
    }

    #[test]
    fn steps_are_integrated_exactly() {
        // Scaled: ID 0, 0.25; OOD 0.5, 1. Means 0.125 and 0.75: (0.125 + 0.25) / 2.
        assert_eq!(autc(&[2.0, 3.0], &[4.0, 6.0]), 0.1875);
        assert_eq!(autc(&[0.0, 0.0], &[1.0]), 0.0);
        assert_eq!(autc(&[1.0], &[0.0, 0.0]), 1.0);
        assert_eq!(autc(&[0.5; 3], &[0.5; 2]), 0.5);
    }

    #[test]
    fn infinite_scores_lie_beyond_every_threshold() {
        let infinite = f64::INFINITY;
        assert_eq!(autc(&[0.0, 1.0], &[1.0, infinite]), 0.25);
        assert_eq!(autc(&[-infinite], &[infinite]), 0.0);
        assert_eq!(autc(&[-infinite, 3.0], &[3.0]), 0.375);
        assert_eq!(autc(&[-f64::MAX, 0.0], &[f64::MAX]), 0.125);
    }
}
