//! Principal components: the linear reconstruction that nothing has to be trained for. Samples are z-scored features; what the leading
//! components of the training set do not explain is the error. The simplest relative of the paper's reconstructors (Table 11).

mod components;

use oodlab_diffusion::tensor_file::{self, TensorFile, Values};
use oodlab_features::Layer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::reconstruction_score::{self, ReconstructionScore};
use crate::reconstructor::Reconstructor;
use crate::stored;
use crate::{
    Curve, Detector, DetectorError, Explained, FitContext, FittedDetector, ScoreContext, ScoreSpec, Unlabeled,
    check_scores, section,
};
use components::Components;

/// Name of the detector.
pub const KIND: &str = "pca";
/// Share of the variance that is kept where nothing else is said.
const VARIANCE: f64 = 0.9;
const SCORES: [ReconstructionScore; 3] = [
    ReconstructionScore::Mse,
    ReconstructionScore::Mfsim { skip_first: false },
    ReconstructionScore::Mfsim { skip_first: true },
];

/// PCA's section of a configuration: at most one of the two; neither keeps 0.9 of the variance.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PcaConfig {
    /// Number of components.
    pub components: Option<usize>,
    /// Share of the training set's variance, above 0 and below 1: the fewest components that hold at least as much.
    pub variance: Option<f64>,
}

/// How many components are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Components(usize),
    Variance(f64),
}

/// The detector: its checked configuration and the scores asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    kept: Kept,
    scores: Vec<ReconstructionScore>,
}

impl Pca {
    /// The detector of a configuration's section and the scores asked for (none: all).
    ///
    /// # Errors
    /// When a key, value or score is unknown or out of range, or a score comes twice.
    pub fn new(config: Value, scores: &[ScoreSpec]) -> Result<Pca, DetectorError> {
        let config: PcaConfig = section::read("detector", Some(config))?;
        let refuse =
            |key: &str, message: String| Err(DetectorError::Config { place: format!("detector.{key}"), message });
        let kept = match (config.components, config.variance) {
            (Some(_), Some(_)) => {
                return refuse("variance", "components is given too; keep one of them".into());
            }
            (Some(0), None) => return refuse("components", "found 0, expected at least 1".into()),
            (Some(count), None) => Kept::Components(count),
            (None, Some(share)) if !(share > 0.0 && share < 1.0) => {
                return refuse("variance", format!("found {share}, expected a number above 0 and below 1"));
            }
            (None, share) => Kept::Variance(share.unwrap_or(VARIANCE)),
        };
        Ok(Pca { kept, scores: ReconstructionScore::parse_all(KIND, &SCORES, scores)? })
    }
}

/// Columns at most: the decomposition is one thread's, and its time grows with their third power.
const MOST_COLUMNS: usize = 4096;

/// Builds it for the registry.
pub(crate) fn build(config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    Ok(Box::new(Pca::new(config, scores)?))
}

impl Reconstructor for Pca {
    const KIND: &'static str = KIND;
    const REVISION: u32 = 1;

    fn trained_by(&self) -> Value {
        match self.kept {
            Kept::Components(count) => json!({ "components": count }),
            Kept::Variance(share) => json!({ "variance": share }),
        }
    }

    fn scores(&self) -> &[ReconstructionScore] {
        &self.scores
    }

    fn train(
        &self,
        given: &Unlabeled<'_>,
        context: &mut FitContext<'_>,
    ) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let features = given.features();
        if features.width() > MOST_COLUMNS {
            let message = format!(
                "principal components of {} columns would take hours: at most {MOST_COLUMNS}; choose fewer layers or a smaller image",
                features.width()
            );
            return Err(DetectorError::Config { place: "features".into(), message });
        }
        let z = given.z_scored(KIND)?;
        let task = context.progress.task("principal components", "columns", features.width() as u64, 0);
        let found = components::find(&z, features.width(), context.cancel, task.as_ref())?;
        let (most, total) = (found.values.len(), found.values.iter().sum::<f64>());
        let count = match self.kept {
            Kept::Components(count) if count > most => {
                let message = format!(
                    "found {count}, expected at most {most}: there are {} samples of {} columns",
                    features.rows(),
                    features.width()
                );
                return Err(DetectorError::Config { place: "detector.components".into(), message });
            }
            Kept::Components(count) => count,
            Kept::Variance(share) => {
                let mut sum = 0.0;
                let enough = |value: &f64| {
                    sum += value;
                    sum >= share * total
                };
                found.values.iter().position(enough).map_or(most, |at| at + 1)
            }
        };
        let components = Components::new(found.mean, found.vectors, count);
        let layers = features.layers().to_vec();
        Ok(Box::new(Fitted { scores: self.scores.clone(), layers, variances: found.values, components }))
    }

    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn FittedDetector>, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let refused = |error: oodlab_diffusion::DiffusionError| broken(error.to_string());
        let (header, file) = TensorFile::read::<Header>(bytes).map_err(refused)?;
        let width = stored::check_layers(&header.layers).map_err(broken)?;
        if header.count == 0 || header.count > header.found || header.found > width {
            return Err(broken(format!("{} of {} components for {width} columns", header.count, header.found)));
        }
        let mean = file.f64("mean", &[width]).map_err(refused)?;
        let variances = file.f64("variances", &[header.found]).map_err(refused)?;
        let vectors = file.f64("components", &[header.count, width]).map_err(refused)?;
        self.check_layers(header.layers.len())?;
        let components = Components::new(mean, vectors, header.count);
        Ok(Box::new(Fitted { scores: self.scores.clone(), layers: header.layers, variances, components }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    layers: Vec<Layer>,
    /// Components kept.
    count: usize,
    /// Components there are.
    found: usize,
}

#[derive(Debug)]
struct Fitted {
    scores: Vec<ReconstructionScore>,
    layers: Vec<Layer>,
    /// Of all components, falling.
    variances: Vec<f64>,
    components: Components,
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        reconstruction_score::names(&self.scores)
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        context.cancel.check()?;
        given.check_layers(&self.layers)?;
        let z = given.z_scored(KIND)?;
        let features = given.features();
        let made = self.components.reconstruct(&z);
        let scores = reconstruction_score::compute(&self.scores, features, (&z, &made), None)?;
        check_scores(&self.score_names(), features.ids(), &scores)?;
        context.task.advance(features.rows() as u64);
        Ok(scores)
    }

    fn explain(&self, given: &Unlabeled<'_>, _: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        given.check_layers(&self.layers)?;
        let z = given.z_scored(KIND)?;
        reconstruction_score::by_layer(given.features(), (&z, &self.components.reconstruct(&z)))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let (count, found) = (self.components.count(), self.variances.len());
        let header = Header { layers: self.layers.clone(), count, found };
        let (mean, vectors) = (self.components.mean(), self.components.vectors());
        Ok(tensor_file::write(
            &header,
            &[
                ("mean".to_owned(), vec![mean.len()], Values::F64(mean)),
                ("variances".to_owned(), vec![found], Values::F64(&self.variances)),
                ("components".to_owned(), vec![count, mean.len()], Values::F64(vectors)),
            ],
        )?)
    }

    fn curves(&self) -> Vec<Curve> {
        let total = self.variances.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let mut sum = 0.0;
        let share = |value: &f64| {
            sum += value;
            sum / total
        };
        vec![Curve {
            name: "variance".into(),
            x_label: "components".into(),
            y_label: "share of the training set's variance".into(),
            points: (1..).map(f64::from).zip(self.variances.iter().map(share)).collect(),
        }]
    }
}

#[cfg(test)]
mod tests;
