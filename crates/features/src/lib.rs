//! Features of images, as every detector reads them: named layer spans, sample ids, optional logits, provenance.
//!
//! Labels stand apart ([`Labels`]), so that a detector that is given [`Features`] alone cannot read one.
//! [`Scores`] are numbers on the same sample ids. [`mod@file`] reads and writes features as the stages keep them; [`mod@format`]
//! reads and writes the files of other programs, and [`library`] keeps what was imported from them. [`projection`] brings samples into two
//! dimensions for figures.

pub mod file;
pub mod format;
mod head;
pub mod library;
pub mod projection;
mod scores;
mod table;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use head::Head;
pub use scores::{ScoreError, Scores};
pub use table::FeatureTable;

/// One tap of an encoder: columns `start .. end` of the feature vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Name as the encoder gives it: `stage1`.
    pub name: String,
    /// First column.
    pub start: usize,
    /// One past the last column.
    pub end: usize,
}

impl Layer {
    /// Layers of the given names and widths, one after the other.
    pub fn consecutive<'a>(widths: impl IntoIterator<Item = (&'a str, usize)>) -> Vec<Layer> {
        let mut start = 0;
        widths
            .into_iter()
            .map(|(name, width)| {
                let layer = Layer { name: name.to_owned(), start, end: start + width };
                start = layer.end;
                layer
            })
            .collect()
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.end - self.start
    }

    /// The columns.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Class scores of a network's head, row-major `[rows, classes]`, f32, before any softmax.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// Number of classes.
    pub classes: usize,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// Feature vectors of a list of samples, row-major `[rows, width]`, f32, as the encoder pooled them (not z-scored).
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    layers: Vec<Layer>,
    ids: Vec<String>,
    values: Vec<f32>,
    logits: Option<Logits>,
    /// Where the numbers come from: free text by name.
    pub provenance: BTreeMap<String, String>,
}

/// Class labels of samples, apart from their features: only a supervised detector is ever handed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(pub Vec<u32>);

/// Features that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Spans must follow one another from column 0 without a gap.
    #[error("layer {layer:?} spans columns {start}..{end}, expected a non-empty span that starts at {expected}")]
    Span {
        /// Layer name.
        layer: String,
        /// Its first column.
        start: usize,
        /// One past its last column.
        end: usize,
        /// Where it should start.
        expected: usize,
    },
    /// Number of values, rows and width do not agree.
    #[error("{what}: {found} values for {rows} rows of {width}, expected {}", rows.saturating_mul(*width))]
    Count {
        /// `features` or `logits`.
        what: &'static str,
        /// Values found.
        found: usize,
        /// Rows.
        rows: usize,
        /// Values a row.
        width: usize,
    },
    /// A selected layer does not exist.
    #[error("layer {number} does not exist: the encoder has layers 1 to {count} ({names}); layers are counted from 1")]
    NoLayer {
        /// The number asked for.
        number: usize,
        /// Layers there are.
        count: usize,
        /// Their names.
        names: String,
    },
    /// No layer, or one twice.
    #[error("layers {0:?}: expected at least one layer and none twice")]
    Selection(Vec<usize>),
    /// Features with other layers cannot be joined.
    #[error("features with layers {left} cannot be joined with layers {right}")]
    Join {
        /// Layers of the first.
        left: String,
        /// Layers of the other.
        right: String,
    },
    /// A NaN or infinite value.
    #[error(
        "sample {id:?} (row {row}): feature {column} (layer {layer:?}) is {value}, expected a finite number; encode it again or remove the sample"
    )]
    NotFinite {
        /// Sample id.
        id: String,
        /// Row, counted from 0.
        row: usize,
        /// Layer name.
        layer: String,
        /// Column.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A NaN or infinite class score.
    #[error("sample {id:?} (row {row}): logit {class} is {value}, expected a finite number")]
    LogitNotFinite {
        /// Sample id.
        id: String,
        /// Row, counted from 0.
        row: usize,
        /// Class.
        class: usize,
        /// The value.
        value: f32,
    },
    /// Two samples of one name.
    #[error("id {id:?} is that of row {first} and of row {second}; every sample needs a name of its own")]
    DuplicateId {
        /// The name.
        id: String,
        /// A row, counted from 0.
        first: usize,
        /// Another.
        second: usize,
    },
    /// Files of one encoder that cannot be of one network.
    #[error(
        "{place} has layers {found}, but {other} of {encoder:?} has {expected}; import another network's features under another name"
    )]
    OtherNetwork {
        /// The encoder's name.
        encoder: String,
        /// Set and split.
        place: String,
        /// Its layers.
        found: String,
        /// Another set and split.
        other: String,
        /// Its layers.
        expected: String,
    },
    /// Not a feature file.
    #[error("not a feature file: {0}")]
    Format(String),
    /// What the user said of a file is wrong.
    #[error("{0}")]
    Options(String),
    /// A file name that names no format.
    #[error("expected a file named *.safetensors, *.npz, *.parquet, or, to read features alone, *.npy")]
    UnknownFormat,
    /// The error of one file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: Box<FeatureError>,
    },
    /// A file that cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<oodlab_formats::FormatError> for FeatureError {
    fn from(error: oodlab_formats::FormatError) -> FeatureError {
        FeatureError::Format(error.0)
    }
}

