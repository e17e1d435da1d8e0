//! Cumulative integer counts over distinct thresholds: sorted once, everything else follows exactly.

use rayon::prelude::*;

use super::{MetricError, Positive};

/// For every distinct score, how many samples of each class score at most that much.
///
/// Scores are compared as numbers: -0 equals 0, infinities are ordinary values. Building takes O(n log n), each metric
/// O(number of distinct scores).
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    thresholds: Vec<f64>,
    /// Cumulative counts (id, ood) at or below each threshold; the last entry holds the class sizes.
    below_or_at: Vec<[u64; 2]>,
    /// Twice the number of pairs in which the OOD score is larger, plus the number of ties: at most 2^63.
    half_pairs: u64,
}

/// One vertex of a curve: samples of each class that count as positive at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vertex {
    pub true_positives: u64,
    pub false_positives: u64,
}

impl Counts {
    /// Most scores a class may hold: pair counts then stay within 64 bits and their squares within 128.
    pub const LIMIT: usize = 1 << 31;

    /// Sorts and counts outlier scores (higher = more out-of-distribution).
    ///
    /// # Errors
    /// When a class is empty, holds a NaN, or holds more than [`Counts::LIMIT`] scores.
    pub fn new(id: &[f64], ood: &[f64]) -> Result<Counts, MetricError> {
        check(id, Positive::Id)?;
        check(ood, Positive::Ood)?;
        let (id, ood) = rayon::join(|| sorted_keys(id), || sorted_keys(ood));
        let mut thresholds = Vec::with_capacity(id.len() + ood.len());
        let mut below_or_at = Vec::with_capacity(id.len() + ood.len());
        let (mut i, mut j) = (0, 0);
        let mut half_pairs = 0;
        loop {
            let key = match (id.get(i), ood.get(j)) {
                (None, None) => break,
                (Some(&a), None) => a,
                (None, Some(&b)) => b,
                (Some(&a), Some(&b)) => a.min(b),
            };
            let before = (i, j);
            while id.get(i) == Some(&key) {
                i += 1;
            }
            while ood.get(j) == Some(&key) {
                j += 1;
            }
            half_pairs += (before.0 + i) as u64 * (j - before.1) as u64;
            thresholds.push(from_key(key));
            below_or_at.push([i as u64, j as u64]);
        }
        Ok(Counts { thresholds, below_or_at, half_pairs })
    }

    /// The index of each score among the thresholds.
    pub(super) fn ranks(&self, scores: &[f64]) -> Vec<u32> {
        let rank = |&score: &f64| self.thresholds.partition_point(|&threshold| threshold < score) as u32;
        scores.par_iter().map(rank).collect()
    }

    /// Takes the place of the counts held: `groups` holds how many samples of each class score exactly that threshold, which
    /// may be none.
    pub(super) fn refill(&mut self, thresholds: &[f64], groups: &[[u32; 2]]) {
        self.thresholds.clear();
        self.below_or_at.clear();
        self.half_pairs = 0;
        let (mut id, mut ood) = (0u64, 0u64);
        for (&threshold, &[id_at, ood_at]) in thresholds.iter().zip(groups) {
            if id_at == 0 && ood_at == 0 {
                continue;
            }
            self.half_pairs += (2 * id + u64::from(id_at)) * u64::from(ood_at);
            id += u64::from(id_at);
            ood += u64::from(ood_at);
            self.thresholds.push(threshold);
            self.below_or_at.push([id, ood]);
        }
    }

    /// The distinct scores of both classes, ascending.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// In-distribution scores.
    #[must_use]
    pub fn n_id(&self) -> usize {
        self.total(Positive::Id) as usize
    }

    /// Out-of-distribution scores.
    #[must_use]
    pub fn n_ood(&self) -> usize {
        self.total(Positive::Ood) as usize
    }

    pub(super) fn total(&self, class: Positive) -> u64 {
        self.below_or_at.last().map_or(0, |counts| counts[class as usize])
    }

    /// Twice the number of pairs in which the OOD score is larger, plus the number of ties.
    pub(super) fn half_pairs(&self) -> u64 {
        self.half_pairs
    }

    /// Samples of `class` with a score at or below the threshold of that index.
    pub(super) fn at_most(&self, class: Positive, index: usize) -> u64 {
        self.below_or_at[index][class as usize]
    }

