//! What the names of a file's arrays mean.

use std::collections::{BTreeMap, BTreeSet};

use oodlab_base::text;

use super::array::{Array, Arrays, Values, reserve};
use super::npz::single_text;
use crate::{FeatureError, FeatureTable, Features, Labels, Layer, Logits};

/// The names that have a meaning, besides `layer.NAME`.
const ROLES: [&str; 5] = ["features", "ids", "labels", "layers", "logits"];
/// The beginning of the name of one layer's array.
pub(super) const LAYER: &str = "layer.";
/// The layer of a file that names none.
const ONLY_LAYER: &str = "feature";

/// How a file is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The file's own names: `features` to `feat_list`. `layer.NAME` may be named too.
    pub names: BTreeMap<String, String>,
    /// Layers and their widths in column order; those that the file tells when absent.
    pub layers: Option<Vec<(String, usize)>>,
}

impl Options {
    /// Parses `features=feat_list,labels=label_list` and `stage1=64,stage2=128`.
    ///
    /// # Errors
    /// When a name has no meaning, or a width is not a number.
    pub fn parse(names: Option<&str>, layers: Option<&str>) -> Result<Options, FeatureError> {
        let mut options = Options::default();
        for pair in names.into_iter().flat_map(|names| names.split(',')) {
            let wrong = |what: String| FeatureError::Options(format!("name {pair:?}: {what}"));
            let (role, name) =
                pair.split_once('=').ok_or_else(|| wrong("expected ours=theirs, as in features=feat_list".into()))?;
            let (role, name) = (role.trim(), name.trim());
            if !ROLES.contains(&role) && !role.starts_with(LAYER) {
                let hint = text::hint(role, ROLES);
                return Err(wrong(format!("{role:?} has no meaning{hint} (known: {}, layer.NAME)", ROLES.join(", "))));
            }
            if options.names.insert(role.to_owned(), name.to_owned()).is_some() {
                return Err(wrong(format!("{role} is given twice")));
            }
        }
        options.layers = layers.map(parse_widths).transpose()?;
        Ok(options)
    }
}

/// What a file held.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadTable {
    /// Its features and labels.
    pub table: FeatureTable,
    /// Names of arrays that have no meaning and were not read.
    pub left_out: Vec<String>,
}

/// Parses the layers of a file: `stage1=64,stage2=128`, or JSON spans.
///
/// # Errors
/// When it is neither.
pub fn parse_layers(text: &str) -> Result<Vec<Layer>, FeatureError> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| FeatureError::Options(format!("layers: {error}")));
    }
    let widths = parse_widths(text)?;
    Ok(consecutive(&widths))
}

fn parse_widths(text: &str) -> Result<Vec<(String, usize)>, FeatureError> {
    let layer = |pair: &str| {
        let (name, width) = pair.split_once('=')?;
        let width = width.trim().parse().ok().filter(|&width| width > 0 && width <= 1 << 32)?;
        (!name.trim().is_empty()).then(|| (name.trim().to_owned(), width))
    };
    text.split(',')
        .map(|pair| {
            layer(pair).ok_or_else(|| {
                FeatureError::Options(format!("layer {pair:?}: expected name=width, as in stage1=64,stage2=128"))
            })
        })
        .collect()
}

fn consecutive(widths: &[(String, usize)]) -> Vec<Layer> {
    Layer::consecutive(widths.iter().map(|(name, width)| (name.as_str(), *width)))
}

/// Reads the arrays that have a meaning and fits them together.
///
/// # Errors
/// When features are missing or given in two ways, a shape or type is wrong, or the parts do not fit together.
pub fn assemble(file: &mut impl Arrays, options: &Options) -> Result<ReadTable, FeatureError> {
    let mut reader = Reader { names: file.names(), file, options, used: BTreeSet::new() };
    let (layers, rows, values) = reader.features()?;
    let ids = reader.ids(rows)?;
    let mut features = Features::new(layers, ids, values)?;
    if let Some(name) = reader.named(&["logits"])? {
        let (found, classes, values) = reader.matrix(&name)?;
        same_rows("logits", found, rows)?;
        features = features.with_logits(Logits { classes, values })?;
    }
    let labels = reader.labels(rows)?;
    let used = reader.used;
    let left_out = reader.names.into_iter().filter(|name| !used.contains(name)).collect();
    Ok(ReadTable { table: FeatureTable::new(features, labels)?, left_out })
}

