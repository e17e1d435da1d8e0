//! From an experiment to its stages: which sets, which encoders, which runs, and which of them are one piece of work.

mod backbone;
mod sets;
mod training;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::{Benchmark, Choice, ImageSet, Library, Preprocess, TrainingImages};
use oodlab_detectors::{CONTROLS, Detector, DetectorError, ScoreSpec};
use oodlab_encoders::Encoder;
use oodlab_encoders::cuda::CudaNetwork;
use oodlab_features::Layer;
use oodlab_features::library::{Place, StoredFeatures};

use crate::config::control::{self, Control};
use crate::config::{Cell, Experiment, Protocol, Source};
use crate::failure::at;
use crate::lab::Lab;
use crate::layer_choice;
use crate::stages::fit::Fit;
use crate::stages::source::FeatureSource;

pub use backbone::Backbone;
pub use training::Training;

/// Raise when a run's meaning changes: the key of its folder and of the column `run`.
const REVISION: u32 = 2;

/// An out-of-distribution set under one protocol.
pub struct Outlier {
    /// How the images reach the encoder.
    pub protocol: Protocol,
    /// `near` or `far`.
    pub group: String,
    /// Its name in tables: the set's, with split and rule where the benchmark has the set twice.
    pub name: String,
    /// Its features.
    pub encode: FeatureSource,
}

/// A covariate-shifted set under one protocol.
pub struct Shifted {
    /// How the images reach the encoder.
    pub protocol: Protocol,
    /// Its features.
    pub encode: FeatureSource,
}

/// A detector of a run: the experiment's own, or a control.
pub struct Contender {
    /// Training.
    pub fit: Fit,
    /// Whether it is a control.
    pub control: bool,
    /// Its name in tables: the kind, unless its section has a name.
    pub name: String,
}

/// One cell with one seed.
pub struct Run {
    /// The cell.
    pub cell: Cell,
    /// Its configuration.
    pub experiment: Experiment,
    /// Its seed.
    pub seed: u64,
    /// Its key: folder name and column `run`.
    pub key: Key,
    /// The benchmark.
    pub benchmark: Arc<Benchmark>,
    /// The frozen network, or the name of imported features.
    pub backbone: Backbone,
    /// Chosen layers, counted from 1.
    pub layers: Vec<usize>,
    /// In-distribution training images: the only ones that a detector can be fitted on.
    pub train: Training,
    /// In-distribution test images; the same under both protocols.
    pub id_test: FeatureSource,
    /// Covariate-shifted images under every protocol, which count as in-distribution ("full-spectrum").
    pub shifted: Vec<Shifted>,
    /// Every out-of-distribution set under every protocol.
    pub outliers: Vec<Outlier>,
    /// The detector first, then the controls.
    pub contenders: Vec<Contender>,
}

impl Run {
    /// Cell and seed, for people.
    pub fn name(&self) -> String {
        let cell = if self.cell.name.is_empty() { String::new() } else { format!("cell {}, ", self.cell.name) };
        format!("{cell}seed {}", self.seed)
    }

    /// Every encoding of the run, the training set first; equal ones may come twice.
    pub fn encodes(&self) -> impl Iterator<Item = &FeatureSource> {
        std::iter::once(self.train.source()).chain(self.scored())
    }

    /// Every encoding that is scored, the in-distribution test images first.
    pub fn scored(&self) -> impl Iterator<Item = &FeatureSource> {
        let shifted = self.shifted.iter().map(|shifted| &shifted.encode);
        std::iter::once(&self.id_test).chain(shifted).chain(self.outliers.iter().map(|outlier| &outlier.encode))
    }

    /// The covariate-shifted sets under one protocol, by position.
    pub fn shifted_under(&self, protocol: Protocol) -> impl Iterator<Item = (usize, &FeatureSource)> {
        let of = move |(_, shifted): &(usize, &Shifted)| shifted.protocol == protocol;
        self.shifted.iter().enumerate().filter(of).map(|(at, shifted)| (at, &shifted.encode))
    }
}

/// All runs of an experiment, and what is missing.
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// One a cell and seed.
    pub runs: Vec<Run>,
    /// Out-of-distribution sets that are not at hand: name and how to get them.
    pub missing: BTreeMap<String, String>,
    /// What else a reader must know of the sets: rules, numbers other than the published ones, images that are training images too.
    pub notes: BTreeSet<String>,
}

