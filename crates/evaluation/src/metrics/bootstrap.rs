//! Stratified bootstrap: intervals of every metric, of means over sets, and of differences between detectors.
//!
//! In each replicate the ID and the OOD images are drawn anew, each class from its own, with replacement. Which images are
//! drawn depends on seed, replicate, class size and the set's label alone. So replicates of two detectors on the same images
//! belong together, and those of several OOD sets share their draw of ID: plain arithmetic on replicates gives the intervals
//! of means over sets and of paired differences.

use oodlab_base::{Seed, Stream};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bootstrap_classifier::ClassifierDraw;
use super::classification::{PredictionError, Predictions};
use super::{Counts, FprRule, Metric, MetricError, Positive, Recall};

/// How often, and from which seed, images are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapConfig {
    /// Replicates, 1 to [`BootstrapConfig::LIMIT`]; 1,000 are usual. FPR95 jumps from sample to sample: the ends
    /// of its interval settle late.
    pub replicates: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for BootstrapConfig {
    fn default() -> BootstrapConfig {
        BootstrapConfig { replicates: 1000, seed: 0 }
    }
}

impl BootstrapConfig {
    /// Most replicates: beyond them only time is spent.
    pub const LIMIT: usize = 100_000;

    /// Whether the number of replicates is within its limits.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), BootstrapError> {
        if (1..=BootstrapConfig::LIMIT).contains(&self.replicates) {
            return Ok(());
        }
        Err(BootstrapError::Replicates { found: self.replicates })
    }
}

/// A bootstrap that cannot be taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BootstrapError {
    /// Too many replicates, or none.
    #[error("replicates: expected 1 to {}, found {found}", BootstrapConfig::LIMIT)]
    Replicates {
        /// How many were asked for.
        found: usize,
    },
    /// Scores that are refused.
    #[error(transparent)]
    Scores(#[from] MetricError),
    /// Predictions that are refused.
    #[error(transparent)]
    Predictions(#[from] PredictionError),
}

/// The values of every metric of scores in each replicate.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicates {
    /// By [`Metric::ALL`]; all of one length, but for metrics of the classifier where there is none: those are empty.
    values: [Vec<f64>; Metric::ALL.len()],
}

impl Replicates {
    /// Draws replicates of outlier scores. `set` labels the OOD set: equal labels and sizes draw equal images, whatever the
    /// detector; the draw of ID does not depend on it. FPR95 is taken under `rule`.
    ///
    /// An image is a random 32-bit word times the class size, shifted down; no image's probability is off by more than the class
    /// size over 2^32. The same arguments give the same bits for any number of threads.
    ///
    /// # Errors
    /// When the number of replicates is out of its limits, or a class is empty, holds a NaN, or too many scores.
    pub fn draw(
        id: &[f64],
        ood: &[f64],
        set: &str,
        rule: FprRule,
        config: BootstrapConfig,
    ) -> Result<Replicates, BootstrapError> {
        Replicates::draw_at(id, ood, set, Recall::P95, rule, config)
    }

    /// [`Replicates::draw`] with the two FPR at another recall.
    ///
    /// # Errors
    /// As [`Replicates::draw`].
    pub fn draw_at(
        id: &[f64],
        ood: &[f64],
        set: &str,
        recall: Recall,
        rule: FprRule,
        config: BootstrapConfig,
    ) -> Result<Replicates, BootstrapError> {
        Replicates::draw_all((id, ood), None, set, recall, rule, config)
    }

    /// [`Replicates::draw`] with accuracy, OSCR and calibration error of the classifier whose `predictions` are of the ID images, in the
    /// order of `id`.
    ///
    /// # Errors
    /// As [`Replicates::draw`], and when there is another number of predictions.
    pub fn draw_classified(
        id: &[f64],
        ood: &[f64],
        predictions: &Predictions,
        set: &str,
        recall: Recall,
        rule: FprRule,
        config: BootstrapConfig,
    ) -> Result<Replicates, BootstrapError> {
        Replicates::draw_all((id, ood), Some(predictions), set, recall, rule, config)
    }

