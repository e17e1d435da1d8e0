//! Which images a run sees, through which network: what all cells that sweep only detectors share.

use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::Benchmark;
use oodlab_features::Layer;

use super::{Backbone, Planner, Training};
use crate::config::{Experiment, Protocol};
use crate::failure::at;
use crate::stages::evaluate::labels_key;
use crate::stages::source::FeatureSource;

/// Raise when the meaning of [`Sets::key`] changes.
const REVISION: u32 = 1;

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

/// The encoded sets of a run.
pub struct Sets {
    /// Equal exactly when the same features have the same roles and names.
    pub key: Key,
    /// Hash of the classes of the in-distribution samples, which features do not depend on.
    pub labels: Key,
    /// The benchmark.
    pub benchmark: Arc<Benchmark>,
    /// The frozen network, or the name of imported features.
    pub backbone: Backbone,
    /// All layers of the features.
    pub layers: Vec<Layer>,
    /// How many of them are taps: what detectors see unless layers are chosen.
    pub taps: usize,
    /// In-distribution training images: the only ones that a detector can be fitted on.
    pub train: Training,
    /// In-distribution test images; the same under both protocols.
    pub id_test: FeatureSource,
    /// Covariate-shifted images under every protocol, which count as in-distribution ("full-spectrum").
    pub shifted: Vec<Shifted>,
    /// Every out-of-distribution set under every protocol.
    pub outliers: Vec<Outlier>,
}

impl Sets {
    /// Every encoding, the training set first; equal ones may come twice.
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

impl Planner<'_> {
    /// The sets that an experiment asks for, opened unless another cell did.
    pub(super) fn sets(&mut self, experiment: &Experiment) -> Result<Arc<Sets>> {
        let Experiment { benchmark, protocols, encoder, preprocess, limit, .. } = experiment;
        let identity = serde_json::to_string(&(benchmark, protocols, encoder, preprocess, limit))?;
        if let Some(known) = self.sets.get(&identity) {
            return Ok(known.clone());
        }
        let sets = Arc::new(self.open_sets(experiment)?);
        self.sets.insert(identity, sets.clone());
        Ok(sets)
    }

    fn open_sets(&mut self, experiment: &Experiment) -> Result<Sets> {
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
        let key = key_of(&train, &id_test, &shifted, &outliers);
        let inliers = std::iter::once(&id_test).chain(shifted.iter().map(|other| &other.encode));
        let labels = labels_key(inliers)?;
        Ok(Sets { key, labels, benchmark, backbone, layers, taps, train, id_test, shifted, outliers })
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

fn key_of(train: &Training, id_test: &FeatureSource, shifted: &[Shifted], outliers: &[Outlier]) -> Key {
    let mut key = KeyBuilder::new("sets", REVISION).key("train", &train.key()).key("id", &id_test.key());
    for Shifted { protocol, encode } in shifted {
        key = key.text("shifted", protocol.name()).key("id", &encode.key());
    }
    for Outlier { protocol, group, name, encode } in outliers {
        key = key.text("protocol", protocol.name()).text("group", group).text("name", name).key("ood", &encode.key());
    }
    key.finish()
}
