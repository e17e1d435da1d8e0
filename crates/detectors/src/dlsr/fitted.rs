//! The trained detector: reconstructs and scores.

use std::ops::Range;
use std::sync::OnceLock;

use oodlab_base::{Seed, Silent};
use oodlab_diffusion::{Observation, Parameters, StreamNoise, Trained, models};
use oodlab_features::Layer;
use serde::{Deserialize, Serialize};

use super::config::{DlsrConfig, weights_error};
use super::evidence::Evidence;
use super::normalise::Statistics;
use super::scores::{Measure, Moment, Reach, Score, Term};
use super::{KIND, NetworkConfig};
use crate::stored::{self, to_bits as bits};
use crate::{Curve, DetectorError, Explained, FittedDetector, SCORED_AT_ONCE, ScoreContext, Unlabeled, check_scores};

/// Training samples that are kept, evenly spaced, to z-score numbers that are summed.
const CALIBRATION: usize = 256;
/// Where the noise of those samples begins: beyond the samples of any set.
const CALIBRATION_INDEX: u64 = 1 << 40;

#[derive(Debug)]
pub(super) struct Fitted {
    config: DlsrConfig,
    scores: Vec<Score>,
    stored: Stored,
    statistics: Statistics,
    calibration: Vec<f32>,
    first: Parameters,
    last: Parameters,
    /// Mean and deviation of each summed number over the calibration samples, computed when first asked for.
    levels: OnceLock<Vec<(Term, f64, f64)>>,
}

/// What is stored beside the two models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    layers: Vec<Layer>,
    seed: u64,
    /// Bits of the f64 losses, by epoch.
    loss_bits: Vec<u64>,
    /// The same of the held-out samples; empty where none were held out.
    validation_bits: Vec<u64>,
    /// The epoch (from 1) whose weights are the last model's, with `train.patience`; otherwise they are those of the last epoch.
    best_epoch: Option<usize>,
    /// Bits of each channel's mean and deviation; empty where samples are normalised by themselves.
    mean_bits: Vec<u64>,
    deviation_bits: Vec<u64>,
}

const MODELS: [&str; 2] = ["first", "last"];
const CALIBRATION_NAME: &str = "calibration";

fn numbers(bits: &[u64]) -> Vec<f64> {
    bits.iter().map(|&bits| f64::from_bits(bits)).collect()
}

/// What a fit hands over.
pub(super) struct Fit<'a> {
    pub layers: Vec<Layer>,
    pub seed: Seed,
    pub trained: Trained,
    pub statistics: Statistics,
    /// The training samples, `[rows, width]`.
    pub z: &'a [f32],
}

impl Fitted {
    pub(super) fn new(config: DlsrConfig, scores: Vec<Score>, fit: Fit<'_>) -> Fitted {
        let Fit { layers, seed, trained, statistics, z } = fit;
        let stored = Stored {
            layers,
            seed: seed.0,
            loss_bits: bits(&trained.losses),
            validation_bits: bits(&trained.validation),
            best_epoch: config.train.patience.and(trained.best_epoch),
            mean_bits: bits(&statistics.mean),
            deviation_bits: bits(&statistics.deviation),
        };
        let dim = trained.ema.config().dim;
        let rows = z.len() / dim;
        let kept = (0..rows.min(CALIBRATION)).map(|at| at * rows / rows.min(CALIBRATION));
        let calibration = kept.flat_map(|row| &z[row * dim..(row + 1) * dim]).copied().collect();
        let (first, last) = (trained.first.ema, trained.ema);
        Fitted { config, scores, stored, statistics, calibration, first, last, levels: OnceLock::new() }
    }

    pub(super) fn load(config: DlsrConfig, scores: Vec<Score>, bytes: &[u8]) -> Result<Fitted, DetectorError> {
        let broken = |message: String| DetectorError::Stored { kind: KIND, message };
        let read = models::read(bytes, &MODELS, &[CALIBRATION_NAME]);
        let (header, found, extras) = read.map_err(|error| broken(error.to_string()))?;
        let stored: Stored = serde_json::from_str(&header).map_err(|error| broken(error.to_string()))?;
        let [first, last] = <[Parameters; 2]>::try_from(found).map_err(|_| broken("expected two models".into()))?;
        let [calibration] =
            <[Vec<f32>; 1]>::try_from(extras).map_err(|_| broken("expected calibration samples".into()))?;
        let sizes = last.config();
        let end = stored::check_layers(&stored.layers).map_err(broken)?;
        if end != sizes.dim {
            return Err(broken(format!("the layers have {end} channels, the network {}", sizes.dim)));
        }
        let NetworkConfig { width, blocks } = config.network;
        if (sizes.width, sizes.blocks) != (width, blocks) {
            let found = format!("{} x {}", sizes.blocks, sizes.width);
            return Err(broken(format!("its network has {found} blocks x width, expected {blocks} x {width}")));
        }
        let statistics = Statistics { mean: numbers(&stored.mean_bits), deviation: numbers(&stored.deviation_bits) };
        let channels = if config.normalise.has_statistics() { sizes.dim } else { 0 };
        if [statistics.mean.len(), statistics.deviation.len()] != [channels; 2] {
            return Err(broken(format!("expected the statistics of {channels} channels")));
        }
        if calibration.is_empty() || !calibration.len().is_multiple_of(sizes.dim) {
            return Err(broken(format!("{} calibration values for {} channels", calibration.len(), sizes.dim)));
        }
        check_layer_count(&config, &scores, stored.layers.len())?;
        Ok(Fitted { config, scores, stored, statistics, calibration, first, last, levels: OnceLock::new() })
    }

