//! Energy (Liu et al., NeurIPS 2020): `-T · logsumexp(logits / T)`. OpenOOD's `ebo_postprocessor.py`, the sign turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::softmax::log_sum_exp;
use crate::{DetectorError, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Energy {
    /// By which the logits are divided, above 0. Default 1.
    pub temperature: f64,
}

impl Default for Energy {
    fn default() -> Energy {
        Energy { temperature: 1.0 }
    }
}

impl Rule for Energy {
    const KIND: &'static str = "energy";
    const SCORED_BY: &'static [&'static str] = &["temperature"];

    fn check(&self) -> Result<(), DetectorError> {
        crate::softmax::check_temperature("temperature", self.temperature)
    }

    fn needs(&self) -> Needs {
        Needs { logits: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("temperature", vec![json!(0.1), json!(1.0), json!(10.0), json!(100.0), json!(1000.0)])]
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        let t = self.temperature;
        let of = |row: &[f32]| -t * log_sum_exp(row.iter().map(|&x| f64::from(x) / t));
        Ok(logits.values.chunks_exact(logits.classes).map(of).collect())
    }
}

impl FitsUnlabeled for Energy {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(Energy::KIND, json!({"temperature": 2.0}), &[]).expect("valid").as_ref());
        for bad in [0.0, -1.0] {
            let error = crate::build(Energy::KIND, json!({ "temperature": bad }), &[]).expect_err("out of range");
            assert!(error.to_string().contains("detector.temperature"), "{error}");
        }
    }
}
