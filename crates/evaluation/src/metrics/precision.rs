//! Precision and recall.

use super::{Counts, Positive};

impl Counts {
    /// Area under the precision-recall curve by trapezoids, with the point (recall 0, precision 1) added: scikit-learn's
    /// `precision_recall_curve` followed by `auc`, as OpenOOD and pytorch-ood take it.
    ///
    /// With ties this is optimistic and can differ much from [`Counts::average_precision`]; both depend on the
    /// classes' sizes, so values are comparable only at equal base rates.
    #[must_use]
    pub fn aupr(&self, positive: Positive) -> f64 {
        self.precision_areas(positive)[0]
    }

    /// Average precision: the sum over thresholds of the recall gained times the precision there: scikit-learn's
    /// `average_precision_score`, as Outlier Exposure and energy_ood take it.
    #[must_use]
    pub fn average_precision(&self, positive: Positive) -> f64 {
        self.precision_areas(positive)[1]
    }

    /// [`Counts::aupr`] and [`Counts::average_precision`] in one pass.
    pub(super) fn precision_areas(&self, positive: Positive) -> [f64; 2] {
        let positives = self.total(positive) as f64;
        let (mut trapezoids, mut steps) = (0.0, 0.0);
        let mut previous_precision = 1.0;
        let mut previous_hits = 0;
        for vertex in self.vertices(positive) {
            let (hits, misses) = (vertex.true_positives, vertex.false_positives);
            let precision = hits as f64 / (hits + misses) as f64;
            let gained = (hits - previous_hits) as f64;
            trapezoids += gained * f64::midpoint(previous_precision, precision);
            steps += gained * precision;
            previous_precision = precision;
            previous_hits = hits;
        }
        [trapezoids / positives, steps / positives]
    }
}
