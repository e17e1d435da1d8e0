//! MaxLogit (Hendrycks et al., ICML 2022): minus the largest class score. OpenOOD's `maxlogit_postprocessor.py` (MLS), the sign turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::{DetectorError, Needs, Unlabeled};

/// It has no settings, and nothing to fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaxLogit {}

impl Rule for MaxLogit {
    const KIND: &'static str = "max-logit";

    fn needs(&self) -> Needs {
        Needs { logits: true, ..Needs::default() }
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        let largest = |row: &[f32]| -f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        Ok(logits.values.chunks_exact(logits.classes).map(largest).collect())
    }
}

impl FitsUnlabeled for MaxLogit {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(MaxLogit::KIND, serde_json::Value::Null, &[]).expect("valid").as_ref());
    }
}
