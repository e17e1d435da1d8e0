//! fDBD, fast decision boundary distance (Liu and Qin, ICML 2024): the mean distance of the penultimate vector to the boundaries between the
//! predicted class and every other, over its distance to the mean training vector. OpenOOD's `fdbd_postprocessor.py`, the sign turned; like it,
//! the distances are added and not averaged, which changes no order.
//!
//! Where two classes have the same weights there is no boundary between them: OpenOOD divides by zero, here the pair is left out. A vector
//! nearer to the mean than 1e-12 counts as that far from it.

use nalgebra::DMatrix;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::classifier::{self, predicted};
use crate::linear_algebra::{mean, squared_distance};
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes};
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fdbd {
    /// What the distances are divided by: the distance to the mean training vector (true, the default), or the vector's own length.
    pub distance_as_normalizer: bool,
}

impl Default for Fdbd {
    fn default() -> Fdbd {
        Fdbd { distance_as_normalizer: true }
    }
}

/// The least length that is divided by.
const SHORTEST: f64 = 1e-12;

impl Rule for Fdbd {
    const KIND: &'static str = "fdbd";
    const SCORED_BY: &'static [&'static str] = &["distance_as_normalizer"];

    fn needs(&self) -> Needs {
        Needs { penultimate: true, logits: true, head: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("distance_as_normalizer", vec![json!(true), json!(false)])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        arrays.expect("mean", &[sizes.penultimate], true)?;
        arrays.expect("between classes", &[sizes.classes, sizes.classes], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let (vectors, logits) = (given.penultimate(Self::KIND)?, given.logits(Self::KIND)?);
        let (mean, between) = (arrays.f64("mean"), arrays.f64("between classes"));
        let classes = logits.classes;
        let of = |(row, logits): (&[f32], &[f32])| {
            let class = predicted(logits);
            let apart = &between[class * classes..(class + 1) * classes];
            let margin = |(&logit, &apart): (&f32, &f64)| {
                if apart > 0.0 { (f64::from(logits[class]) - f64::from(logit)) / apart } else { 0.0 }
            };
            let distances: f64 = logits.iter().zip(apart).map(margin).sum();
            let from = |centre: f64, x: f32| (f64::from(x) - centre).powi(2);
            let squared: f64 = if self.distance_as_normalizer {
                row.iter().zip(mean).map(|(&x, &m)| from(m, x)).sum()
            } else {
                row.iter().map(|&x| from(0.0, x)).sum()
            };
            -distances / squared.sqrt().max(SHORTEST)
        };
        let rows = vectors.values().par_chunks_exact(vectors.width());
        Ok(rows.zip(logits.values.par_chunks_exact(classes)).map(of).collect())
    }
}

impl FitsUnlabeled for Fdbd {
    fn fit(&self, train: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let (vectors, head) = classifier::pair(train, Self::KIND)?;
        let classes = head.classes();
        let weights: Vec<f64> = head.weight().iter().map(|&w| f64::from(w)).collect();
        let of = |class: usize| &weights[class * head.width()..(class + 1) * head.width()];
        let between = DMatrix::from_fn(classes, classes, |a, b| squared_distance(of(a), of(b)).sqrt());
        // Symmetric to the bit: its columns are its rows.
        Ok(Arrays::default().with_list("mean", mean(vectors.values(), vectors.width())).with(
            "between classes",
            &[classes, classes],
            between.as_slice().to_vec(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({}), json!({"distance_as_normalizer": false})] {
            testing::check_contract(crate::build(Fdbd::KIND, settings, &[]).expect("valid settings").as_ref());
        }
    }
}
