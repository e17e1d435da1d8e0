//! Relative Mahalanobis distance (Ren et al., 2021): the distance to the nearest class mean, less the distance to the mean of all samples
//! under the covariance of all. OpenOOD's `rmds_postprocessor.py`, the sign turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::linear_algebra::{covariance, mean, nearest_centre, project, whitening};
use crate::mahalanobis::{Gaussian, constant};
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes};
use crate::space::Space;
use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RelativeMahalanobis {
    /// The vector: `penultimate` (the default), or the chosen `layers`.
    pub on: Space,
}

impl Rule for RelativeMahalanobis {
    const KIND: &'static str = "relative-mahalanobis";

    fn needs(&self) -> Needs {
        self.on.needs().and(Needs { labels: true, ..Needs::default() })
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let width = self.on.width(sizes);
        let rows = |name: &str| arrays.shape(name).first().copied().unwrap_or(0);
        if rows("whitening") == 0 || rows("background whitening") == 0 || rows("centres") == 0 {
            return Err("no directions or no classes".to_owned());
        }
        arrays.expect("whitening", &[rows("whitening"), width], true)?;
        arrays.expect("centres", &[rows("centres"), rows("whitening")], true)?;
        arrays.expect("mean", &[width], true)?;
        arrays.expect("background whitening", &[rows("background whitening"), width], true)
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let features = self.on.of(given, Self::KIND)?;
        let width = features.width();
        let (whitening, background) = (arrays.f64("whitening"), arrays.f64("background whitening"));
        let projected = project(features.values(), width, &vec![0.0; width], whitening);
        let nearest = nearest_centre(&projected, whitening.len() / width, arrays.f64("centres"));
        let outputs = background.len() / width;
        let around = project(features.values(), width, arrays.f64("mean"), background);
        let of_all = around.chunks_exact(outputs).map(|row| row.iter().map(|x| x * x).sum::<f64>());
        Ok(nearest.into_iter().zip(of_all).map(|(class, all)| class - all).collect())
    }
}

impl FitsLabeled for RelativeMahalanobis {
    fn fit(&self, train: &Labeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let features = self.on.of(&train.given, Self::KIND)?;
        let (values, width) = (features.values(), features.width());
        let classes = Gaussian::of_classes(values, width, &train.labels.0, train.classes);
        context.cancel.check()?;
        let mean = mean(values, width);
        let background = whitening(covariance(values, width, |_| &mean));
        let (outputs, directions) = (classes.outputs(), background.len() / width);
        if outputs == 0 || directions == 0 {
            return Err(constant(Self::KIND));
        }
        Ok(Arrays::default()
            .with("whitening", &[outputs, width], classes.whitening)
            .with("centres", &[train.classes, outputs], classes.centres)
            .with_list("mean", mean)
            .with("background whitening", &[directions, width], background))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn it_keeps_the_contract() {
        for settings in [serde_json::json!({}), serde_json::json!({"on": "layers"})] {
            testing::check_contract(
                crate::build(RelativeMahalanobis::KIND, settings, &[]).expect("valid settings").as_ref(),
            );
        }
    }
}
