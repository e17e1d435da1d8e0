//! RankFeat, rank-one feature removal (Song, Sebe and Wang, NeurIPS 2022): the energy of an image whose maps lack their first singular
//! component. OpenOOD's `rankfeat_postprocessor.py`, the sign turned.
//!
//! As there, the logits without that component of the last map, and of the map one stage before, are averaged. The last map is here the one
//! that the readout reads, behind all norms and activations, and the one before it the last tap but one: of a ResNet those of OpenOOD. The
//! component is found by power iteration in double precision to the end, where OpenOOD computes a whole singular value decomposition in
//! single precision; its faster choice (`accelerate`: 20 iterations from random numbers) is left out. Training images are not looked into.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use oodlab_encoders::probe::Probe;

use crate::rule::{Arrays, FitsUnlabeled, Rule};
use crate::softmax::{check_temperature, log_sum_exp};
use crate::{DetectorError, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RankFeat {
    /// Divides the logits; the energy is multiplied by it. Default 1.
    pub temperature: f64,
}

impl Default for RankFeat {
    fn default() -> RankFeat {
        RankFeat { temperature: 1.0 }
    }
}

impl Rule for RankFeat {
    const KIND: &'static str = "rankfeat";
    const SCORED_BY: &'static [&'static str] = &["temperature"];
    const PROBES_TRAINING: bool = false;

    fn check(&self) -> Result<(), DetectorError> {
        check_temperature("temperature", self.temperature)
    }

    fn needs(&self) -> Needs {
        Needs { images: true, ..Needs::default() }
    }

    fn probe(&self) -> Option<Probe> {
        Some(Probe::RankFeat)
    }

    fn score(&self, _: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.probed(Self::KIND)?;
        let scaled = |&x: &f32| f64::from(x) / self.temperature;
        let rows = logits.values().chunks_exact(logits.width());
        Ok(rows.map(|row| -self.temperature * log_sum_exp(row.iter().map(scaled))).collect())
    }
}

impl FitsUnlabeled for RankFeat {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        let build = |settings| crate::build(RankFeat::KIND, settings, &[]).expect("valid settings");
        // The largest number of a sample inside is larger, the sum of their exponentials is not.
        testing::check_contract(build(json!({"temperature": 0.2})).as_ref());
        testing::check_promises(build(json!({})).as_ref());
        assert!(crate::build(RankFeat::KIND, json!({"temperature": 0}), &[]).is_err());
    }
}
