//! How raw pooled features become the vectors that are reconstructed.

use oodlab_features::Features;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KIND;
use crate::{DetectorError, Unlabeled};

/// Added to a channel's deviation, so that a channel that never changes stays finite.
const ADDED_TO_DEVIATION: f64 = 1e-5;

/// Which mean and deviation are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalise {
    /// Each sample's own, layer by layer: the paper's.
    #[default]
    Sample,
    /// Each channel's over the in-distribution training samples.
    Id,
    /// Each sample's own first, then each channel's.
    SampleThenId,
}

/// Mean and deviation of each channel over the training samples; empty for [`Normalise::Sample`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Statistics {
    pub mean: Vec<f64>,
    pub deviation: Vec<f64>,
}

impl Statistics {
    /// Those of `values`, `[rows, width]`.
    fn of(values: &[f32], width: usize) -> Statistics {
        let rows = (values.len() / width) as f64;
        let mut mean = vec![0.0; width];
        for row in values.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows);
        let mut deviation = vec![0.0; width];
        for row in values.chunks_exact(width) {
            for ((sum, &x), mean) in deviation.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(x) - mean).powi(2);
            }
        }
        deviation.iter_mut().for_each(|sum| *sum = (*sum / rows).sqrt());
        Statistics { mean, deviation }
    }

    fn apply(&self, values: &mut [f32]) {
        let width = self.mean.len();
        for row in values.chunks_exact_mut(width) {
            for ((x, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *x = ((f64::from(*x) - mean) / (deviation + ADDED_TO_DEVIATION)) as f32;
            }
        }
    }
}

impl Normalise {
    /// Whether statistics of the training samples are needed.
    pub(super) fn has_statistics(self) -> bool {
        self != Normalise::Sample
    }

    /// The vectors of training samples, and the statistics with which others are treated alike.
    ///
    /// # Errors
    /// As [`Unlabeled::z_scored`].
    pub(super) fn fit(self, train: &Unlabeled<'_>) -> Result<(Vec<f32>, Statistics), DetectorError> {
        let mut values = self.base(train)?;
        if !self.has_statistics() {
            return Ok((values, Statistics::default()));
        }
        let statistics = Statistics::of(&values, train.features().width());
        statistics.apply(&mut values);
        Ok((values, statistics))
    }

    /// The vectors of other samples.
    ///
    /// # Errors
    /// As [`Unlabeled::z_scored`].
    pub(super) fn run(self, given: &Unlabeled<'_>, statistics: &Statistics) -> Result<Vec<f32>, DetectorError> {
        let mut values = self.base(given)?;
        if self.has_statistics() {
            statistics.apply(&mut values);
        }
        Ok(values)
    }

    fn base(self, given: &Unlabeled<'_>) -> Result<Vec<f32>, DetectorError> {
        match self {
            Normalise::Sample | Normalise::SampleThenId => given.z_scored(KIND),
            Normalise::Id => {
                let features: &Features = given.features();
                if features.rows() == 0 {
                    return Err(DetectorError::NoSamples(KIND));
                }
                features.check_finite()?;
                Ok(features.values().to_vec())
            }
        }
    }
}