struct Reader<'a, A> {
    file: &'a mut A,
    names: Vec<String>,
    options: &'a Options,
    used: BTreeSet<String>,
}

impl<A: Arrays> Reader<'_, A> {
    /// The file's name of a meaning, where it has such an array. One that the user named must be there.
    fn named(&self, roles: &[&str]) -> Result<Option<String>, FeatureError> {
        let role = roles[0];
        if let Some(name) = self.options.names.get(role) {
            return if self.names.contains(name) {
                Ok(Some(name.clone()))
            } else {
                Err(FeatureError::Format(format!("no array {name:?}; there are: {}", listed(&self.names))))
            };
        }
        Ok(roles.iter().find(|role| self.names.iter().any(|name| name == *role)).map(|role| (*role).to_owned()))
    }

    fn read(&mut self, name: &str) -> Result<Array, FeatureError> {
        self.used.insert(name.to_owned());
        self.file.read(name)
    }

    /// A matrix of floating-point numbers: (rows, columns, values).
    fn matrix(&mut self, name: &str) -> Result<(usize, usize, Vec<f32>), FeatureError> {
        let Array { shape, values } = self.read(name)?;
        let &[rows, columns] = shape.as_slice() else {
            return Err(FeatureError::Format(format!("{name:?} has shape {shape:?}, expected [rows, columns]")));
        };
        // What takes no bytes is not bounded by the file: there may be any number of it.
        if rows == 0 || columns == 0 {
            let what = if rows == 0 { "rows" } else { "columns" };
            return Err(FeatureError::Format(format!("{name:?} has shape {shape:?}: it has no {what}")));
        }
        match values {
            Values::Floats(values) => Ok((rows, columns, values)),
            other => {
                let kind = other.kind();
                Err(FeatureError::Format(format!(
                    "{name:?} holds {kind}, expected floating-point numbers (f16 to f64)"
                )))
            }
        }
    }

    fn features(&mut self) -> Result<(Vec<Layer>, usize, Vec<f32>), FeatureError> {
        let parts = self.layer_arrays()?;
        match (self.named(&["features"])?, parts.is_empty()) {
            (Some(name), true) => {
                let (rows, columns, values) = self.matrix(&name)?;
                Ok((self.spans(columns)?, rows, values))
            }
            (None, false) => self.side_by_side(&parts),
            (Some(name), false) => {
                let layer = &parts[0].1;
                Err(FeatureError::Format(format!("both {name:?} and {layer:?} are there: features must be given once")))
            }
            (None, true) => Err(FeatureError::Format(format!(
                "no array `features` and none `layer.NAME`; there are: {} (say which one it is, as in --names features={})",
                listed(&self.names),
                self.names.first().map_or("feat", String::as_str)
            ))),
        }
    }

    /// (layer, array) of a file with one array a layer: in the order of --layers, of --names, or of the file.
    fn layer_arrays(&self) -> Result<Vec<(String, String)>, FeatureError> {
        let layer_of = |role: &str| role.strip_prefix(LAYER).map(str::to_owned);
        let mut found: Vec<(String, String)> = Vec::new();
        for (role, name) in &self.options.names {
            if let Some(layer) = layer_of(role) {
                if !self.names.contains(name) {
                    let there = listed(&self.names);
                    return Err(FeatureError::Format(format!("no array {name:?}; there are: {there}")));
                }
                found.push((layer, name.clone()));
            }
        }
        if found.is_empty() {
            found = self.names.iter().filter_map(|name| Some((layer_of(name)?, name.clone()))).collect();
        }
        if let (Some(order), false) = (&self.options.layers, found.is_empty()) {
            let place = |layer: &str| order.iter().position(|(name, _)| name == layer);
            if let Some((layer, _)) = found.iter().find(|(layer, _)| place(layer).is_none()) {
                return Err(FeatureError::Options(format!("layers: {layer:?} of the file is not named")));
            }
            if let Some((layer, _)) = order.iter().find(|(name, _)| !found.iter().any(|(layer, _)| layer == name)) {
                return Err(FeatureError::Options(format!("layers: the file has no array layer.{layer}")));
            }
            found.sort_by_key(|(layer, _)| place(layer));
        }
        Ok(found)
    }

    /// The spans of one wide matrix.
    fn spans(&mut self, columns: usize) -> Result<Vec<Layer>, FeatureError> {
        let text = match self.named(&["layers"])? {
            Some(name) => {
                let array = self.read(&name)?;
                let text = single_text(&array).map(str::to_owned);
                Some(text.ok_or_else(|| FeatureError::Format(format!("{name:?} is not a single text")))?)
            }
            None => self.file.text("layers"),
        };
        let layers = match (&self.options.layers, text) {
            (Some(widths), _) => consecutive(widths),
            (None, Some(text)) => parse_layers(&text)?,
            (None, None) => Layer::consecutive([(ONLY_LAYER, columns)]),
        };
        match layers.last() {
            Some(last) if last.end != columns => Err(FeatureError::Options(format!(
                "layers: they cover {} columns, the features have {columns}",
                last.end
            ))),
            _ => Ok(layers),
        }
    }

    fn side_by_side(&mut self, parts: &[(String, String)]) -> Result<(Vec<Layer>, usize, Vec<f32>), FeatureError> {
        let mut read = Vec::new();
        for (layer, name) in parts {
            let (rows, width, values) = self.matrix(name)?;
            let widths = self.options.layers.iter().flatten();
            if let Some((_, said)) = widths.clone().find(|(known, said)| known == layer && *said != width) {
                return Err(FeatureError::Options(format!("layers: {layer:?} has {width} columns, not {said}")));
            }
            read.push((layer, name, rows, width, values));
        }
        let rows = read.first().map_or(0, |part| part.2);
        for (_, name, found, ..) in &read {
            same_rows(name, *found, rows)?;
        }
        let layers = Layer::consecutive(read.iter().map(|(layer, _, _, width, _)| (layer.as_str(), *width)));
        let mut values = Vec::new();
        reserve(&mut values, read.iter().map(|part| part.4.len()).sum())?;
        for row in 0..rows {
            for (.., width, part) in &read {
                values.extend_from_slice(&part[row * width..(row + 1) * width]);
            }
        }
        Ok((layers, rows, values))
    }

    fn ids(&mut self, rows: usize) -> Result<Vec<String>, FeatureError> {
        let ids = match self.named(&["ids", "id"])? {
            Some(name) => match self.read(&name)?.values {
                Values::Texts(ids) => ids,
                Values::Integers(ids) => ids.iter().map(i64::to_string).collect(),
                Values::Floats(_) => {
                    return Err(FeatureError::Format(format!("{name:?} holds floating-point numbers, expected texts")));
                }
            },
            None => match self.file.text("ids") {
                Some(text) => serde_json::from_str(&text)
                    .map_err(|error| FeatureError::Format(format!("ids: expected a JSON list of texts: {error}")))?,
                None => (0..rows).map(|row| row.to_string()).collect(),
            },
        };
        same_rows("ids", ids.len(), rows)?;
        Ok(ids)
    }

    fn labels(&mut self, rows: usize) -> Result<Option<Labels>, FeatureError> {
        let Some(name) = self.named(&["labels", "label"])? else { return Ok(None) };
        let Array { shape, values } = self.read(&name)?;
        let Values::Integers(values) = values else {
            let kind = values.kind();
            return Err(FeatureError::Format(format!("{name:?} holds {kind}, expected whole numbers")));
        };
        if shape.iter().filter(|&&size| size != 1).count() > 1 {
            return Err(FeatureError::Format(format!("{name:?} has shape {shape:?}, expected [rows]")));
        }
        same_rows(&name, values.len(), rows)?;
        // As OpenOOD marks the samples of an out-of-distribution set.
        if values.iter().all(|&label| label == -1) {
            return Ok(None);
        }
        let label = |(row, &label): (usize, &i64)| {
            let wrong = || FeatureError::Format(format!("{name:?}: row {row} has label {label}, expected 0 or more"));
            u32::try_from(label).map_err(|_| wrong())
        };
        Ok(Some(Labels(values.iter().enumerate().map(label).collect::<Result<_, _>>()?)))
    }
}

/// So many names are told.
const NAMES_SHOWN: usize = 12;

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn same_rows(name: &str, found: usize, rows: usize) -> Result<(), FeatureError> {
    if found == rows {
        return Ok(());
    }
    Err(FeatureError::Format(format!("{name:?} has {found} rows, the features have {rows}")))
}
