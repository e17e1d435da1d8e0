//! The names of all metrics: columns of tables, words of experiment files, captions.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A metric of one score on one pair of sets. All are fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Area under the receiver operating characteristic, ties one half.
    Auroc,
    /// Area under precision and recall by trapezoids, ID positive.
    AuprIn,
    /// Area under precision and recall by trapezoids, OOD positive.
    AuprOut,
    /// Share of OOD accepted at 95 % of ID accepted.
    Fpr95Id,
    /// Share of ID rejected at 95 % of OOD caught.
    Fpr95Ood,
    /// Average precision (step sum), ID positive.
    ApIn,
    /// Average precision (step sum), OOD positive.
    ApOut,
    /// Least mean of the two error rates over all thresholds.
    DetectionError,
    /// Area under the threshold curves: mean of the areas under FPR and FNR over min-max scaled thresholds.
    Autc,
    /// Share of in-distribution images whose class is right; a property of the classifier, the same for every score.
    Accuracy,
    /// Area under the open-set classification rate curve.
    Oscr,
    /// Expected calibration error of the classifier's confidence on in-distribution images.
    CalibrationError,
}

impl Metric {
    /// Every metric, in the order of the columns of `table.csv`: the contract's five, then the others.
    pub const ALL: [Metric; 12] = [
        Metric::Auroc,
        Metric::AuprIn,
        Metric::AuprOut,
        Metric::Fpr95Id,
        Metric::Fpr95Ood,
        Metric::ApIn,
        Metric::ApOut,
        Metric::DetectionError,
        Metric::Autc,
        Metric::Accuracy,
        Metric::Oscr,
        Metric::CalibrationError,
    ];

    /// Those that need scores alone: every row has them.
    pub const OF_SCORES: [Metric; 9] = [
        Metric::Auroc,
        Metric::AuprIn,
        Metric::AuprOut,
        Metric::Fpr95Id,
        Metric::Fpr95Ood,
        Metric::ApIn,
        Metric::ApOut,
        Metric::DetectionError,
        Metric::Autc,
    ];

    /// The name in columns and in experiment files: `fpr95_id`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::Auroc => "auroc",
            Metric::AuprIn => "aupr_in",
            Metric::AuprOut => "aupr_out",
            Metric::Fpr95Id => "fpr95_id",
            Metric::Fpr95Ood => "fpr95_ood",
            Metric::ApIn => "ap_in",
            Metric::ApOut => "ap_out",
            Metric::DetectionError => "detection_error",
            Metric::Autc => "autc",
            Metric::Accuracy => "accuracy",
            Metric::Oscr => "oscr",
            Metric::CalibrationError => "calibration_error",
        }
    }

    /// The name in headings of tables and on axes: `FPR95 (ID+)`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Metric::Auroc => "AUROC",
            Metric::AuprIn => "AUPR-IN",
            Metric::AuprOut => "AUPR-OUT",
            Metric::Fpr95Id => "FPR95 (ID+)",
            Metric::Fpr95Ood => "FPR95 (OOD+)",
            Metric::ApIn => "AP-IN",
            Metric::ApOut => "AP-OUT",
            Metric::DetectionError => "detection error",
            Metric::Autc => "AUTC",
            Metric::Accuracy => "accuracy",
            Metric::Oscr => "OSCR",
            Metric::CalibrationError => "ECE",
        }
    }

    /// What it means, in one sentence without a full stop: for captions.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Metric::Auroc => "probability that an OOD sample scores higher than an ID sample, ties counting one half",
            Metric::AuprIn => "area under precision and recall by trapezoids, ID positive",
            Metric::AuprOut => "area under precision and recall by trapezoids, OOD positive",
            Metric::Fpr95Id => "share of OOD accepted when 95 % of ID is accepted",
            Metric::Fpr95Ood => "share of ID rejected when 95 % of OOD is caught",
            Metric::ApIn => "average precision (step sum), ID positive",
            Metric::ApOut => "average precision (step sum), OOD positive",
            Metric::DetectionError => "least mean of the shares of ID rejected and OOD accepted over all thresholds",
            Metric::Autc => {
                "mean of the areas under the shares of ID rejected and OOD accepted over thresholds scaled to 0..1"
            }
            Metric::Accuracy => "share of in-distribution samples whose class is right",
            Metric::Oscr => {
                "area under the share of ID accepted and rightly classified against the share of OOD accepted"
            }
            Metric::CalibrationError => {
                "expected calibration error: mean distance of confidence and accuracy over 15 bins, on ID"
            }
        }
    }

    /// Whether a larger value is a better detector.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        !matches!(
            self,
            Metric::Fpr95Id | Metric::Fpr95Ood | Metric::DetectionError | Metric::Autc | Metric::CalibrationError
        )
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a metric ({known}), found {found:?}")]
pub struct UnknownMetric {
    found: String,
    known: String,
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Metric, UnknownMetric> {
        Metric::ALL
            .into_iter()
            .find(|metric| metric.name() == text)
            .ok_or_else(|| UnknownMetric { found: text.to_owned(), known: Metric::ALL.map(Metric::name).join(", ") })
    }
}
