//! What images may be used for: learning, tuning, or being scored.
//!
//! A benchmark alone says which images have which role, and checks that no image has two. Whoever learns asks for
//! [`TrainingImages`], which nothing but a benchmark's training split can become:
//!
//! ```compile_fail,E0308
//! # use oodlab_datasets::{Benchmark, Library};
//! fn cheat(library: &Library, benchmark: &Benchmark) {
//!     let scored = benchmark.scored_id();
//!     let _ = library.open_training(&scored, None); // expected `&TrainingSplit`, found `&ScoredSplit`
//! }
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::DatasetError;
use crate::library::Library;
use crate::set::ImageSet;
use crate::subset::Subset;

/// Images of a split: a rule chooses among them, a limit takes the first of those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// Data set.
    pub set: String,
    /// Split.
    pub split: String,
    /// The rule; all images where there is none.
    pub subset: Option<Subset>,
    /// Only the first so many of the chosen.
    pub limit: Option<usize>,
}

impl Choice {
    /// With a further limit.
    #[must_use]
    pub fn at_most(&self, limit: Option<usize>) -> Choice {
        Choice { limit: self.limit.into_iter().chain(limit).min(), ..self.clone() }
    }

    /// Whether an image could be in both.
    pub(crate) fn may_share(&self, other: &Choice) -> bool {
        let apart = || matches!((&self.subset, &other.subset), (Some(a), Some(b)) if a.is_apart_from(b));
        (&self.set, &self.split) == (&other.set, &other.split) && !apart()
    }
}

/// Images that detectors learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSplit(pub(crate) Choice);

/// Images that settings are chosen with; never scored for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningSplit(pub(crate) Choice);

/// Images that are scored for a table; never learned from, no setting is chosen with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoredSplit(pub(crate) Choice);

impl TrainingSplit {
    /// Which images these are.
    #[must_use]
    pub fn choice(&self) -> &Choice {
        &self.0
    }
}

impl TuningSplit {
    /// Which images these are.
    #[must_use]
    pub fn choice(&self) -> &Choice {
        &self.0
    }
}

impl ScoredSplit {
    /// Which images these are.
    #[must_use]
    pub fn choice(&self) -> &Choice {
        &self.0
    }
}

/// Opened images that may be learned from.
#[derive(Debug, Clone)]
pub struct TrainingImages(Arc<ImageSet>);

/// Images of a scored set that are training images too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shared {
    /// They have the same set and name: the very same image.
    pub same: usize,
    /// Their bytes are equal, under another name or in another set.
    pub equal: usize,
}

impl TrainingImages {
    /// The images.
    #[must_use]
    pub fn images(&self) -> &Arc<ImageSet> {
        &self.0
    }

    /// How many images of a set are training images. Where a format keeps images in a large container, only the container's
    /// own images can be known to be equal.
    #[must_use]
    pub fn shared_with(&self, scored: &ImageSet) -> Shared {
        let ids: BTreeSet<String> = if self.0.name() == scored.name() {
            (0..self.0.len()).map(|index| self.0.id(index)).collect()
        } else {
            BTreeSet::new()
        };
        let contents = self.0.contents();
        let mut shared = Shared::default();
        for index in 0..scored.len() {
            if ids.contains(&scored.id(index)) {
                shared.same += 1;
            } else if contents.binary_search(&scored.content(index)).is_ok() {
                shared.equal += 1;
            }
        }
        shared
    }
}

impl Library {
    /// Opens the images that a benchmark lets detectors learn from, `limit` of them at most.
    ///
    /// # Errors
    /// As [`Library::open_set`].
    pub fn open_training(&self, split: &TrainingSplit, limit: Option<usize>) -> Result<TrainingImages, DatasetError> {
        Ok(TrainingImages(Arc::new(self.open_choice(&split.0.at_most(limit))?)))
    }

    /// Opens the images that a benchmark lets settings be chosen with.
    ///
    /// # Errors
    /// As [`Library::open_set`].
    pub fn open_tuning(&self, split: &TuningSplit, limit: Option<usize>) -> Result<ImageSet, DatasetError> {
        self.open_choice(&split.0.at_most(limit))
    }

    /// Opens images that are scored, `limit` of them at most.
    ///
    /// # Errors
    /// As [`Library::open_set`].
    pub fn open_scored(&self, split: &ScoredSplit, limit: Option<usize>) -> Result<ImageSet, DatasetError> {
        self.open_choice(&split.0.at_most(limit))
    }

    fn open_choice(&self, choice: &Choice) -> Result<ImageSet, DatasetError> {
        match &choice.subset {
            None => self.open_set(&choice.set, &choice.split, choice.limit),
            Some(subset) => self.open_set(&choice.set, &choice.split, None)?.subset(subset, choice.limit),
        }
    }
}
