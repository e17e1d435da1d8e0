//! From an experiment to its stages: which sets, which encoders, which runs, and which of them are one piece of work.

mod backbone;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::{Benchmark, ImageSet, Library};
use oodlab_detectors::{CONTROLS, Detector, DetectorError, ScoreSpec};
use oodlab_encoders::Encoder;
use oodlab_features::Layer;
use oodlab_features::library::{Place, StoredFeatures};

use crate::config::{Cell, Experiment, Protocol, Source};
use crate::failure::at;
use crate::lab::Lab;
use crate::layer_choice;
use crate::stages::encode::Encode;
use crate::stages::fit::Fit;
use crate::stages::imported::Imported;
use crate::stages::source::FeatureSource;

pub use backbone::Backbone;

/// Raise when a run's meaning changes: the key of its folder and of the column `run`.
const REVISION: u32 = 1;

/// An out-of-distribution set under one protocol.
pub struct Outlier {
    /// How the images reach the encoder.
    pub protocol: Protocol,
    /// `near` or `far`.
    pub group: String,
    /// Its features.
    pub encode: FeatureSource,
}

/// A detector of a run: the experiment's own, or a control.
pub struct Contender {
    /// Training.
    pub fit: Fit,
    /// Whether it is a control.
    pub control: bool,
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
    /// In-distribution training images.
    pub train: FeatureSource,
    /// In-distribution test images; the same under both protocols.
    pub id_test: FeatureSource,
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
        [&self.train, &self.id_test].into_iter().chain(self.outliers.iter().map(|outlier| &outlier.encode))
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
}

impl Plan {
    /// Resolves every cell, opens every set and every network. Wrong settings are found here, before any work starts.
    pub fn new(lab: &Lab, source: &Source) -> Result<Plan> {
        let mut planner = Planner {
            library: lab.library()?,
            lab,
            encoders: BTreeMap::new(),
            benchmarks: BTreeMap::new(),
            sets: BTreeMap::new(),
            imported: BTreeMap::new(),
            missing: BTreeMap::new(),
        };
        let mut runs = Vec::new();
        for (cell, experiment) in source.cells()? {
            for &seed in &experiment.seeds {
                runs.push(planner.run(&cell, &experiment, seed).map_err(|error| source.locate(&cell, error))?);
            }
        }
        Ok(Plan { name: source.name.clone(), runs, missing: planner.missing })
    }
}

struct Planner<'a> {
    library: Library,
    lab: &'a Lab,
    encoders: BTreeMap<String, (Arc<Encoder>, String)>,
    benchmarks: BTreeMap<String, Arc<Benchmark>>,
    sets: BTreeMap<(String, String, Option<usize>), Arc<ImageSet>>,
    imported: BTreeMap<Place, Option<Arc<StoredFeatures>>>,
    missing: BTreeMap<String, String>,
}

