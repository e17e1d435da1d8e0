//! Pointwise bands of ROC and PR curves.

use oodlab_base::{Seed, Stream};
use rayon::prelude::*;

use crate::metrics::Positive;

/// Bootstrap replicates of a band.
const REPLICATES: usize = 400;
/// Ends of the middle 95 % of them.
const ENDS: [f64; 2] = [0.025, 0.975];
/// The seed of all bands: a figure is a function of its scores.
const SEED: Seed = Seed(0);

/// Reads a curve at the places of a grid, from the samples of both classes at each threshold and the classes' sizes.
type Reader = fn(&[[u32; 2]], [f64; 2], &[f64]) -> Vec<f64>;

/// Scores of both classes by distinct threshold.
pub(super) struct Ranked {
    /// For each sample of the negative and of the positive class, the place of its score among the distinct ones, the strictest first.
    places: [Vec<u32>; 2],
    thresholds: usize,
}

impl Ranked {
    /// Outlier scores (higher = more out-of-distribution) without NaN.
    pub fn new(id: &[f64], ood: &[f64], positive: Positive) -> Ranked {
        let mut distinct: Vec<f64> = id.iter().chain(ood).map(|score| score + 0.0).collect();
        distinct.sort_unstable_by(f64::total_cmp);
        distinct.dedup();
        let last = distinct.len().saturating_sub(1);
        let places = |scores: &[f64]| -> Vec<u32> {
            let place = |score: &f64| distinct.partition_point(|other| other < score);
            let strict = |at: usize| if positive == Positive::Ood { last - at } else { at };
            scores.iter().map(|score| strict(place(score)) as u32).collect()
        };
        let (negative, positive) = if positive == Positive::Ood { (id, ood) } else { (ood, id) };
        Ranked { places: [places(negative), places(positive)], thresholds: distinct.len() }
    }

    /// The band of the share of positives caught at each share of negatives caught by mistake: (share, low, high).
    pub fn roc_band(&self) -> Vec<(f64, f64, f64)> {
        // Dense near 0, where a logarithmic axis needs it.
        let low = (0..60).map(|k| 10f64.powf(-4.0 + f64::from(k) / 20.0));
        let high = (1..=90).map(|k| 0.1 + f64::from(k) / 100.0);
        self.band(&[0.0].into_iter().chain(low).chain(high).collect::<Vec<_>>(), roc_at)
    }

    /// The band of the precision at each recall: (recall, low, high).
    pub fn pr_band(&self) -> Vec<(f64, f64, f64)> {
        self.band(&(1..=100).map(|k| f64::from(k) / 100.0).collect::<Vec<_>>(), precision_at)
    }

    /// Samples of each class are drawn anew from their own class.
    fn band(&self, grid: &[f64], at: Reader) -> Vec<(f64, f64, f64)> {
        let totals = [self.places[0].len() as f64, self.places[1].len() as f64];
        let stream = SEED.stream("figure bands");
        let curves: Vec<Vec<f64>> = (0..REPLICATES as u64)
            .into_par_iter()
            .map(|replicate| {
                let mut counts = vec![[0u32; 2]; self.thresholds];
                for (class, places) in self.places.iter().enumerate() {
                    draw(stream.child(2 * replicate + class as u64), places, |place| {
                        counts[place as usize][class] += 1
                    });
                }
                at(&counts, totals, grid)
            })
            .collect();
        let end = |k: usize, share: f64| {
            let mut values: Vec<f64> = curves.iter().map(|curve| curve[k]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[((REPLICATES - 1) as f64 * share).round() as usize]
        };
        grid.iter().enumerate().map(|(k, &x)| (x, end(k, ENDS[0]), end(k, ENDS[1]))).collect()
    }
}

/// As many places as there are, drawn with replacement. 32 bits a draw: the bias is below their number / 2^32.
fn draw(stream: Stream, places: &[u32], mut take: impl FnMut(u32)) {
    let n = places.len() as u64;
    for block in 0..n.div_ceil(4) {
        for (word, _) in stream.block(block).into_iter().zip(4 * block..n) {
            take(places[((u64::from(word) * n) >> 32) as usize]);
        }
    }
}

/// The share of positives at shares of negatives: along the straights of the ROC curve, its upper end where it rises.
fn roc_at(counts: &[[u32; 2]], [negatives, positives]: [f64; 2], grid: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(grid.len());
    let (mut before, mut now) = ((0.0, 0.0), (0.0, 0.0));
    let mut rest = counts.iter();
    for &x in grid {
        while now.0 <= x {
            let Some(&[negative, positive]) = rest.next() else { break };
            before = now;
            now = (now.0 + f64::from(negative) / negatives, now.1 + f64::from(positive) / positives);
        }
        let share = if now.0 > x { (x - before.0) / (now.0 - before.0) } else { 1.0 };
        out.push((before.1 + (now.1 - before.1) * share).clamp(0.0, 1.0));
    }
    out
}

/// The precision at the first threshold that reaches each recall.
fn precision_at(counts: &[[u32; 2]], [_, positives]: [f64; 2], grid: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(grid.len());
    let (mut negative, mut positive) = (0.0, 0.0);
    let mut rest = counts.iter();
    for &recall in grid {
        // Whole counts are compared, with room for the grid's rounding.
        while positive < recall * positives - 1e-6 {
            let Some(&[more_negative, more_positive]) = rest.next() else { break };
            negative += f64::from(more_negative);
            positive += f64::from(more_positive);
        }
        out.push(if positive > 0.0 { positive / (positive + negative) } else { 1.0 });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_read_at_their_grid() {
        // Two positives above one negative, one tie, one negative below.
        let counts = [[0, 1], [1, 1], [1, 0]];
        assert_eq!(roc_at(&counts, [2.0, 2.0], &[0.0, 0.25, 0.5, 1.0]), [0.5, 0.75, 1.0, 1.0]);
        assert_eq!(precision_at(&counts, [2.0, 2.0], &[0.5, 0.75, 1.0]), [1.0, 2.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn bands_hold_the_curve_and_narrow_with_samples() {
        let scores = |n: usize, shift: f64| (0..n).map(|k| (k as f64 + 0.5) / n as f64 + shift).collect::<Vec<_>>();
        let width = |n: usize| {
            let ranked = Ranked::new(&scores(n, 0.0), &scores(n, 0.3), Positive::Ood);
            // At 0.5 of ID rejected, 0.8 of OOD is caught.
            let band = ranked.roc_band();
            let (_, low, high) = band.into_iter().find(|(x, _, _)| (*x - 0.5).abs() < 1e-9).unwrap_or_default();
            assert!(low < 0.8 && 0.8 < high, "{n}: {low} {high}");
            high - low
        };
        let (few, many) = (width(100), width(10_000));
        // Ten times fewer samples squared.
        assert!((few / many - 10.0).abs() < 2.5, "{few} {many}");
    }

    #[test]
    fn a_perfect_score_has_a_band_without_width() {
        for positive in [Positive::Ood, Positive::Id] {
            let ranked = Ranked::new(&[0.0, f64::NEG_INFINITY], &[1.0, f64::INFINITY], positive);
            assert!(ranked.roc_band().iter().all(|(_, low, high)| (*low, *high) == (1.0, 1.0)));
            assert!(ranked.pr_band().iter().all(|(_, low, high)| (*low, *high) == (1.0, 1.0)));
        }
    }
}
