//! Entropy of the softmax, `-Σ p log p`, in nats. pytorch-ood's `Entropy` (Chan et al., ICCV 2021).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::softmax::softmax;
use crate::{DetectorError, Needs, Unlabeled};

/// It has no settings, and nothing to fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Entropy {}

impl Rule for Entropy {
    const KIND: &'static str = "entropy";

    fn needs(&self) -> Needs {
        Needs { logits: true, ..Needs::default() }
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        // p log p is 0 where p is.
        let of = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        Ok(logits.values.chunks_exact(logits.classes).map(|row| softmax(row).into_iter().map(of).sum()).collect())
    }
}

impl FitsUnlabeled for Entropy {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_is_greatest_where_all_classes_are_alike() {
        testing::check_contract(crate::build(Entropy::KIND, serde_json::Value::Null, &[]).expect("valid").as_ref());
        let given = testing::with_logits(&[&[1.0, 1.0], &[500.0, -500.0]]);
        let found = Entropy {}.score(&Arrays::default(), &Unlabeled::new(&given)).expect("scores");
        assert!((found[0] - 2f64.ln()).abs() < 1e-12 && found[1] == 0.0, "{found:?}");
    }
}
