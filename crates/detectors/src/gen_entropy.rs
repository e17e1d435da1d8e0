//! GEN, generalised entropy (Liu, Lochman and Zach, CVPR 2023): `Σ p^γ (1 - p)^γ` over the largest M probabilities. OpenOOD's
//! `gen_postprocessor.py`, the sign turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule, refuse};
use crate::softmax::softmax;
use crate::{DetectorError, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gen {
    /// The exponent, above 0. Default 0.1.
    pub gamma: f64,
    /// How many of the largest probabilities count; more than there are classes: all. Default 100.
    #[serde(rename = "M")]
    pub largest: usize,
}

impl Default for Gen {
    fn default() -> Gen {
        Gen { gamma: 0.1, largest: 100 }
    }
}

impl Rule for Gen {
    const KIND: &'static str = "gen";
    const SCORED_BY: &'static [&'static str] = &["gamma", "M"];

    fn check(&self) -> Result<(), DetectorError> {
        if !(self.gamma > 0.0 && self.gamma.is_finite()) {
            return Err(refuse("gamma", self.gamma, "a number above 0"));
        }
        if self.largest == 0 {
            return Err(refuse("M", self.largest, "1 at least"));
        }
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs { logits: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        let gamma = [0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0].map(|value| json!(value));
        vec![("gamma", gamma.to_vec()), ("M", [10, 50, 100, 200, 500, 1000].map(|value| json!(value)).to_vec())]
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        let of = |row: &[f32]| {
            let mut p = softmax(row);
            p.sort_unstable_by(|a, b| b.total_cmp(a));
            p.iter().take(self.largest).map(|p| (p * (1.0 - p).max(0.0)).powf(self.gamma)).sum()
        };
        Ok(logits.values.chunks_exact(logits.classes).map(of).collect())
    }
}

impl FitsUnlabeled for Gen {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(Gen::KIND, json!({"M": 2}), &[]).expect("valid settings").as_ref());
        assert!(crate::build(Gen::KIND, json!({"M": 0}), &[]).is_err());
        assert!(crate::build(Gen::KIND, json!({"gamma": 0.0}), &[]).is_err());
    }
}
