//! Temperature scaling (Guo et al., ICML 2017): MSP of logits divided by the temperature that makes the labels of in-distribution validation
//! samples most likely. OpenOOD's `temp_scaling_postprocessor.py`, the sign turned. The likelihood has one maximum, which is found
//! exactly here; OpenOOD takes 50 steps of L-BFGS at rate 0.01 from 1.5, which may stop short of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::percentile::Reference;
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes};
use crate::softmax::softmax_f64;
use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TemperatureScaling {
    /// Whose labels. (A network fits its training samples too well for them to say much of its confidence.)
    pub from: Reference,
}

/// Temperatures looked at: 1/1000 to 1000.
const LARGEST: f64 = 1000.0;
/// Halvings of the interval of log temperature, 14 wide: to the last bit.
const HALVINGS: usize = 60;

impl Rule for TemperatureScaling {
    const KIND: &'static str = "temperature-scaling";

    fn needs(&self) -> Needs {
        Needs { logits: true, labels: true, ..self.from.needs() }
    }

    fn check_arrays(&self, arrays: &Arrays, _: &Sizes) -> Result<(), String> {
        arrays.expect("temperature", &[1], true)?;
        let found = arrays.number("temperature");
        if found > 0.0 { Ok(()) } else { Err(format!("\"temperature\" is {found}, expected a number above 0")) }
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let inverse = arrays.number("temperature").recip();
        let logits = given.logits(Self::KIND)?;
        let largest = |row: &[f32]| -scaled(row, inverse).into_iter().fold(0.0, f64::max);
        Ok(logits.values.chunks_exact(logits.classes).map(largest).collect())
    }
}

/// The softmax of logits times the inverse of a temperature.
fn scaled(row: &[f32], inverse: f64) -> Vec<f64> {
    softmax_f64(&row.iter().map(|&x| f64::from(x) * inverse).collect::<Vec<_>>())
}

impl FitsLabeled for TemperatureScaling {
    fn fit(&self, train: &Labeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let samples = self.from.of(&train.given, context.validation, Self::KIND)?;
        let labels = match self.from {
            Reference::Train => train.labels,
            Reference::Validation => train.validation.ok_or_else(|| self.from.needs().unmet(Self::KIND))?,
        };
        let logits = samples.logits(Self::KIND)?;
        if let Some(label) = labels.0.iter().find(|&&label| label as usize >= logits.classes) {
            let message = format!("{}: validation label {label}, expected one below {}", Self::KIND, logits.classes);
            return Err(DetectorError::Config { place: "benchmark".into(), message });
        }
        // The derivative of the negative log-likelihood by the inverse temperature, which rises with it.
        let slope = |inverse: f64| -> f64 {
            let of = |(row, &label): (&[f32], &u32)| {
                let mean: f64 = scaled(row, inverse).iter().zip(row).map(|(p, &x)| p * f64::from(x)).sum();
                mean - f64::from(row[label as usize])
            };
            logits.values.chunks_exact(logits.classes).zip(&labels.0).map(of).sum()
        };
        let (mut low, mut high) = (-LARGEST.ln(), LARGEST.ln());
        for _ in 0..HALVINGS {
            context.cancel.check()?;
            let middle = 0.5 * (low + high);
            if slope(middle.exp()) < 0.0 { low = middle } else { high = middle }
        }
        Ok(Arrays::default().with_list("temperature", vec![(-0.5 * (low + high)).exp()]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for from in ["validation", "train"] {
            let settings = json!({ "from": from });
            testing::check_contract(
                crate::build(TemperatureScaling::KIND, settings, &[]).expect("valid settings").as_ref(),
            );
        }
    }
}
