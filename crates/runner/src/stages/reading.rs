//! What of a set's features a detector is handed: the layers chosen for it, and what else it declared.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use oodlab_base::KeyBuilder;
use oodlab_detectors::{Needs, Unlabeled};
use oodlab_encoders::probe::ProbedNetwork;
use oodlab_features::{Features, Head};

use super::source::FeatureSource;
use crate::lab::Lab;

/// How one detector reads sets.
#[derive(Clone)]
pub struct Reading {
    /// What the detector declared.
    pub needs: Needs,
    /// Numbers of the chosen layers (counted from 1); none where the detector reads no layer.
    pub layers: Vec<usize>,
    /// The number of the layer in front of the classes, where there is one.
    pub penultimate: Option<usize>,
    /// The networks that are looked into, one for each of the detector's probes.
    pub probes: Vec<Arc<ProbedNetwork>>,
    /// The classifier, where the detector wants it.
    pub head: Option<Arc<Head>>,
}

/// Samples as a detector is handed them.
pub struct Rows {
    features: Features,
    penultimate: Option<Features>,
    probed: Vec<Features>,
    head: Option<Arc<Head>>,
}

impl Reading {
    /// What is read of a set beside its chosen layers, as parts of a key. Nothing for a detector that reads layers alone.
    pub fn key(&self, mut key: KeyBuilder) -> KeyBuilder {
        if let Some(number) = self.penultimate.filter(|_| self.needs.penultimate) {
            key = key.number("penultimate", number as u64);
        }
        for probe in &self.probes {
            key = key.key("probe", &probe.key());
        }
        key
    }

    /// Some samples of a set. What is not stored yet is computed.
    pub fn rows(&self, lab: &Lab, source: &FeatureSource, rows: Range<usize>) -> Result<Rows> {
        let (numbers, own) = self.numbers();
        let all = source.rows(lab, rows.clone(), &numbers)?;
        let look = |probe: &Arc<ProbedNetwork>| {
            let encode = source.encoding().context("imported features have no images to look into")?.probed(probe);
            let layers: Vec<usize> = (1..=probe.layers().len()).collect();
            encode.rows(lab, rows.clone(), &layers)
        };
        let probed = self.probes.iter().map(look).collect::<Result<_>>()?;
        self.cut(all, &numbers, own, probed)
    }

    /// The same with the probes of these places alone.
    pub fn through_probes(&self, places: Range<usize>) -> Reading {
        Reading { probes: self.probes.get(places).map(<[_]>::to_vec).unwrap_or_default(), ..self.clone() }
    }

    /// Samples of which all layers are at hand.
    pub fn of_whole(&self, whole: &Features, probed: Vec<Features>) -> Result<Rows> {
        let (numbers, own) = self.numbers();
        self.cut(whole.select(&numbers)?, &numbers, own, probed)
    }

    /// The layers to read, and how many of them the detector sees as features. Ids and logits come with any layer.
    fn numbers(&self) -> (Vec<usize>, usize) {
        let last = self.penultimate.filter(|_| self.needs.penultimate);
        let mut numbers = if self.layers.is_empty() { vec![last.unwrap_or(1)] } else { self.layers.clone() };
        let own = numbers.len();
        numbers.extend(last.filter(|last| !numbers.contains(last)));
        (numbers, own)
    }

    fn cut(&self, all: Features, numbers: &[usize], own: usize, probed: Vec<Features>) -> Result<Rows> {
        let last = self.penultimate.filter(|_| self.needs.penultimate);
        let penultimate = match last.and_then(|last| numbers.iter().position(|number| *number == last)) {
            Some(place) => Some(all.select(&[place + 1])?),
            None => None,
        };
        let features = if numbers.len() == own { all } else { all.select(&(1..=own).collect::<Vec<_>>())? };
        Ok(Rows { features, penultimate, probed, head: self.head.clone() })
    }

    /// All samples of a set.
    pub fn all(&self, lab: &Lab, source: &FeatureSource) -> Result<Rows> {
        self.rows(lab, source, 0..source.len())
    }
}

impl Rows {
    /// As the detector sees them.
    pub fn given(&self) -> Unlabeled<'_> {
        Unlabeled::new(&self.features)
            .with_penultimate(self.penultimate.as_ref())
            .with_probed(&self.probed)
            .with_head(self.head.as_deref())
    }

    /// Sample ids.
    pub fn ids(&self) -> &[String] {
        self.features.ids()
    }
}
