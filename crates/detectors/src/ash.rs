//! ASH, activation shaping (Djurisic et al., ICLR 2023): most activations are removed, the rest is kept (P), set to one value (B) or
//! sharpened (S), then the energy is taken. OpenOOD's `ash_postprocessor.py` and `ash_net.py`, the sign turned. It shapes the pooled
//! penultimate vector, as OpenOOD 1.5 does; the paper shapes the map before pooling. OpenOOD runs B only; the paper's best is S.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::shaping::{kept, largest, sharpening};
use crate::{DetectorError, Needs, Unlabeled, classifier, percentile};

/// What becomes of the activations that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// As they are.
    P,
    /// One value, the sum of the whole vector divided by their number, as OpenOOD.
    #[default]
    B,
    /// Times `exp(s1 / s2)`, the sums before and after pruning.
    S,
}

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ash {
    /// `p`, `b` or `s`. Default `b`.
    pub variant: Variant,
    /// Percentage of activations removed, 0 to 100. Default 65.
    pub percentile: f64,
}

impl Default for Ash {
    fn default() -> Ash {
        Ash { variant: Variant::default(), percentile: 65.0 }
    }
}

impl Ash {
    fn shape(&self, vector: &mut [f64]) {
        let k = kept(vector.len(), self.percentile);
        let marks = largest(vector, k);
        let factor = sharpening(vector, &marks);
        let share = vector.iter().sum::<f64>() / k.max(1) as f64;
        for (x, marked) in vector.iter_mut().zip(marks) {
            *x = match self.variant {
                _ if !marked => 0.0,
                Variant::P => *x,
                Variant::B => share,
                Variant::S => *x * factor,
            };
        }
    }
}

impl Rule for Ash {
    const KIND: &'static str = "ash";
    const SCORED_BY: &'static [&'static str] = &["variant", "percentile"];

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
        classifier::energies(given, Self::KIND, |vector| self.shape(vector))
    }
}

impl FitsUnlabeled for Ash {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn every_variant_keeps_the_contract() {
        for variant in ["p", "b", "s"] {
            let settings = json!({"variant": variant, "percentile": 50});
            testing::check_contract(crate::build(Ash::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        assert!(crate::build(Ash::KIND, json!({"variant": "x"}), &[]).is_err());
    }
}