    fn draw_all(
        (id, ood): (&[f64], &[f64]),
        predictions: Option<&Predictions>,
        set: &str,
        recall: Recall,
        rule: FprRule,
        config: BootstrapConfig,
    ) -> Result<Replicates, BootstrapError> {
        config.check()?;
        let counts = Counts::new(id, ood)?;
        let (id_ranks, ood_ranks) = (counts.ranks(id), counts.ranks(ood));
        let (id_stream, ood_stream) = (id_stream(config), Seed(config.seed).stream(&format!("bootstrap ood {set}")));
        let distinct = counts.thresholds().len();
        let of_classifier = predictions.map(|of| ClassifierDraw::new(of, &id_ranks)).transpose()?;
        let rows: Vec<Vec<f64>> = (0..config.replicates as u64)
            .into_par_iter()
            .map_init(
                || (vec![[0u32; 2]; distinct], counts.clone()),
                |(drawn, replicate), number| {
                    drawn.fill([0; 2]);
                    let ids = id_stream.child(number);
                    draw(ids, id_ranks.len(), |image| drawn[id_ranks[image] as usize][Positive::Id as usize] += 1);
                    draw(ood_stream.child(number), ood_ranks.len(), |image| {
                        drawn[ood_ranks[image] as usize][Positive::Ood as usize] += 1;
                    });
                    replicate.refill(counts.thresholds(), drawn);
                    let of_classifier = of_classifier.as_ref().map(|of| of.metrics(ids, drawn));
                    replicate.of_scores(recall, rule).into_iter().chain(of_classifier.into_iter().flatten()).collect()
                },
            )
            .collect();
        let of_metric = |metric: usize| rows.iter().filter_map(|row| row.get(metric).copied()).collect();
        Ok(Replicates { values: std::array::from_fn(of_metric) })
    }

    /// Number of replicates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values[0].len()
    }

    /// Whether there are none: the mean of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A metric's values, one a replicate, 0..1 (of a difference -1..1); empty for one that was not drawn.
    #[must_use]
    pub fn values(&self, metric: Metric) -> &[f64] {
        let place = Metric::ALL.into_iter().position(|known| known == metric);
        place.map_or(&[], |place| &self.values[place])
    }

    /// The percentile 95 % interval: the 2.5th and the 97.5th percentile of the values, interpolated linearly. `None` for a metric
    /// that was not drawn.
    ///
    /// Percentile intervals are not widened near 0 and 1: a perfect detector's is the point.
    #[must_use]
    pub fn interval(&self, metric: Metric) -> Option<[f64; 2]> {
        let mut sorted = self.values(metric).to_vec();
        let last = sorted.len().checked_sub(1)? as f64;
        sorted.sort_unstable_by(f64::total_cmp);
        let percentile = |share: f64| {
            let position = share * last;
            let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
            low + (high - low) * position.fract()
        };
        Some([percentile(0.025), percentile(0.975)])
    }

    /// The unweighted mean over sets in each replicate, as a group's row takes it; without parts, no replicates.
    ///
    /// Valid where all parts were drawn with one seed and have the same ID images: they then share their draws of ID. Parts of
    /// different lengths are cut to the shortest.
    #[must_use]
    pub fn mean(parts: &[&Replicates]) -> Replicates {
        let count = parts.len() as f64;
        Replicates {
            values: std::array::from_fn(|metric| {
                let length = parts.iter().map(|part| part.values[metric].len()).min().unwrap_or(0);
                (0..length).map(|at| parts.iter().map(|part| part.values[metric][at]).sum::<f64>() / count).collect()
            }),
        }
    }

    /// The difference `a - b` in each replicate. Paired where both were drawn with one seed and label from the same images.
    #[must_use]
    pub fn difference(a: &Replicates, b: &Replicates) -> Replicates {
        Replicates {
            values: std::array::from_fn(|metric| {
                a.values[metric].iter().zip(&b.values[metric]).map(|(a, b)| a - b).collect()
            }),
        }
    }
}

/// Where ID images come from: the same for every set, detector and classifier.
fn id_stream(config: BootstrapConfig) -> Stream {
    Seed(config.seed).stream("bootstrap id")
}