impl Plan {
    /// Resolves every cell, opens every set and every network. Wrong settings are found here, before any work starts.
    pub fn new(lab: &Lab, source: &Source) -> Result<Plan> {
        let mut planner = Planner {
            library: lab.library()?,
            lab,
            encoders: BTreeMap::new(),
            on_gpu: BTreeMap::new(),
            benchmarks: BTreeMap::new(),
            sets: BTreeMap::new(),
            trainings: BTreeMap::new(),
            compared: BTreeSet::new(),
            imported: BTreeMap::new(),
            missing: BTreeMap::new(),
            notes: BTreeSet::new(),
            preprocess: Preprocess::default(),
        };
        let mut runs = Vec::new();
        for (cell, experiment) in source.cells()? {
            for &seed in &experiment.seeds {
                runs.push(planner.run(&cell, &experiment, seed).map_err(|error| source.locate(&cell, error))?);
            }
        }
        Ok(Plan { name: source.name.clone(), runs, missing: planner.missing, notes: planner.notes })
    }
}

struct Planner<'a> {
    library: Library,
    lab: &'a Lab,
    encoders: BTreeMap<String, (Arc<Encoder>, String)>,
    /// The same networks on the GPU, by the encoder's key; those that only the processor can run are not in it.
    on_gpu: BTreeMap<Key, Arc<CudaNetwork>>,
    benchmarks: BTreeMap<String, Arc<Benchmark>>,
    sets: BTreeMap<Choice, Arc<ImageSet>>,
    trainings: BTreeMap<Choice, TrainingImages>,
    /// Training and scored images (by the hashes of their lists) that were looked through for common ones.
    compared: BTreeSet<(Key, Key)>,
    imported: BTreeMap<Place, Option<Arc<StoredFeatures>>>,
    missing: BTreeMap<String, String>,
    notes: BTreeSet<String>,
    /// Of the cell that is planned.
    preprocess: Preprocess,
}

impl Planner<'_> {
    fn run(&mut self, cell: &Cell, experiment: &Experiment, seed: u64) -> Result<Run> {
        self.preprocess = experiment.preprocess;
        let benchmark = self.benchmark(&experiment.benchmark)?;
        let backbone = self.backbone(&experiment.encoder)?;
        let limit = experiment.limit;
        let train = self.training(&backbone, &benchmark.training(), limit.train)?;
        let id_test = self.inlier(&backbone, &benchmark.scored_id(), limit.id_test)?;
        self.keep_apart(&train, &id_test)?;
        let (layers, taps) = match &backbone {
            Backbone::Network(encoder, _) => (encoder.layers(), encoder.taps()),
            Backbone::Imported(_) => train.source().imported_layers(),
        };
        let layers = chosen_layers(experiment, &layers, taps)?;
        let (mut shifted, mut outliers) = (Vec::new(), Vec::new());
        for &protocol in &experiment.protocols {
            let Some(squash) = self.squash(protocol, &id_test, experiment)? else { continue };
            for split in benchmark.shifted() {
                if let Some(encode) = self.scored(&backbone, &split, limit.id_test, protocol, squash)? {
                    self.keep_apart(&train, &encode)?;
                    shifted.push(Shifted { protocol, encode });
                }
            }
            for set in benchmark.scored() {
                if let Some(encode) = self.scored(&backbone, &set.split, limit.ood, protocol, squash)? {
                    self.keep_apart(&train, &encode)?;
                    self.note_published(set.member.images, &encode);
                    outliers.push(Outlier { protocol, group: set.group.to_owned(), name: set.name, encode });
                }
            }
        }
        self.note_published(benchmark.id.test_images, &id_test);
        self.note_groups(&benchmark, &outliers);
        self.note_protocol(&benchmark, experiment);
        if outliers.is_empty() {
            let hint = self.missing.values().next().cloned().unwrap_or_default();
            return Err(at(
                "benchmark",
                &format!("{}: none of its out-of-distribution sets is at hand; {hint}", benchmark.name),
            ));
        }
        let contenders = contenders(self.lab, experiment, &train, &layers, seed)?;
        let mut key = KeyBuilder::new("run", REVISION)
            .text("cell", &cell.name)
            .number("seed", seed)
            .text("benchmark", &benchmark.name)
            .key("id", &id_test.key());
        for contender in &contenders {
            key = key.text("name", &contender.name);
            key = key.key("fit", &contender.fit.key()).config("score", &contender.fit.detector().score_config())?;
        }
        for shifted in &shifted {
            key = key.text("shifted", shifted.protocol.name()).key("id", &shifted.encode.key());
        }
        for outlier in &outliers {
            key = key.text("protocol", outlier.protocol.name()).key("ood", &outlier.encode.key());
        }
        Ok(Run {
            cell: cell.clone(),
            experiment: experiment.clone(),
            seed,
            key: key.finish(),
            benchmark,
            backbone,
            layers,
            train,
            id_test,
            shifted,
            outliers,
            contenders,
        })
    }

    fn benchmark(&mut self, name: &str) -> Result<Arc<Benchmark>> {
        if let Some(known) = self.benchmarks.get(name) {
            return Ok(known.clone());
        }
        let benchmark = Arc::new(self.library.benchmark(name).map_err(|error| at("benchmark", &error.to_string()))?);
        self.benchmarks.insert(name.to_owned(), benchmark.clone());
        Ok(benchmark)
    }
}

