//! FPR95: the share of negatives accepted where the recall of positives is 95 %, under every rule in use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::counts::Vertex;
use super::{Counts, Positive, Recall};

/// How the operating point "95 % recall" is chosen. The rules agree on distinct scores up to one sample and part ways
/// on ties; [`FprRule::FirstAtLeast`] is the one to report, the others reproduce published code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FprRule {
    /// The strictest threshold whose recall is at least 95 %, compared in integers (pytorch-ood 0.4).
    #[default]
    FirstAtLeast,
    /// As `FirstAtLeast`, but on the vertices that scikit-learn's `roc_curve` keeps by default, which drops those in the
    /// middle of straight runs (OpenOOD).
    FirstAtLeastSklearnDrop,
    /// The vertex whose recall is nearest to 95 %, possibly below it; at equal distance the higher recall, and at equal
    /// recall the larger share (Outlier Exposure, energy_ood, VOS, ReAct). Distances are compared in floating point, as
    /// there: between 28 and 29 of 30 it is rounding that decides.
    Nearest,
    /// The threshold is the 95th percentile of the positives, interpolated as NumPy does; negatives strictly inside it
    /// are accepted (DLSR). Constant scores give 0, as if perfect.
    Percentile95Strict,
    /// The threshold is the order statistic round(0.05 n) (half to even) from the far end of the positives; negatives
    /// strictly inside it are accepted (ODIN, knn-ood). Constant scores give 0, as if perfect.
    OrderStatStrict,
}

impl FprRule {
    /// Every rule, in the order of the variants.
    pub const ALL: [FprRule; 5] = [
        FprRule::FirstAtLeast,
        FprRule::FirstAtLeastSklearnDrop,
        FprRule::Nearest,
        FprRule::Percentile95Strict,
        FprRule::OrderStatStrict,
    ];

    /// The name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FprRule::FirstAtLeast => "first-at-least",
            FprRule::FirstAtLeastSklearnDrop => "first-at-least-sklearn-drop",
            FprRule::Nearest => "nearest",
            FprRule::Percentile95Strict => "percentile95-strict",
            FprRule::OrderStatStrict => "order-stat-strict",
        }
    }

    /// The rule in words, for captions.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            FprRule::FirstAtLeast => "the strictest threshold whose recall is at least 95 %, exact on counts",
            FprRule::FirstAtLeastSklearnDrop => {
                "the first vertex with recall at least 95 % that scikit-learn's roc_curve keeps"
            }
            FprRule::Nearest => "the vertex whose recall is nearest to 95 %",
            FprRule::Percentile95Strict => "the interpolated 95th percentile of the positives, strict comparison",
            FprRule::OrderStatStrict => "the order statistic round(0.05 n) of the positives, strict comparison",
        }
    }
}

impl fmt::Display for FprRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one of first-at-least, first-at-least-sklearn-drop, nearest, percentile95-strict, order-stat-strict; found {0:?}"
)]
pub struct UnknownRule(String);

impl FromStr for FprRule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<FprRule, UnknownRule> {
        FprRule::ALL.into_iter().find(|rule| rule.name() == text).ok_or_else(|| UnknownRule(text.to_owned()))
    }
}

impl Counts {
    /// The share of negatives taken for positives where the recall of `positive` is 95 % under `rule`, 0..1.
    ///
    /// With [`Positive::Id`] this is the share of OOD accepted at 95 % of ID accepted; with [`Positive::Ood`] the share
    /// of ID rejected at 95 % of OOD caught.
    #[must_use]
    pub fn fpr95(&self, positive: Positive, rule: FprRule) -> f64 {
        self.fpr_at(positive, Recall::P95, rule)
    }