impl Features {
    /// Features of `ids.len()` samples.
    ///
    /// # Errors
    /// When the spans have gaps or overlap, or the number of values does not fit.
    pub fn new(layers: Vec<Layer>, ids: Vec<String>, values: Vec<f32>) -> Result<Features, FeatureError> {
        let width = columns_of(&layers)?;
        if ids.len().checked_mul(width) != Some(values.len()) {
            return Err(FeatureError::Count { what: "features", found: values.len(), rows: ids.len(), width });
        }
        Ok(Features { layers, ids, values, logits: None, provenance: BTreeMap::new() })
    }

    /// Adds logits of the same samples.
    ///
    /// # Errors
    /// When their number does not fit.
    pub fn with_logits(mut self, logits: Logits) -> Result<Features, FeatureError> {
        if self.rows().checked_mul(logits.classes) != Some(logits.values.len()) {
            let (found, rows, width) = (logits.values.len(), self.rows(), logits.classes);
            return Err(FeatureError::Count { what: "logits", found, rows, width });
        }
        self.logits = Some(logits);
        Ok(self)
    }

    /// Number of samples.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.end)
    }

    /// The layers, in column order.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The columns of each layer.
    #[must_use]
    pub fn spans(&self) -> Vec<Range<usize>> {
        self.layers.iter().map(Layer::span).collect()
    }

    /// Sample ids, one a row.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// All values, row-major `[rows, width]`.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One sample's vector.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        let width = self.width();
        &self.values[row * width..(row + 1) * width]
    }

    /// Class scores, when the network has a head.
    #[must_use]
    pub fn logits(&self) -> Option<&Logits> {
        self.logits.as_ref()
    }

    /// Only the layers of these numbers (counted from 1), in the order given: no image is encoded again.
    ///
    /// # Errors
    /// When a number does not exist, comes twice, or none is given.
    pub fn select(&self, numbers: &[usize]) -> Result<Features, FeatureError> {
        let twice = numbers.iter().enumerate().any(|(at, number)| numbers[..at].contains(number));
        if numbers.is_empty() || twice {
            return Err(FeatureError::Selection(numbers.to_vec()));
        }
        let chosen = numbers
            .iter()
            .map(|&number| {
                number.checked_sub(1).and_then(|at| self.layers.get(at)).ok_or_else(|| FeatureError::NoLayer {
                    number,
                    count: self.layers.len(),
                    names: names(&self.layers),
                })
            })
            .collect::<Result<Vec<&Layer>, _>>()?;
        let layers = Layer::consecutive(chosen.iter().map(|layer| (layer.name.as_str(), layer.width())));
        let width = layers.last().map_or(0, |layer| layer.end);
        let mut values = Vec::with_capacity(self.rows() * width);
        for row in 0..self.rows() {
            for layer in &chosen {
                values.extend_from_slice(&self.row(row)[layer.span()]);
            }
        }
        let logits = self.logits.clone();
        Ok(Features { layers, ids: self.ids.clone(), values, logits, provenance: self.provenance.clone() })
    }

    /// The samples of a range of rows (cut at the last row).
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Features {
        let end = rows.end.min(self.rows());
        let rows = rows.start.min(end)..end;
        let cut = |values: &[f32], width: usize| values[rows.start * width..rows.end * width].to_vec();
        Features {
            layers: self.layers.clone(),
            ids: self.ids[rows.clone()].to_vec(),
            values: cut(&self.values, self.width()),
            logits: self.logits.as_ref().map(|l| Logits { classes: l.classes, values: cut(&l.values, l.classes) }),
            provenance: self.provenance.clone(),
        }
    }

    /// Adds the samples of another part behind these.
    ///
    /// # Errors
    /// When the layers differ, or only one of the two has logits.
    pub fn append(&mut self, other: Features) -> Result<(), FeatureError> {
        let describe =
            |f: &Features| format!("{} ({} classes)", names(&f.layers), f.logits.as_ref().map_or(0, |l| l.classes));
        let classes = |f: &Features| f.logits.as_ref().map(|l| l.classes);
        if self.layers != other.layers || classes(self) != classes(&other) {
            return Err(FeatureError::Join { left: describe(self), right: describe(&other) });
        }
        self.ids.extend(other.ids);
        self.values.extend(other.values);
        if let (Some(mine), Some(theirs)) = (&mut self.logits, other.logits) {
            mine.values.extend(theirs.values);
        }
        Ok(())
    }

    /// Refuses NaN and infinite values, in features and logits.
    ///
    /// # Errors
    /// Names the first such value with its sample and layer.
    pub fn check_finite(&self) -> Result<(), FeatureError> {
        if let Some(logits) = &self.logits
            && let Some(at) = logits.values.iter().position(|value| !value.is_finite())
        {
            let (row, class) = (at / logits.classes, at % logits.classes);
            return Err(FeatureError::LogitNotFinite {
                id: self.ids[row].clone(),
                row,
                class,
                value: logits.values[at],
            });
        }
        let Some(at) = self.values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let (row, column) = (at / self.width(), at % self.width());
        let layer = self.layers.iter().find(|layer| layer.span().contains(&column));
        Err(FeatureError::NotFinite {
            id: self.ids[row].clone(),
            row,
            layer: layer.map(|layer| layer.name.clone()).unwrap_or_default(),
            column,
            value: self.values[at],
        })
    }
}

