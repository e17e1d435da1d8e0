//! The least error of a threshold.

use super::{Counts, Positive};

impl Counts {
    /// The least mean of the two error rates over all thresholds: (share of ID rejected + share of OOD accepted) / 2,
    /// classes weighing alike whatever their sizes. At most one half; found in integers.
    #[must_use]
    pub fn detection_error(&self) -> f64 {
        // Classes are limited to 2^31, so that these products stay within 2^63.
        let (n_id, n_ood) = (self.total(Positive::Id), self.total(Positive::Ood));
        let least = self
            .vertices(Positive::Ood)
            .map(|v| v.false_positives * n_ood + (n_ood - v.true_positives) * n_id)
            // The origin rejects nothing: all OOD accepted.
            .fold(n_ood * n_id, u64::min);
        least as f64 / (2 * u128::from(n_id) * u128::from(n_ood)) as f64
    }
}
