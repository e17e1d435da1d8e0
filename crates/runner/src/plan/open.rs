//! Images and features of a role: opened once however many runs use them, or named as missing.

use std::sync::Arc;

use anyhow::Result;
use oodlab_datasets::{Choice, ImageSet, ScoredSplit, Subset, TrainingSplit};
use oodlab_encoders::Encoder;
use oodlab_features::library::{Place, StoredFeatures};

use super::{Backbone, Planner, Training};
use crate::config::{Experiment, Protocol};
use crate::failure::at;
use crate::stages::encode::Encode;
use crate::stages::imported::Imported;
use crate::stages::source::FeatureSource;

/// The size that images are brought to before anything else; none under protocol `native`.
type Squash = Option<(u32, u32)>;

impl Planner<'_> {
    /// The training images, `limit` of them at most.
    pub(super) fn training(
        &mut self,
        backbone: &Backbone,
        split: &TrainingSplit,
        limit: Option<usize>,
    ) -> Result<Training> {
        let choice = split.choice().at_most(limit);
        match backbone {
            Backbone::Network(encoder, _) => {
                let images = match self.trainings.get(&choice) {
                    Some(known) => known.clone(),
                    None => self.library.open_training(split, limit)?,
                };
                self.note_rule(images.images());
                self.trainings.insert(choice, images.clone());
                Ok(Training::of_images(&images, |images| self.encode(encoder, images, None)))
            }
            Backbone::Imported(name) => {
                let place = place(name, &choice.set, &choice.split, Protocol::Native);
                let stored = self.stored(&place)?.ok_or_else(|| at("encoder.imported", &not_imported(&place)))?;
                Ok(Training::imported(split, self.imported(stored, choice.limit)?))
            }
        }
    }

    /// In-distribution images that are scored: a run cannot do without them.
    pub(super) fn inlier(
        &mut self,
        backbone: &Backbone,
        split: &ScoredSplit,
        limit: Option<usize>,
    ) -> Result<FeatureSource> {
        let choice = split.choice().at_most(limit);
        match backbone {
            Backbone::Network(encoder, _) => {
                let images = self.images(split, choice, limit)?;
                Ok(FeatureSource::Images(self.encode(encoder, &images, None)))
            }
            Backbone::Imported(name) => {
                let place = place(name, &choice.set, &choice.split, Protocol::Native);
                let stored = self.stored(&place)?.ok_or_else(|| at("encoder.imported", &not_imported(&place)))?;
                Ok(FeatureSource::Imported(self.imported(stored, choice.limit)?))
            }
        }
    }

    /// Other images that are scored; `None` for a set that is not at hand: the run goes on without it and says so.
    pub(super) fn scored(
        &mut self,
        backbone: &Backbone,
        split: &ScoredSplit,
        limit: Option<usize>,
        protocol: Protocol,
        squash: Squash,
    ) -> Result<Option<FeatureSource>> {
        let choice = split.choice().at_most(limit);
        let encoder = match backbone {
            Backbone::Network(encoder, _) => encoder,
            Backbone::Imported(name) => return self.imported_outlier(name, &choice, protocol),
        };
        let found = self.library.status(&choice.set)?.splits.get(&choice.split).map_or(0, |count| count.found);
        if found == 0 {
            self.missing.insert(choice.set.clone(), self.library.how_to_get(&choice.set)?);
            return Ok(None);
        }
        let images = self.images(split, choice, limit)?;
        Ok(Some(FeatureSource::Images(self.encode(encoder, &images, squash))))
    }

    /// The size of the in-distribution images under protocol `matched`, the inner `None` under `native`. The outer `None`
    /// leaves a protocol out that was not asked for alone: images of many sizes cannot be matched.
    pub(super) fn squash(
        &mut self,
        protocol: Protocol,
        id_test: &FeatureSource,
        experiment: &Experiment,
    ) -> Result<Option<Squash>> {
        let (Protocol::Matched, Some(images)) = (protocol, id_test.images()) else { return Ok(Some(None)) };
        if let Some(size) = images.uniform_size() {
            return Ok(Some(Some(size)));
        }
        let what = format!("matched: the images of {} have different sizes", images.name());
        if experiment.protocols.len() == 1 {
            return Err(at("protocols", &format!("{what}; use [native]")));
        }
        self.notes.insert(format!("protocol {what}; it was left out"));
        Ok(None)
    }

    fn images(&mut self, split: &ScoredSplit, choice: Choice, limit: Option<usize>) -> Result<Arc<ImageSet>> {
        if let Some(known) = self.images.get(&choice) {
            return Ok(known.clone());
        }
        let images = Arc::new(self.library.open_scored(split, limit)?);
        self.note_rule(&images);
        self.images.insert(choice, images.clone());
        Ok(images)
    }

    /// Refuses a scored set that holds training images, and tells of one that holds copies of them.
    pub(super) fn keep_apart(&mut self, training: &Training, scored: &FeatureSource) -> Result<()> {
        if training.images().is_none() && training.key() == scored.key() {
            let what = format!("the features of {} are those of the training images, number for number", scored.name());
            return Err(at("encoder.imported", &format!("{what}; no image may be learned from and scored")));
        }
        let (Some(images), Some(others)) = (training.images(), scored.images()) else { return Ok(()) };
        if !self.compared.insert((images.images().list_key(), others.list_key())) {
            return Ok(());
        }
        let shared = images.shared_with(others);
        let (train, other) = (training.source().name(), format!("{} {}", others.name(), others.split()));
        if shared.same > 0 {
            let what = format!("{} images of {other} are training images ({train})", shared.same);
            return Err(at("benchmark", &format!("{what}; no image may be learned from and scored")));
        }
        if shared.equal > 0 {
            let what = format!("{} of {} images of {other}", shared.equal, others.len());
            self.notes.insert(format!("copies: {what} are equal to the byte to training images ({train})"));
        }
        Ok(())
    }

    /// The encoding of images, on the GPU where the network is there.
    pub(super) fn encode(&self, encoder: &Arc<Encoder>, images: &Arc<ImageSet>, squash: Squash) -> Encode {
        let gpu = self.on_gpu.get(&encoder.key()).cloned();
        Encode::new(encoder, gpu, images, squash, self.preprocess)
    }

    /// `None` for a set of which nothing was imported: the run goes on without it and says so. One of which only the other
    /// protocol's features are there is an error: a table would compare different sets.
    pub(super) fn imported_outlier(
        &mut self,
        name: &str,
        choice: &Choice,
        protocol: Protocol,
    ) -> Result<Option<FeatureSource>> {
        let Choice { set, split, subset, limit } = choice;
        // The first rows are what a limit takes; others cannot be told from a file of features alone.
        let limit = match subset {
            None => *limit,
            Some(Subset::First { images }) => Some(limit.map_or(*images, |limit| limit.min(*images))),
            Some(rule) => {
                let what =
                    format!("the benchmark takes {rule} of {set} {split}, which imported features cannot follow");
                return Err(at(
                    "encoder.imported",
                    &format!("{what}; import features of those images as a set of their own"),
                ));
            }
        };
        let asked = place(name, set, split, protocol);
        if let Some(stored) = self.stored(&asked)? {
            return self.imported(stored, limit).map(|imported| Some(FeatureSource::Imported(imported)));
        }
        let other = if protocol == Protocol::Native { Protocol::Matched } else { Protocol::Native };
        if self.stored(&place(name, set, split, other))?.is_some() {
            let what = format!("{}, or choose the protocols that were imported", not_imported(&asked));
            return Err(at("protocols", &what));
        }
        self.missing.insert(set.to_owned(), not_imported(&place(name, set, split, Protocol::Native)));
        Ok(None)
    }

    fn imported(&self, stored: Arc<StoredFeatures>, limit: Option<usize>) -> Result<Imported> {
        let place = &stored.place;
        let expected = self.library.status(&place.set)?.splits.get(&place.split).and_then(|count| count.expected);
        Imported::new(stored, limit, expected)
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
