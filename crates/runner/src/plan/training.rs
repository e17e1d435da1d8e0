//! Features that detectors may be fitted on.

use std::sync::Arc;

use anyhow::Result;
use oodlab_base::Key;
use oodlab_datasets::{ImageSet, TrainingImages, TrainingSplit};
use oodlab_features::Features;

use crate::lab::Lab;
use crate::stages::encode::Encode;
use crate::stages::imported::Imported;
use crate::stages::source::FeatureSource;

/// The features of training images. Fitting takes nothing else, and nothing but a benchmark's training split becomes one: no
/// test image can reach training.
pub struct Training {
    source: FeatureSource,
    images: Option<TrainingImages>,
}

impl Training {
    /// Training images through a network.
    pub fn of_images(images: &TrainingImages, encode: impl FnOnce(&Arc<ImageSet>) -> Encode) -> Training {
        Training { source: FeatureSource::Images(encode(images.images())), images: Some(images.clone()) }
    }

    /// Features that another program made of the training split.
    pub fn imported(_: &TrainingSplit, imported: Imported) -> Training {
        Training { source: FeatureSource::Imported(imported), images: None }
    }

    /// The features.
    pub fn source(&self) -> &FeatureSource {
        &self.source
    }

    /// The images, where they are at hand.
    pub fn images(&self) -> Option<&TrainingImages> {
        self.images.as_ref()
    }

    /// The key of the features.
    pub fn key(&self) -> Key {
        self.source.key()
    }

    /// All rows of the layers with these numbers (counted from 1).
    pub fn rows(&self, lab: &Lab, layers: &[usize]) -> Result<Features> {
        self.source.rows(lab, 0..self.source.len(), layers)
    }
}