/// Takes as many random images of a class as it has.
pub(super) fn draw(stream: Stream, images: usize, mut take: impl FnMut(usize)) {
    let n = images as u64;
    for block in 0..n.div_ceil(4) {
        // The last block holds only what is left to draw.
        let left = (n - 4 * block).min(4) as usize;
        for word in &stream.block(block)[..left] {
            take(((u64::from(*word) * n) >> 32) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> (Vec<f64>, Vec<f64>) {
        let stream = Seed(5).stream("scores");
        let normal = |start: u64, n: u64, shift: f64| -> Vec<f64> {
            (start..start + n).map(|i| (10.0 * (f64::from(stream.normal(i)) + shift)).round() / 10.0).collect()
        };
        (normal(0, 211, 0.0), normal(1000, 97, 1.0))
    }

    /// Replicate by replicate: take the images, evaluate them afresh.
    #[test]
    fn a_replicate_is_the_evaluation_of_its_images() {
        let (id, ood) = scores();
        let config = BootstrapConfig { replicates: 20, seed: 3 };
        let take = |stream: Stream, values: &[f64]| -> Vec<f64> {
            let n = values.len() as u64;
            (0..n).map(|i| values[((u64::from(stream.word(i)) * n) >> 32) as usize]).collect()
        };
        for rule in FprRule::ALL {
            let replicates = Replicates::draw(&id, &ood, "far", rule, config).unwrap();
            assert_eq!(replicates.len(), 20);
            for number in 0..20 {
                let some_id = take(Seed(3).stream("bootstrap id").child(number), &id);
                let some_ood = take(Seed(3).stream("bootstrap ood far").child(number), &ood);
                let metrics = super::super::evaluate(&some_id, &some_ood, rule).unwrap();
                for metric in Metric::OF_SCORES {
                    let got = replicates.values(metric)[number as usize];
                    assert_eq!(Some(got), metrics.value(metric), "{rule} {metric} {number}");
                }
            }
        }
    }

    #[test]
    fn intervals_are_percentiles() {
        let mut values: [Vec<f64>; Metric::ALL.len()] =
            std::array::from_fn(|_| (0..=40).rev().map(f64::from).collect());
        values[Metric::OF_SCORES.len()].clear();
        let replicates = Replicates { values };
        assert_eq!(replicates.interval(Metric::Auroc), Some([1.0, 39.0]));
        assert_eq!(replicates.interval(Metric::Accuracy), None);
        assert_eq!(Replicates::mean(&[]).interval(Metric::Auroc), None);
    }

    #[test]
    fn sets_share_their_draw_of_id() {
        let (id, ood) = scores();
        let config = BootstrapConfig { replicates: 30, seed: 0 };
        // An OOD set of one image draws that image always: only ID varies, whatever the label.
        let draw = |set| Replicates::draw(&id, &[0.7], set, FprRule::FirstAtLeast, config).unwrap();
        let (near, far) = (draw("near"), draw("far"));
        assert_eq!(near, far);
        assert_eq!(Replicates::mean(&[&near, &far]), near);
        assert!(Replicates::difference(&near, &far).values(Metric::Auroc).iter().all(|&value| value == 0.0));
        let other = Replicates::draw(&id, &ood, "near", FprRule::FirstAtLeast, config).unwrap();
        assert_ne!(Replicates::draw(&id, &ood, "far", FprRule::FirstAtLeast, config).unwrap(), other);
    }

    #[test]
    fn threads_change_nothing() {
        let (id, ood) = scores();
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let config = BootstrapConfig { replicates: 101, seed: 1 };
            pool.install(|| Replicates::draw(&id, &ood, "far", FprRule::Percentile95Strict, config).unwrap())
        };
        let one = draw(1);
        assert!([2, 3, 8].into_iter().all(|threads| draw(threads) == one));
    }

    #[test]
    fn replicates_are_limited() {
        let draw = |replicates| {
            let config = BootstrapConfig { replicates, seed: 0 };
            Replicates::draw(&[0.0], &[1.0], "", FprRule::FirstAtLeast, config)
        };
        assert_eq!(draw(0), Err(BootstrapError::Replicates { found: 0 }));
        assert!(draw(BootstrapConfig::LIMIT + 1).is_err());
        assert!(draw(1).is_ok());
    }
}
