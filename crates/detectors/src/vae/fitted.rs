//! The trained autoencoder: reconstructs and scores.

use oodlab_diffusion::DiffusionError;
use oodlab_diffusion::small::{SmallNetwork, SmallParameters, SmallTrained, Vae};
use oodlab_diffusion::tensor_file::{self, TensorFile};
use oodlab_features::Layer;
use serde::{Deserialize, Serialize};

use super::{KIND, VaeConfig};
use crate::reconstruction_score::{self, Divergence, ReconstructionScore};
use crate::stored;
use crate::{Curve, DetectorError, FittedDetector, ScoreContext, Unlabeled, check_scores};

#[derive(Debug)]
pub(super) struct Fitted {
    config: VaeConfig,
    scores: Vec<ReconstructionScore>,
    network: Vae,
    parameters: SmallParameters,
    stored: Stored,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    /// Bits of the f64 losses.
    loss_bits: Vec<u64>,
}

impl Fitted {
    pub(super) fn new(
        config: VaeConfig,
        scores: Vec<ReconstructionScore>,
        network: Vae,
        layers: Vec<Layer>,
        trained: SmallTrained,
    ) -> Fitted {
        let stored = Stored { layers, loss_bits: stored::to_bits(&trained.losses) };
        Fitted { config, scores, network, parameters: trained.parameters, stored }
    }

    pub(super) fn load(
        config: VaeConfig,
        scores: Vec<ReconstructionScore>,
        bytes: &[u8],
    ) -> Result<Fitted, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let refused = |error: DiffusionError| broken(error.to_string());
        let (stored, file) = TensorFile::read::<Stored>(bytes).map_err(refused)?;
        let network = config.network(stored::check_layers(&stored.layers).map_err(broken)?)?;
        let parameters = SmallParameters::from_file(network.layout(), &file, "").map_err(refused)?;
        reconstruction_score::check_layers(&scores, stored.layers.len())?;
        Ok(Fitted { config, scores, network, parameters, stored })
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
        let batch = self.config.train.batch_size;
        let made = self.network.reconstruct(&self.parameters, &z, batch, (context.cancel, context.task))?;
        let divergence = Divergence { values: &made.divergence, beta: self.network.beta() };
        let pair = (&z[..], &made.reconstruction[..]);
        let scores = reconstruction_score::compute(&self.scores, features, pair, Some(divergence))?;
        check_scores(&self.score_names(), features.ids(), &scores)?;
        Ok(scores)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        Ok(tensor_file::write(&self.stored, &self.parameters.for_file(""))?)
    }

    fn curves(&self) -> Vec<Curve> {
        vec![stored::loss_curve(&self.stored.loss_bits, "minus the evidence lower bound, a feature")]
    }
}
