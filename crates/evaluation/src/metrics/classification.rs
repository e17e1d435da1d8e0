//! Metrics of the classifier beside the detector: accuracy, calibration and open-set classification.
//!
//! They need what scores alone do not tell: which in-distribution samples were classified rightly.

use super::{Counts, MetricError, Positive};

/// Equal-width bins of the expected calibration error.
pub const CALIBRATION_BINS: usize = 15;

/// What a classifier said of in-distribution samples: right or wrong, and how confident it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// Whether the predicted class is the label, a sample.
    pub correct: Vec<bool>,
    /// The largest softmax probability, 0..1, a sample.
    pub confidence: Vec<f64>,
}

/// Predictions of which no metric can be taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PredictionError {
    /// No samples.
    #[error("expected predictions, found none")]
    Empty,
    /// Lists of different lengths.
    #[error("expected {expected} {what}, one a sample, found {found}")]
    Length {
        /// What the list holds.
        what: &'static str,
        /// Samples.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A logit that is infinite or not a number.
    #[error("expected finite logits, found {found} for class {class} of sample {sample}")]
    Logit {
        /// Sample, counted from 0.
        sample: usize,
        /// Class, counted from 0.
        class: usize,
        /// The value.
        found: f64,
    },
    /// A label beyond the classes.
    #[error("expected a label below {classes}, found {found} for sample {sample}")]
    Label {
        /// Sample, counted from 0.
        sample: usize,
        /// The label.
        found: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A confidence outside 0..1.
    #[error("expected a confidence of 0..1, found {found} for sample {sample}")]
    Confidence {
        /// Sample, counted from 0.
        sample: usize,
        /// The value.
        found: f64,
    },
    /// Scores that are refused.
    #[error(transparent)]
    Scores(#[from] MetricError),
}

impl Predictions {
    /// Predictions from `labels` and row-major `logits` of `classes` values a sample: the first of the greatest logits is the
    /// predicted class, its softmax probability (computed in f64, from differences to the greatest) the confidence.
    ///
    /// # Errors
    /// When there are no samples, the lengths do not fit, a label is not below `classes`, or a logit is not finite.
    pub fn from_logits(labels: &[u32], logits: &[f64], classes: usize) -> Result<Predictions, PredictionError> {
        if labels.is_empty() || classes == 0 {
            return Err(PredictionError::Empty);
        }
        let expected = labels.len().saturating_mul(classes);
        if logits.len() != expected {
            return Err(PredictionError::Length { what: "logits", expected, found: logits.len() });
        }
        let mut predictions = Predictions::default();
        for (sample, (&label, row)) in labels.iter().zip(logits.chunks_exact(classes)).enumerate() {
            if let Some(class) = row.iter().position(|logit| !logit.is_finite()) {
                return Err(PredictionError::Logit { sample, class, found: row[class] });
            }
            if label as usize >= classes {
                return Err(PredictionError::Label { sample, found: label, classes });
            }
            let (mut class, mut greatest) = (0, f64::NEG_INFINITY);
            for (index, &logit) in row.iter().enumerate() {
                if logit > greatest {
                    (class, greatest) = (index, logit);
                }
            }
            let sum: f64 = row.iter().map(|logit| libm::exp(logit - greatest)).sum();
            predictions.correct.push(class == label as usize);
            predictions.confidence.push(1.0 / sum);
        }
        Ok(predictions)
    }

    /// The share of samples whose class is right.
    ///
    /// # Errors
    /// When there are none.
    pub fn accuracy(&self) -> Result<f64, PredictionError> {
        accuracy(&self.correct)
    }

    /// The expected calibration error in [`CALIBRATION_BINS`] bins.
    ///
    /// # Errors
    /// As [`calibration_error`].
    pub fn calibration_error(&self) -> Result<f64, PredictionError> {
        calibration_error(&self.correct, &self.confidence, CALIBRATION_BINS)
    }
}

/// The share of samples whose class is right.
///
/// # Errors
/// When there are none.
pub fn accuracy(correct: &[bool]) -> Result<f64, PredictionError> {
    if correct.is_empty() {
        return Err(PredictionError::Empty);
    }
    Ok(hits(correct) as f64 / correct.len() as f64)
}

fn hits(correct: &[bool]) -> usize {
    correct.iter().filter(|&&right| right).count()
}

/// Expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017): samples are put into `bins` bins of equal
/// width by confidence, bin b (from 0) holding `b / bins < confidence <= (b + 1) / bins` and the first also 0; the error is the
/// mean over samples of the distance between its bin's accuracy and mean confidence. 0..1, lower is better.
///
/// The value depends on the number of bins: 15 is what Guo et al. use and what is reported here.
///
/// # Errors
/// When there are no samples or bins, the lengths differ, or a confidence is not within 0..1.
pub fn calibration_error(correct: &[bool], confidence: &[f64], bins: usize) -> Result<f64, PredictionError> {
    if correct.is_empty() || bins == 0 {
        return Err(PredictionError::Empty);
    }
    if confidence.len() != correct.len() {
        let (expected, found) = (correct.len(), confidence.len());
        return Err(PredictionError::Length { what: "confidences", expected, found });
    }
    // Accuracy minus confidence summed over each bin: its size cancels against the bin's weight.
    let mut gaps = vec![0.0; bins];
    for (sample, (&right, &value)) in correct.iter().zip(confidence).enumerate() {
        if !(0.0..=1.0).contains(&value) {
            return Err(PredictionError::Confidence { sample, found: value });
        }
        gaps[bin_of(value, bins)] += f64::from(u8::from(right)) - value;
    }
    Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / correct.len() as f64)
}

/// The bin whose edges, as the quotients of integers that they are, enclose the value.
pub(super) fn bin_of(value: f64, bins: usize) -> usize {
    let edge = |bin: usize| bin as f64 / bins as f64;
    let mut bin = ((value * bins as f64) as usize).min(bins - 1);
    // The product is rounded: it may fall on the other side of an edge.
    while bin > 0 && value <= edge(bin) {
        bin -= 1;
    }
    while bin + 1 < bins && value > edge(bin + 1) {
        bin += 1;
    }
    bin
}

/// Area under the open-set classification rate curve (OSCR; Dhamija, Günther and Boult, "Reducing network agnostophobia",
/// NeurIPS 2018): the share of ID that is accepted and rightly classified, over the share of OOD that is accepted, as the
/// threshold moves. 0..1, at most the accuracy; higher is better.
///
/// `id` and `ood` are outlier scores, `correct` tells of each ID sample whether its class is right. The curve's points are the
/// distinct scores, joined by straight lines: the area is the share of (ID, OOD) pairs with the ID sample right and scored
/// lower, ties one half, counted in integers. With all classes right it is the AUROC. Programs that follow ARPL's code step through
/// the samples one by one and so depend on the order of tied scores.
///
/// # Errors
/// When a class is empty, holds a NaN or too many scores, or `correct` has another length than `id`.
pub fn oscr(correct: &[bool], id: &[f64], ood: &[f64]) -> Result<f64, PredictionError> {
    if correct.len() != id.len() {
        return Err(PredictionError::Length { what: "predictions", expected: id.len(), found: correct.len() });
    }
    // Wrongly classified samples are in no pair, but must be numbers too.
    let all = Counts::new(id, ood)?;
    let right: Vec<f64> = id.iter().zip(correct).filter(|(_, right)| **right).map(|(&score, _)| score).collect();
    if right.is_empty() {
        return Ok(0.0);
    }
    let pairs = 2 * u128::from(all.total(Positive::Id)) * u128::from(all.total(Positive::Ood));
    Ok(Counts::new(&right, ood)?.half_pairs() as f64 / pairs as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_give_class_and_confidence() {
        let logits = [0.0, 0.0, 1000.0, 1000.0, -1e300, 0.0];
        let predictions = Predictions::from_logits(&[0, 1, 1], &logits, 2).unwrap();
        assert_eq!(predictions.correct, [true, false, true]);
        assert_eq!(predictions.confidence, [0.5, 0.5, 1.0]);
        assert_eq!(predictions.accuracy(), Ok(2.0 / 3.0));
    }

    #[test]
    fn calibration_error_by_hand() {
        // Bins of a half: {0.5: wrong} and {0.75: right, 1: right, 0.75: wrong}. |0 - 0.5| and |2 - 2.5|, over 4.
        let error = calibration_error(&[false, true, true, false], &[0.5, 0.75, 1.0, 0.75], 2);
        assert_eq!(error, Ok(0.25));
        assert_eq!(calibration_error(&[true, true], &[1.0, 1.0], CALIBRATION_BINS), Ok(0.0));
    }

    #[test]
    fn edges_belong_to_the_bin_below() {
        for bins in 1..=60 {
            for bin in 0..bins {
                let edge = (bin + 1) as f64 / bins as f64;
                assert_eq!(bin_of(edge, bins), bin, "{bins}");
                assert_eq!(bin_of(edge.next_up(), bins), (bin + 1).min(bins - 1), "{bins}");
            }
            assert_eq!(bin_of(0.0, bins), 0);
        }
    }

    #[test]
    fn oscr_by_hand() {
        // Pairs: right 0 below 1 and 2 (2), right 1 ties with 1 and is below 2 (1.5), wrong 0 none: 3.5 of 6.
        assert_eq!(oscr(&[true, true, false], &[0.0, 1.0, 0.0], &[1.0, 2.0]), Ok(3.5 / 6.0));
        assert_eq!(oscr(&[false], &[0.0], &[1.0]), Ok(0.0));
    }

    #[test]
    fn bad_predictions_are_refused() {
        assert_eq!(accuracy(&[]), Err(PredictionError::Empty));
        assert_eq!(Predictions::from_logits(&[], &[], 2), Err(PredictionError::Empty));
        let label = PredictionError::Label { sample: 0, found: 2, classes: 2 };
        assert_eq!(Predictions::from_logits(&[2], &[0.0, 0.0], 2), Err(label));
        assert!(matches!(
            Predictions::from_logits(&[0], &[0.0, f64::NAN], 2),
            Err(PredictionError::Logit { sample: 0, class: 1, .. })
        ));
        let length = PredictionError::Length { what: "logits", expected: 4, found: 2 };
        assert_eq!(Predictions::from_logits(&[0, 1], &[0.0, 0.0], 2), Err(length));
        let confidence = PredictionError::Confidence { sample: 1, found: 1.5 };
        assert_eq!(calibration_error(&[true, true], &[1.0, 1.5], 15), Err(confidence));
        let scores = MetricError::Nan { class: Positive::Id, index: 0, count: 1 };
        assert_eq!(oscr(&[false], &[f64::NAN], &[1.0]), Err(PredictionError::Scores(scores)));
    }
}
