//! SHE, simplified Hopfield energy (Zhang et al., ICLR 2023): the inner product of the penultimate vector with the mean vector of the class
//! that the classifier predicts. OpenOOD's `she_postprocessor.py`, the sign turned: class means over the training samples that are classified
//! correctly.
//!
//! A class of which no training sample is classified correctly has no mean in OpenOOD (its scores are NaN); here all its samples count.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::classifier::{of_each_class, predicted};
use crate::linear_algebra::squared_distance;
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes};
use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// How near a vector is to its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The inner product, as in the paper.
    #[default]
    InnerProduct,
    /// The distance.
    Euclidean,
    /// The cosine.
    Cosine,
}

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct She {
    /// `inner_product` (the default), `euclidean` or `cosine`.
    pub metric: Metric,
}

/// Lengths below it are taken for it, as in torch's cosine similarity.
const SHORTEST: f64 = 1e-8;

impl Metric {
    /// Higher means further away.
    fn distance(self, vector: &[f64], mean: &[f64]) -> f64 {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let length = |a: &[f64]| product(a, a).sqrt().max(SHORTEST);
        match self {
            Metric::InnerProduct => -product(vector, mean),
            Metric::Euclidean => squared_distance(vector, mean).sqrt(),
            Metric::Cosine => -product(vector, mean) / (length(vector) * length(mean)),
        }
    }
}

impl Rule for She {
    const KIND: &'static str = "she";
    const SCORED_BY: &'static [&'static str] = &["metric"];

    fn needs(&self) -> Needs {
        Needs { penultimate: true, logits: true, labels: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("metric", vec![json!("inner_product"), json!("euclidean"), json!("cosine")])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        arrays.expect("means", &[sizes.classes, sizes.penultimate], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let (vectors, logits) = (given.penultimate(Self::KIND)?, given.logits(Self::KIND)?);
        let (width, means) = (vectors.width(), arrays.f64("means"));
        let of = |(row, logits): (&[f32], &[f32])| {
            let vector: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
            let class = predicted(logits);
            self.metric.distance(&vector, &means[class * width..(class + 1) * width])
        };
        let rows = vectors.values().par_chunks_exact(width).zip(logits.values.par_chunks_exact(logits.classes));
        Ok(rows.map(of).collect())
    }
}

impl FitsLabeled for She {
    fn fit(&self, train: &Labeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let (vectors, logits) = (train.given.penultimate(Self::KIND)?, train.given.logits(Self::KIND)?);
        let width = vectors.width();
        let rows = of_each_class(logits, &train.labels.0);
        let mean = |rows: &Vec<usize>| {
            let mut sums = vec![0.0; width];
            for &row in rows {
                sums.iter_mut().zip(vectors.row(row)).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            sums.iter_mut().for_each(|sum| *sum /= rows.len().max(1) as f64);
            sums
        };
        let means: Vec<f64> = rows.par_iter().flat_map_iter(mean).collect();
        Ok(Arrays::default().with("means", &[rows.len(), width], means))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn every_metric_keeps_the_contract() {
        for metric in ["inner_product", "euclidean", "cosine"] {
            let settings = json!({ "metric": metric });
            testing::check_contract(crate::build(She::KIND, settings, &[]).expect("valid settings").as_ref());
        }
    }
}
