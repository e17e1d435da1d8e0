//! Mahalanobis distance to the nearest class mean (Lee et al., NeurIPS 2018). OpenOOD's `mds_postprocessor.py`: class means, one covariance of
//! the class-centred vectors, its pseudo-inverse; the score here is the smallest distance, OpenOOD's confidence its negative.
//!
//! OpenOOD works in single precision and computes, for B samples and each class, a B × B matrix of which it reads the diagonal; here vectors
//! are whitened once, in double precision. Several layers are one vector (`joint`), or a model each, whose distances are added: as they are
//! (`sum`), or weighed by a logistic regression between the validation samples, in- and out-of-distribution (`weighed`), as Lee et al. and
//! OpenOOD's `mds_ensemble_postprocessor.py` do. Those choose the regression's strength by cross-validation, here it is scikit-learn's
//! default; and they add an input step like ODIN's, which is left out.

use oodlab_features::Features;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::linear_algebra::{class_means, covariance, nearest_centre, project, whitening};
use crate::logistic;
use crate::rule::{Arrays, FitsLabeled, Rule, Sizes, refuse};
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
    /// A model each, their distances added with weights that tell the benchmark's validation samples apart.
    Weighed,
}

/// Settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mahalanobis {
    /// The vector: `penultimate` (the default), or the chosen `layers`.
    pub on: Space,
    /// With `on: layers`: one model of all of them (`joint`), or one each (`sum`, `weighed`).
    pub layers: Together,
}

/// The array of the weights of layers.
const WEIGHTS: &str = "weights";

/// One model: columns `span` of the vectors.
struct Part {
    span: std::ops::Range<usize>,
    name: String,
}

impl Part {
    /// Squared, to the nearest centre, one a sample.
    fn distances(&self, features: &Features, arrays: &Arrays) -> Vec<f64> {
        let Part { span, name } = self;
        let values = columns(features.values(), features.width(), span.clone());
        let (whitening, centres) = (arrays.f64(&format!("whitening {name}")), arrays.f64(&format!("centres {name}")));
        let outputs = whitening.len() / span.len();
        let projected = project(&values, span.len(), &vec![0.0; span.len()], whitening);
        nearest_centre(&projected, outputs, centres)
    }
}

impl Mahalanobis {
    /// What each layer's distance is worth, by the validation samples.
    fn weights(
        &self,
        arrays: &Arrays,
        fitted_on: &Features,
        context: &FitContext<'_>,
    ) -> Result<Vec<f64>, DetectorError> {
        let validation = context.validation.ok_or_else(|| self.needs().unmet(Self::KIND))?;
        let parts = self.parts(fitted_on.width(), fitted_on.layers());
        let (mut rows, mut outside) = (Vec::new(), Vec::new());
        for (given, out) in std::iter::once((&validation.id, false)).chain(validation.ood.iter().map(|set| (set, true)))
        {
            given.check(Self::KIND)?;
            given.check_layers(fitted_on.layers())?;
            let features = self.on.of(given, Self::KIND)?;
            let distances: Vec<_> = parts.iter().map(|part| part.distances(features, arrays)).collect();
            rows.extend((0..features.rows()).flat_map(|row| distances.iter().map(move |of_part| of_part[row])));
            outside.extend(std::iter::repeat_n(out, features.rows()));
        }
        logistic::weights(&rows, parts.len(), &outside).ok_or_else(|| DetectorError::Config {
            place: "benchmark.validation".into(),
            message: format!("{}: the validation samples' distances give no weights of the layers", Self::KIND),
        })
    }

    fn parts(&self, width: usize, layers: &[oodlab_features::Layer]) -> Vec<Part> {
        if self.on == Space::Layers && self.layers != Together::Joint {
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

    fn check(&self) -> Result<(), DetectorError> {
        match self.layers {
            Together::Weighed if self.on != Space::Layers => {
                Err(refuse("layers", "weighed", "joint with one vector; give `on: layers` for several"))
            }
            _ => Ok(()),
        }
    }

    fn needs(&self) -> Needs {
        let weighed = self.layers == Together::Weighed;
        let own = Needs { labels: true, id_validation: weighed, ood_validation: weighed, ..Needs::default() };
        self.on.needs().and(own)
    }

    fn space(&self) -> Vec<(&'static str, Vec<Value>)> {
        vec![("layers", vec![json!("joint"), json!("sum")])]
    }

    fn check_arrays(&self, arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
        let parts = self.parts(self.on.width(sizes), &sizes.layers);
        if self.layers == Together::Weighed {
            arrays.expect(WEIGHTS, &[parts.len()], true)?;
        }
        for Part { span, name } in parts {
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
        let parts = self.parts(features.width(), features.layers());
        let equal = vec![1.0; parts.len()];
        let weights = if self.layers == Together::Weighed { arrays.f64(WEIGHTS) } else { &equal };
        let mut sums = vec![0.0; features.rows()];
        for (part, weight) in parts.iter().zip(weights) {
            let nearest = part.distances(features, arrays);
            sums.iter_mut().zip(nearest).for_each(|(sum, distance)| *sum += weight * distance);
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
        if self.layers == Together::Weighed {
            let weights = self.weights(&arrays, features, context)?;
            arrays = arrays.with(WEIGHTS, &[weights.len()], weights);
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
    use crate::rule::testing::{self, Samples};

    #[test]
    fn every_form_keeps_the_contract() {
        let of_layers = |layers: &str| json!({"on": "layers", "layers": layers});
        for settings in [json!({}), json!({"on": "layers"}), of_layers("sum"), of_layers("weighed")] {
            testing::check_contract(crate::build(Mahalanobis::KIND, settings, &[]).expect("valid settings").as_ref());
        }
    }

    /// Two layers, of which the second tells nothing: its distances count less than they do in the plain sum.
    #[test]
    fn layers_are_weighed_by_the_validation_samples() {
        let (train, id, ood) = (Samples::new(90, true), Samples::new(60, true), Samples::new(60, false));
        let second_of = |samples: &Samples, other: &Samples| {
            let mut values = samples.features.values().to_vec();
            for (row, from) in values.chunks_exact_mut(10).zip(other.features.values().chunks_exact(10)) {
                row[4..].copy_from_slice(&from[4..]);
            }
            let plain = Features::new(samples.features.layers().to_vec(), samples.features.ids().to_vec(), values);
            plain.expect("valid features").with_logits(samples.features.logits().expect("logits").clone())
        };
        let mut blind = Samples::new(60, false);
        blind.features = second_of(&ood, &id).expect("one row a sample");
        let separated = |layers: &str| {
            let detector = crate::build(Mahalanobis::KIND, json!({"on": "layers", "layers": layers}), &[]);
            let fitted = testing::fit_with(detector.expect("valid").as_ref(), &train, &id, &blind).expect("fits");
            let score = |samples: &Samples| testing::score(fitted.as_ref(), samples, 0).expect("scores");
            let (inside, outside) = (score(&id), score(&blind));
            inside.iter().map(|a| outside.iter().filter(|b| *b > a).count()).sum::<usize>()
        };
        let (sum, weighed) = (separated("sum"), separated("weighed"));
        assert!(weighed > sum, "weighed {weighed}, sum {sum}");
        // One vector has nothing to weigh.
        assert!(crate::build(Mahalanobis::KIND, json!({"layers": "weighed"}), &[]).is_err());
    }
}
