//! A detector file made ready: its network, its detector, and how pictures become samples.

use std::sync::Arc;

use anyhow::{Context, Result};
use oodlab_base::{Key, Task};
use oodlab_datasets::RgbImage;
use oodlab_datasets::decode::picture;
use oodlab_detectors::{Detector, Explained, FittedDetector, ScoreContext, ScoreSpec};
use oodlab_encoders::Encoder;
use oodlab_encoders::probe::ProbedNetwork;
use oodlab_features::{Features, Logits};

use super::{About, threshold::Threshold};
use crate::lab::Lab;
use crate::plan::Planner;
use crate::stages::encode::{self, Row};
use crate::stages::reading::Reading;

/// A detector file that is ready to score pictures.
pub struct OpenDetector {
    /// What the file says.
    pub about: About,
    encoder: Arc<Encoder>,
    fitted: Box<dyn FittedDetector>,
    reading: Reading,
    /// Position of the score that decides among the detector's.
    score: usize,
}

/// One picture as the network sees it.
pub struct Seen {
    id: String,
    row: Row,
    probed: Vec<f32>,
}

/// What is said of pictures, one entry each.
pub struct Judged {
    /// The score that decides; higher means more out-of-distribution.
    pub scores: Vec<f64>,
    /// What each layer says.
    pub layers: Vec<Explained>,
    /// The predicted class and its probability, where the network has classes.
    pub classes: Vec<Option<(usize, f64)>>,
}

impl OpenDetector {
    /// Opens the network's weights and the detector.
    ///
    /// # Errors
    /// When the weights are not at hand or others than those of the file, or the detector cannot be read.
    pub fn new(lab: &Lab, about: About, fitted: &[u8]) -> Result<OpenDetector> {
        let part = &about.detector;
        let specs = part.scores.iter().map(ScoreSpec::parse).collect::<Result<Vec<_>, _>>()?;
        let detector = oodlab_detectors::build(&part.kind, part.settings.clone(), &specs)?;
        let score = detector.score_names().iter().position(|name| *name == about.score);
        let score = score.with_context(|| format!("{} has no score {:?}", part.kind, about.score))?;
        let mut planner = Planner::new(lab)?;
        let (encoder, weights) = planner.network(&about.encoder.config)?;
        anyhow::ensure!(
            weights.hex() == about.encoder.weights,
            "the weights of {} at hand are others than those that the detector was fitted with; import those (oodlab weights import)",
            about.encoder.config.network
        );
        if encoder.key().hex() != about.encoder.key {
            tracing::warn!(
                "the detector was fitted with {} and is used with {}: scores may differ in the last bits",
                about.provenance.numerics,
                encoder.numerics()
            );
        }
        let fitted = detector.load(fitted)?;
        let probe = planner.probe_of(detector.as_ref(), fitted.as_ref(), &about.encoder.config)?;
        let reading = reading(detector.as_ref(), &encoder, &part.layers, probe);
        Ok(OpenDetector { about, encoder, fitted, reading, score })
    }

    /// The threshold.
    pub fn threshold(&self) -> &Threshold {
        &self.about.threshold
    }

    /// Decodes a picture file and brings it through the network, on the calling thread.
    ///
    /// # Errors
    /// When the file is no picture.
    pub fn see(&self, id: String, bytes: &[u8]) -> Result<Seen> {
        let image = picture::decode(bytes, self.about.preprocess.reading()).map_err(anyhow::Error::msg)?;
        self.see_image(id, &image)
    }

    /// [`OpenDetector::see`] of a picture that was decoded already.
    ///
    /// # Errors
    /// When it cannot be resized.
    pub fn see_image(&self, id: String, image: &RgbImage) -> Result<Seen> {
        let About { squash, preprocess, .. } = self.about;
        let image = encode::square(image, squash, preprocess, self.encoder.resolution())?;
        let probed = match self.reading.probes.first() {
            Some(probe) => probe.run(&image)?,
            None => Vec::new(),
        };
        Ok(Seen { id, row: encode::encoded(&self.encoder, &image)?, probed })
    }

    /// Scores pictures, the first of which is number `first_index` of the whole list: noise is a function of that number.
    ///
    /// # Errors
    /// When a score is not finite, or the work is cancelled.
    pub fn judge(
        &self,
        lab: &Lab,
        seen: Vec<Seen>,
        first_index: u64,
        task: &dyn Task,
        explain: bool,
    ) -> Result<Judged> {
        let classes = self.encoder.classes();
        let (mut ids, mut values, mut logits, mut probed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for image in seen {
            ids.push(image.id);
            values.extend(image.row.features);
            logits.extend(image.row.logits);
            probed.extend(image.probed);
        }
        let mut whole = Features::new(self.encoder.layers(), ids.clone(), values)?;
        if classes > 0 {
            whole = whole.with_logits(Logits { classes, values: logits })?;
        }
        let probed = match self.reading.probes.first() {
            Some(probe) => vec![Features::new(probe.layers().to_vec(), ids, probed)?],
            None => Vec::new(),
        };
        let rows = self.reading.of_whole(&whole, probed)?;
        let context = ScoreContext { first_index, cancel: &lab.cancel, task, compute: &lab.compute };
        let scores = self.fitted.score(&rows.given(), &context)?.swap_remove(self.score);
        let quiet = ScoreContext { task: &oodlab_base::Silent, ..context };
        let layers = if explain { self.fitted.explain(&rows.given(), &quiet)? } else { Vec::new() };
        let classes = match whole.logits() {
            Some(logits) => logits.values.chunks_exact(classes.max(1)).map(predicted).collect(),
            None => vec![None; scores.len()],
        };
        Ok(Judged { scores, layers, classes })
    }
}

/// The class of the largest logit, the first among equal ones, and its softmax probability.
fn predicted(logits: &[f32]) -> Option<(usize, f64)> {
    let (class, largest) = logits.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1))?;
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - f64::from(*largest)).exp()).sum();
    Some((class, 1.0 / total))
}

/// How the detector reads what this network says.
fn reading(detector: &dyn Detector, encoder: &Encoder, layers: &[usize], probe: Option<Arc<ProbedNetwork>>) -> Reading {
    let needs = detector.needs();
    let last = encoder.layers().iter().position(|layer| layer.name == oodlab_encoders::PENULTIMATE);
    Reading {
        needs,
        layers: layers.to_vec(),
        penultimate: last.map(|place| place + 1),
        probes: probe.into_iter().collect(),
        head: encoder.head().filter(|_| needs.head).cloned().map(Arc::new),
    }
}

/// The hash under which fitted bytes are known.
pub fn hash(fitted: &[u8]) -> String {
    Key::of_bytes(fitted).hex()
}
