//! The metrics of the classifier in a replicate of the bootstrap.

use oodlab_base::Stream;

use super::bootstrap::draw;
use super::classification::{CALIBRATION_BINS, PredictionError, Predictions, bin_of};

/// What one draw of ID images makes of a classifier.
pub(super) struct ClassifierDraw<'a> {
    predictions: &'a Predictions,
    /// Rank of each image's score.
    ranks: &'a [u32],
    /// Bin of each image's confidence.
    bins: Vec<usize>,
}

impl<'a> ClassifierDraw<'a> {
    /// # Errors
    /// When the predictions are of another number of images, or a confidence is not within 0..1.
    pub fn new(predictions: &'a Predictions, ranks: &'a [u32]) -> Result<ClassifierDraw<'a>, PredictionError> {
        if predictions.correct.len() != ranks.len() {
            let (expected, found) = (ranks.len(), predictions.correct.len());
            return Err(PredictionError::Length { what: "predictions", expected, found });
        }
        // Checks confidences and lengths.
        predictions.calibration_error()?;
        let bins = predictions.confidence.iter().map(|&value| bin_of(value, CALIBRATION_BINS)).collect();
        Ok(ClassifierDraw { predictions, ranks, bins })
    }

    /// Accuracy, OSCR and calibration error of the images that the stream draws, as [`crate::Metric::ALL`] orders them; `drawn` holds the
    /// images drawn at each rank, of both classes.
    pub fn metrics(&self, ids: Stream, drawn: &[[u32; 2]]) -> [f64; 3] {
        let n = self.ranks.len();
        let mut right = vec![0u64; drawn.len()];
        let mut gaps = [0.0; CALIBRATION_BINS];
        draw(ids, n, |image| {
            let correct = self.predictions.correct[image];
            right[self.ranks[image] as usize] += u64::from(correct);
            gaps[self.bins[image]] += f64::from(u8::from(correct)) - self.predictions.confidence[image];
        });
        let (mut right_below, mut half_pairs, mut n_ood) = (0, 0u64, 0);
        for (&right, counts) in right.iter().zip(drawn) {
            let ood = u64::from(counts[1]);
            half_pairs += ood * (2 * right_below + right);
            right_below += right;
            n_ood += ood;
        }
        let pairs = 2 * n as u128 * u128::from(n_ood);
        let calibration_error = gaps.iter().map(|gap| gap.abs()).sum::<f64>() / n as f64;
        [right_below as f64 / n as f64, half_pairs as f64 / pairs as f64, calibration_error]
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Seed;

    use super::super::bootstrap::{BootstrapConfig, Replicates};
    use super::super::classification::oscr;
    use super::super::{FprRule, Metric, Recall};
    use super::*;

    #[test]
    fn a_replicate_is_the_evaluation_of_its_images() {
        let stream = Seed(2).stream("scores");
        let tenth = |at: u64, shift: f64| (10.0 * (f64::from(stream.normal(at)) + shift)).round() / 10.0;
        let id: Vec<f64> = (0..83).map(|at| tenth(at, 0.0)).collect();
        let ood: Vec<f64> = (0..31).map(|at| tenth(500 + at, 1.0)).collect();
        let predictions = Predictions {
            correct: (0..83).map(|at| stream.uniform(900 + at) < 0.7).collect(),
            confidence: (0..83).map(|at| f64::from(stream.uniform(1000 + at))).collect(),
        };
        let config = BootstrapConfig { replicates: 15, seed: 3 };
        let drawn =
            Replicates::draw_classified(&id, &ood, &predictions, "far", Recall::P95, FprRule::FirstAtLeast, config)
                .unwrap();
        let plain = Replicates::draw(&id, &ood, "far", FprRule::FirstAtLeast, config).unwrap();
        assert_eq!(drawn.values(Metric::Autc), plain.values(Metric::Autc));
        assert!(plain.values(Metric::Oscr).is_empty() && plain.interval(Metric::Oscr).is_none());
        let take = |stream: Stream, n: usize| -> Vec<usize> {
            (0..n as u64).map(|at| ((u64::from(stream.word(at)) * n as u64) >> 32) as usize).collect()
        };
        for number in 0..15 {
            let ids = take(Seed(3).stream("bootstrap id").child(number), 83);
            let oods = take(Seed(3).stream("bootstrap ood far").child(number), 31);
            let some = Predictions {
                correct: ids.iter().map(|&at| predictions.correct[at]).collect(),
                confidence: ids.iter().map(|&at| predictions.confidence[at]).collect(),
            };
            let scores: Vec<f64> = ids.iter().map(|&at| id[at]).collect();
            let others: Vec<f64> = oods.iter().map(|&at| ood[at]).collect();
            let value = |metric| drawn.values(metric)[number as usize];
            assert_eq!(Ok(value(Metric::Accuracy)), some.accuracy());
            assert_eq!(Ok(value(Metric::CalibrationError)), some.calibration_error());
            assert_eq!(Ok(value(Metric::Oscr)), oscr(&some.correct, &scores, &others));
        }
    }

    #[test]
    fn other_numbers_of_predictions_are_refused() {
        let predictions = Predictions { correct: vec![true], confidence: vec![0.5] };
        let config = BootstrapConfig::default();
        let drawn = Replicates::draw_classified(
            &[0.0, 1.0],
            &[1.0],
            &predictions,
            "",
            Recall::P95,
            FprRule::FirstAtLeast,
            config,
        );
        assert!(drawn.is_err_and(|error| error.to_string().contains("expected 2 predictions")));
    }
}
