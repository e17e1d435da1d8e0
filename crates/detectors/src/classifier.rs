//! The classifier on changed penultimate vectors, and what it predicts: what ReAct, DICE, ASH, SCALE, VRA and SHE have in common.

use oodlab_features::{Features, Head, Logits};
use rayon::prelude::*;

use crate::softmax::log_sum_exp;
use crate::{DetectorError, Unlabeled};

/// The penultimate vectors and the classifier that reads them, which fit each other.
pub(crate) fn pair<'a>(given: &Unlabeled<'a>, who: &'static str) -> Result<(&'a Features, &'a Head), DetectorError> {
    let (vectors, head) = (given.penultimate(who)?, given.head(who)?);
    if vectors.width() == head.width() {
        return Ok((vectors, head));
    }
    let message =
        format!("{who}: the classifier reads {} numbers, the penultimate vector has {}", head.width(), vectors.width());
    Err(DetectorError::Config { place: "encoder".into(), message })
}

/// The negative energy, `-logsumexp`, of the classifier's logits of every vector after `change`.
pub(crate) fn energies(
    given: &Unlabeled<'_>,
    who: &'static str,
    change: impl Fn(&mut [f64]) + Sync,
) -> Result<Vec<f64>, DetectorError> {
    let (vectors, head) = pair(given, who)?;
    let of = |row: &[f32]| {
        let mut vector: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        change(&mut vector);
        -log_sum_exp(head.logits(&vector).into_iter())
    };
    Ok(vectors.values().par_chunks_exact(vectors.width()).map(of).collect())
}

/// The class with the largest logit; the first of equal ones.
pub(crate) fn predicted(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

/// The training samples of each class that are classified correctly, in order; all of a class of which none is. Every class has a sample.
pub(crate) fn of_each_class(logits: &Logits, labels: &[u32]) -> Vec<Vec<usize>> {
    let mut right = vec![Vec::new(); logits.classes];
    let mut all = right.clone();
    for (row, (scores, &label)) in logits.values.chunks_exact(logits.classes).zip(labels).enumerate() {
        let class = label as usize;
        all[class].push(row);
        if predicted(scores) == class {
            right[class].push(row);
        }
    }
    right.into_iter().zip(all).map(|(right, all)| if right.is_empty() { all } else { right }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_correct_samples_keeps_all_of_its_own() {
        let logits = Logits { classes: 2, values: vec![2.0, 1.0, 3.0, 3.0, 0.0, 1.0, 5.0, 4.0] };
        assert_eq!(predicted(&logits.values[2..4]), 0, "the first of equal ones");
        assert_eq!(of_each_class(&logits, &[0, 0, 1, 1]), [vec![0, 1], vec![2]]);
        assert_eq!(of_each_class(&logits, &[1, 1, 0, 1]), [vec![2], vec![0, 1, 3]]);
    }
}
