//! The least error of a threshold.

use super::{Counts, Positive};

impl Counts {
    /// The least mean of the two error rates over all thresholds: (share of ID rejected + share of OOD accepted) / 2,
    /// classes weighing alike whatever their sizes. At most one half; found in integers.
    #[must_use]
    pub fn detection_error(&self) -> f64 {
        let (n_id, n_ood) = (u128::from(self.total(Positive::Id)), u128::from(self.total(Positive::Ood)));
        let least = self
            .vertices(Positive::Ood)
            .map(|v| u128::from(v.false_positives) * n_ood + (n_ood - u128::from(v.true_positives)) * n_id)
            // The origin rejects nothing: all OOD accepted.
            .fold(n_ood * n_id, u128::min);
        least as f64 / (2 * n_id * n_ood) as f64
    }
}
