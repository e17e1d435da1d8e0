//! What a detector is given beside the chosen layers, or why it cannot be had: known before any work starts.

use std::sync::Arc;

use anyhow::Result;
use oodlab_datasets::{Choice, Protocol, TuningSplit};
use oodlab_detectors::{Detector, Needs};
use oodlab_encoders::EncoderConfig;
use oodlab_features::{Labels, Layer};

use super::{Backbone, Planner, Sets, Training};
use crate::config::Experiment;
use crate::failure::at;
use crate::stages::fit::{Inputs, ValidationSets};
use crate::stages::reading::Reading;
use crate::stages::source::{FeatureSource, PENULTIMATE};

impl Planner<'_> {
    /// Everything that one detector of a run reads; `place` is where the experiment names it.
    pub(super) fn inputs(
        &mut self,
        detector: &dyn Detector,
        experiment: &Experiment,
        sets: &Sets,
        layers: &[usize],
        place: &str,
    ) -> Result<Inputs> {
        let needs = detector.needs();
        let head = sets.backbone.network().and_then(|encoder| encoder.head());
        let labels = if needs.labels { sets.train.labels()? } else { None };
        let validation =
            if needs.id_validation || needs.ood_validation { self.validation(experiment, sets, needs)? } else { None };
        let classes = sets.train.source().classes();
        let had = Needs {
            features: true,
            penultimate: penultimate(&sets.layers, &sets.backbone).is_some(),
            logits: classes.is_some(),
            head: head.is_some(),
            labels: labels.is_some(),
            images: head.is_some(),
            id_validation: validation.is_some(),
            ood_validation: validation.as_ref().is_some_and(|sets| !sets.ood.is_empty()),
        };
        needs.check(detector.kind(), &had).map_err(|error| at(place, &error.to_string()))?;
        if let (Some((_, found)), Some(expected), true) = (&labels, classes, needs.logits)
            && *found != expected
        {
            let (kind, set) = (detector.kind(), sets.train.source().set());
            let what = format!(
                "{kind} compares the labels of {set} ({found} classes) with the network's logits ({expected} classes); use a network \
                 that was trained on {set}"
            );
            return Err(at(place, &what));
        }
        let mut probes = Vec::new();
        for probe in detector.probes() {
            probes.extend(self.probed(&probe, &experiment.encoder)?);
        }
        let teacher = match detector.teacher() {
            Some(config) => Some(self.teacher(&config, sets, place)?),
            None => None,
        };
        let reading = Reading {
            needs,
            layers: if needs.features { layers.to_vec() } else { Vec::new() },
            penultimate: penultimate(&sets.layers, &sets.backbone),
            probes,
            head: head.filter(|_| needs.head).cloned().map(Arc::new),
        };
        Ok(Inputs { reading, labels, validation, teacher })
    }

    /// The validation split of a benchmark under the first of the protocols; none where the benchmark names none or its in-distribution
    /// samples are not at hand.
    fn validation(&mut self, experiment: &Experiment, sets: &Sets, needs: Needs) -> Result<Option<ValidationSets>> {
        let Some((id, ood)) = sets.benchmark.tuning() else { return Ok(None) };
        let limit = experiment.limit;
        let Some(id) = self.tuning(&sets.backbone, &id, limit.id_test, None)? else { return Ok(None) };
        self.keep_apart(&sets.train, &id)?;
        let squash = match experiment.protocols.first() {
            Some(Protocol::Matched) => sets.id_test.images().and_then(|images| images.uniform_size()),
            _ => None,
        };
        let mut found = Vec::new();
        for split in ood.iter().filter(|_| needs.ood_validation) {
            found.extend(self.tuning(&sets.backbone, split, limit.ood, squash)?);
        }
        let labels = match sets.train.labels()?.filter(|_| needs.labels) {
            Some((_, classes)) => id.labels(classes)?.map(Labels),
            None => None,
        };
        Ok(Some(ValidationSets { id, labels, ood: found }))
    }

    /// In-distribution images of the validation split, where the benchmark names some that are at hand.
    pub fn held_out(&mut self, experiment: &Experiment, sets: &Sets) -> Result<Option<FeatureSource>> {
        let needs = Needs { id_validation: true, ..Needs::default() };
        Ok(self.validation(experiment, sets, needs)?.map(|validation| validation.id))
    }

    fn tuning(
        &mut self,
        backbone: &Backbone,
        split: &TuningSplit,
        limit: Option<usize>,
        squash: Option<(u32, u32)>,
    ) -> Result<Option<FeatureSource>> {
        let choice: Choice = split.choice().at_most(limit);
        match backbone {
            Backbone::Network(encoder, _) => {
                let found = self.library.status(&choice.set)?.splits.get(&choice.split).map_or(0, |count| count.found);
                if found == 0 {
                    self.missing.insert(choice.set.clone(), self.library.how_to_get(&choice.set)?);
                    return Ok(None);
                }
                let images = Arc::new(self.library.open_tuning(split, limit)?);
                self.note_rule(&images);
                Ok(Some(FeatureSource::Images(self.encode(encoder, &images, squash))))
            }
            Backbone::Imported(name) => {
                let protocol = if squash.is_some() { Protocol::Matched } else { Protocol::Native };
                self.imported_outlier(name, &choice, protocol)
            }
        }
    }

    /// The training images as another network sees them.
    fn teacher(&mut self, config: &EncoderConfig, sets: &Sets, place: &str) -> Result<(Training, Reading)> {
        let Some(images) = sets.train.images() else {
            return Err(at(place, "a teacher needs the training images; imported features have none"));
        };
        let images = images.clone();
        let (encoder, weights) = self.encoder(config)?;
        let layers = encoder.layers();
        let backbone = Backbone::Network(encoder.clone(), weights);
        let Some(last) = penultimate(&layers, &backbone) else {
            let what =
                format!("the teacher {} has no penultimate vector; use weights with a classifier", config.network);
            return Err(at(place, &what));
        };
        let training = Training::of_images(&images, |images| self.encode(&encoder, images, None));
        let needs = Needs { penultimate: true, ..Needs::default() };
        Ok((training, Reading { needs, layers: Vec::new(), penultimate: Some(last), probes: Vec::new(), head: None }))
    }
}

/// The number of the layer in front of the classes. Imported features of one layer are taken to be that layer.
fn penultimate(layers: &[Layer], backbone: &Backbone) -> Option<usize> {
    let named = layers.iter().position(|layer| layer.name == PENULTIMATE);
    let only = matches!(backbone, Backbone::Imported(_)) && layers.len() == 1;
    named.or(only.then_some(0)).map(|place| place + 1)
}
