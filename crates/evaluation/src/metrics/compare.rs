//! Whether two detectors differ on the same images: paired DeLong test, paired bootstrap, Holm's correction.

use super::auroc::NORMAL_975;
use super::bootstrap::Replicates;
use super::{Counts, Metric, MetricError, Positive};

/// What two detectors are compared by with the paired bootstrap; the AUROC on one set has DeLong's test.
pub const BOOTSTRAPPED: [Metric; 4] = [Metric::Fpr95Id, Metric::Fpr95Ood, Metric::AuprIn, Metric::AuprOut];

/// Outlier scores that one detector gave to the images of both classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored<'a> {
    /// Of the in-distribution images.
    pub id: &'a [f64],
    /// Of the out-of-distribution images.
    pub ood: &'a [f64],
}

/// A difference of two detectors on the same images, with what is known of its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTest {
    /// The metric of the first detector, 0..1.
    pub a: f64,
    /// Of the second.
    pub b: f64,
    /// `a - b`.
    pub difference: f64,
    /// Lower end of the 95 % interval of the difference.
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// Two-sided p of "no difference"; `None` where the test has no answer.
    pub p: Option<f64>,
}

/// Detectors that cannot be compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// Different images.
    #[error(
        "a paired comparison needs scores of the same images: the first detector has {a} of the {class} class, the second {b}"
    )]
    Unpaired {
        /// The class in which they differ.
        class: Positive,
        /// Scores of the first.
        a: usize,
        /// Scores of the second.
        b: usize,
    },
    /// Replicates that do not belong together.
    #[error("a paired comparison needs as many replicates of both detectors, found {a} and {b}")]
    Replicates {
        /// Replicates of the first.
        a: usize,
        /// Replicates of the second.
        b: usize,
    },
    /// A metric that replicates do not hold.
    #[error("{metric} is no metric of scores alone: the bootstrap has no replicates of it")]
    NotOfScores {
        /// The metric.
        metric: Metric,
    },
    /// Scores that are refused.
    #[error(transparent)]
    Scores(#[from] MetricError),
}

/// The paired test of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) for the difference of two AUROC: `a` and `b` hold
/// scores of the same images in the same order. O(n log n); sums of squares are exact integers.
///
/// The variance of the difference is that of the differences of placements, covariance included. Where it is 0 the interval is
/// the point, and p is 1 if the AUROC are equal (the detectors rank all pairs alike) and unknown otherwise; where a class has
/// one image only, the variance is unknown: the interval is -1..1 and p is unknown.
///
/// # Errors
/// When the numbers of images differ, a class is empty, or a score is NaN.
pub fn delong(a: Scored<'_>, b: Scored<'_>) -> Result<PairedTest, CompareError> {
    for (class, a, b) in [(Positive::Id, a.id, b.id), (Positive::Ood, a.ood, b.ood)] {
        if a.len() != b.len() {
            return Err(CompareError::Unpaired { class, a: a.len(), b: b.len() });
        }
    }
    let (first, second) = (Counts::new(a.id, a.ood)?, Counts::new(b.id, b.ood)?);
    let (auroc_a, auroc_b) = (first.auroc(), second.auroc());
    let (first_of_id, first_of_ood) = placements(&first, a);
    let (second_of_id, second_of_ood) = placements(&second, b);
    // One subtraction of integers: the AUROC's own roundings would leave a rest where they are equal.
    let pairs = 2 * i128::from(first.total(Positive::Id)) * i128::from(first.total(Positive::Ood));
    let half_pairs = i128::from(first.half_pairs()) - i128::from(second.half_pairs());
    let difference = half_pairs as f64 / pairs as f64;
    let of_id = squared_error(&first_of_id, &second_of_id, a.ood.len());
    let of_ood = squared_error(&first_of_ood, &second_of_ood, a.id.len());
    let (half_width, p) = match of_id.zip(of_ood).map(|(id, ood)| id + ood) {
        None => (f64::INFINITY, None),
        Some(0.0) => (0.0, (half_pairs == 0).then_some(1.0)),
        Some(variance) => {
            let deviation = variance.sqrt();
            let p = libm::erfc(difference.abs() / deviation * std::f64::consts::FRAC_1_SQRT_2);
            (NORMAL_975 * deviation, Some(p))
        }
    };
    let (low, high) = ((difference - half_width).max(-1.0), (difference + half_width).min(1.0));
    Ok(PairedTest { a: auroc_a, b: auroc_b, difference, low, high, p })
}

