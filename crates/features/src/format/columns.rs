//! Tables of columns, as Parquet keeps them: one column a number, or one list column a layer.

use std::collections::BTreeMap;

use super::array::{Array, Arrays, Values, reserve};
use super::assemble::LAYER;
use crate::{FeatureError, FeatureTable};

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name: see [`ColumnTable`].
    pub name: String,
    /// 1 for plain columns; the length of the lists of a list column.
    pub width: usize,
    /// `width` values a row.
    pub values: Values,
}

/// So many plain columns are loaded at once: the rest of the file is not held beside the array that they make.
const LOADED: usize = 64;

/// Columns as named arrays. `id`, `label`, and lists `features`, `layer.NAME`, `logits` are arrays as they are; plain columns
/// `features.0`, `features.1`, .. (also `f0`, `f1`, .. or `0`, `1`, ..), `layer.NAME.0`, .. and `logits.0`, .. are gathered
/// into one array each, whatever their order.
pub struct ColumnTable<L> {
    rows: usize,
    /// Array to its columns by number: one without a number is the array itself.
    arrays: Vec<(String, BTreeMap<Option<usize>, String>)>,
    load: L,
}

impl<L: FnMut(&[String]) -> Result<Vec<Column>, FeatureError>> ColumnTable<L> {
    /// Groups the columns (name, whether it is a list) of a table of so many rows; `load` reads columns in the order asked for.
    ///
    /// # Errors
    /// When two columns have one place.
    pub fn new(rows: usize, columns: &[(String, bool)], load: L) -> Result<ColumnTable<L>, FeatureError> {
        let mut arrays: Vec<(String, BTreeMap<Option<usize>, String>)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (column, list) in columns {
            let (array, number) = if *list { (column.clone(), None) } else { place(column) };
            let at = *places.entry(array.clone()).or_insert_with(|| {
                arrays.push((array.clone(), BTreeMap::new()));
                arrays.len() - 1
            });
            let group = &mut arrays[at].1;
            if group.insert(number, column.clone()).is_some() || (group.len() > 1 && group.contains_key(&None)) {
                return Err(FeatureError::Format(format!("column {column:?} gives {array:?} a second time")));
            }
        }
        Ok(ColumnTable { rows, arrays, load })
    }

    fn load(&mut self, names: &[String]) -> Result<Vec<Column>, FeatureError> {
        let columns = (self.load)(names)?;
        for Column { name, width, values } in &columns {
            let found = match values {
                Values::Floats(values) => values.len(),
                Values::Integers(values) => values.len(),
                Values::Texts(values) => values.len(),
            };
            if self.rows.checked_mul(*width) != Some(found) {
                let rows = self.rows;
                return Err(FeatureError::Format(format!(
                    "column {name:?}: {found} values for {rows} rows of {width}"
                )));
            }
        }
        Ok(columns)
    }
}

/// The array and number of a plain column: `layer.stage1.3` is number 3 of `layer.stage1`.
fn place(name: &str) -> (String, Option<usize>) {
    // `03` and `+3` are names, not numbers.
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| number.to_string() == text);
    if let Some(number) = number(name).or_else(|| number(name.strip_prefix('f')?)) {
        return ("features".into(), Some(number));
    }
    match name.rsplit_once('.') {
        Some((array, last)) if matches!(array, "features" | "logits") || array.starts_with(LAYER) => match number(last)
        {
            Some(number) => (array.to_owned(), Some(number)),
            None => (name.to_owned(), None),
        },
        _ => (name.to_owned(), None),
    }
}

impl<L: FnMut(&[String]) -> Result<Vec<Column>, FeatureError>> Arrays for ColumnTable<L> {
    fn names(&self) -> Vec<String> {
        self.arrays.iter().map(|(name, _)| name.clone()).collect()
    }

    fn read(&mut self, name: &str) -> Result<Array, FeatureError> {
        let missing = || FeatureError::Format(format!("no column {name:?}"));
        let (_, group) = self.arrays.iter().find(|(array, _)| array == name).ok_or_else(missing)?;
        if let Some(column) = group.get(&None) {
            let column = column.clone();
            let Column { width, values, .. } = self.load(&[column])?.pop().ok_or_else(missing)?;
            let matrix = width > 1 || matches!(values, Values::Floats(_));
            return Ok(Array { shape: if matrix { vec![self.rows, width] } else { vec![self.rows] }, values });
        }
        for (expected, found) in group.keys().enumerate() {
            if *found != Some(expected) {
                return Err(FeatureError::Format(format!("column {expected} of {name:?} is missing")));
            }
        }
        let names: Vec<String> = group.values().cloned().collect();
        let (rows, width) = (self.rows, names.len());
        let mut values = Vec::new();
        let count = rows.checked_mul(width).ok_or_else(missing)?;
        reserve(&mut values, count)?;
        values.resize(count, 0.0);
        for (piece, names) in names.chunks(LOADED).enumerate() {
            let columns = self.load(names)?;
            let mut floats = Vec::new();
            for column in &columns {
                let Values::Floats(found) = &column.values else {
                    let (name, kind) = (&column.name, column.values.kind());
                    return Err(FeatureError::Format(format!(
                        "column {name:?} holds {kind}, expected floating-point numbers"
                    )));
                };
                floats.push(found.as_slice());
            }
            // Row by row, so that neighbours in the array are written together.
            for (row, target) in values.chunks_mut(width).enumerate() {
                for (target, column) in target[piece * LOADED..].iter_mut().zip(&floats) {
                    *target = column[row];
                }
            }
        }
        Ok(Array { shape: vec![rows, width], values: Values::Floats(values) })
    }
}

/// The columns of a table: `id`, `label` where there are labels, `layer.NAME.0`, .. and `logits.0`, ..
#[must_use]
pub fn to_columns(table: &FeatureTable) -> Vec<Column> {
    let features = table.features();
    let mut columns = vec![Column { name: "id".into(), width: 1, values: Values::Texts(features.ids().to_vec()) }];
    if let Some(labels) = table.labels() {
        let values = Values::Integers(labels.0.iter().map(|&label| i64::from(label)).collect());
        columns.push(Column { name: "label".into(), width: 1, values });
    }
    let mut gather = |name: String, values: &[f32], width: usize, at: usize| {
        let values = values.iter().skip(at).step_by(width).copied().collect();
        columns.push(Column { name, width: 1, values: Values::Floats(values) });
    };
    for layer in features.layers() {
        for at in layer.span() {
            let name = format!("{LAYER}{}.{}", layer.name, at - layer.start);
            gather(name, features.values(), features.width(), at);
        }
    }
    if let Some(logits) = features.logits() {
        for at in 0..logits.classes {
            gather(format!("logits.{at}"), &logits.values, logits.classes, at);
        }
    }
    columns
}
