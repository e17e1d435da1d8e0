//! Features that another program made: read from the store as they were imported, no image and no network needed.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use oodlab_base::{Key, KeyBuilder};
use oodlab_features::library::StoredFeatures;
use oodlab_features::{FeatureTable, Features};

use super::Note;

/// Raise when the same file gives other features.
const REVISION: u32 = 1;

/// The first rows of one imported file.
#[derive(Clone)]
pub struct Imported {
    stored: Arc<StoredFeatures>,
    /// Those of the whole file.
    ids: Arc<[String]>,
    rows: usize,
    /// Images of the complete split, where known.
    expected: Option<usize>,
    list: Key,
    key: Key,
}

impl Imported {
    /// All rows, or the first `limit`. Reads the ids, not the values: the file keeps their hash, which is checked when they
    /// are read.
    pub fn new(stored: Arc<StoredFeatures>, limit: Option<usize>, expected: Option<usize>) -> Result<Imported> {
        let rows = limit.map_or(stored.rows, |limit| limit.min(stored.rows));
        let ids = stored.ids()?;
        let list = ids
            .get(..rows)
            .unwrap_or_default()
            .iter()
            .fold(KeyBuilder::new("imported list", REVISION).number("len", rows as u64), |key, id| key.text("id", id))
            .finish();
        let key =
            KeyBuilder::new("imported", REVISION).text("content", &stored.content).number("rows", rows as u64).finish();
        Ok(Imported { stored, ids: ids.into(), rows, expected, list, key })
    }

    /// The key of the features: their content and the number of rows used.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The stored file.
    pub fn stored(&self) -> &StoredFeatures {
        &self.stored
    }

    /// Rows used.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Images of the complete split, where known.
    pub fn expected(&self) -> Option<usize> {
        self.expected
    }

    /// Hash of the ids of the rows used.
    pub fn list_key(&self) -> Key {
        self.list
    }

    /// Makes sure that the file is what was imported; tells which file that was.
    pub fn ensure(&self) -> Result<Note> {
        self.stored.verify(&self.ids)?;
        Ok(self.stored.provenance())
    }

    /// The features of some rows, of the layers with these numbers (counted from 1).
    pub fn rows(&self, rows: Range<usize>, layers: &[usize]) -> Result<Features> {
        Ok(self.stored.rows(&self.ids, rows)?.select(layers)?)
    }

    /// The rows used with their labels; the whole file is checked against its hash.
    pub fn table(&self) -> Result<FeatureTable> {
        Ok(self.stored.read()?.first(self.rows)?)
    }
}
