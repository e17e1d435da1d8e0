//! Scores of a reconstruction that every reconstructing detector has: its error, and the similarity of its layers.

use oodlab_base::text;
use oodlab_features::Features;
use oodlab_kernels::reconstruction;
use serde::Deserialize;
use serde_json::Value;

use crate::{DetectorError, Explained, ScoreSpec, section};

/// A score of samples and their reconstructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconstructionScore {
    /// Mean squared error over the elements.
    Mse,
    /// Minus the mean of the layers' cosines (the paper's MFsim); with `skip_first` the first layer does not count, as in its program.
    Mfsim {
        /// Leave out the first layer.
        skip_first: bool,
    },
    /// Minus the evidence lower bound at the mean latent vector, in units of the likelihood's variance:
    /// `1/2 |x - reconstruction|^2 + beta KL`. Autoencoders with a posterior only.
    Elbo,
}

const SKIP: ReconstructionScore = ReconstructionScore::Mfsim { skip_first: true };

impl ReconstructionScore {
    /// The scores of features that are asked for; none: all in `known`.
    ///
    /// # Errors
    /// When a name or an option is unknown to this detector, or a score comes twice.
    pub fn parse_all(
        kind: &'static str,
        known: &[ReconstructionScore],
        specs: &[ScoreSpec],
    ) -> Result<Vec<ReconstructionScore>, DetectorError> {
        let mut wanted: Vec<ReconstructionScore> = Vec::new();
        for spec in specs {
            let score = ReconstructionScore::parse(kind, known, spec)?;
            if wanted.contains(&score) {
                return Err(DetectorError::ScoreTwice(score.name().to_owned()));
            }
            wanted.push(score);
        }
        Ok(if wanted.is_empty() { known.to_vec() } else { wanted })
    }

    fn parse(
        kind: &'static str,
        known: &[ReconstructionScore],
        spec: &ScoreSpec,
    ) -> Result<ReconstructionScore, DetectorError> {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct MfsimOptions {
            skip_first: bool,
        }
        let place = format!("scores.{}", spec.name);
        let plain = |score| section::known_keys(&place, &spec.options, &[]).map(|()| score);
        let score = match spec.name.as_str() {
            "mse" => Some(plain(ReconstructionScore::Mse)?),
            "elbo" => Some(plain(ReconstructionScore::Elbo)?),
            "mfsim" => {
                let options: MfsimOptions = section::read(&place, Some(Value::Object(spec.options.clone())))?;
                Some(ReconstructionScore::Mfsim { skip_first: options.skip_first })
            }
            _ => None,
        };
        if let Some(score) = score.filter(|score| known.contains(score)) {
            return Ok(score);
        }
        let shown = |score: &ReconstructionScore| match *score {
            SKIP => "{mfsim: {skip_first: true}}",
            other => other.name(),
        };
        let names: Vec<&str> = known.iter().map(|score| score.name()).collect();
        Err(DetectorError::UnknownScore {
            score: spec.name.clone(),
            kind,
            hint: text::hint(&spec.name, names),
            known: known.iter().map(shown).collect::<Vec<_>>().join(", "),
        })
    }

    /// Name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ReconstructionScore::Mse => "mse",
            ReconstructionScore::Mfsim { skip_first: false } => "mfsim",
            ReconstructionScore::Mfsim { skip_first: true } => "mfsim-skip-first",
            ReconstructionScore::Elbo => "elbo",
        }
    }
}

/// The names of scores, in order.
pub(crate) fn names(scores: &[ReconstructionScore]) -> Vec<String> {
    scores.iter().map(|score| score.name().to_owned()).collect()
}

/// Refuses a skipped first layer with nothing behind it.
pub(crate) fn check_layers(scores: &[ReconstructionScore], layers: usize) -> Result<(), DetectorError> {
    if scores.contains(&SKIP) && layers < 2 {
        return Err(DetectorError::TooFewLayers { score: SKIP.name().to_owned(), needed: 2, found: layers });
    }
    Ok(())
}

/// Posteriors of an autoencoder, for [`ReconstructionScore::Elbo`].
pub(crate) struct Divergence<'a> {
    /// In nats, one a sample.
    pub values: &'a [f32],
    /// Its weight.
    pub beta: f64,
}

/// Computes scores: one vector a score, one number a sample.
///
/// # Shapes
/// `sample`, `reconstruction`: `[rows, width]` with the rows and layers of `features`.
pub(crate) fn compute(
    scores: &[ReconstructionScore],
    features: &Features,
    (sample, reconstruction): (&[f32], &[f32]),
    divergence: Option<Divergence<'_>>,
) -> Result<Vec<Vec<f64>>, DetectorError> {
    let shape = |error: oodlab_kernels::shape::ShapeError| DetectorError::Diffusion(error.into());
    let (width, rows, layers) = (features.width(), features.rows(), features.spans());
    let mut sums = vec![0.0; rows];
    reconstruction::squared_errors(sample, reconstruction, &mut sums).map_err(shape)?;
    let mut cosines = vec![0.0; rows * layers.len()];
    if scores.iter().any(|score| matches!(score, ReconstructionScore::Mfsim { .. })) {
        reconstruction::layer_cosines(sample, reconstruction, width, &layers, &mut cosines).map_err(shape)?;
    }
    let similarity = |row: &[f64], skip: usize| -row[skip..].iter().sum::<f64>() / (row.len() - skip) as f64;
    let bound = |sum: f64, row: usize| {
        let known = divergence.as_ref().and_then(|found| Some(found.beta * f64::from(*found.values.get(row)?)));
        0.5 * sum + known.unwrap_or(0.0)
    };
    let one = |score: &ReconstructionScore| match score {
        ReconstructionScore::Mse => sums.iter().map(|sum| sum / width as f64).collect(),
        ReconstructionScore::Elbo => sums.iter().enumerate().map(|(row, &sum)| bound(sum, row)).collect(),
        ReconstructionScore::Mfsim { skip_first } => {
            cosines.chunks(layers.len()).map(|row| similarity(row, usize::from(*skip_first))).collect()
        }
    };
    Ok(scores.iter().map(one).collect())
}

/// The mean squared error and minus the cosine of every layer.
///
/// # Shapes
/// As [`compute`].
pub(crate) fn by_layer(
    features: &Features,
    (sample, reconstruction): (&[f32], &[f32]),
) -> Result<Vec<Explained>, DetectorError> {
    let shape = |error: oodlab_kernels::shape::ShapeError| DetectorError::Diffusion(error.into());
    let (width, rows, layers) = (features.width(), features.rows(), features.spans());
    let (mut squares, mut cosines) = (vec![0.0; rows * layers.len()], vec![0.0; rows * layers.len()]);
    reconstruction::layer_squared_errors(sample, reconstruction, width, &layers, &mut squares).map_err(shape)?;
    reconstruction::layer_cosines(sample, reconstruction, width, &layers, &mut cosines).map_err(shape)?;
    let mut found = Vec::with_capacity(2 * layers.len());
    for (place, layer) in features.layers().iter().enumerate() {
        let of = |all: &[f64], factor: f64| all.chunks(layers.len()).map(|row| factor * row[place]).collect();
        let values = of(&squares, 1.0 / layer.width() as f64);
        found.push(Explained { layer: layer.name.clone(), measure: "mse", values });
        found.push(Explained { layer: layer.name.clone(), measure: "cosine", values: of(&cosines, -1.0) });
    }
    Ok(found)
}