    /// Reconstructs the samples and compares, all trajectories and models.
    fn evidence<'z>(
        &self,
        z: &'z [f32],
        layers: &'z [Range<usize>],
        context: &ScoreContext<'_>,
    ) -> Result<Evidence<'z>, DetectorError> {
        self.evidence_of(&self.scores, z, layers, context)
    }

    /// [`Fitted::evidence`], as much of it as some scores need.
    fn evidence_of<'z>(
        &self,
        scores: &[Score],
        z: &'z [f32],
        layers: &'z [Range<usize>],
        context: &ScoreContext<'_>,
    ) -> Result<Evidence<'z>, DetectorError> {
        let dim = self.last.config().dim;
        let terms = || scores.iter().flat_map(Score::terms);
        let models: &[&Parameters] =
            if terms().any(|term| term.regret) { &[&self.last, &self.first] } else { &[&self.last] };
        let steps = terms().any(|term| term.moment != Moment::End);
        let sampler = self.config.sampler()?;
        let trajectories = sampler.starts().len() * self.config.sample.draws;
        let noise = StreamNoise::new(Seed(self.stored.seed), context.first_index);
        let mut evidence = Evidence::new(z, dim, layers, trajectories);
        let hidden: Vec<Option<usize>> =
            if self.config.hide_layers { (0..layers.len()).map(Some).collect() } else { vec![None] };
        for (pass, &hidden) in hidden.iter().enumerate() {
            let sampler = match hidden {
                Some(layer) => sampler.clone().hiding(layers[layer].clone(), dim)?,
                None => sampler.clone(),
            };
            let mut observe = |seen: Observation<'_>| {
                if steps {
                    evidence.add((seen.model, Moment::Step(seen.t)), seen.rows, seen.prediction, hidden)?;
                }
                if seen.last {
                    // A trace of the sample itself may be in the state of a hidden layer, but not in what was predicted for it.
                    let end = if hidden.is_some() { seen.prediction } else { seen.state };
                    evidence.add((seen.model, Moment::End), seen.rows, end, hidden)?;
                }
                Ok(())
            };
            // Every sample is told once, however many passes it takes.
            let task = if pass == 0 { context.task } else { &Silent };
            context.compute.score(self.config.precision, |engine| {
                sampler.run(engine, models, z, SCORED_AT_ONCE, &noise, context.cancel, task, &mut observe)
            })?;
        }
        Ok(evidence)
    }

    /// Mean and deviation of every summed number over in-distribution training samples.
    fn levels(&self, context: &ScoreContext<'_>) -> Result<&[(Term, f64, f64)], DetectorError> {
        if let Some(known) = self.levels.get() {
            return Ok(known);
        }
        let summed = |score: &Score| match score {
            Score::Sum { terms, .. } => terms.iter().map(|(term, _)| *term).collect(),
            Score::Term(_) => Vec::new(),
        };
        let terms: Vec<Term> = self.scores.iter().flat_map(summed).collect();
        let mut found = Vec::new();
        if !terms.is_empty() {
            let context = ScoreContext { first_index: CALIBRATION_INDEX, task: &Silent, ..*context };
            let layers = self.spans();
            let evidence = self.evidence(&self.calibration, &layers, &context)?;
            for term in terms {
                let values = evidence.term(&term, self.config.layer_weights.as_deref()).unwrap_or_default();
                let n = values.len().max(1) as f64;
                let mean = values.iter().sum::<f64>() / n;
                let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
                found.push((term, mean, if deviation > 0.0 { deviation } else { 1.0 }));
            }
        }
        Ok(self.levels.get_or_init(|| found))
    }

    fn spans(&self) -> Vec<Range<usize>> {
        self.stored.layers.iter().map(|layer| layer.start..layer.end).collect()
    }

    fn column(
        &self,
        score: &Score,
        evidence: &Evidence<'_>,
        levels: &[(Term, f64, f64)],
    ) -> Result<Vec<f64>, DetectorError> {
        let of = |term: &Term| {
            let found = evidence.term(term, self.config.layer_weights.as_deref());
            found.ok_or_else(|| DetectorError::Config {
                place: "scores".into(),
                message: format!("{} was not computed", term.name()),
            })
        };
        match score {
            Score::Term(term) => of(term),
            Score::Sum { terms, .. } => {
                let mut sums = vec![0.0; evidence.rows()];
                for (term, weight) in terms {
                    let level = levels.iter().find(|(known, ..)| known == term);
                    let (mean, deviation) = level.map_or((0.0, 1.0), |&(_, mean, deviation)| (mean, deviation));
                    for (sum, value) in sums.iter_mut().zip(of(term)?) {
                        *sum += weight * (value - mean) / deviation;
                    }
                }
                Ok(sums)
            }
        }
    }
}

