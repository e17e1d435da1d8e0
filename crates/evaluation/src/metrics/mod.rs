//! Metrics of one detector on one pair of sets, from outlier scores (higher = more out-of-distribution).
//!
//! Conventions differ between published systems; here each has its own name ([`FprRule`], [`Positive`]).
//! FPR95 is two different quantities: [`Metrics::fpr95_id`] and [`Metrics::fpr95_ood`].

mod auroc;
pub mod bootstrap;
mod bootstrap_classifier;
pub mod classification;
pub mod compare;
mod comparison;
mod comparison_markdown;
mod convention;
mod counts;
mod detection_error;
mod metric;
mod operating_point;
mod precision;
mod recall;
mod threshold_curve;
mod warning;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use auroc::Interval;
pub use comparison::{COMPARISON_COLUMNS, Comparison, Method, comparisons_from_csv, comparisons_to_csv, correct};
pub use comparison_markdown::comparisons_to_markdown;
pub use convention::{Convention, UnknownConvention};
pub use counts::Counts;
pub use metric::{Metric, UnknownMetric};
pub use operating_point::{FprRule, UnknownRule};
pub use recall::{BadRecall, Recall};
pub use warning::Warning;

/// The class that counts as positive, which is the class whose recall is fixed at 95 % for FPR95.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positive {
    /// In-distribution is positive: a sample is accepted when its score is at most the threshold.
    Id,
    /// Out-of-distribution is positive: a sample is caught when its score is at least the threshold.
    Ood,
}

impl Positive {
    /// The other class.
    #[must_use]
    pub fn other(self) -> Positive {
        match self {
            Positive::Id => Positive::Ood,
            Positive::Ood => Positive::Id,
        }
    }
}

impl fmt::Display for Positive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Positive::Id => "in-distribution",
            Positive::Ood => "out-of-distribution",
        })
    }
}

/// Scores of which no metric can be taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// A class without scores.
    #[error("expected scores of both classes, found none of the {class} class")]
    Empty {
        /// The class that is empty.
        class: Positive,
    },
    /// A score that is not a number.
    #[error("expected a number or an infinity, found NaN at index {index} of the {class} scores ({count} NaN in all)")]
    Nan {
        /// The class it was found in.
        class: Positive,
        /// Position of the first NaN in that class.
        index: usize,
        /// How many of the class's scores are NaN.
        count: usize,
    },
    /// More scores than exact counting covers.
    #[error("expected at most {} scores a class, found {found} of the {class} class", Counts::LIMIT)]
    TooMany {
        /// The class it was found in.
        class: Positive,
        /// How many there are.
        found: usize,
    },
}

/// All metrics of one detector on one pair of sets. Fractions 0..1, never percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// In-distribution scores.
    pub n_id: usize,
    /// Out-of-distribution scores.
    pub n_ood: usize,
    /// Distinct scores over both classes: far fewer than `n_id + n_ood` means ties.
    pub distinct: usize,
    /// Probability that an OOD score exceeds an ID score, ties counting one half.
    pub auroc: f64,
    /// Lower end of the 95 % DeLong interval of `auroc` ([`Counts::auroc_interval`]).
    pub auroc_low: f64,
    /// Upper end of that interval.
    pub auroc_high: f64,
    /// Area under the precision-recall curve by trapezoids, ID positive ([`Counts::aupr`]).
    pub aupr_in: f64,
    /// Area under the precision-recall curve by trapezoids, OOD positive ([`Counts::aupr`]).
    pub aupr_out: f64,
    /// Share of OOD accepted when 95 % of ID is accepted (ID positive; DLSR, energy, most papers).
    pub fpr95_id: f64,
    /// Share of ID rejected when 95 % of OOD is caught (OOD positive; OpenOOD 1.5, OAL, pytorch-ood).
    pub fpr95_ood: f64,
    /// Average precision (step sum), ID positive ([`Counts::average_precision`]).
    pub ap_in: f64,
    /// Average precision (step sum), OOD positive ([`Counts::average_precision`]).
    pub ap_out: f64,
    /// Least mean of the two error rates over all thresholds ([`Counts::detection_error`]).
    pub detection_error: f64,
    /// Area under the threshold curves ([`Counts::autc`]).
    pub autc: f64,
    /// The rule that chose the operating point of both FPR95.
    pub rule: FprRule,
    /// What a reader must know before trusting the numbers.
    pub warnings: Vec<Warning>,
}

