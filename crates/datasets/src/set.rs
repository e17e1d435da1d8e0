//! An open split of a data set.

use std::fmt;
use std::sync::OnceLock;

use oodlab_base::{Key, KeyBuilder};

use crate::error::DatasetError;
use crate::image::RgbImage;
use crate::reading::Reading;
use crate::source::Source;
use crate::subset::Subset;

/// The images of a split, in their fixed order: the first `limit` of them, or all there are.
///
/// Images are read one by one and by any number of threads; files are checked against the hash recorded at import.
pub struct ImageSet {
    pub(crate) name: String,
    pub(crate) split: String,
    pub(crate) source: Box<dyn Source>,
    pub(crate) len: usize,
    pub(crate) found: usize,
    pub(crate) expected: Option<usize>,
    pub(crate) uniform_size: Option<(u32, u32)>,
    pub(crate) class_names: Vec<String>,
    pub(crate) class_count: Option<u32>,
    pub(crate) list_key: OnceLock<Key>,
    /// Positions in the source, where a rule chose some; all of them in their order where absent.
    pub(crate) chosen: Option<Vec<u32>>,
    /// What the rule is, for people.
    pub(crate) rule: Option<String>,
}

/// An image's file as it was read, not decoded yet.
#[derive(Debug)]
pub struct Fetched {
    index: usize,
    /// None where the set has the bytes in memory.
    bytes: Option<Vec<u8>>,
}

impl Fetched {
    /// The image's position in its set.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

impl ImageSet {
    /// The data set's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The split's name.
    #[must_use]
    pub fn split(&self) -> &str {
        &self.split
    }

    /// Number of images, at most the limit it was opened with.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a split without images cannot be opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The images that a rule chooses among these, the first `limit` of them.
    ///
    /// # Errors
    /// When the rule chooses none.
    pub fn subset(mut self, rule: &Subset, limit: Option<usize>) -> Result<ImageSet, DatasetError> {
        let mut positions = rule.positions(self.len);
        let whole = self.expected.filter(|&expected| self.found < expected);
        let of =
            whole.map(|whole| format!(" of the {} images at hand; it means the {whole} of the whole split", self.len));
        self.found = positions.len();
        self.expected = self.expected.map(|_| rule.images());
        positions.truncate(limit.unwrap_or(usize::MAX));
        if positions.is_empty() {
            let (name, split, found) = (self.name.clone(), self.split.clone(), self.found);
            return Err(DatasetError::Empty { name, split, found, expected: Some(rule.images()), limit });
        }
        self.len = positions.len();
        self.chosen = Some(positions.into_iter().map(|at| self.place(at) as u32).collect());
        self.rule = Some(format!("{rule}{}", of.unwrap_or_default()));
        self.list_key = OnceLock::new();
        Ok(self)
    }

    /// The rule that chose the images, for people: `10000 at random, seed 0`. It says so when it chose among a part of the split:
    /// those are other images than a benchmark means.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Where an image of this set stands in its source.
    fn place(&self, index: usize) -> usize {
        self.chosen.as_ref().map_or(index, |chosen| chosen[index] as usize)
    }

    /// What stands for an image's bytes; `index < len()`.
    pub(crate) fn content(&self, index: usize) -> Key {
        self.source.content(self.place(index))
    }

    /// What stands for the bytes of all images, sorted.
    pub(crate) fn contents(&self) -> Vec<Key> {
        let mut all: Vec<Key> = (0..self.len).map(|index| self.content(index)).collect();
        all.sort_unstable();
        all
    }

    /// Stable name of a sample: `test_batch.bin#17`, or the path in its folder. Empty past the end.
    #[must_use]
    pub fn id(&self, index: usize) -> String {
        if index < self.len { self.source.id(self.place(index)) } else { String::new() }
    }

    /// Decodes an image at its own size.
    ///
    /// # Errors
    /// When there is no such image, its file is gone, changed since its import, or cannot be decoded; the file is named.
    pub fn read(&self, index: usize) -> Result<RgbImage, DatasetError> {
        self.decode(self.fetch(index)?)
    }

    /// Reads an image's file, where it has one of its own, and does not look at the bytes: the half of [`ImageSet::read`] that
    /// waits for a disk or a network, for threads that read ahead.
    ///
    /// # Errors
    /// When there is no such image, or its file cannot be read.
    pub fn fetch(&self, index: usize) -> Result<Fetched, DatasetError> {
        if index >= self.len {
            return Err(DatasetError::OutOfRange { name: self.name.clone(), index, len: self.len });
        }
        Ok(Fetched { index, bytes: self.source.fetch(self.place(index))? })
    }

    /// Proves and decodes what [`ImageSet::fetch`] read: the half of [`ImageSet::read`] that keeps a processor busy.
    ///
    /// # Errors
    /// As [`ImageSet::read`].
    pub fn decode(&self, fetched: Fetched) -> Result<RgbImage, DatasetError> {
        self.decode_as(fetched, Reading::default())
    }

    /// [`ImageSet::decode`] with other rules for transparency and orientation than the usual ones.
    ///
    /// # Errors
    /// As [`ImageSet::read`].
    pub fn decode_as(&self, fetched: Fetched, reading: Reading) -> Result<RgbImage, DatasetError> {
        let Fetched { index, bytes } = fetched;
        if index >= self.len {
            return Err(DatasetError::OutOfRange { name: self.name.clone(), index, len: self.len });
        }
        let image = self.source.decode(self.place(index), bytes, reading)?;
        match self.uniform_size {
            Some((width, height)) if (image.width, image.height) != (width, height) => Err(DatasetError::decode(
                format!("{} {}", self.name, self.id(index)),
                format!("expected {width} x {height}, found {} x {}", image.width, image.height),
            )),
            _ => Ok(image),
        }
    }

    /// The class of an image, where the data set has classes and their labels are at hand.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<u32> {
        if index < self.len { self.source.label(self.place(index)) } else { None }
    }

    /// Names of the classes in the order of their labels; empty where the manifest has none.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Number of classes: as the manifest says it or names them, else one more than the largest label of these images; 0 where none has a
    /// label.
    #[must_use]
    pub fn classes(&self) -> usize {
        let largest = || (0..self.len).filter_map(|index| self.label(index)).max();
        self.class_count.or_else(|| largest().map(|label| label + 1)).map_or(0, |count| count as usize)
    }

    /// Width and height, when every image is known to have them.
    #[must_use]
    pub fn uniform_size(&self) -> Option<(u32, u32)> {
        self.uniform_size
    }

    /// Hash over the id and the content of every image in order: equal exactly when the same images are read.
    #[must_use]
    pub fn list_key(&self) -> Key {
        *self.list_key.get_or_init(|| {
            let mut start = KeyBuilder::new("image list", 1).number("len", self.len as u64);
            if let Some(layout) = self.source.layout() {
                start = start.text("layout", &layout);
            }
            let all = (0..self.len)
                .fold(start, |key, index| key.text("id", &self.id(index)).key("content", &self.content(index)));
            all.finish()
        })
    }

    /// Usable images of the split at hand, before the limit. When a limit stopped the reading of a set of unknown size, a
    /// lower bound.
    #[must_use]
    pub fn found(&self) -> usize {
        self.found
    }

    /// Images of the complete split, where known.
    #[must_use]
    pub fn expected(&self) -> Option<usize> {
        self.expected
    }

    /// Whether images of the complete split are missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.expected.is_some_and(|expected| self.found < expected)
    }
}

impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.expected.map_or("?".into(), |n| n.to_string());
        write!(f, "ImageSet({} {}: {} images, {} of {expected})", self.name, self.split, self.len, self.found)
    }
}