/// Refuses layer weights of another number than layers, and scores of layers that are not there.
pub(super) fn check_layer_count(config: &DlsrConfig, scores: &[Score], layers: usize) -> Result<(), DetectorError> {
    if let Some(weights) = &config.layer_weights
        && weights.len() != layers
    {
        return Err(weights_error(&format!("found {} weights, expected {layers}, one a layer", weights.len())));
    }
    if config.hide_layers && layers < 2 {
        return Err(DetectorError::TooFewLayers { score: "hide_layers".into(), needed: 2, found: layers });
    }
    for term in scores.iter().flat_map(Score::terms) {
        let needed = match term.reach {
            Reach::All => 1,
            Reach::SkipFirst => 2,
            Reach::One(layer) => layer,
        };
        if layers < needed {
            return Err(DetectorError::TooFewLayers { score: term.name(), needed, found: layers });
        }
        if let (Reach::SkipFirst, Some(weights)) = (term.reach, &config.layer_weights)
            && weights.iter().skip(1).sum::<f64>() == 0.0
        {
            let name = term.name();
            return Err(weights_error(&format!("only the first layer has a weight, but {name} leaves it out")));
        }
    }
    Ok(())
}

impl FittedDetector for Fitted {
    fn score_names(&self) -> Vec<String> {
        self.scores.iter().map(Score::name).collect()
    }

    fn score(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Vec<f64>>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let z = self.config.normalise.run(given, &self.statistics)?;
        let layers = self.spans();
        let evidence = self.evidence(&z, &layers, context)?;
        let levels = self.levels(context)?;
        let scores: Vec<Vec<f64>> =
            self.scores.iter().map(|score| self.column(score, &evidence, levels)).collect::<Result<_, _>>()?;
        check_scores(&self.score_names(), given.features().ids(), &scores)?;
        Ok(scores)
    }

    fn explain(&self, given: &Unlabeled<'_>, context: &ScoreContext<'_>) -> Result<Vec<Explained>, DetectorError> {
        given.check_layers(&self.stored.layers)?;
        let z = self.config.normalise.run(given, &self.statistics)?;
        let layers = self.spans();
        // Scores of single steps alone tell nothing of the end: it is asked for.
        let end = |measure, reach| Term { measure, reach, moment: Moment::End, regret: false };
        let scores = vec![Score::Term(end(Measure::MeanSquares, Reach::All))];
        let evidence = self.evidence_of(&scores, &z, &layers, context)?;
        let mut found = Vec::new();
        for (place, layer) in self.stored.layers.iter().enumerate() {
            for (measure, name) in [(Measure::MeanSquares, "mse"), (Measure::Cosine, "cosine")] {
                let values = evidence.term(&end(measure, Reach::One(place + 1)), None).unwrap_or_default();
                found.push(Explained { layer: layer.name.clone(), measure: name, values });
            }
        }
        Ok(found)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, DetectorError> {
        let header = serde_json::to_string(&self.stored)
            .map_err(|error| DetectorError::Stored { kind: KIND, message: error.to_string() })?;
        let models = [(MODELS[0], &self.first), (MODELS[1], &self.last)];
        Ok(models::write(&header, &models, &[(CALIBRATION_NAME, &self.calibration)])?)
    }

    fn curves(&self) -> Vec<Curve> {
        let points = |bits: &[u64]| (1..).map(f64::from).zip(numbers(bits)).collect();
        let curve = |name: &str, y_label: &str, bits: &[u64]| Curve {
            name: name.into(),
            x_label: "epoch".into(),
            y_label: y_label.into(),
            points: points(bits),
        };
        let mut curves = vec![curve("loss", "training loss (mean squared error)", &self.stored.loss_bits)];
        if !self.stored.validation_bits.is_empty() {
            let mut label = "loss of held-out in-distribution samples (mean squared error)".to_owned();
            if let Some(epoch) = self.stored.best_epoch {
                label += &format!("; weights of epoch {epoch}");
            }
            curves.push(curve("validation", &label, &self.stored.validation_bits));
        }
        curves
    }
}
