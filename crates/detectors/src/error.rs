//! Everything that a detector refuses.

use oodlab_base::Cancelled;
use oodlab_diffusion::DiffusionError;
use oodlab_features::FeatureError;
use oodlab_outliers::OutlierError;

/// What went wrong in configuring, fitting, scoring or loading a detector.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// No detector of that kind.
    #[error("unknown detector kind {kind:?}{hint} (known kinds: {known})")]
    UnknownKind {
        /// The kind asked for.
        kind: String,
        /// The known kind that is written most alike, as a question, or nothing.
        hint: String,
        /// All kinds.
        known: String,
    },
    /// An unknown key, a wrong type or a value out of range in the detector's section.
    #[error("{place}: {message}")]
    Config {
        /// Where: `detector.train`.
        place: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// A score that the detector does not have.
    #[error("unknown score {score:?} for detector {kind}{hint} (known scores: {known})")]
    UnknownScore {
        /// The score asked for.
        score: String,
        /// The detector's kind.
        kind: &'static str,
        /// The known score that is written most alike, as a question, or nothing.
        hint: String,
        /// All scores.
        known: String,
    },
    /// A score asked for twice.
    #[error("score {0:?} is listed twice")]
    ScoreTwice(String),
    /// Something that the detector needs and was not given.
    #[error("{who} needs {what}: {give}")]
    Unmet {
        /// The detector's kind.
        who: &'static str,
        /// What it needs.
        what: &'static str,
        /// How to give it.
        give: &'static str,
    },
    /// Keeping or reading a part of a fit failed.
    #[error("a part of the fit cannot be kept or read: {0}")]
    Parts(oodlab_diffusion::KeeperError),
    /// No samples.
    #[error("{0}: no samples, expected at least one")]
    NoSamples(&'static str),
    /// Features that cannot be used.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A layer of one channel.
    #[error(
        "layer {layer:?} has {channels} channel(s), expected at least 2 for a z-score; leave it out with features.layers"
    )]
    NarrowLayer {
        /// The layer's name.
        layer: String,
        /// Its channels.
        channels: usize,
    },
    /// Features with other layers than those that the detector was fitted on.
    #[error("features have layers {found}, but the detector was fitted on {expected}")]
    OtherLayers {
        /// Layers fitted on.
        expected: String,
        /// Layers given.
        found: String,
    },
    /// A score that needs more layers than there are.
    #[error("score {score:?} needs at least {needed} layers, found {found}")]
    TooFewLayers {
        /// The score.
        score: String,
        /// Layers it needs.
        needed: usize,
        /// Layers there are.
        found: usize,
    },
    /// A score that is NaN or infinite.
    #[error("score {score:?} of sample {id:?} is {value}: the model is broken; train it again with a lower rate")]
    NotFinite {
        /// The score.
        score: String,
        /// Sample id.
        id: String,
        /// Its value.
        value: f64,
    },
    /// Stored bytes that are no fitted detector of this kind.
    #[error("not a fitted {kind} detector: {message}")]
    Stored {
        /// The detector's kind.
        kind: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A batch of training samples whose loss is NaN or infinite, with the ids of its samples.
    #[error("{source}; the samples are {ids}")]
    BrokenBatch {
        /// The first few ids, between commas.
        ids: String,
        /// Epoch, step and loss.
        source: Box<DiffusionError>,
    },
    /// Training or sampling failed.
    #[error(transparent)]
    Diffusion(DiffusionError),
    /// Outliers could not be made, or a student not be trained.
    #[error(transparent)]
    Outliers(Box<OutlierError>),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl DetectorError {
    /// A failed training on samples of these ids: a broken batch is told by them.
    pub(crate) fn training(error: DiffusionError, ids: &[String]) -> DetectorError {
        match &error {
            DiffusionError::NonFiniteLoss { rows, .. } | DiffusionError::NonFiniteValidation { rows, .. } => {
                let ids: Vec<&str> = rows.iter().filter_map(|&row| ids.get(row).map(String::as_str)).collect();
                DetectorError::BrokenBatch { ids: ids.join(", "), source: Box::new(error) }
            }
            _ => error.into(),
        }
    }
}

impl From<DiffusionError> for DetectorError {
    fn from(error: DiffusionError) -> DetectorError {
        match error {
            DiffusionError::Cancelled(cancelled) => DetectorError::Cancelled(cancelled),
            other => DetectorError::Diffusion(other),
        }
    }
}

impl From<OutlierError> for DetectorError {
    fn from(error: OutlierError) -> DetectorError {
        match error {
            OutlierError::Cancelled(cancelled) => DetectorError::Cancelled(cancelled),
            OutlierError::Setting { name, .. } => {
                DetectorError::Config { place: format!("detector.{name}"), message: error.to_string() }
            }
            other => DetectorError::Outliers(Box::new(other)),
        }
    }
}