    /// [`Counts::fpr95`] at another recall than 95 %: each rule with that recall in the place of 0.95.
    #[must_use]
    pub fn fpr_at(&self, positive: Positive, recall: Recall, rule: FprRule) -> f64 {
        let false_positives = match rule {
            FprRule::FirstAtLeast => self.first_at_least(positive, recall),
            FprRule::FirstAtLeastSklearnDrop => self.first_kept(positive, recall),
            FprRule::Nearest => self.nearest(positive, recall.value()),
            FprRule::Percentile95Strict => self.inside(positive, self.percentile(positive, recall.value())),
            FprRule::OrderStatStrict => {
                let positives = self.total(positive);
                // A recall near 0 rounds to one past the last.
                let rank =
                    (recall.complement() * positives as f64).round_ties_even().min(positives as f64 - 1.0) as u64;
                self.inside(positive, self.outermost(positive, rank))
            }
        };
        false_positives as f64 / self.total(positive.other()) as f64
    }

    fn first_at_least(&self, positive: Positive, recall: Recall) -> u64 {
        let positives = self.total(positive);
        // The last vertex has recall 1, so one is always found.
        self.vertices(positive)
            .find(|v| recall.is_reached(v.true_positives, positives))
            .map_or(0, |v| v.false_positives)
    }

    fn first_kept(&self, positive: Positive, recall: Recall) -> u64 {
        let positives = self.total(positive);
        let vertices: Vec<Vertex> = self.vertices(positive).collect();
        let bends = |k: usize| {
            let [a, b, c] = [vertices[k - 1], vertices[k], vertices[k + 1]];
            a.false_positives + c.false_positives != 2 * b.false_positives
                || a.true_positives + c.true_positives != 2 * b.true_positives
        };
        let kept = |k: usize| k == 0 || k + 1 == vertices.len() || bends(k);
        (0..vertices.len())
            .find(|&k| recall.is_reached(vertices[k].true_positives, positives) && kept(k))
            .map_or(0, |k| vertices[k].false_positives)
    }

    fn nearest(&self, positive: Positive, recall: f64) -> u64 {
        let positives = self.total(positive);
        let distance = |v: Vertex| (v.true_positives as f64 / positives as f64 - recall).abs();
        let mut best: Option<Vertex> = None;
        for vertex in self.vertices(positive) {
            // `<=` lets a later vertex win: higher recall at equal distance, larger share at equal recall.
            if best.is_none_or(|b| distance(vertex) <= distance(b)) {
                best = Some(vertex);
            }
            // The published array ends at the first vertex of full recall.
            if vertex.true_positives == positives {
                break;
            }
        }
        best.map_or(0, |v| v.false_positives)
    }

    /// Negatives strictly on the positives' side of `threshold`.
    fn inside(&self, positive: Positive, threshold: f64) -> u64 {
        match positive {
            Positive::Id => self.strictly_below(Positive::Ood, threshold),
            Positive::Ood => self.strictly_above(Positive::Id, threshold),
        }
    }

    /// The positives' order statistic of that rank, counted from the end that looks least positive.
    fn outermost(&self, positive: Positive, rank: u64) -> f64 {
        match positive {
            Positive::Id => self.order_statistic(positive, self.total(positive) - 1 - rank),
            Positive::Ood => self.order_statistic(positive, rank),
        }
    }

    /// `numpy.percentile(positives, 100 recall)` in the direction in which that share of them lies inside: NumPy's order of operations,
    /// so that the strict comparison falls the same way.
    fn percentile(&self, positive: Positive, recall: f64) -> f64 {
        // With OOD positive the scores are negated, which turns the order round.
        let sign = if positive == Positive::Id { 1.0 } else { -1.0 };
        let last = self.total(positive) - 1;
        let position = last as f64 * recall;
        let rank = position.floor() as u64;
        let fraction = position - position.floor();
        let a = sign * self.outermost(positive, last - rank);
        let b = sign * self.outermost(positive, last - (rank + 1).min(last));
        let value = if a == b || fraction == 0.0 {
            a
        } else if a.is_infinite() || b.is_infinite() {
            // NumPy gives NaN for some of these; the limit of the line is what was meant.
            if a.is_infinite() { a } else { b }
        } else if fraction >= 0.5 {
            b - (b - a) * (1.0 - fraction)
        } else {
            a + (b - a) * fraction
        };
        sign * value
    }
}
