//! Mahalanobis distance to the nearest class mean (Lee et al., NeurIPS 2018). OpenOOD's `mds_postprocessor.py`: class means, one covariance of
//! the class-centred vectors, its pseudo-inverse; the score here is the smallest distance, OpenOOD's confidence its negative.
//!
//! OpenOOD works in single precision and computes, for B samples and each class, a B × B matrix of which it reads the diagonal; here vectors
//! are whitened once, in double precision. Several layers are either one vector (`joint`) or a model each (`sum`), whose
//! distances are added: Lee et al. weigh them by a logistic regression fitted on out-of-distribution samples (OpenOOD's MDSEns), which
//! no detector here is given.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::linear_algebra::{class_means, covariance, nearest_centre, project, whitening};
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes};
use crate::space::Space;
use crate::{DetectorError, FitContext, Labeled, Needs, Unlabeled};

/// What several layers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Together {
    /// One vector.
    #[default]
    Joint,
    /// A model each, their distances added.
    Sum,
}

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mahalanobis {
    /// The vector: `penultimate` (the default), or the chosen `layers`.
    pub on: Space,
    /// With `on: layers`: one model of all of them (`joint`), or one each (`sum`).
    pub layers: Together,
}

/// One model: columns `span` of the vectors.
struct Part {
    span: std::ops::Range<usize>,
    name: String,
}

impl Mahalanobis {
    fn parts(&self, width: usize, layers: &[oodlab_features::Layer]) -> Vec<Part> {
        if self.on == Space::Layers && self.layers == Together::Sum {
            let part = |(number, layer): (usize, &oodlab_features::Layer)| Part {
                span: layer.span(),
                name: format!("{number}"),
            };
            return layers.iter().enumerate().map(part).collect();
        }
        vec![Part { span: 0..width, name: "0".to_owned() }]
    }
}

/// Columns of row-major vectors.
pub(crate) fn columns(values: &[f32], width: usize, span: std::ops::Range<usize>) -> std::borrow::Cow<'_, [f32]> {
    if span == (0..width) {
        return values.into();
    }
    values.chunks_exact(width).flat_map(|row| &row[span.clone()]).copied().collect::<Vec<f32>>().into()
}

impl Rule for Mahalanobis {
    const KIND: &'static str = "mahalanobis";

    fn needs(&self) -> Needs {
        self.on.needs().and(Needs { labels: true, ..Needs::default() })
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("layers", vec![json!("joint"), json!("sum")])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        for Part { span, name } in self.parts(self.on.width(sizes), &sizes.layers) {
            let outputs = arrays.shape(&format!("whitening {name}")).first().copied().unwrap_or(0);
            let classes = arrays.shape(&format!("centres {name}")).first().copied().unwrap_or(0);
            if outputs == 0 || classes == 0 {
                return Err(format!("part {name} has no directions or no classes"));
            }
            arrays.expect(&format!("whitening {name}"), &[outputs, span.len()], true)?;
            arrays.expect(&format!("centres {name}"), &[classes, outputs], true)?;
        }
        Ok(())
    }

    fn score(&self, arrays: &Arrays, given: &Unlabeled<'_>) -> Result<Vec<f64>, DetectorError> {
        let features = self.on.of(given, Self::KIND)?;
        let mut sums = vec![0.0; features.rows()];
        for Part { span, name } in self.parts(features.width(), features.layers()) {
            let values = columns(features.values(), features.width(), span.clone());
            let (whitening, centres) =
                (arrays.f64(&format!("whitening {name}")), arrays.f64(&format!("centres {name}")));
            let outputs = whitening.len() / span.len();
            let projected = project(&values, span.len(), &vec![0.0; span.len()], whitening);
            let nearest = nearest_centre(&projected, outputs, centres);
            sums.iter_mut().zip(nearest).for_each(|(sum, distance)| *sum += distance);
        }
        Ok(sums)
    }
}

impl FitsLabeled for Mahalanobis {
    fn fit(&self, train: &Labeled<'_>, context: &mut FitContext<'_>) -> Result<Arrays, DetectorError> {
        let features = self.on.of(&train.given, Self::KIND)?;
        let mut arrays = Arrays::default();
        for Part { span, name } in self.parts(features.width(), features.layers()) {
            context.cancel.check()?;
            let values = columns(features.values(), features.width(), span.clone());
            let model = Gaussian::of_classes(&values, span.len(), &train.labels.0, train.classes);
            let outputs = model.outputs();
            if outputs == 0 {
                return Err(constant(Self::KIND));
            }
            arrays = arrays.with(&format!("whitening {name}"), &[outputs, span.len()], model.whitening).with(
                &format!("centres {name}"),
                &[train.classes, outputs],
                model.centres,
            );
        }
        Ok(arrays)
    }
}

/// Vectors without any variance.
pub(crate) fn constant(who: &'static str) -> DetectorError {
    DetectorError::Config {
        place: "features".into(),
        message: format!("{who}: the training vectors do not vary; take more of them, or another layer"),
    }
}

/// Centres that share a covariance.
pub(crate) struct Gaussian {
    /// `[outputs, width]`.
    pub whitening: Vec<f64>,
    /// Whitened, `[centres, outputs]`.
    pub centres: Vec<f64>,
    width: usize,
}

impl Gaussian {
    /// Class means around which the covariance is taken; every class has a sample.
    pub fn of_classes(values: &[f32], width: usize, labels: &[u32], classes: usize) -> Gaussian {
        let means = class_means(values, width, labels, classes);
        let centre = |row: usize| {
            let class = labels[row] as usize;
            &means[class * width..(class + 1) * width]
        };
        let whitening = whitening(covariance(values, width, centre));
        let centres = whitened(&means, width, &whitening);
        Gaussian { whitening, centres, width }
    }

    /// Directions that vary.
    pub fn outputs(&self) -> usize {
        self.whitening.len() / self.width.max(1)
    }
}

/// `whitening · centre` of each centre, in the order of the columns.
pub(crate) fn whitened(centres: &[f64], width: usize, whitening: &[f64]) -> Vec<f64> {
    let along = |centre: &[f64], row: &[f64]| centre.iter().zip(row).map(|(a, b)| a * b).sum::<f64>();
    centres
        .chunks_exact(width)
        .flat_map(|centre| whitening.chunks_exact(width).map(|row| along(centre, row)).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::testing;

    #[test]
    fn every_form_keeps_the_contract() {
        for settings in [json!({}), json!({"on": "layers"}), json!({"on": "layers", "layers": "sum"})] {
            testing::check_contract(crate::build(Mahalanobis::KIND, settings, &[]).expect("valid settings").as_ref());
        }
    }
}
