//! The trained detector: reconstructs and scores.

use oodlab_base::Seed;
use oodlab_diffusion::{Parameters, Sampler, Schedule, StreamNoise, Trained, models};
use oodlab_features::Layer;
use oodlab_kernels::reconstruction;
use serde::{Deserialize, Serialize};

use super::config::{DlsrConfig, Score, weights_error};
use super::{KIND, NetworkConfig};
use crate::{Curve, DetectorError, FittedDetector, ScoreContext, Unlabeled, check_scores};

#[derive(Debug)]
pub(super) struct Fitted {
    config: DlsrConfig,
    scores: Vec<Score>,
    stored: Stored,
    first: Parameters,
    last: Parameters,
}

/// What is stored beside the two models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    seed: u64,
    /// Bits of the f64 losses.
    loss_bits: Vec<u64>,
}

const MODELS: [&str; 2] = ["first", "last"];

impl Fitted {
    pub(super) fn new(
        config: DlsrConfig,
        scores: Vec<Score>,
        layers: Vec<Layer>,
        seed: Seed,
        trained: Trained,
    ) -> Fitted {
        let loss_bits = trained.losses.iter().map(|loss| loss.to_bits()).collect();
        let stored = Stored { layers, seed: seed.0, loss_bits };
        Fitted { config, scores, stored, first: trained.first.ema, last: trained.ema }
    }

    pub(super) fn load(config: DlsrConfig, scores: Vec<Score>, bytes: &[u8]) -> Result<Fitted, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let (header, found) = models::read(bytes, &MODELS)?;
        let stored: Stored = serde_json::from_str(&header).map_err(|error| broken(error.to_string()))?;
        let [first, last] = <[Parameters; 2]>::try_from(found).map_err(|_| broken("expected two models".into()))?;
        let sizes = last.config();
        let mut end = 0;
        for layer in &stored.layers {
            if layer.start != end || layer.end <= layer.start {
                return Err(broken(format!("layer {:?} is out of place", layer.name)));
            }
            end = layer.end;
        }
        if end != sizes.dim {
            return Err(broken(format!("the layers have {end} channels, the network {}", sizes.dim)));
        }
        let NetworkConfig { width, blocks } = config.network;
        if (sizes.width, sizes.blocks) != (width, blocks) {
            let found = format!("{} x {}", sizes.blocks, sizes.width);
            return Err(broken(format!("its network has {found} blocks x width, expected {blocks} x {width}")));
        }
        check_layer_count(&config, &scores, stored.layers.len())?;
        Ok(Fitted { config, scores, stored, first, last })
    }

    /// Minus the weighted mean of a row's cosines, from the layer `skip` on.
    fn similarity(&self, cosines: &[f64], skip: usize) -> f64 {
        let weight = |layer: usize| self.config.layer_weights.as_ref().map_or(1.0, |weights| weights[layer]);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (layer, cosine) in cosines.iter().enumerate().skip(skip) {
            sum += weight(layer) * cosine;
            weights += weight(layer);
        }
        -sum / weights
    }
}

/// Refuses layer weights of another number than layers, and a skipped first layer with nothing behind it.
pub(super) fn check_layer_count(config: &DlsrConfig, scores: &[Score], layers: usize) -> Result<(), DetectorError> {
    let skips = scores.contains(&Score::Mfsim { skip_first: true });
    if let Some(weights) = &config.layer_weights {
        if weights.len() != layers {
            return Err(weights_error(&format!("found {} weights, expected {layers}, one a layer", weights.len())));
        }
        if skips && weights.iter().skip(1).sum::<f64>() == 0.0 {
            return Err(weights_error("only the first layer has a weight, but mfsim-skip-first leaves it out"));
        }
    }
    if skips && layers < 2 {
        let score = Score::Mfsim { skip_first: true }.name().to_owned();
        return Err(DetectorError::TooFewLayers { score, needed: 2, found: layers });
    }
    Ok(())
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        self.scores.iter().map(|score| score.name().to_owned()).collect()
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let z = given.z_scored(KIND)?;
        let features = given.features();
        let sampler = Sampler::new(&self.config.sample, &Schedule::published())?;
        let noise = StreamNoise::new(Seed(self.stored.seed), context.first_index);
        let regret = self.scores.contains(&Score::LikelihoodRegret);
        let models: &[&Parameters] = if regret { &[&self.last, &self.first] } else { &[&self.last] };
        let batch = self.config.train.batch_size;
        let found = {
            let mut engine = context.compute.engine(oodlab_diffusion::Precision::F32)?;
            sampler.reconstruct(engine.as_mut(), models, &z, batch, &noise, context.cancel, context.task)?
        };

        let (width, rows) = (features.width(), features.rows());
        let shape = |error: oodlab_kernels::shape::ShapeError| DetectorError::Diffusion(error.into());
        let mut errors = Vec::new();
        for reconstruction in &found {
            let mut sums = vec![0.0; rows];
            reconstruction::squared_errors(&z, reconstruction, &mut sums).map_err(shape)?;
            errors.push(sums.into_iter().map(|sum| sum / width as f64).collect::<Vec<f64>>());
        }
        let layers = features.spans();
        let mut cosines = vec![0.0; rows * layers.len()];
        reconstruction::layer_cosines(&z, &found[0], width, &layers, &mut cosines).map_err(shape)?;
        let per_row = |skip: usize| cosines.chunks(layers.len()).map(|row| self.similarity(row, skip)).collect();
        let scores: Vec<Vec<f64>> = self
            .scores
            .iter()
            .map(|score| match score {
                Score::Mse => errors[0].clone(),
                Score::LikelihoodRegret => errors[1].iter().zip(&errors[0]).map(|(first, last)| first - last).collect(),
                Score::Mfsim { skip_first } => per_row(usize::from(*skip_first)),
            })
            .collect();
        check_scores(&self.score_names(), features.ids(), &scores)?;
        Ok(scores)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let header = serde_json::to_string(&self.stored)
            .map_err(|error| DetectorError::Stored { kind: KIND, message: error.to_string() })?;
        Ok(models::write(&header, &[(MODELS[0], &self.first), (MODELS[1], &self.last)])?)
    }

    fn curves(&self) -> Vec<Curve> {
        let losses = self.stored.loss_bits.iter().map(|&bits| f64::from_bits(bits));
        vec![Curve {
            name: "loss".into(),
            x_label: "epoch".into(),
            y_label: "training loss (mean squared error)".into(),
            points: (1..).map(f64::from).zip(losses).collect(),
        }]
    }
}