impl Planner<'_> {
    fn run(&mut self, cell: &Cell, experiment: &Experiment, seed: u64) -> Result<Run> {
        let benchmark = self.benchmark(&experiment.benchmark)?;
        let backbone = self.backbone(&experiment.encoder)?;
        let limit = experiment.limit;
        let id = &benchmark.id;
        let train = self.inlier(&backbone, &id.set, &id.train_split, fewer(limit.train, id.train_limit))?;
        let id_test = self.inlier(&backbone, &id.set, &id.test_split, fewer(limit.id_test, id.test_limit))?;
        let (layers, taps) = match &backbone {
            Backbone::Network(encoder, _) => (encoder.layers(), encoder.taps()),
            Backbone::Imported(_) => train.imported_layers(),
        };
        let layers = chosen_layers(experiment, &layers, taps)?;
        let mut outliers = Vec::new();
        for &protocol in &experiment.protocols {
            let squash = match (protocol, id_test.images()) {
                (Protocol::Native, _) | (_, None) => None,
                (Protocol::Matched, Some(images)) => Some(images.uniform_size().ok_or_else(|| {
                    let name = images.name();
                    at("protocols", &format!("matched: the images of {name} have different sizes; use [native]"))
                })?),
            };
            for (group, sets) in &benchmark.groups {
                for member in sets {
                    let limit = fewer(limit.ood, member.limit);
                    let (set, split) = (&member.set, member.split());
                    let found = match &backbone {
                        Backbone::Network(encoder, _) => self
                            .outlier_set(set, split, limit)?
                            .map(|images| FeatureSource::Images(Encode::new(encoder, &images, squash))),
                        Backbone::Imported(name) => self.imported_outlier(name, set, split, protocol, limit)?,
                    };
                    if let Some(encode) = found {
                        outliers.push(Outlier { protocol, group: group.clone(), encode });
                    }
                }
            }
        }
        if outliers.is_empty() {
            let hint = self.missing.values().next().cloned().unwrap_or_default();
            return Err(at(
                "benchmark",
                &format!("{}: none of its out-of-distribution sets is at hand; {hint}", benchmark.name),
            ));
        }
        let contenders = contenders(experiment, train.key(), &layers, seed)?;
        let mut key = KeyBuilder::new("run", REVISION)
            .text("cell", &cell.name)
            .number("seed", seed)
            .text("benchmark", &benchmark.name)
            .key("id", &id_test.key());
        for contender in &contenders {
            key = key.key("fit", &contender.fit.key()).config("score", &contender.fit.detector().score_config())?;
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

    fn inlier(&mut self, backbone: &Backbone, set: &str, split: &str, limit: Option<usize>) -> Result<FeatureSource> {
        match backbone {
            Backbone::Network(encoder, _) => {
                Ok(FeatureSource::Images(Encode::new(encoder, &self.set(set, split, limit)?, None)))
            }
            Backbone::Imported(name) => {
                let place = place(name, set, split, Protocol::Native);
                match self.stored(&place)? {
                    Some(stored) => self.imported(stored, limit),
                    None => Err(at("encoder.imported", &not_imported(&place))),
                }
            }
        }
    }

    /// `None` for a set of which nothing was imported: the run goes on without it and says so. One of which only the other
    /// protocol's features are there is an error: a table would compare different sets.
    fn imported_outlier(
        &mut self,
        name: &str,
        set: &str,
        split: &str,
        protocol: Protocol,
        limit: Option<usize>,
    ) -> Result<Option<FeatureSource>> {
        let asked = place(name, set, split, protocol);
        if let Some(stored) = self.stored(&asked)? {
            return self.imported(stored, limit).map(Some);
        }
        let other = if protocol == Protocol::Native { Protocol::Matched } else { Protocol::Native };
        if self.stored(&place(name, set, split, other))?.is_some() {
            let what = format!("{}, or choose the protocols that were imported", not_imported(&asked));
            return Err(at("protocols", &what));
        }
        self.missing.insert(set.to_owned(), not_imported(&place(name, set, split, Protocol::Native)));
        Ok(None)
    }

    fn imported(&self, stored: Arc<StoredFeatures>, limit: Option<usize>) -> Result<FeatureSource> {
        let place = &stored.place;
        let expected = self.library.status(&place.set)?.splits.get(&place.split).and_then(|count| count.expected);
        Ok(FeatureSource::Imported(Imported::new(stored, limit, expected)?))
    }

    fn stored(&mut self, place: &Place) -> Result<Option<Arc<StoredFeatures>>> {
        if let Some(known) = self.imported.get(place) {
            return Ok(known.clone());
        }
        let stored = self.lab.features().find(place)?.map(Arc::new);
        if let Some(stored) = &stored {
            // A file may have been put there by hand.
            let other = self.imported.values().flatten().find(|other| other.place.encoder == place.encoder);
            other.map_or(Ok(()), |other| stored.same_network(other))?;
        }
        self.imported.insert(place.clone(), stored.clone());
        Ok(stored)
    }

    fn set(&mut self, name: &str, split: &str, limit: Option<usize>) -> Result<Arc<ImageSet>> {
        let identity = (name.to_owned(), split.to_owned(), limit);
        if let Some(known) = self.sets.get(&identity) {
            return Ok(known.clone());
        }
        let images = Arc::new(self.library.open_set(name, split, limit)?);
        self.sets.insert(identity, images.clone());
        Ok(images)
    }

    /// `None` for a set that is not at hand: the run goes on without it and says so.
    fn outlier_set(&mut self, name: &str, split: &str, limit: Option<usize>) -> Result<Option<Arc<ImageSet>>> {
        let found = self.library.status(name)?.splits.get(split).map_or(0, |count| count.found);
        if found == 0 {
            let how = format!("get its files and run: oodlab data import {name} --from DIR");
            self.missing.insert(name.to_owned(), how);
            return Ok(None);
        }
        self.set(name, split, limit).map(Some)
    }
}

fn place(encoder: &str, set: &str, split: &str, protocol: Protocol) -> Place {
    let [encoder, set, split, protocol] = [encoder, set, split, protocol.name()].map(str::to_owned);
    Place { encoder, set, split, protocol }
}

/// What is missing and the command that brings it.
fn not_imported(place: &Place) -> String {
    let Place { encoder, set, split, protocol } = place;
    let protocol = if protocol == "native" { String::new() } else { format!(" --protocol {protocol}") };
    format!(
        "{} was not imported; run: oodlab features import FILE --encoder {encoder} --set {set} --split {split}{protocol}",
        place.describe()
    )
}

/// The smaller of two limits, where absent means all.
fn fewer(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    a.into_iter().chain(b).min()
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
    let mut section = experiment.detector.clone();
    let kind = section.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    if let Some(weights) = &experiment.features.layer_weights
        && section.insert("layer_weights".into(), serde_json::json!(weights)).is_some()
    {
        return Err(at("detector.layer_weights", "features.layer_weights is given too; keep one of them"));
    }
    let scores = experiment.scores.iter().map(ScoreSpec::parse).collect::<Result<Vec<_>, _>>().map_err(misplaced)?;
    oodlab_detectors::build(&kind, section.into(), &scores).map_err(misplaced)
}

fn contenders(experiment: &Experiment, features: Key, layers: &[usize], seed: u64) -> Result<Vec<Contender>> {
    let own = detector(experiment)?;
    own.check_layers(layers.len()).map_err(misplaced)?;
    let kind = own.kind();
    let mut found = vec![Contender { fit: Fit::new(own, features, layers, seed)?, control: false }];
    // Some controls stand in every table, whatever else is asked for.
    let always = CONTROLS.iter().copied().filter(|always| !experiment.controls.iter().any(|named| named == always));
    let controls = experiment.controls.iter().map(String::as_str).chain(always);
    for control in controls.filter(|control| *control != kind) {
        let detector = oodlab_detectors::build(control, serde_json::Value::Null, &[])
            .map_err(|error| at("controls", &error.to_string()))?;
        found.push(Contender { fit: Fit::new(detector, features, layers, seed)?, control: true });
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
