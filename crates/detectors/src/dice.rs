//! DICE (Sun and Li, ECCV 2022): only the classifier's weights that contribute most on the training samples stay, then the energy is taken.
//! OpenOOD's `dice_postprocessor.py`, the sign turned. A weight's contribution is its product with the mean activation; those above the
//! `p`-th percentile of all stay.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::linear_algebra::mean;
use crate::percentile::{self, percentile_f64};
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes};
use crate::softmax::log_sum_exp;
use crate::{DetectorError, FitContext, Needs, Unlabeled, classifier};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dice {
    /// Percentage of the weights that are set to zero, 0 to 100. Default 90.
    pub p: f64,
}

impl Default for Dice {
    fn default() -> Dice {
        Dice { p: 90.0 }
    }
}

impl Rule for Dice {
    const KIND: &'static str = "dice";

    fn check(&self) -> Result<(), DetectorError> {
        percentile::check("p", self.p)
    }

    fn needs(&self) -> Needs {
        Needs { penultimate: true, logits: true, head: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("p", [10, 30, 50, 70, 90].map(|value| json!(value)).to_vec())]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        arrays.expect("weight", &[sizes.classes, sizes.penultimate], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let (vectors, head) = classifier::pair(given, Self::KIND)?;
        let width = vectors.width();
        let of = |row: &[f32]| {
            let weights = arrays.f64("weight").chunks_exact(width).zip(head.bias());
            let logit = |(weight, &bias): (&[f64], &f32)| {
                weight.iter().zip(row).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + f64::from(bias)
            };
            -log_sum_exp(weights.map(logit).collect::<Vec<_>>().into_iter())
        };
        Ok(vectors.values().par_chunks_exact(width).map(of).collect())
    }
}

impl FitsUnlabeled for Dice {
    fn fit(&self, train: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let (vectors, head) = classifier::pair(train, Self::KIND)?;
        let mean = mean(vectors.values(), vectors.width());
        let weights: Vec<f64> = head.weight().iter().map(|&w| f64::from(w)).collect();
        let contributions: Vec<f64> = weights.iter().enumerate().map(|(i, w)| w * mean[i % mean.len()]).collect();
        let threshold = percentile_f64(&contributions, self.p);
        let kept = weights.iter().zip(&contributions).map(|(&w, &c)| if c > threshold { w } else { 0.0 }).collect();
        Ok(Arrays::default().with("weight", &[head.classes(), head.width()], kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(Dice::KIND, json!({"p": 60}), &[]).expect("valid settings").as_ref());
        assert!(crate::build(Dice::KIND, json!({"p": -1}), &[]).is_err());
    }
}
