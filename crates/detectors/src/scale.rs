//! SCALE (Xu et al., ICLR 2024): the whole penultimate vector times `exp(s1 / s2)`, the sums of all its activations and of the largest; then the
//! energy is taken. OpenOOD's `scale_postprocessor.py` and `scale_net.py`, the sign turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::shaping::{kept, largest, sharpening};
use crate::{DetectorError, Needs, Unlabeled, classifier, percentile};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scale {
    /// Percentage of activations that are not among the largest, 0 to 100. Default 65.
    pub percentile: f64,
}

impl Default for Scale {
    fn default() -> Scale {
        Scale { percentile: 65.0 }
    }
}

impl Rule for Scale {
    const KIND: &'static str = "scale";
    const SCORED_BY: &'static [&'static str] = &["percentile"];

    fn check(&self) -> Result<(), DetectorError> {
        percentile::check("percentile", self.percentile)
    }

    fn needs(&self) -> Needs {
        Needs { penultimate: true, head: true, ..Needs::default() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("percentile", [65, 70, 75, 80, 85, 90, 95].map(|value| json!(value)).to_vec())]
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        classifier::energies(given, Self::KIND, |vector| {
            let factor = sharpening(vector, &largest(vector, kept(vector.len(), self.percentile)));
            vector.iter_mut().for_each(|x| *x *= factor);
        })
    }
}

impl FitsUnlabeled for Scale {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(Scale::KIND, json!({}), &[]).expect("valid settings").as_ref());
    }
}
