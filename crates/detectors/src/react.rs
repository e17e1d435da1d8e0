//! ReAct, rectified activations (Sun, Guo and Li, NeurIPS 2021): the penultimate vector is cut off at a percentile of in-distribution
//! activations, then the energy is taken. OpenOOD's `react_postprocessor.py` and `react_net.py`, the sign turned; the percentile is taken
//! in double precision here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::percentile::{self, Reference};
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes};
use crate::{DetectorError, FitContext, Needs, Unlabeled, classifier};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct React {
    /// Of all activations of all samples together, 0 to 100. Default 90.
    pub percentile: f64,
    /// Whose activations.
    pub from: Reference,
}

impl Default for React {
    fn default() -> React {
        React { percentile: 90.0, from: Reference::default() }
    }
}

impl Rule for React {
    const KIND: &'static str = "react";

    fn check(&self) -> Result<(), DetectorError> {
        percentile::check("percentile", self.percentile)
    }

    fn needs(&self) -> Needs {
        Needs { penultimate: true, head: true, ..self.from.needs() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("percentile", [85, 90, 95, 99].map(|value| json!(value)).to_vec())]
    }

    fn check_arrays(&self, arrays: &Arrays, _: &Sizes) -> Result<(), String> {
        arrays.expect("threshold", &[1], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let threshold = arrays.number("threshold");
        classifier::energies(given, Self::KIND, |vector| vector.iter_mut().for_each(|x| *x = x.min(threshold)))
    }
}

impl FitsUnlabeled for React {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let samples = self.from.of(train, context.validation, Self::KIND)?;
        let threshold = percentile::percentile(samples.penultimate(Self::KIND)?.values(), self.percentile);
        Ok(Arrays::default().with_list("threshold", vec![threshold]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({}), json!({"percentile": 95, "from": "train"})] {
            testing::check_contract(crate::build(React::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        assert!(crate::build(React::KIND, json!({"percentile": 101}), &[]).is_err());
    }
}
