//! The trained autoencoder: reconstructs and scores.

use oodlab_diffusion::{DiffusionError, Parameters, Precision, Trained, models};
use oodlab_features::Layer;
use serde::{Deserialize, Serialize};

use super::{AutoencoderConfig, KIND};
use crate::reconstruction_score::{self, ReconstructionScore};
use crate::stored;
use crate::{Curve, DetectorError, Explained, FittedDetector, SCORED_AT_ONCE, ScoreContext, Unlabeled, check_scores};

#[derive(Debug)]
pub(super) struct Fitted {
    scores: Vec<ReconstructionScore>,
    stored: Stored,
    parameters: Parameters,
}

/// What is stored beside the model.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    /// Bits of the f64 losses, by epoch.
    loss_bits: Vec<u64>,
    /// The same of the held-out samples; empty where none were held out.
    validation_bits: Vec<u64>,
}

const MODEL: &str = "model";

impl Fitted {
    pub(super) fn new(scores: Vec<ReconstructionScore>, layers: Vec<Layer>, trained: Trained) -> Fitted {
        let (loss_bits, validation_bits) = (stored::to_bits(&trained.losses), stored::to_bits(&trained.validation));
        let stored = Stored { layers, loss_bits, validation_bits };
        Fitted { scores, stored, parameters: trained.ema }
    }

    pub(super) fn load(
        config: AutoencoderConfig,
        scores: Vec<ReconstructionScore>,
        bytes: &[u8],
    ) -> Result<Fitted, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let refused = |error: DiffusionError| broken(error.to_string());
        let (header, found, _) = models::read(bytes, &[MODEL], &[]).map_err(refused)?;
        let stored: Stored = serde_json::from_str(&header).map_err(|error| broken(error.to_string()))?;
        let [parameters] = <[Parameters; 1]>::try_from(found).map_err(|_| broken("expected a model".into()))?;
        let expected = config.network(stored::check_layers(&stored.layers).map_err(broken)?);
        if parameters.config() != expected {
            return Err(broken(format!("its network is {:?}, expected {expected:?}", parameters.config())));
        }
        reconstruction_score::check_layers(&scores, stored.layers.len())?;
        Ok(Fitted { scores, stored, parameters })
    }

    /// What the network makes of samples; a sample's result does not depend on its company.
    fn reconstruct(&self, z: &[f32], context: &ScoreContext<'_>) -> Result<Vec<f32>, DetectorError> {
        let dim = self.parameters.config().dim;
        let mut made = Vec::with_capacity(z.len());
        context.compute.score(Precision::F32, |engine| {
            for part in z.chunks(SCORED_AT_ONCE * dim) {
                context.cancel.check()?;
                let rows = part.len() / dim;
                let room = if engine.rows_depend_on_their_number() { SCORED_AT_ONCE } else { rows };
                let mut padded = part.to_vec();
                padded.resize(room * dim, 0.0);
                let mut found = vec![0.0; room * dim];
                engine.predict(&self.parameters, &padded, &vec![0; room], &mut found)?;
                made.extend_from_slice(&found[..part.len()]);
                context.task.advance(rows as u64);
            }
            Ok::<(), DetectorError>(())
        })?;
        Ok(made)
    }
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        reconstruction_score::names(&self.scores)
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let z = given.z_scored(KIND)?;
        let features = given.features();
        let made = self.reconstruct(&z, context)?;
        let scores = reconstruction_score::compute(&self.scores, features, (&z, &made), None)?;
        check_scores(&self.score_names(), features.ids(), &scores)?;
        Ok(scores)
    }

    fn explain(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let z = given.z_scored(KIND)?;
        let made = self.reconstruct(&z, context)?;
        reconstruction_score::by_layer(given.features(), (&z, &made))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let header = serde_json::to_string(&self.stored)
            .map_err(|error| DetectorError::Stored { kind: KIND, message: error.to_string() })?;
        Ok(models::write(&header, &[(MODEL, &self.parameters)], &[])?)
    }

    fn curves(&self) -> Vec<Curve> {
        let mut curves = vec![stored::loss_curve(&self.stored.loss_bits, "mean squared error")];
        if !self.stored.validation_bits.is_empty() {
            let mut validation = stored::loss_curve(&self.stored.validation_bits, "mean squared error");
            (validation.name, validation.y_label) =
                ("validation".into(), "validation loss (mean squared error)".into());
            curves.push(validation);
        }
        curves
    }
}
