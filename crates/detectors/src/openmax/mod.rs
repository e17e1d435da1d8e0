//! OpenMax (Bendale and Boult, CVPR 2016): the probability of an unknown class. Each class has the mean logits of its training samples that are
//! classified correctly, and a Weibull distribution of their 20 largest distances to it (`weibull.rs`); the logits of the `alpha` largest
//! classes are lowered by how unlikely the sample's distance is, and what they lose becomes the unknown's logit. OpenOOD's
//! `openmax_postprocessor.py` with Euclidean distances; the score is the last of its probabilities.
//!
//! OpenOOD has no model of a class of which no training sample is classified correctly; here all its samples count. libMR gives up where all
//! distances of a tail are equal; here the distribution is a step. libMR stops its search for the shape at a tolerance; here it is exact.

mod weibull;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::weibull::Weibull;
use crate::classifier::of_each_class;
use crate::linear_algebra::squared_distance;
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes, refuse};
use crate::softmax::log_sum_exp;
use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenMax {
    /// Distances of a class that its Weibull distribution is fitted to: the largest 20.
    pub tail: usize,
    /// Classes whose logits are lowered, from the largest down: 3. The first by its whole share, the last by 1/alpha of it.
    pub alpha: usize,
}

impl Default for OpenMax {
    fn default() -> OpenMax {
        OpenMax { tail: 20, alpha: 3 }
    }
}

/// A row of logits in double precision.
fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&x| f64::from(x)).collect()
}

impl OpenMax {
    /// The probability of the unknown class, of one row of logits.
    fn unknown(&self, row: &[f32], arrays: &Arrays) -> f64 {
        let mut logits = wide(row);
        let given = logits.clone();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| given[b].total_cmp(&given[a]));
        let mut lost = 0.0;
        for (rank, class) in order.into_iter().take(self.alpha).enumerate() {
            let mean = &arrays.f64("means")[class * given.len()..(class + 1) * given.len()];
            let model = Weibull {
                smallest: arrays.f64("smallest")[class],
                location: arrays.f64("location")[class],
                width: arrays.f64("width")[class],
            };
            let share = (self.alpha - rank) as f64 / self.alpha as f64;
            let taken = given[class] * share * model.below(squared_distance(&given, mean).sqrt());
            logits[class] -= taken;
            lost += taken;
        }
        let all = log_sum_exp(logits.into_iter().chain([lost]).collect::<Vec<_>>().into_iter());
        (lost - all).exp()
    }
}

impl Rule for OpenMax {
    const KIND: &'static str = "openmax";
    const SCORED_BY: &'static [&'static str] = &["alpha"];

    fn check(&self) -> Result<(), DetectorError> {
        if self.tail < 2 {
            return Err(refuse("tail", self.tail, "at least 2"));
        }
        if self.alpha == 0 { Err(refuse("alpha", 0, "at least 1")) } else { Ok(()) }
    }

    fn needs(&self) -> Needs {
        Needs { logits: true, labels: true, ..Needs::default() }
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        arrays.expect("means", &[sizes.classes, sizes.classes], true)?;
        for name in ["smallest", "location", "width"] {
            arrays.expect(name, &[sizes.classes], true)?;
        }
        match arrays.f64("width").iter().find(|width| width.is_nan() || **width <= 0.0) {
            Some(width) => Err(format!("\"width\" holds {width}, expected numbers above 0")),
            None => Ok(()),
        }
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let logits = given.logits(Self::KIND)?;
        Ok(logits.values.par_chunks_exact(logits.classes).map(|row| self.unknown(row, arrays)).collect())
    }
}

impl FitsLabeled for OpenMax {
    fn fit(&self, train: &Labeled<'_>, _: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let logits = train.given.logits(Self::KIND)?;
        let classes = logits.classes;
        let of = |row: &usize| wide(&logits.values[row * classes..(row + 1) * classes]);
        let model = |rows: &Vec<usize>| {
            let mut mean = vec![0.0; classes];
            for row in rows {
                mean.iter_mut().zip(of(row)).for_each(|(sum, x)| *sum += x);
            }
            mean.iter_mut().for_each(|sum| *sum /= rows.len().max(1) as f64);
            let distances = rows.iter().map(|row| squared_distance(&of(row), &mean).sqrt()).collect();
            (Weibull::of_largest(distances, self.tail), mean)
        };
        let models: Vec<_> = of_each_class(logits, &train.labels.0).par_iter().map(model).collect();
        let list = |of: fn(&Weibull) -> f64| models.iter().map(|(weibull, _)| of(weibull)).collect();
        Ok(Arrays::default()
            .with_list("smallest", list(|weibull| weibull.smallest))
            .with_list("location", list(|weibull| weibull.location))
            .with_list("width", list(|weibull| weibull.width))
            .with("means", &[classes, classes], models.into_iter().flat_map(|(_, mean)| mean).collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [json!({}), json!({"alpha": 10, "tail": 5})] {
            testing::check_contract(crate::build(OpenMax::KIND, settings, &[]).expect("valid settings").as_ref());
        }
        assert!(crate::build(OpenMax::KIND, json!({"tail": 1}), &[]).is_err());
    }
}