/// The columns that layers cover, which must follow one another from column 0 without a gap.
fn columns_of(layers: &[Layer]) -> Result<usize, FeatureError> {
    let mut expected = 0;
    for layer in layers {
        if layer.start != expected || layer.end <= layer.start {
            let Layer { name, start, end } = layer.clone();
            return Err(FeatureError::Span { layer: name, start, end, expected });
        }
        expected = layer.end;
    }
    if layers.is_empty() { Err(FeatureError::Selection(Vec::new())) } else { Ok(expected) }
}

fn names(layers: &[Layer]) -> String {
    layers.iter().map(|layer| format!("{}:{}", layer.name, layer.width())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Features {
        let layers = Layer::consecutive([("a", 1), ("b", 2)]);
        let ids = vec!["x".into(), "y".into()];
        Features::new(layers, ids, vec![1., 2., 3., 4., 5., 6.]).expect("valid features")
    }

    #[test]
    fn layers_are_cut_and_reordered_without_touching_the_rest() {
        let cut = sample().select(&[2, 1]).expect("both exist");
        assert_eq!(cut.values(), [2., 3., 1., 5., 6., 4.]);
        assert_eq!(cut.layers(), Layer::consecutive([("b", 2), ("a", 1)]));
        assert!(matches!(sample().select(&[0]), Err(FeatureError::NoLayer { number: 0, .. })));
        assert!(matches!(sample().select(&[3]), Err(FeatureError::NoLayer { number: 3, .. })));
        assert!(matches!(sample().select(&[1, 1]), Err(FeatureError::Selection(_))));
        assert!(matches!(sample().select(&[]), Err(FeatureError::Selection(_))));
    }

    #[test]
    fn parts_join_to_the_whole() {
        let whole = sample();
        let mut joined = whole.slice(0..1);
        joined.append(whole.slice(1..9)).expect("same layers");
        assert_eq!(joined, whole);
        let narrow = whole.select(&[1]).expect("exists");
        assert!(matches!(joined.append(narrow), Err(FeatureError::Join { .. })));
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        let mut bad = sample();
        bad.values[5] = f32::NAN;
        let message = bad.check_finite().expect_err("a NaN").to_string();
        assert!(message.contains("\"y\"") && message.contains("\"b\"") && message.contains("NaN"), "{message}");
        assert!(sample().check_finite().is_ok());
    }

    #[test]
    fn gaps_overlaps_and_wrong_counts_are_refused() {
        let layer = |start, end| Layer { name: "l".into(), start, end };
        for layers in [vec![layer(1, 2)], vec![layer(0, 0)], vec![layer(0, 2), layer(1, 3)]] {
            assert!(matches!(Features::new(layers, vec![], vec![]), Err(FeatureError::Span { .. })));
        }
        let short = Features::new(vec![layer(0, 2)], vec!["x".into()], vec![1.0]);
        assert!(matches!(short, Err(FeatureError::Count { .. })));
    }
}
