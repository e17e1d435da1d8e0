//! What a classifier says of in-distribution samples whose classes are known: for accuracy, calibration error and OSCR.

use anyhow::{Context, Result, ensure};
use oodlab_detectors::Answer;
use oodlab_evaluation::metrics::classification::Predictions;
use oodlab_features::Scores;

use crate::lab::Lab;
use crate::plan::Sets;
use crate::stages::source::FeatureSource;

/// Rows read at once.
const ROWS: usize = 1024;

/// Columns beside the scores of a detector that classifies; no score has such a name.
const CLASS: &str = "(class)";
const CONFIDENCE: &str = "(confidence)";

/// The classes that a detector found in samples, and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    class: Vec<u32>,
    confidence: Vec<f64>,
}

/// The columns that are kept of an answer.
pub fn with_classes(mut names: Vec<String>, answer: Answer) -> (Vec<String>, Vec<Vec<f64>>) {
    let mut columns = answer.scores;
    if let Some(classes) = answer.classes {
        names.extend([CLASS.to_owned(), CONFIDENCE.to_owned()]);
        columns.extend([classes.predicted.into_iter().map(f64::from).collect(), classes.confidence]);
    }
    (names, columns)
}

/// The scores alone, and the classes where there are any.
pub fn split(mut scores: Scores) -> (Scores, Option<Found>) {
    let mut take = |name: &str| {
        let at = scores.names.iter().position(|known| known == name)?;
        scores.names.remove(at);
        Some(scores.columns.remove(at))
    };
    let (class, confidence) = (take(CLASS), take(CONFIDENCE));
    let found = class
        .zip(confidence)
        .map(|(class, confidence)| Found { class: class.into_iter().map(|class| class as u32).collect(), confidence });
    (scores, found)
}

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

    /// Of a detector that classifies, by what it found in the test split and the shifted sets; none where it does not, or a set has no labels.
    pub fn of_found(sets: &Sets, test: Option<&Found>, shifted: &[Option<Found>]) -> Result<Option<Classified>> {
        let Some(test) = test.map(|found| compared(found, &sets.id_test)).transpose()?.flatten() else {
            return Ok(None);
        };
        let others = sets.shifted.iter().zip(shifted);
        let others: Option<Vec<_>> = others
            .map(|(other, found)| match found {
                Some(found) => compared(found, &other.encode),
                None => Ok(None),
            })
            .collect::<Result<_>>()?;
        Ok(others.map(|shifted| Classified { test, shifted }))
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

fn compared(found: &Found, source: &FeatureSource) -> Result<Option<Predictions>> {
    let Some(labels) = source.own_labels()? else { return Ok(None) };
    let (expected, count) = (labels.len(), found.class.len());
    ensure!(expected == count, "{count} classes found for {expected} labels of {}", source.name());
    let correct = found.class.iter().zip(&labels).map(|(found, label)| found == label).collect();
    Ok(Some(Predictions { correct, confidence: found.confidence.clone() }))
}

#[cfg(test)]
mod tests {
    use oodlab_detectors::Classes;

    use super::*;

    #[test]
    fn classes_come_back_and_are_no_scores() {
        let classes = Classes { predicted: vec![2, 0], confidence: vec![0.5, 0.75] };
        let answer = Answer { scores: vec![vec![1.0, -1.0]], classes: Some(classes.clone()) };
        let (names, columns) = with_classes(vec!["energy".into()], answer);
        assert_eq!(names.len(), 3);
        let scores = Scores::new(vec!["a".into(), "b".into()], names, columns).expect("valid scores");
        let (scores, found) = split(scores);
        assert_eq!((scores.names.clone(), scores.columns.clone()), (vec!["energy".to_owned()], vec![vec![1.0, -1.0]]));
        assert_eq!(found, Some(Found { class: classes.predicted, confidence: classes.confidence }));
        assert_eq!(split(scores.clone()), (scores, None));
    }
}