fn chosen_layers(experiment: &Experiment, layers: &[Layer], taps: usize) -> Result<Vec<usize>> {
    let chosen = layer_choice::numbers(experiment.features.layers.as_deref(), layers, taps)?;
    if let Some(weights) = &experiment.features.layer_weights
        && weights.len() != chosen.len()
    {
        let (weights, layers) = (weights.len(), chosen.len());
        return Err(at("features.layer_weights", &format!("{weights} weights for {layers} layers")));
    }
    Ok(chosen)
}

/// The detector that an experiment describes.
pub fn detector(experiment: &Experiment) -> Result<Box<dyn Detector>> {
    let parts = control::parts(&experiment.detector).map_err(|what| at("detector", &what))?;
    if !parts.scores.is_empty() {
        return Err(at("detector.scores", "the scores of the experiment's own detector stand under `scores`"));
    }
    let mut section = parts.settings.as_object().cloned().unwrap_or_default();
    if let Some(weights) = &experiment.features.layer_weights
        && section.insert("layer_weights".into(), serde_json::json!(weights)).is_some()
    {
        return Err(at("detector.layer_weights", "features.layer_weights is given too; keep one of them"));
    }
    let weighted = experiment.features.layer_weights.is_some();
    build(&parts.kind, section.into(), &experiment.scores).map_err(|error| match &*error {
        DetectorError::Config { message, .. } if weighted && message.starts_with("unknown key `layer_weights`") => {
            at("features.layer_weights", &format!("detector {} weighs no layers; leave it out", parts.kind))
        }
        _ => misplaced(*error),
    })
}

fn build(
    kind: &str,
    settings: serde_json::Value,
    scores: &[serde_json::Value],
) -> Result<Box<dyn Detector>, Box<DetectorError>> {
    let scores = scores.iter().map(ScoreSpec::parse).collect::<Result<Vec<_>, _>>()?;
    Ok(oodlab_detectors::build(kind, settings, &scores)?)
}

fn contenders(
    lab: &Lab,
    experiment: &Experiment,
    train: &Training,
    layers: &[usize],
    seed: u64,
) -> Result<Vec<Contender>> {
    let own = detector(experiment)?;
    own.check_layers(layers.len()).map_err(misplaced)?;
    own.check_compute(&lab.compute).map_err(misplaced)?;
    let name = control::parts(&experiment.detector).map_or_else(|_| own.kind().to_owned(), |parts| parts.name);
    let mut found =
        vec![Contender { fit: Fit::new(lab, own, train, layers, seed)?, control: false, name: name.clone() }];
    // Some controls stand in every table, whatever else is asked for.
    let always =
        CONTROLS.iter().copied().filter(|always| !experiment.controls.iter().any(|named| named.name() == *always));
    let always: Vec<Control> = always.map(Control::kind).collect();
    for (place, control) in experiment.controls.iter().chain(&always).enumerate() {
        let place = format!("controls.{place}");
        let parts = control.parts().map_err(|what| at(&place, &what))?;
        if parts.name == name {
            // A kind that is the detector already needs no second line; a section with its name is a mistake.
            if matches!(control, Control::Kind(_)) {
                continue;
            }
            return Err(at(
                &place,
                &format!("the experiment's detector is called {name:?} too; give this one a `name`"),
            ));
        }
        let detector =
            build(&parts.kind, parts.settings, &parts.scores).map_err(|error| at(&place, &error.to_string()))?;
        detector.check_layers(layers.len()).map_err(|error| at(&place, &error.to_string()))?;
        detector.check_compute(&lab.compute).map_err(|error| at(&place, &error.to_string()))?;
        found.push(Contender { fit: Fit::new(lab, detector, train, layers, seed)?, control: true, name: parts.name });
    }
    Ok(found)
}

/// Where in the experiment a detector's error stands: it names its section, and an unknown key between backticks.
fn misplaced(error: DetectorError) -> anyhow::Error {
    match &error {
        DetectorError::Config { place, message } => {
            match message.strip_prefix("unknown key `").and_then(|rest| rest.split_once('`')) {
                Some((key, _)) => at(&format!("{place}.{key}"), message),
                None => at(place, message),
            }
        }
        DetectorError::TooFewLayers { .. } => at("scores", &format!("{error}; name the scores that you want")),
        DetectorError::UnknownKind { .. } => at("detector.kind", &error.to_string()),
        DetectorError::UnknownScore { .. } | DetectorError::ScoreTwice(_) => at("scores", &error.to_string()),
        other => at("detector", &other.to_string()),
    }
}
