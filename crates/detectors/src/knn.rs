//! Distance to the K-th nearest training vector, all of unit length (Sun et al., ICML 2022). OpenOOD's `knn_postprocessor.py`, which
//! asks faiss's flat index: the score is the squared distance to the K-th neighbour; its confidence is the negative.
//!
//! OpenOOD adds 1e-10 to every number after the division by the length, so that a vector of zeros becomes NaN; here it stays zero. The
//! neighbours are exact: their distances are computed in double precision.

use oodlab_kernels::nearest::Vectors;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::space::Space;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Knn {
    /// Which neighbour counts: 50, as in OpenOOD.
    pub k: usize,
    /// The vector: `penultimate` (the default), or the chosen `layers`.
    pub on: Space,
}

impl Default for Knn {
    fn default() -> Knn {
        Knn { k: 50, on: Space::Penultimate }
    }
}

/// Vectors brought to length 1; zeros stay zeros.
pub(crate) fn unit_vectors(values: &[f32], width: usize) -> Vec<f32> {
    let mut unit = values.to_vec();
    unit.par_chunks_mut(width.max(1)).for_each(|row| {
        let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
    });
    unit
}

/// Products of sizes that were checked cannot fail.
pub(crate) fn shape(error: oodlab_kernels::shape::ShapeError) -> DetectorError {
    DetectorError::Diffusion(error.into())
}

impl Rule for Knn {
    const KIND: &'static str = "knn";
    const SCORED_BY: &'static [&'static str] = &["k"];

    fn check(&self) -> Result<(), DetectorError> {
        if self.k == 0 { Err(refuse("k", 0, "at least 1")) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        self.on.needs()
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("k", vec![json!(50), json!(100), json!(200), json!(500), json!(1000)])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let rows = arrays.shape("vectors").first().copied().unwrap_or(0);
        if rows == 0 {
            return Err("no vectors".to_owned());
        }
        arrays.expect("vectors", &[rows, self.on.width(sizes)], false)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let features = self.on.of(given, Self::KIND)?;
        let width = features.width();
        let vectors = Vectors::new(arrays.f32("vectors"), width).map_err(shape)?;
        if self.k > vectors.rows() {
            let expected = format!("at most the number of training samples, {}", vectors.rows());
            return Err(refuse("k", self.k, &expected));
        }
        let queries = unit_vectors(features.values(), width);
        let kth = |_, found: &[oodlab_kernels::nearest::Neighbour]| found.last().map_or(0.0, |last| last.distance);
        vectors.neighbours(&queries, self.k, kth).map_err(shape)
    }
}

impl FitsUnlabeled for Knn {
    fn fit(&self, train: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let features = self.on.of(train, Self::KIND)?;
        let unit = unit_vectors(features.values(), features.width());
        Ok(Arrays::default().with_f32("vectors", &[features.rows(), features.width()], unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({"k": 5}), json!({"k": 1, "on": "layers"})] {
            testing::check_contract(crate::build(Knn::KIND, settings, &[]).expect("valid settings").as_ref());
        }
    }

    #[test]
    fn more_neighbours_than_samples_are_refused() {
        let detector = crate::build(Knn::KIND, json!({"k": 200}), &[]).expect("valid settings");
        let train = testing::Samples::new(90, true);
        let fitted = testing::fit(detector.as_ref(), &train).expect("fits");
        let message = testing::score(fitted.as_ref(), &train, 0).expect_err("too many").to_string();
        assert!(message.contains("at most the number of training samples, 90"), "{message}");
    }

    #[test]
    fn zeros_stay_zeros() {
        assert_eq!(unit_vectors(&[0.0, 0.0, 3.0, 4.0], 2), [0.0, 0.0, 0.6, 0.8]);
    }
}
