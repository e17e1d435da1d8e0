//! Features that detectors may be fitted on.

use std::sync::Arc;

use anyhow::Result;
use oodlab_base::Key;
use oodlab_datasets::{ImageSet, TrainingImages, TrainingSplit};
use oodlab_features::Labels;

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

    /// The class of every image and the number of classes, for supervised detectors; none where a class is not known.
    pub fn labels(&self) -> Result<Option<(Labels, usize)>> {
        let classes = match &self.source {
            FeatureSource::Images(encode) => encode.images().classes(),
            FeatureSource::Imported(imported) if imported.stored().labels => {
                let known = imported.table()?.labels().and_then(|labels| labels.0.iter().max().copied());
                known.map_or(0, |most| (most as usize + 1).max(self.source.classes().unwrap_or(0)))
            }
            FeatureSource::Imported(_) => 0,
        };
        if classes == 0 {
            return Ok(None);
        }
        Ok(self.source.labels(classes)?.map(|labels| (Labels(labels), classes)))
    }
}
