//! GradNorm (Huang, Geng and Li, NeurIPS 2021): the L1 norm of the gradient, by the classifier's weights, of the cross-entropy between the softmax and
//! the uniform distribution. OpenOOD's `gradnorm_postprocessor.py`, the sign turned: its targets are ones (not 1/C), so the gradient is
//! the outer product of `C · softmax - 1` and the penultimate vector, and its norm a product of two. (OpenOOD writes C = 1000 for
//! every network, which fails for others; here it is the number of classes.)

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::softmax::softmax_f64;
use crate::{DetectorError, Needs, Unlabeled, classifier};

/// It has no settings, and nothing to fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GradNorm {}

impl Rule for GradNorm {
    const KIND: &'static str = "gradnorm";

    fn needs(&self) -> Needs {
        Needs { penultimate: true, head: true, ..Needs::default() }
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let (vectors, head) = classifier::pair(given, Self::KIND)?;
        let classes = head.classes() as f64;
        let of = |row: &[f32]| {
            let vector: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
            let outer: f64 = softmax_f64(&head.logits(&vector)).iter().map(|p| (classes * p - 1.0).abs()).sum();
            -outer * vector.iter().map(|x| x.abs()).sum::<f64>()
        };
        Ok(vectors.values().par_chunks_exact(vectors.width()).map(of).collect())
    }
}

impl FitsUnlabeled for GradNorm {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(GradNorm::KIND, serde_json::Value::Null, &[]).expect("valid").as_ref());
    }
}