/// Of each image, twice the number of images of the other class that it is ordered rightly with, plus the ties.
fn placements(counts: &Counts, scores: Scored<'_>) -> (Vec<u64>, Vec<u64>) {
    let n_ood = counts.total(Positive::Ood);
    let by_threshold: Vec<[u64; 2]> = counts
        .groups()
        .map(|[id_below, id_at, ood_below, ood_at]| [2 * n_ood - (2 * ood_below + ood_at), 2 * id_below + id_at])
        .collect();
    let of = |values: &[f64], class: Positive| -> Vec<u64> {
        counts.ranks(values).into_iter().map(|rank| by_threshold[rank as usize][class as usize]).collect()
    };
    (of(scores.id, Positive::Id), of(scores.ood, Positive::Ood))
}

/// The unbiased variance of the differences of placements, over their number; `others` images stand in the other class.
fn squared_error(a: &[u64], b: &[u64], others: usize) -> Option<f64> {
    let n = a.len() as i128;
    if n < 2 {
        return None;
    }
    // Differences are at most 2^32 and classes hold at most 2^31: n times the sum of squares is at most 2^126.
    let (mut sum, mut squares) = (0i128, 0i128);
    for (&a, &b) in a.iter().zip(b) {
        let difference = i128::from(a) - i128::from(b);
        sum += difference;
        squares += difference * difference;
    }
    let others = others as i128;
    let scatter = (n * squares - sum * sum) as f64;
    Some(scatter / (n * (n - 1)) as f64 / (4 * others * others) as f64 / n as f64)
}

/// The paired bootstrap for any metric of scores: `a` and `b` are the metric on all images, the replicates those of both
/// detectors on the same images, drawn with one seed and label (or means of such).
///
/// The interval is the 95 % percentile interval of the differences; p is twice the smaller share of replicates whose difference is
/// on the other side of 0 or at it, each share counted with one more replicate, at most 1. It is never below
/// 2 / (replicates + 1).
///
/// # Errors
/// When the numbers of replicates differ or are 0, or the metric is not of [`Metric::OF_SCORES`].
pub fn bootstrap(
    metric: Metric,
    a: f64,
    b: f64,
    replicates_a: &Replicates,
    replicates_b: &Replicates,
) -> Result<PairedTest, CompareError> {
    if !Metric::OF_SCORES.contains(&metric) {
        return Err(CompareError::NotOfScores { metric });
    }
    let counts = CompareError::Replicates { a: replicates_a.len(), b: replicates_b.len() };
    if replicates_a.len() != replicates_b.len() {
        return Err(counts);
    }
    let differences = Replicates::difference(replicates_a, replicates_b);
    let [low, high] = differences.interval(metric).ok_or(counts)?;
    let values = differences.values(metric);
    let share = |on_side: fn(f64) -> bool| {
        (values.iter().filter(|&&value| on_side(value)).count() + 1) as f64 / (values.len() + 1) as f64
    };
    let p = (2.0 * share(|value| value <= 0.0).min(share(|value| value >= 0.0))).min(1.0);
    Ok(PairedTest { a, b, difference: a - b, low, high, p: Some(p) })
}

