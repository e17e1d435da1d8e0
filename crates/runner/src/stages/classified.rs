//! What a classifier says of in-distribution samples whose classes are known: for accuracy, calibration error and OSCR.

use anyhow::{Context, Result};
use oodlab_evaluation::metrics::classification::Predictions;

use crate::lab::Lab;
use crate::plan::Sets;
use crate::stages::source::FeatureSource;

/// Rows read at once.
const ROWS: usize = 1024;

/// Predictions of in-distribution samples.
pub struct Classified {
    test: Predictions,
    /// Of covariate-shifted sets, in the run's order.
    shifted: Vec<Predictions>,
}

impl Classified {
    /// None where a set has no labels, or the weights no classifier of that many classes.
    pub fn of(lab: &Lab, sets: &Sets) -> Result<Option<Classified>> {
        let Some(test) = of_set(lab, &sets.id_test)? else { return Ok(None) };
        let shifted: Option<Vec<_>> =
            sets.shifted.iter().map(|other| of_set(lab, &other.encode)).collect::<Result<_>>()?;
        Ok(shifted.map(|shifted| Classified { test, shifted }))
    }

    /// Of the test split and of the shifted sets at these positions, in the order of the scores.
    pub fn of_sets(&self, shifted: &[usize]) -> Predictions {
        let others = shifted.iter().filter_map(|&at| self.shifted.get(at));
        let mut all = Predictions::default();
        for set in std::iter::once(&self.test).chain(others) {
            all.correct.extend_from_slice(&set.correct);
            all.confidence.extend_from_slice(&set.confidence);
        }
        all
    }
}

fn of_set(lab: &Lab, source: &FeatureSource) -> Result<Option<Predictions>> {
    let Some(classes) = source.classes() else { return Ok(None) };
    let Some(labels) = source.labels(classes)? else { return Ok(None) };
    let mut logits = Vec::with_capacity(labels.len() * classes);
    for first in (0..source.len()).step_by(ROWS) {
        lab.cancel.check()?;
        let features = source.rows(lab, first..(first + ROWS).min(source.len()), &[1])?;
        let Some(found) = features.logits() else { return Ok(None) };
        logits.extend(found.values.iter().map(|&logit| f64::from(logit)));
    }
    let predictions = Predictions::from_logits(&labels, &logits, classes);
    Ok(Some(predictions.with_context(|| format!("logits of {}", source.name()))?))
}
