//! MSP: the largest softmax probability (Hendrycks and Gimpel, ICLR 2017). OpenOOD's `base_postprocessor.py`; the score here is its negative.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::softmax::softmax;
use crate::{DetectorError, Needs, Unlabeled};

/// It has no settings, and nothing to fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Msp {}

impl Rule for Msp {
    const KIND: &'static str = "msp";

    fn needs(&self) -> Needs {
        Needs { logits: true, ..Needs::default() }
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        let largest = |row: &[f32]| -softmax(row).into_iter().fold(0.0, f64::max);
        Ok(logits.values.chunks_exact(logits.classes).map(largest).collect())
    }
}

impl FitsUnlabeled for Msp {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_is_the_largest_probability() {
        testing::check_contract(crate::build(Msp::KIND, serde_json::Value::Null, &[]).expect("no settings").as_ref());
        let given = testing::with_logits(&[&[0.0, 0.0], &[3f32.ln(), 0.0]]);
        let found = Msp {}.score(&Arrays::default(), &Unlabeled::new(&given)).expect("scores");
        assert!((found[0] + 0.5).abs() < 1e-12 && (found[1] + 0.75).abs() < 1e-7, "{found:?}");
    }
}
