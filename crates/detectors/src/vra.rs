//! VRA, variational rectified activations (Xu et al., NeurIPS 2023): the penultimate vector is kept between two percentiles of in-distribution
//! activations, then the energy is taken. OpenOOD's `vra_postprocessor.py`, the sign turned: it raises what lies below the lower
//! percentile to it, where the paper's VRA sets it to zero (`low: zero`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::percentile::{self, Reference};
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes, refuse};
use crate::{DetectorError, FitContext, Needs, Unlabeled, classifier};

/// What becomes of small activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Low {
    /// The lower percentile, as OpenOOD.
    #[default]
    Clip,
    /// Zero, as the paper.
    Zero,
}

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vra {
    /// Of all activations of all samples together, 0 to 100. Default 95.
    pub percentile_high: f64,
    /// The lower one, not above the other. Default 60.
    pub percentile_low: f64,
    /// What becomes of activations below it.
    pub low: Low,
    /// Whose activations.
    pub from: Reference,
}

impl Default for Vra {
    fn default() -> Vra {
        Vra { percentile_high: 95.0, percentile_low: 60.0, low: Low::default(), from: Reference::default() }
    }
}

impl Rule for Vra {
    const KIND: &'static str = "vra";
    const SCORED_BY: &'static [&'static str] = &["low"];

    fn check(&self) -> Result<(), DetectorError> {
        percentile::check("percentile_high", self.percentile_high)?;
        percentile::check("percentile_low", self.percentile_low)?;
        if self.percentile_low > self.percentile_high {
            let expected = format!("{} (percentile_high) at most", self.percentile_high);
            return Err(refuse("percentile_low", self.percentile_low, &expected));
        }
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs { penultimate: true, head: true, ..self.from.needs() }
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![
            ("percentile_high", [90, 95, 99].map(|value| json!(value)).to_vec()),
            ("percentile_low", [45, 50, 55, 60].map(|value| json!(value)).to_vec()),
        ]
    }

    fn check_arrays(&self, arrays: &Arrays, _: &Sizes) -> Result<(), String> {
        arrays.expect("thresholds", &[2], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let &[low, high] = arrays.f64("thresholds") else {
            let message = "\"thresholds\" has another length than 2".to_owned();
            return Err(DetectorError::Stored { kind: Self::KIND, message });
        };
        let floor = match self.low {
            Low::Clip => low,
            Low::Zero => 0.0,
        };
        let between = |x: f64| if x < low { floor } else { x.min(high) };
        classifier::energies(given, Self::KIND, |vector| vector.iter_mut().for_each(|x| *x = between(*x)))
    }
}

impl FitsUnlabeled for Vra {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let samples = self.from.of(train, context.validation, Self::KIND)?;
        let values = samples.penultimate(Self::KIND)?.values();
        let at = |asked| percentile::percentile(values, asked);
        Ok(Arrays::default().with_list("thresholds", vec![at(self.percentile_low), at(self.percentile_high)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({}), json!({"low": "zero", "percentile_low": 30, "from": "train"})] {
            testing::check_contract(crate::build(Vra::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        let error = crate::build(Vra::KIND, json!({"percentile_low": 96}), &[]).expect_err("above the other");
        assert!(error.to_string().contains("found 96"), "{error}");
    }
}
