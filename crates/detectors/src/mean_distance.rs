//! The control: squared Euclidean distance of a sample's z-scored vector to the mean z-scored training vector. No training at all.

use oodlab_features::Layer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Curve, Detector, DetectorError, Explained, FitContext, FittedDetector, Needs, ScoreContext, ScoreSpec, Unlabeled,
    check_scores, section,
};

/// Name of the detector and of its only score.
pub const KIND: &str = "mean-distance";

/// The detector; it has no settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct MeanDistance;

/// Builds it from an empty section.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    section::known_keys("detector", &section::map("detector", config)?, &[])?;
    for spec in scores {
        if spec.name != KIND || !spec.options.is_empty() {
            let (hint, known) = (String::new(), KIND.to_owned());
            return Err(DetectorError::UnknownScore { score: spec.name.clone(), kind: KIND, hint, known });
        }
    }
    Ok(Box::new(MeanDistance))
}

impl Detector for MeanDistance {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn needs(&self) -> Needs {
        Needs { features: true, ..Needs::default() }
    }

    fn revision(&self) -> u32 {
        1
    }

    fn fit_config(&self) -> Value {
        json!({})
    }

    fn score_config(&self) -> Value {
        json!({})
    }

    fn score_names(&self) -> Vec<String> {
        vec![KIND.to_owned()]
    }

    fn fit(
        &self,
        train: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        context.cancel.check()?;
        let z = train.z_scored(KIND)?;
        let features = train.features();
        let mut mean = vec![0.0f64; features.width()];
        for row in z.chunks(features.width()) {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let rows = features.rows() as f64;
        mean.iter_mut().for_each(|sum| *sum /= rows);
        Ok(Box::new(Fitted { layers: features.layers().to_vec(), mean }))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let stored: Stored = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        let mean: Vec<f64> = stored.mean_bits.into_iter().map(f64::from_bits).collect();
        let mut end = 0;
        for layer in &stored.layers {
            if layer.start != end || layer.end <= layer.start {
                return Err(broken(format!("layer {:?} is out of place", layer.name)));
            }
            end = layer.end;
        }
        if end != mean.len() || mean.is_empty() || mean.iter().any(|x| !x.is_finite()) {
            return Err(broken(format!("expected {end} finite means, at least one; found {}", mean.len())));
        }
        Ok(Box::new(Fitted { layers: stored.layers, mean }))
    }
}

#[derive(Debug)]
struct Fitted {
    layers: Vec<Layer>,
    mean: Vec<f64>,
}

/// As stored: f64 by their bits, which JSON keeps exactly.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    mean_bits: Vec<u64>,
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        vec![KIND.to_owned()]
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        context.cancel.check()?;
        given.check_layers(&self.layers)?;
        let z = given.z_scored(KIND)?;
        let distance = |row: &[f32]| row.iter().zip(&self.mean).map(|(&x, m)| (f64::from(x) - m).powi(2)).sum();
        let scores: Vec<Vec<f64>> = vec![z.chunks(self.mean.len()).map(distance).collect()];
        check_scores(&self.score_names(), given.features().ids(), &scores)?;
        context.task.advance(given.features().rows() as u64);
        Ok(scores)
    }

    fn explain(&self, given: &Unlabeled<'_>, _: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        given.check_layers(&self.layers)?;
        let z = given.z_scored(KIND)?;
        let of = |layer: &Layer| {
            let mean = &self.mean[layer.span()];
            let distance =
                |row: &[f32]| row[layer.span()].iter().zip(mean).map(|(&x, m)| (f64::from(x) - m).powi(2)).sum::<f64>();
            let values = z.chunks(self.mean.len()).map(distance).collect();
            Explained { layer: layer.name.clone(), measure: "squared distance", values }
        };
        Ok(self.layers.iter().map(of).collect())
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let mean_bits = self.mean.iter().map(|x| x.to_bits()).collect();
        serde_json::to_vec(&Stored { layers: self.layers.clone(), mean_bits })
            .map_err(|error| DetectorError::Stored { kind: KIND, message: error.to_string() })
    }

    fn curves(&self) -> Vec<Curve> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
