//! The trained model: reconstructs and scores.

use oodlab_base::Seed;
use oodlab_diffusion::DiffusionError;
use oodlab_diffusion::pixel::Ddpm;
use oodlab_diffusion::small::{SmallNetwork, SmallParameters, SmallTrained};
use oodlab_diffusion::tensor_file::{self, TensorFile};
use oodlab_features::Layer;
use serde::{Deserialize, Serialize};

use super::{KIND, PixelDdpmConfig};
use crate::input::{self, Input};
use crate::reconstruction_score::{self, ReconstructionScore};
use crate::stored;
use crate::{Curve, DetectorError, FittedDetector, SMALL_SCORED_AT_ONCE, ScoreContext, Unlabeled, check_scores};

#[derive(Debug)]
pub(super) struct Fitted {
    config: PixelDdpmConfig,
    scores: Vec<ReconstructionScore>,
    network: Ddpm,
    parameters: SmallParameters,
    stored: Stored,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    seed: u64,
    /// Bits of the f64 losses.
    loss_bits: Vec<u64>,
}

impl Fitted {
    pub(super) fn new(
        config: PixelDdpmConfig,
        scores: Vec<ReconstructionScore>,
        network: Ddpm,
        layers: Vec<Layer>,
        seed: Seed,
        trained: SmallTrained,
    ) -> Fitted {
        let stored = Stored { layers, seed: seed.0, loss_bits: stored::to_bits(&trained.losses) };
        Fitted { config, scores, network, parameters: trained.parameters, stored }
    }

    pub(super) fn load(
        config: PixelDdpmConfig,
        scores: Vec<ReconstructionScore>,
        bytes: &[u8],
    ) -> Result<Fitted, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let refused = |error: DiffusionError| broken(error.to_string());
        let (stored, file) = TensorFile::read::<Stored>(bytes).map_err(refused)?;
        stored::check_layers(&stored.layers).map_err(broken)?;
        let side = input::side(&stored.layers, KIND).map_err(|error| broken(error.to_string()))?;
        let network = config.network(side).map_err(|error| broken(error.to_string()))?;
        let parameters = SmallParameters::from_file(network.layout(), &file, "").map_err(refused)?;
        Ok(Fitted { config, scores, network, parameters, stored })
    }
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        reconstruction_score::names(&self.scores)
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let sample = Input::Pixels.values(given, KIND)?;
        let made = self.network.reconstruct(
            &self.parameters,
            &sample,
            (SMALL_SCORED_AT_ONCE, &self.config.sample),
            (Seed(self.stored.seed), context.first_index),
            (context.cancel, context.task),
        )?;
        let features = given.features();
        let found = reconstruction_score::compute(&self.scores, features, (&sample, &made), None)?;
        check_scores(&self.score_names(), features.ids(), &found)?;
        Ok(found)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        Ok(tensor_file::write(&self.stored, &self.parameters.for_file(""))?)
    }

    fn curves(&self) -> Vec<Curve> {
        vec![stored::loss_curve(&self.stored.loss_bits, "mean squared error of the noise")]
    }
}