/// Holm's correction (Scandinavian Journal of Statistics 6, 1979) of the p of one family of tests, in their order: the k-th
/// smallest of m (k from 0) is multiplied by m - k, kept at least as large as those before, and at most 1. Rejecting where the
/// result is at most 5 % errs anywhere in the family with probability at most 5 %, however the tests depend on each other.
///
/// A NaN, the p of a test without an answer, counts as one of the m, and stays NaN.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    // Positive NaN comes last in the total order; by its absolute value every NaN is.
    order.sort_by(|&a, &b| p[a].abs().total_cmp(&p[b].abs()).then(a.cmp(&b)));
    let mut corrected = vec![f64::NAN; p.len()];
    let mut least = 0.0f64;
    for (place, index) in order.into_iter().enumerate() {
        if p[index].is_nan() {
            continue;
        }
        least = least.max((p.len() - place) as f64 * p[index]).min(1.0);
        corrected[index] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::super::FprRule;
    use super::super::bootstrap::BootstrapConfig;
    use super::*;

    #[test]
    fn equal_rankings_do_not_differ() {
        let (id, ood) = ([0.0, 1.0, 2.0, 2.0], [1.5, 2.0, 3.0]);
        let tenfold = |values: &[f64]| values.iter().map(|x| 10.0 * x - 3.0).collect::<Vec<_>>();
        let (other_id, other_ood) = (tenfold(&id), tenfold(&ood));
        let test = delong(Scored { id: &id, ood: &ood }, Scored { id: &other_id, ood: &other_ood }).unwrap();
        assert_eq!((test.difference, test.low, test.high, test.p), (0.0, 0.0, 0.0, Some(1.0)));
    }

    #[test]
    fn a_difference_without_variance_has_no_p() {
        let (low, high) = ([0.0, 1.0], [2.0, 3.0]);
        let test = delong(Scored { id: &low, ood: &high }, Scored { id: &high, ood: &low }).unwrap();
        assert_eq!((test.difference, test.low, test.high, test.p), (1.0, 1.0, 1.0, None));
        let single = delong(Scored { id: &[0.0], ood: &[1.0, 2.0] }, Scored { id: &[1.5], ood: &[1.0, 2.0] }).unwrap();
        assert_eq!((single.difference, single.low, single.high, single.p), (0.5, -1.0, 1.0, None));
    }

    #[test]
    fn other_images_are_refused() {
        let found = delong(Scored { id: &[0.0, 1.0], ood: &[2.0] }, Scored { id: &[0.0], ood: &[2.0] });
        assert_eq!(found, Err(CompareError::Unpaired { class: Positive::Id, a: 2, b: 1 }));
        let found = delong(Scored { id: &[0.0], ood: &[f64::NAN] }, Scored { id: &[0.0], ood: &[2.0] });
        assert!(matches!(found, Err(CompareError::Scores(MetricError::Nan { .. }))));
    }

    #[test]
    fn the_bootstrap_counts_sides() {
        let id: Vec<f64> = (0..50).map(f64::from).collect();
        let good: Vec<f64> = (40..90).map(f64::from).collect();
        let bad: Vec<f64> = (0..50).map(|i| f64::from(i) + 0.5).collect();
        let config = BootstrapConfig { replicates: 199, seed: 0 };
        let draw = |ood: &[f64]| Replicates::draw(&id, ood, "x", FprRule::FirstAtLeast, config).unwrap();
        let (a, b) = (draw(&good), draw(&bad));
        let test = bootstrap(Metric::Auroc, 0.98, 0.5, &a, &b).unwrap();
        assert_eq!(test.p, Some(0.01));
        assert!(0.3 < test.low && test.low < 0.48 && 0.48 < test.high && test.high < 0.7, "{test:?}");
        let same = bootstrap(Metric::Auroc, 0.98, 0.98, &a, &a).unwrap();
        assert_eq!((same.low, same.high, same.p), (0.0, 0.0, Some(1.0)));
        let nothing = Replicates::mean(&[]);
        assert_eq!(bootstrap(Metric::Auroc, 0.5, 0.5, &a, &nothing), Err(CompareError::Replicates { a: 199, b: 0 }));
        assert!(bootstrap(Metric::Oscr, 0.5, 0.5, &a, &b).is_err());
        assert!(bootstrap(Metric::Auroc, 0.5, 0.5, &nothing, &nothing).is_err());
    }

    #[test]
    fn holm_by_hand() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
        assert_eq!(holm(&[0.03]), [0.03]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
        let with_gap = holm(&[f64::NAN, 0.01]);
        assert!(with_gap[0].is_nan());
        assert_eq!(with_gap[1], 0.02);
    }
}
