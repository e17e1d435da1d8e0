//! A rule with its arrays.

use oodlab_features::Layer;

use super::{Arrays, Rule, Sizes};
use crate::{Curve, DetectorError, FittedDetector, ScoreContext, Unlabeled, check_scores};

#[derive(Debug)]
pub(super) struct Fitted<R: Rule> {
    pub rule: R,
    pub sizes: Sizes,
    pub arrays: Arrays,
}

impl<R: Rule> Fitted<R> {
    /// What [`Fitted::to_bytes`] wrote.
    pub fn load(rule: &R, bytes: &[u8]) -> Result<Fitted<R>, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: R::KIND, message };
        let (sizes, arrays) = Arrays::from_bytes::<Sizes>(bytes).map_err(|error| broken(error.to_string()))?;
        for layers in [&sizes.layers, &sizes.probed] {
            if !layers.is_empty() {
                crate::stored::check_layers(layers).map_err(broken)?;
            }
        }
        rule.check_arrays(&arrays, &sizes).map_err(broken)?;
        Ok(Fitted { rule: rule.clone(), sizes, arrays })
    }

    fn check_sizes(&self, given: &Unlabeled<'_>) -> Result<(), DetectorError> {
        let found = Sizes::of(&self.rule, given)?;
        if found == self.sizes {
            return Ok(());
        }
        Err(DetectorError::OtherLayers { expected: describe(&self.sizes), found: describe(&found) })
    }
}

fn describe(sizes: &Sizes) -> String {
    let named = |layers: &[Layer]| {
        layers.iter().map(|layer| format!("{}:{}", layer.name, layer.width())).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    for layers in [&sizes.layers, &sizes.probed] {
        if !layers.is_empty() {
            parts.push(named(layers));
        }
    }
    if sizes.penultimate > 0 {
        parts.push(format!("penultimate:{}", sizes.penultimate));
    }
    if sizes.classes > 0 {
        parts.push(format!("{} classes", sizes.classes));
    }
    parts.join(", ")
}

impl<R: Rule> FittedDetector for Fitted<R> {
    fn score_names(&self) -> Vec<String> {
        vec![R::KIND.to_owned()]
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        context.cancel.check()?;
        given.check(R::KIND)?;
        self.check_sizes(given)?;
        let scores = vec![self.rule.score(&self.arrays, given)?];
        check_scores(&self.score_names(), given.ids(), &scores)?;
        context.task.advance(given.rows() as u64);
        Ok(scores)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        Ok(self.arrays.to_bytes(&self.sizes)?)
    }

    fn curves(&self) -> Vec<Curve> {
        Vec::new()
    }
}
