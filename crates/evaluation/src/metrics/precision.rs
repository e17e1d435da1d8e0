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
        self.precision_area(positive, f64::midpoint)
    }

    /// Average precision: the sum over thresholds of the recall gained times the precision there: scikit-learn's
    /// `average_precision_score`, as Outlier Exposure and energy_ood take it.
    #[must_use]
    pub fn average_precision(&self, positive: Positive) -> f64 {
        self.precision_area(positive, |_, now| now)
    }

    fn precision_area(&self, positive: Positive, height: impl Fn(f64, f64) -> f64) -> f64 {
        let positives = self.total(positive) as f64;
        let mut area = 0.0;
        let mut previous_precision = 1.0;
        let mut previous_hits = 0;
        for vertex in self.vertices(positive) {
            let (hits, misses) = (vertex.true_positives, vertex.false_positives);
            let precision = hits as f64 / (hits + misses) as f64;
            area += (hits - previous_hits) as f64 * height(previous_precision, precision);
            previous_precision = precision;
            previous_hits = hits;
        }
        area / positives
    }
}
