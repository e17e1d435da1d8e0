//! Where the features of a set come from: images through a network, or a file of another program.

use std::ops::Range;

use anyhow::Result;
use oodlab_base::Key;
use oodlab_datasets::ImageSet;
use oodlab_features::{Features, Layer};

use super::Note;
use super::encode::Encode;
use super::imported::Imported;
use crate::lab::Lab;

/// The layer in front of a network's classes: chosen by name, never by default.
pub const PENULTIMATE: &str = "penultimate";

/// The features of one set under one protocol.
#[derive(Clone)]
pub enum FeatureSource {
    /// Images are encoded.
    Images(Encode),
    /// Features were imported.
    Imported(Imported),
}

impl FeatureSource {
    /// The key of the features.
    pub fn key(&self) -> Key {
        match self {
            FeatureSource::Images(encode) => encode.key(),
            FeatureSource::Imported(imported) => imported.key(),
        }
    }

    /// The work on images, where there is any.
    pub fn encoding(&self) -> Option<&Encode> {
        match self {
            FeatureSource::Images(encode) => Some(encode),
            FeatureSource::Imported(_) => None,
        }
    }

    /// The images, where there are any.
    pub fn images(&self) -> Option<&ImageSet> {
        self.encoding().map(Encode::images)
    }

    /// The layers of imported features, and how many of them are seen when nothing is chosen: all before one that is called
    /// `penultimate`, as of a network of this program.
    pub fn imported_layers(&self) -> (Vec<Layer>, usize) {
        let FeatureSource::Imported(imported) = self else { return (Vec::new(), 0) };
        let layers = imported.stored().layers.clone();
        let taps = layers.iter().take_while(|layer| layer.name != PENULTIMATE).count();
        let seen = if taps == 0 { layers.len() } else { taps };
        (layers, seen)
    }

    /// The data set's name.
    pub fn set(&self) -> &str {
        match self {
            FeatureSource::Images(encode) => encode.images().name(),
            FeatureSource::Imported(imported) => &imported.stored().place.set,
        }
    }

    /// The split's name.
    pub fn split(&self) -> &str {
        match self {
            FeatureSource::Images(encode) => encode.images().split(),
            FeatureSource::Imported(imported) => &imported.stored().place.split,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            FeatureSource::Images(encode) => encode.images().len(),
            FeatureSource::Imported(imported) => imported.len(),
        }
    }

    /// Samples at hand, before any limit.
    pub fn found(&self) -> usize {
        match self {
            FeatureSource::Images(encode) => encode.images().found(),
            FeatureSource::Imported(imported) => imported.stored().rows,
        }
    }

    /// Images of the complete split, where known.
    pub fn expected(&self) -> Option<usize> {
        match self {
            FeatureSource::Images(encode) => encode.images().expected(),
            FeatureSource::Imported(imported) => imported.expected(),
        }
    }

    /// Equal exactly when the same samples are read; of imported features only the ids are known.
    pub fn list_key(&self) -> Key {
        match self {
            FeatureSource::Images(encode) => encode.images().list_key(),
            FeatureSource::Imported(imported) => imported.list_key(),
        }
    }

    /// Set, split and protocol, for people: `mnist test at 32x32`.
    pub fn name(&self) -> String {
        match self {
            FeatureSource::Images(encode) => encode.name(),
            FeatureSource::Imported(imported) => imported.stored().place.describe(),
        }
    }

    /// What `oodlab plan` says: `encode mnist test at 32x32`.
    pub fn label(&self) -> String {
        match self {
            FeatureSource::Images(encode) => encode.label(),
            FeatureSource::Imported(imported) => format!("imported {}", imported.stored().place.describe()),
        }
    }

    /// What its samples are called: `images`.
    pub fn unit(&self) -> &'static str {
        match self {
            FeatureSource::Images(_) => "images",
            FeatureSource::Imported(_) => "imported vectors",
        }
    }

    /// Number of classes of the logits beside the features, where there are logits.
    pub fn classes(&self) -> Option<usize> {
        match self {
            FeatureSource::Images(encode) => Some(encode.classes()).filter(|classes| *classes > 0),
            FeatureSource::Imported(imported) => imported.stored().classes,
        }
    }

    /// The class of each sample as its set counts them, where all are known; what a detector that classifies is held to.
    pub fn own_labels(&self) -> Result<Option<Vec<u32>>> {
        self.labels(match self {
            FeatureSource::Images(encode) => encode.images().classes(),
            FeatureSource::Imported(_) => usize::MAX,
        })
    }

    /// The class of each sample, where all are known and the set has as many classes as the logits: then they are taken to be the
    /// same classes in the same order. Only what is made of scores sees them, never a detector.
    pub fn labels(&self, classes: usize) -> Result<Option<Vec<u32>>> {
        let labels: Option<Vec<u32>> = match self {
            FeatureSource::Images(encode) if encode.images().classes() == classes => {
                (0..self.len()).map(|index| encode.images().label(index)).collect()
            }
            FeatureSource::Images(_) => None,
            FeatureSource::Imported(imported) if imported.stored().labels => {
                imported.table()?.labels().map(|labels| labels.0.clone())
            }
            FeatureSource::Imported(_) => None,
        };
        Ok(labels.filter(|labels| labels.iter().all(|label| (*label as usize) < classes)))
    }

    /// (parts stored already, parts in all).
    pub fn state(&self, lab: &Lab) -> Result<(usize, usize)> {
        match self {
            FeatureSource::Images(encode) => encode.state(lab),
            FeatureSource::Imported(_) => Ok((1, 1)),
        }
    }

    /// How the features were computed, or which file they came from; none while they are not all stored. Reads no feature.
    pub fn known_note(&self, lab: &Lab) -> Result<Option<Note>> {
        match self {
            FeatureSource::Images(encode) => encode.known_note(lab),
            FeatureSource::Imported(imported) => imported.ensure().map(Some),
        }
    }

    /// Makes sure that the features are stored and sound; tells how they were computed, or which file they came from.
    pub fn ensure(&self, lab: &Lab) -> Result<Note> {
        match self {
            FeatureSource::Images(encode) => encode.ensure(lab),
            FeatureSource::Imported(imported) => imported.ensure(),
        }
    }

    /// The features of some samples, of the layers with these numbers (counted from 1). Nothing else is read.
    pub fn rows(&self, lab: &Lab, rows: Range<usize>, layers: &[usize]) -> Result<Features> {
        match self {
            FeatureSource::Images(encode) => encode.rows(lab, rows, layers),
            FeatureSource::Imported(imported) => imported.rows(rows, layers),
        }
    }
}
