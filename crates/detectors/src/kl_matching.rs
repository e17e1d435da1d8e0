//! KL matching (Hendrycks et al., ICML 2022): the least divergence of a sample's class probabilities from the typical ones of a class, which are
//! the mean probabilities of the in-distribution validation samples that are predicted as that class. OpenOOD's
//! `kl_matching_postprocessor.py`, the sign turned.
//!
//! A class that is predicted for no validation sample has no mean in OpenOOD (it becomes NaN, and with it every score); here it is left out.
//! OpenOOD counts on 1000 classes; here there are as many as logits.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classifier::predicted;
use crate::percentile::Reference;
use crate::rule::{Arrays, FitsUnlabeled, Rule, Sizes};
use crate::softmax::softmax;
use crate::{DetectorError, FitContext, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KlMatching {
    /// Whose class probabilities are typical.
    pub from: Reference,
}

impl Rule for KlMatching {
    const KIND: &'static str = "kl-matching";

    fn needs(&self) -> Needs {
        Needs { logits: true, ..self.from.needs() }
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let rows = arrays.shape("log typical").first().copied().unwrap_or(0);
        if rows == 0 {
            return Err("no class has typical probabilities".to_owned());
        }
        arrays.expect("log typical", &[rows, sizes.classes], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        let of = |row: &[f32]| {
            let own = softmax(row);
            // A probability of zero adds nothing: p ln p tends to zero.
            let negentropy: f64 = own.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum();
            let cross = |typical: &[f64]| own.iter().zip(typical).map(|(p, log_q)| p * log_q).sum::<f64>();
            let typical = arrays.f64("log typical").chunks_exact(logits.classes);
            typical.map(|typical| negentropy - cross(typical)).fold(f64::INFINITY, f64::min)
        };
        Ok(logits.values.par_chunks_exact(logits.classes).map(of).collect())
    }
}

impl FitsUnlabeled for KlMatching {
    fn fit(&self, train: &Unlabeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let logits = self.from.of(train, context.validation, Self::KIND)?.logits(Self::KIND)?;
        let classes = logits.classes;
        let (mut sums, mut counts) = (vec![0.0; classes * classes], vec![0.0f64; classes]);
        for row in logits.values.chunks_exact(classes) {
            let class = predicted(row);
            counts[class] += 1.0;
            let sums = &mut sums[class * classes..(class + 1) * classes];
            sums.iter_mut().zip(softmax(row)).for_each(|(sum, p)| *sum += p);
        }
        // A mean that underflows to zero must stay a number.
        let log = |sum: &f64, count: f64| (sum / count).max(f64::MIN_POSITIVE).ln();
        let predicted = sums.chunks_exact(classes).zip(counts).filter(|(_, count)| *count > 0.0);
        let typical: Vec<f64> =
            predicted.flat_map(|(sums, count)| sums.iter().map(move |sum| log(sum, count))).collect();
        Ok(Arrays::default().with("log typical", &[typical.len() / classes, classes], typical))
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
            testing::check_contract(crate::build(KlMatching::KIND, settings, &[]).expect("valid settings").as_ref());
        }
    }

    #[test]
    fn the_typical_probabilities_themselves_do_not_diverge() {
        let mut samples = testing::Samples::new(2, true);
        samples.features = testing::with_logits(&[&[2.0, 0.0, -900.0], &[0.0, 5.0, 1.0]]);
        let detector = crate::build(KlMatching::KIND, json!({"from": "train"}), &[]).expect("valid settings");
        let fitted = testing::fit(detector.as_ref(), &samples).expect("fits");
        let found = testing::score(fitted.as_ref(), &samples, 0).expect("scores");
        assert!(found.iter().all(|score| score.abs() < 1e-12), "{found:?}");
    }
}
