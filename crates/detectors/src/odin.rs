//! ODIN (Liang, Li and Srikant, ICLR 2018): the largest softmax probability, at a high temperature, of the image after a small step that makes
//! its predicted class more likely. OpenOOD's `odin_postprocessor.py`, the sign turned, with its defaults; its search over
//! both settings is `tune: true`. Nothing is learnt from training images, and they are not looked into.
//!
//! The deviations by which the step is divided are those that the network's images are normalised by; OpenOOD takes them by the data set's
//! name, 0.5 where it knows none. A gradient of zero counts as positive, as there. Probabilities are computed in double precision: at
//! temperature 1000 they lie near one another, and the difference would keep few digits of single precision.

use oodlab_encoders::probe::Probe;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rule::{Arrays, FitsUnlabeled, Rule, refuse};
use crate::softmax::{check_temperature, softmax_f64};
use crate::{DetectorError, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Odin {
    /// By which the logits are divided, above 0. Default 1000.
    pub temperature: f64,
    /// Length of the step in each channel, in units of pixels 0..1 (OpenOOD divides by the channel's deviation, too), 0 to 1. Default 0.0014.
    pub noise: f64,
}

impl Default for Odin {
    fn default() -> Odin {
        Odin { temperature: 1000.0, noise: 0.0014 }
    }
}

impl Rule for Odin {
    const KIND: &'static str = "odin";
    const PROBES_TRAINING: bool = false;

    fn check(&self) -> Result<(), DetectorError> {
        check_temperature("temperature", self.temperature)?;
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(refuse("noise", self.noise, "0 to 1"));
        }
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs { images: true, ..Needs::default() }
    }

    fn probe(&self) -> Option<Probe> {
        Some(Probe::Odin { temperature: self.temperature, noise: self.noise })
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        let values = |values: &[f64]| values.iter().map(|&value| Value::from(value)).collect();
        vec![("temperature", values(&[1.0, 10.0, 100.0, 1000.0])), ("noise", values(&[0.0014, 0.0028]))]
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.probed(Self::KIND)?;
        let of = |row: &[f32]| {
            let scaled: Vec<f64> = row.iter().map(|&x| f64::from(x) / self.temperature).collect();
            -softmax_f64(&scaled).into_iter().fold(0.0, f64::max)
        };
        Ok(logits.values().chunks_exact(logits.width()).map(of).collect())
    }
}

impl FitsUnlabeled for Odin {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rule::golden;
    use crate::rule::testing::{self, Samples};

    #[test]
    fn it_keeps_the_contract() {
        testing::check_contract(crate::build(Odin::KIND, json!({}), &[]).expect("valid settings").as_ref());
        for bad in [json!({"temperature": 0.0}), json!({"noise": 2.0})] {
            assert!(crate::build(Odin::KIND, bad.clone(), &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn scores_are_those_of_numpy() {
        assert_eq!(golden::check("odin", include_bytes!("../golden/odin.safetensors")), 3);
    }

    #[test]
    fn it_is_the_largest_probability_of_what_was_probed() {
        let samples = Samples::new(3, true);
        let odin = Odin { temperature: 2.0, noise: 0.0 };
        let found = odin.score(&Arrays::default(), &samples.given()).expect("scores");
        for (row, score) in samples.probed.values().chunks(6).zip(found) {
            let largest = f64::from(row.iter().copied().fold(f32::MIN, f32::max));
            let sum: f64 = row.iter().map(|&x| ((f64::from(x) - largest) / 2.0).exp()).sum();
            assert!((score + 1.0 / sum).abs() < 1e-12);
        }
    }
}
