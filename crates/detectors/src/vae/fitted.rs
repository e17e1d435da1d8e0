//! The trained autoencoder: reconstructs and scores.

use oodlab_diffusion::DiffusionError;
use oodlab_diffusion::small::{SmallNetwork, SmallParameters, SmallTrained, Vae};
use oodlab_diffusion::tensor_file::{self, TensorFile};
use oodlab_features::Layer;
use serde::{Deserialize, Serialize};

use crate::input::Input;
use crate::reconstruction_score::{self, Divergence, ReconstructionScore};
use crate::stored;
use crate::{Curve, DetectorError, Explained, FittedDetector, ScoreContext, Unlabeled, check_scores};

#[derive(Debug)]
pub(crate) struct Fitted {
    setting: Setting,
    network: Vae,
    parameters: SmallParameters,
    stored: Stored,
}

/// What scoring follows beside the network: the same for fitting and loading.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub kind: &'static str,
    pub input: Input,
    /// Samples of a batch.
    pub batch: usize,
    pub scores: Vec<ReconstructionScore>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    /// Bits of the f64 losses.
    loss_bits: Vec<u64>,
}

impl Fitted {
    /// A network that was just trained.
    pub fn new(setting: Setting, network: Vae, layers: Vec<Layer>, trained: SmallTrained) -> Fitted {
        let stored = Stored { layers, loss_bits: stored::to_bits(&trained.losses) };
        Fitted { setting, network, parameters: trained.parameters, stored }
    }

    /// A stored one; `network` gives the network for layers.
    pub fn load(
        setting: Setting,
        network: impl FnOnce(&[Layer]) -> Result<Vae, DetectorError>,
        bytes: &[u8],
    ) -> Result<Fitted, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: setting.kind, message };
        let refused = |error: DiffusionError| broken(error.to_string());
        let (stored, file) = TensorFile::read::<Stored>(bytes).map_err(refused)?;
        stored::check_layers(&stored.layers).map_err(broken)?;
        let network = network(&stored.layers).map_err(|error| broken(error.to_string()))?;
        let parameters = SmallParameters::from_file(network.layout(), &file, "").map_err(refused)?;
        reconstruction_score::check_layers(&setting.scores, stored.layers.len())?;
        Ok(Fitted { setting, network, parameters, stored })
    }
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        reconstruction_score::names(&self.setting.scores)
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let Setting { kind, input, batch, scores } = &self.setting;
        let sample = input.values(given, kind)?;
        let made = self.network.reconstruct(&self.parameters, &sample, *batch, (context.cancel, context.task))?;
        let divergence = Divergence { values: &made.divergence, beta: self.network.beta() };
        let (features, pair) = (given.features(), (&sample[..], &made.reconstruction[..]));
        let found = reconstruction_score::compute(scores, features, pair, Some(divergence))?;
        check_scores(&self.score_names(), features.ids(), &found)?;
        Ok(found)
    }

    fn explain(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let Setting { kind, input, batch, .. } = &self.setting;
        let sample = input.values(given, kind)?;
        let made = self.network.reconstruct(&self.parameters, &sample, *batch, (context.cancel, context.task))?;
        reconstruction_score::by_layer(given.features(), (&sample, &made.reconstruction))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        Ok(tensor_file::write(&self.stored, &self.parameters.for_file(""))?)
    }

    fn curves(&self) -> Vec<Curve> {
        vec![stored::loss_curve(&self.stored.loss_bits, "minus the evidence lower bound, a value of a sample")]
    }
}
