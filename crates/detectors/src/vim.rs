//! ViM, virtual-logit matching (Wang et al., CVPR 2022): the length of the penultimate vector's part in the null space of the training
//! vectors, scaled like a logit, against the energy. OpenOOD's `vim_postprocessor.py`, the sign turned: alpha · residual - logsumexp.
//!
//! OpenOOD's `dim` is 256 for every network, and its automatic search never had an effect before October 2025; the default here
//! is the paper's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes};
use crate::softmax::log_sum_exp;
use crate::{DetectorError, FitContext, Needs, Unlabeled, null_space};

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vim {
    /// Dimensions of the principal space; none: 1000 for vectors of 2048 and more, 512 for 768 and more, else half.
    pub dim: Option<usize>,
}

impl Rule for Vim {
    const KIND: &'static str = "vim";

    fn needs(&self) -> Needs {
        Needs { penultimate: true, logits: true, head: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("dim", vec![json!(256), json!(1000)])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        arrays.expect("alpha", &[1], true)?;
        null_space::check(arrays, sizes)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let alpha = arrays.number("alpha");
        let logits = given.logits(Self::KIND)?;
        let lengths = null_space::lengths(arrays, given.penultimate(Self::KIND)?);
        let energy = |row: &[f32]| log_sum_exp(row.iter().map(|&x| f64::from(x)));
        let rows = logits.values.chunks_exact(logits.classes);
        Ok(lengths.iter().zip(rows).map(|(length, row)| alpha * length - energy(row)).collect())
    }
}

impl FitsUnlabeled for Vim {
    fn fit(&self, train: &Unlabeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let features = train.penultimate(Self::KIND)?;
        let arrays = null_space::fit(features, train.head(Self::KIND)?, self.dim)?;
        let logits = train.logits(Self::KIND)?;
        let largest = |row: &[f32]| f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let largest: f64 = logits.values.chunks_exact(logits.classes).map(largest).sum();
        let lengths: f64 = null_space::lengths(&arrays, features).iter().sum();
        if lengths <= 0.0 {
            return Err(crate::mahalanobis::constant(Self::KIND));
        }
        Ok(arrays.with_list("alpha", vec![largest / lengths]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(Vim::KIND, json!({"dim": 4}), &[]).expect("valid settings").as_ref());
        let wide = crate::build(Vim::KIND, json!({"dim": 8}), &[]).expect("checked when fitted");
        let message = testing::fit(wide.as_ref(), &testing::Samples::new(30, true)).expect_err("no null space");
        assert!(message.to_string().contains("less than the width of the penultimate vector, 8"), "{message}");
    }
}
