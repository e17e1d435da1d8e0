//! NNGuide, nearest neighbour guidance (Park, Jung and Teoh, ICCV 2023): the energy of a sample, times its mean inner product with the K
//! training vectors that guide it most; all vectors have unit length, and those of the training samples are scaled by their energies.
//! OpenOOD's `nnguide_postprocessor.py`, the sign turned.
//!
//! OpenOOD takes whole batches from the front of the training set until it has a share `alpha`; here just that share is drawn at random. It
//! adds 1e-10 to every number after the division by the length, so that a vector of zeros becomes NaN; here it stays zero.

use nalgebra::DMatrix;
use oodlab_features::Logits;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::softmax::log_sum_exp;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NnGuide {
    /// Share of the training samples that guide, above 0 to 1. Default 0.01.
    pub alpha: f64,
    /// How many of them count for a sample. Default 100.
    #[serde(rename = "K")]
    pub k: usize,
}

impl Default for NnGuide {
    fn default() -> NnGuide {
        NnGuide { alpha: 0.01, k: 100 }
    }
}

/// Samples whose products with all guides are held at once, by each thread.
const ROWS: usize = 32;

/// log Σ exp of each sample's logits.
fn energies(logits: &Logits) -> Vec<f64> {
    logits.values.par_chunks_exact(logits.classes).map(|row| log_sum_exp(row.iter().map(|&x| f64::from(x)))).collect()
}

/// A vector over its length, times a factor; zeros stay zeros.
fn scaled_unit(row: &[f32], factor: f64) -> impl Iterator<Item = f64> {
    let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let factor = if length > 0.0 { factor / length } else { 0.0 };
    row.iter().map(move |&x| f64::from(x) * factor)
}

impl Rule for NnGuide {
    const KIND: &'static str = "nnguide";
    const SCORED_BY: &'static [&'static str] = &["K"];

    fn check(&self) -> Result<(), DetectorError> {
        if !(self.alpha > 0.0 && self.alpha <= 1.0) {
            return Err(refuse("alpha", self.alpha, "a share above 0, up to 1"));
        }
        if self.k == 0 { Err(refuse("K", 0, "at least 1")) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        Needs { penultimate: true, logits: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("K", vec![json!(100)])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let rows = arrays.shape("guides").first().copied().unwrap_or(0);
        if rows == 0 {
            return Err("no guides".to_owned());
        }
        arrays.expect("guides", &[rows, sizes.penultimate], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let vectors = given.penultimate(Self::KIND)?;
        let width = vectors.width();
        let count = arrays.f64("guides").len() / width;
        if self.k > count {
            let expected =
                format!("at most the number of training samples that guide, {count}; raise `alpha` or lower it");
            return Err(refuse("K", self.k, &expected));
        }
        let guides = DMatrix::from_row_slice(count, width, arrays.f64("guides"));
        let guidance = vectors.values().par_chunks(ROWS * width).flat_map_iter(|part| {
            // Always the same number of columns, so that a sample's bits do not depend on its neighbours.
            let mut unit = DMatrix::zeros(width, ROWS);
            for (to, row) in unit.as_mut_slice().chunks_exact_mut(width).zip(part.chunks_exact(width)) {
                to.iter_mut().zip(scaled_unit(row, 1.0)).for_each(|(to, x)| *to = x);
            }
            let mut products = DMatrix::zeros(count, ROWS);
            products.gemm(1.0, &guides, &unit, 0.0);
            let mean =
                |row: usize| mean_of_largest(&mut products.as_mut_slice()[row * count..(row + 1) * count], self.k);
            (0..part.len() / width).map(mean).collect::<Vec<_>>()
        });
        let guidance: Vec<f64> = guidance.collect();
        Ok(guidance.into_iter().zip(energies(given.logits(Self::KIND)?)).map(|(mean, energy)| -mean * energy).collect())
    }
}

/// The mean of the `k` largest, summed from the largest down.
fn mean_of_largest(products: &mut [f64], k: usize) -> f64 {
    let falling = |a: &f64, b: &f64| b.total_cmp(a);
    products.select_nth_unstable_by(k - 1, falling);
    let largest = &mut products[..k];
    largest.sort_unstable_by(falling);
    largest.iter().sum::<f64>() / k as f64
}

impl FitsUnlabeled for NnGuide {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let vectors = train.penultimate(Self::KIND)?;
        let count = ((self.alpha * vectors.rows() as f64).ceil() as usize).clamp(1, vectors.rows());
        let mut rows = context.seed.stream("nnguide guides").permutation(vectors.rows());
        rows.truncate(count);
        rows.sort_unstable();
        let energies = energies(train.logits(Self::KIND)?);
        let guides = rows.into_iter().flat_map(|row| scaled_unit(vectors.row(row), energies[row])).collect();
        Ok(Arrays::default().with("guides", &[count, vectors.width()], guides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({"K": 5, "alpha": 0.5}), json!({"K": 90, "alpha": 1})] {
            testing::check_contract(crate::build(NnGuide::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        assert!(crate::build(NnGuide::KIND, json!({"alpha": 0}), &[]).is_err());
    }

    #[test]
    fn too_few_guides_are_refused() {
        let train = testing::Samples::new(90, true);
        let detector = crate::build(NnGuide::KIND, json!({"K": 10, "alpha": 0.1}), &[]).expect("valid settings");
        let fitted = testing::fit(detector.as_ref(), &train).expect("fits");
        let message = testing::score(fitted.as_ref(), &train, 0).expect_err("9 guides").to_string();
        assert!(message.contains("found 10") && message.contains("that guide, 9"), "{message}");
    }
}