    /// Samples of each class below each threshold and at it: `[id below, id at, ood below, ood at]`.
    pub(super) fn groups(&self) -> impl Iterator<Item = [u64; 4]> + '_ {
        let mut before = [0, 0];
        self.below_or_at.iter().map(move |&now| {
            let group = [before[0], now[0] - before[0], before[1], now[1] - before[1]];
            before = now;
            group
        })
    }

    /// Vertices of the receiver operating characteristic, one a threshold, from the strictest to the most generous;
    /// the origin is not among them.
    pub(super) fn vertices(&self, positive: Positive) -> impl ExactSizeIterator<Item = Vertex> + '_ {
        let n = self.thresholds.len();
        let totals = [self.total(Positive::Id), self.total(Positive::Ood)];
        (0..n).map(move |step| match positive {
            Positive::Id => {
                let [id, ood] = self.below_or_at[step];
                Vertex { true_positives: id, false_positives: ood }
            }
            Positive::Ood => {
                let [id, ood] = if step + 1 == n { [0, 0] } else { self.below_or_at[n - 2 - step] };
                Vertex { true_positives: totals[1] - ood, false_positives: totals[0] - id }
            }
        })
    }

    /// The receiver operating characteristic with OOD positive: points (share of ID rejected, share of OOD caught),
    /// from (0, 0) to (1, 1), one a distinct score.
    #[must_use]
    pub fn roc(&self) -> Vec<(f64, f64)> {
        let (negatives, positives) = (self.n_id() as f64, self.n_ood() as f64);
        std::iter::once((0.0, 0.0))
            .chain(
                self.vertices(Positive::Ood)
                    .map(|v| (v.false_positives as f64 / negatives, v.true_positives as f64 / positives)),
            )
            .collect()
    }

    /// The order statistic of `class` of that rank: rank 0 is its lowest score.
    pub(super) fn order_statistic(&self, class: Positive, rank: u64) -> f64 {
        self.thresholds[self.below_or_at.partition_point(|counts| counts[class as usize] <= rank)]
    }

    /// Samples of `class` that score strictly less than `bound`.
    pub(super) fn strictly_below(&self, class: Positive, bound: f64) -> u64 {
        match self.thresholds.partition_point(|&t| t < bound) {
            0 => 0,
            index => self.at_most(class, index - 1),
        }
    }

    /// Samples of `class` that score strictly more than `bound`.
    pub(super) fn strictly_above(&self, class: Positive, bound: f64) -> u64 {
        match self.thresholds.partition_point(|&t| t <= bound) {
            0 => self.total(class),
            index => self.total(class) - self.at_most(class, index - 1),
        }
    }
}

fn check(scores: &[f64], class: Positive) -> Result<(), MetricError> {
    if scores.is_empty() {
        return Err(MetricError::Empty { class });
    }
    if scores.len() > Counts::LIMIT {
        return Err(MetricError::TooMany { class, found: scores.len() });
    }
    if let Some(index) = scores.iter().position(|x| x.is_nan()) {
        let count = scores.iter().filter(|x| x.is_nan()).count();
        return Err(MetricError::Nan { class, index, count });
    }
    Ok(())
}

const SIGN: u64 = 1 << 63;

/// Integers that sort as the scores do: integer comparison is what the fast unstable sort likes best.
fn sorted_keys(scores: &[f64]) -> Vec<u64> {
    let mut keys: Vec<u64> = scores
        .iter()
        .map(|&score| {
            // Adding zero turns -0 into +0 and changes nothing else.
            let bits = (score + 0.0).to_bits();
            if bits & SIGN == 0 { bits | SIGN } else { !bits }
        })
        .collect();
    keys.sort_unstable();
    keys
}

fn from_key(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_order_and_value() {
        let values = [f64::NEG_INFINITY, -1e300, -1.5, -f64::MIN_POSITIVE, 0.0, 5e-324, 1.0, f64::INFINITY];
        let keys = sorted_keys(&values);
        assert_eq!(keys.iter().map(|&k| from_key(k)).collect::<Vec<_>>(), values);
    }

    #[test]
    fn minus_zero_ties_with_zero() {
        let counts = Counts::new(&[-0.0], &[0.0]).unwrap();
        assert_eq!(counts.thresholds().len(), 1);
        assert_eq!(counts.auroc(), 0.5);
    }

    #[test]
    fn ranks_and_strict_counts() {
        let counts = Counts::new(&[1.0, 1.0, 3.0], &[2.0, 3.0]).unwrap();
        assert_eq!((0..3).map(|r| counts.order_statistic(Positive::Id, r)).collect::<Vec<_>>(), [1.0, 1.0, 3.0]);
        assert_eq!((0..2).map(|r| counts.order_statistic(Positive::Ood, r)).collect::<Vec<_>>(), [2.0, 3.0]);
        assert_eq!(counts.strictly_below(Positive::Id, 3.0), 2);
        assert_eq!(counts.strictly_above(Positive::Id, 1.0), 1);
        assert_eq!(counts.strictly_above(Positive::Ood, 3.0), 0);
        assert_eq!(counts.strictly_below(Positive::Ood, f64::NEG_INFINITY), 0);
        assert_eq!(counts.strictly_above(Positive::Ood, 0.0), 2);
    }

    #[test]
    fn bad_scores_name_class_and_place() {
        assert_eq!(Counts::new(&[], &[1.0]), Err(MetricError::Empty { class: Positive::Id }));
        assert_eq!(Counts::new(&[1.0], &[]), Err(MetricError::Empty { class: Positive::Ood }));
        let error = Counts::new(&[1.0], &[0.0, f64::NAN, 2.0, f64::NAN]).unwrap_err();
        assert_eq!(error, MetricError::Nan { class: Positive::Ood, index: 1, count: 2 });
        assert_eq!(
            error.to_string(),
            "expected a number or an infinity, found NaN at index 1 of the out-of-distribution scores (2 NaN in all)"
        );
    }
}