/// All metrics of outlier scores (higher = more out-of-distribution).
///
/// `id` and `ood` hold one score a sample, in any order; infinities are kept.
///
/// # Errors
/// When a class is empty, holds a NaN, or holds more than [`Counts::LIMIT`] scores.
///
/// ```
/// use oodlab_evaluation::{FprRule, evaluate};
/// let metrics = evaluate(&[0.0, 1.0], &[1.0, 2.0], FprRule::FirstAtLeast)?;
/// assert_eq!(metrics.auroc, 3.5 / 4.0); // 3 of 4 pairs in order, one tie
/// assert_eq!(metrics.fpr95_id, 0.5); // accepting all ID (scores up to 1) accepts one OOD of two
/// # Ok::<(), oodlab_evaluation::MetricError>(())
/// ```
pub fn evaluate(id: &[f64], ood: &[f64], rule: FprRule) -> Result<Metrics, MetricError> {
    Ok(Counts::new(id, ood)?.metrics(rule))
}

impl Metrics {
    /// A metric's value, 0..1; `None` for those that need more than scores.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Auroc => Some(self.auroc),
            Metric::AuprIn => Some(self.aupr_in),
            Metric::AuprOut => Some(self.aupr_out),
            Metric::Fpr95Id => Some(self.fpr95_id),
            Metric::Fpr95Ood => Some(self.fpr95_ood),
            Metric::ApIn => Some(self.ap_in),
            Metric::ApOut => Some(self.ap_out),
            Metric::DetectionError => Some(self.detection_error),
            Metric::Autc => Some(self.autc),
            Metric::Accuracy | Metric::Oscr | Metric::CalibrationError => None,
        }
    }
}

impl Counts {
    /// All metrics, with FPR95 under `rule`.
    #[must_use]
    pub fn metrics(&self, rule: FprRule) -> Metrics {
        let Interval { estimate, low, high } = self.auroc_interval();
        let [auroc, aupr_in, aupr_out, fpr95_id, fpr95_ood, ap_in, ap_out, detection_error, autc] =
            self.of_scores(Recall::P95, rule);
        debug_assert!(auroc == estimate, "one AUROC");
        Metrics {
            n_id: self.n_id(),
            n_ood: self.n_ood(),
            distinct: self.thresholds().len(),
            auroc,
            auroc_low: low,
            auroc_high: high,
            aupr_in,
            aupr_out,
            fpr95_id,
            fpr95_ood,
            ap_in,
            ap_out,
            detection_error,
            autc,
            rule,
            warnings: self.warnings(),
        }
    }

    /// The values of [`Metric::OF_SCORES`], in its order, the two FPR at `recall` under `rule`.
    #[must_use]
    pub fn of_scores(&self, recall: Recall, rule: FprRule) -> [f64; 9] {
        let of_id = || (self.precision_areas(Positive::Id), self.fpr_at(Positive::Id, recall, rule), self.autc());
        let of_ood =
            || (self.precision_areas(Positive::Ood), self.fpr_at(Positive::Ood, recall, rule), self.detection_error());
        // Each pass is short: a second thread pays where there are many thresholds.
        let ((id_areas, fpr_id, autc), (ood_areas, fpr_ood, detection_error)) =
            if self.thresholds().len() < 1 << 16 { (of_id(), of_ood()) } else { rayon::join(of_id, of_ood) };
        let ([aupr_in, ap_in], [aupr_out, ap_out]) = (id_areas, ood_areas);
        [self.auroc(), aupr_in, aupr_out, fpr_id, fpr_ood, ap_in, ap_out, detection_error, autc]
    }
}
