//! Features of a file with the labels that came with them, checked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use oodlab_base::{Key, KeyBuilder};

use crate::{FeatureError, Features, Labels, Layer};

/// Values of so many rows are hashed at once.
const HASHED_ROWS: usize = 256;

/// Features and, apart from them, labels: what a file of another program holds.
///
/// Ids are distinct, every value is finite, every label has its row.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTable {
    features: Features,
    labels: Option<Labels>,
}

impl FeatureTable {
    /// Checks features and labels.
    ///
    /// # Errors
    /// When there is no row, an id comes twice or holds a zero character, a layer name comes twice, a value is not finite, or
    /// the number of labels is another.
    pub fn new(features: Features, labels: Option<Labels>) -> Result<FeatureTable, FeatureError> {
        if features.rows() == 0 {
            return Err(FeatureError::Format("it has no rows".into()));
        }
        let mut layers = BTreeMap::new();
        for layer in features.layers() {
            if layers.insert(layer.name.as_str(), ()).is_some() || layer.name.is_empty() {
                return Err(FeatureError::Format(format!("layer {:?}: expected names, each once", layer.name)));
            }
        }
        let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
        for (row, id) in features.ids().iter().enumerate() {
            if id.contains('\0') {
                return Err(FeatureError::Format(format!("id {id:?} of row {row} holds a zero character")));
            }
            if let Some(first) = rows.insert(id, row) {
                return Err(FeatureError::DuplicateId { id: id.clone(), first, second: row });
            }
        }
        if let Some(labels) = &labels
            && labels.0.len() != features.rows()
        {
            let (found, rows, width) = (labels.0.len(), features.rows(), 1);
            return Err(FeatureError::Count { what: "labels", found, rows, width });
        }
        features.check_finite()?;
        Ok(FeatureTable { features, labels })
    }

    /// The features.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The labels, one a row.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// The features alone.
    #[must_use]
    pub fn into_features(self) -> Features {
        self.features
    }

    /// The same rows under other names.
    ///
    /// # Errors
    /// When their number is another, or one comes twice.
    pub fn with_ids(self, ids: Vec<String>) -> Result<FeatureTable, FeatureError> {
        let mut features = self.features;
        if ids.len() != features.rows() {
            return Err(FeatureError::Format(format!("{} rows, {} ids", features.rows(), ids.len())));
        }
        features.ids = ids;
        FeatureTable::new(features, self.labels)
    }

    /// The first rows (all where there are fewer).
    ///
    /// # Errors
    /// When none are left.
    pub fn first(self, rows: usize) -> Result<FeatureTable, FeatureError> {
        if rows >= self.features.rows() {
            return Ok(self);
        }
        let labels = self.labels.map(|labels| Labels(labels.0[..rows].to_vec()));
        FeatureTable::new(self.features.slice(0..rows), labels)
    }

    /// The same rows with another account of where they come from.
    #[must_use]
    pub fn with_provenance(mut self, provenance: BTreeMap<String, String>) -> FeatureTable {
        self.features.provenance = provenance;
        self
    }

    /// Hash of layers, ids, values and logits: equal exactly when a detector would see the same. Labels and provenance are not
    /// in it.
    #[must_use]
    pub fn content(&self) -> Key {
        let features = &self.features;
        let logits = features.logits();
        let read = |part: Part, rows: Range<usize>| -> Result<Vec<f32>, Infallible> {
            let (values, width) = match part {
                Part::Features => (features.values(), features.width()),
                Part::Logits => logits.map_or((&[][..], 0), |logits| (logits.values.as_slice(), logits.classes)),
            };
            Ok(values[rows.start * width..rows.end * width].to_vec())
        };
        let key = content_key(features.layers(), features.ids(), logits.map(|logits| logits.classes), read);
        key.unwrap_or_else(|never| match never {})
    }
}

/// The two matrices of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `[rows, width]`
    Features,
    /// `[rows, classes]`
    Logits,
}

/// [`FeatureTable::content`] of rows that are read piece by piece.
pub(crate) fn content_key<E>(
    layers: &[Layer],
    ids: &[String],
    classes: Option<usize>,
    mut read: impl FnMut(Part, Range<usize>) -> Result<Vec<f32>, E>,
) -> Result<Key, E> {
    let mut key = KeyBuilder::new("features", 1).number("rows", ids.len() as u64);
    for layer in layers {
        key = key.text("layer", &layer.name).number("width", layer.width() as u64);
    }
    key = ids.iter().fold(key, |key, id| key.text("id", id));
    let mut hash = |mut key: KeyBuilder, part, name| {
        for start in (0..ids.len()).step_by(HASHED_ROWS) {
            let rows = read(part, start..(start + HASHED_ROWS).min(ids.len()))?;
            let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
            key = key.bytes(name, &bytes);
        }
        Ok(key)
    };
    key = hash(key, Part::Features, "values")?;
    if let Some(classes) = classes {
        key = hash(key.number("classes", classes as u64), Part::Logits, "logits")?;
    }
    Ok(key.finish())
}
