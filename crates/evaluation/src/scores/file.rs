//! A score file of any program and format: named columns of one length.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use polars::prelude::{ArrowDataType, Column, CsvReadOptions, DataFrame, DataType, ParquetReader, SerReader, Series};

use super::cells::{BadCell, BadFlags, Cells, Columns};
use super::read::{guarded, parquet_frame};
use super::{ScoreError, json_lines, npz};
use crate::columns::{is_supported, type_name};

/// Columns of a score file: CSV with a header (`.csv`), Parquet (`.parquet`), JSON lines (`.jsonl`, `.ndjson`: one object a line), or numpy
/// arrays (`.npz`, one array a column).
///
/// A Parquet file cut short is refused. One whose pages were altered in place may be misread, or exhaust memory: polars trusts
/// the lengths inside pages, and Parquet's own checksums are optional and seldom written.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreFile {
    path: PathBuf,
    names: Vec<String>,
    columns: BTreeMap<String, Cells>,
    rows: usize,
}

impl ScoreFile {
    /// Reads the columns that `select` picks by name; the others are known by name only.
    ///
    /// # Errors
    /// When the file cannot be read, its name names no format, it is damaged, has no rows, or the selected columns differ in
    /// length.
    pub fn open(path: &Path, select: &dyn Fn(&str) -> bool) -> Result<ScoreFile, ScoreError> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let damaged = |format, message| ScoreError::Format { path: path.to_owned(), format, message };
        let (names, columns) = match extension.as_str() {
            "csv" => csv(path, select)?,
            "parquet" => parquet(path, select)?,
            "jsonl" | "ndjson" => {
                let text = fs_err::read_to_string(path)?;
                json_lines::read(&text, select).map_err(|message| damaged("JSON lines", message))?
            }
            "npz" => npz::read(std::io::BufReader::new(fs_err::File::open(path)?), select)
                .map_err(|error| damaged("npz", error.to_string()))?,
            _ => return Err(ScoreError::UnknownFormat { path: path.to_owned() }),
        };
        let mut rows: Option<(&str, usize)> = None;
        for (name, (length, _)) in &columns {
            match rows {
                Some((other, expected)) if expected != *length => {
                    let message = format!("{other:?} has {expected} rows, {name:?} has {length}");
                    return Err(damaged("columns of one length", message));
                }
                _ => rows = Some((name, *length)),
            }
        }
        let rows = rows.map(|(_, length)| length);
        if rows == Some(0) || names.is_empty() {
            return Err(ScoreError::NoRows { path: path.to_owned() });
        }
        let columns = columns.into_iter().map(|(name, (_, cells))| (name, cells)).collect();
        Ok(ScoreFile { path: path.to_owned(), names, columns, rows: rows.unwrap_or(0) })
    }

    /// The names of all columns, in the file's order; of JSON lines, those of the first object.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Rows of the selected columns.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column of numbers; infinities are kept (in CSV written as `inf` and `-inf`).
    ///
    /// # Errors
    /// When the column is missing (those there are listed), or a value is empty, NaN, or no number (its row is named).
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, ScoreError> {
        self.cells(name)?.numbers().map_err(|bad| self.bad(name, bad))
    }

    /// A column of texts; numbers are written out.
    ///
    /// # Errors
    /// When the column is missing, or a row has none.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, ScoreError> {
        self.cells(name)?.texts().map_err(|bad| self.bad(name, bad))
    }

    /// [`ScoreFile::numbers`] of these rows alone, ascending: what stands in the others does not matter.
    ///
    /// # Errors
    /// As [`ScoreFile::numbers`].
    pub fn numbers_in(&self, name: &str, rows: &[usize]) -> Result<Vec<f64>, ScoreError> {
        self.cells(name)?.take(rows).numbers().map_err(|bad| self.bad(name, bad.at(rows)))
    }

    /// [`ScoreFile::texts`] of these rows alone.
    ///
    /// # Errors
    /// As [`ScoreFile::texts`].
    pub fn texts_in(&self, name: &str, rows: &[usize]) -> Result<Vec<String>, ScoreError> {
        self.cells(name)?.take(rows).texts().map_err(|bad| self.bad(name, bad.at(rows)))
    }

    /// Which rows are out of distribution. Without `ood_values`: true or 1 for OOD, false or 0 for ID, and nothing else. With them: OOD where
    /// the value is one of them (numbers compared as numbers), ID elsewhere.
    ///
    /// # Errors
    /// When the column is missing, a row has no value, other values are there, or none of `ood_values` is.
    pub fn flags(&self, name: &str, ood_values: &[String]) -> Result<Vec<bool>, ScoreError> {
        let expected = "true, false, 1 or 0";
        self.cells(name)?.flags(ood_values).map_err(|bad| match bad {
            BadFlags::NotValues => self.bad(name, BadCell { row: 0, expected, found: "something else".into() }),
            BadFlags::Absent { row } => self.bad(name, BadCell { row, expected, found: "nothing".into() }),
            BadFlags::Values { row, found } => {
                ScoreError::Flags { path: self.path.clone(), column: name.to_owned(), row: row + 1, found }
            }
            BadFlags::NoneOf { found } => ScoreError::NoOodValue {
                path: self.path.clone(),
                column: name.to_owned(),
                expected: ood_values.join(", "),
                found,
            },
        })
    }

    /// Numbers of several columns, row-major, and how many a row: an array of two dimensions of that name, or else the columns
    /// named `prefix` and a number, in the order of the numbers, which count from 0 without a gap: a label is the place of its column. Of
    /// these rows alone, ascending.
    ///
    /// # Errors
    /// When there is neither, the numbers are others, or a value is empty, NaN, or no number.
    pub fn matrix(&self, prefix: &str, rows: &[usize]) -> Result<(usize, Vec<f64>), ScoreError> {
        if let Some(cells) = self.columns.get(prefix) {
            return cells.take(rows).matrix().map_err(|bad| self.bad(prefix, bad.at(rows)));
        }
        let mut numbered: Vec<(u64, &String)> =
            self.names.iter().filter_map(|name| Some((number_behind(prefix, name)?, name))).collect();
        numbered.sort();
        if numbered.iter().zip(0..).any(|((number, _), place)| *number != place) {
            let found: Vec<&str> = numbered.iter().map(|(_, name)| name.as_str()).collect();
            let last = numbered.len() - 1;
            let message = format!("expected {prefix}0 to {prefix}{last}, each once, found {}", found.join(", "));
            return Err(ScoreError::Format { path: self.path.clone(), format: "columns of classes", message });
        }
        let columns: Vec<Vec<f64>> =
            numbered.iter().map(|(_, name)| self.numbers_in(name, rows)).collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Err(self.missing(&format!("{prefix}<number>")));
        }
        let values = (0..rows.len()).flat_map(|row| columns.iter().map(move |column| column[row]));
        Ok((columns.len(), values.collect()))
    }

    fn cells(&self, name: &str) -> Result<&Cells, ScoreError> {
        self.columns.get(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> ScoreError {
        ScoreError::MissingColumn { path: self.path.clone(), name: name.to_owned(), found: self.names.join(", ") }
    }

    fn bad(&self, column: &str, bad: BadCell) -> ScoreError {
        let BadCell { row, expected, found } = bad;
        ScoreError::Value { path: self.path.clone(), row: row + 1, column: column.to_owned(), expected, found }
    }
}

/// 12 of `logit_12` behind `logit_`.
pub fn number_behind(prefix: &str, name: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    // A sign would be taken by the parser.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A CSV file, every column as text: values are parsed where the row can be named.
fn csv(path: &Path, select: &dyn Fn(&str) -> bool) -> Result<(Vec<String>, Columns), ScoreError> {
    let bytes = fs_err::read(path)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ScoreError::NoRows { path: path.to_owned() });
    }
    let frame = guarded(path, "CSV", || {
        CsvReadOptions::default()
            .with_has_header(true)
            .with_infer_schema_length(Some(0))
            .into_reader_with_file_handle(Cursor::new(bytes.as_slice()))
            .finish()
    })?;
    let names = names(&frame);
    // polars gives the second column of a name another one.
    let renamed = names.iter().filter_map(|name| name.rsplit_once("_duplicated_"));
    if let Some((name, _)) = renamed.into_iter().find(|(base, _)| names.iter().any(|name| name == base)) {
        let message = format!("two columns are named {name:?}: which one is meant?");
        return Err(ScoreError::Format { path: path.to_owned(), format: "CSV", message });
    }
    let columns = selected(path, "CSV", &frame, select)?;
    Ok((names, columns))
}

fn parquet(path: &Path, select: &dyn Fn(&str) -> bool) -> Result<(Vec<String>, Columns), ScoreError> {
    let file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let types: Vec<(String, ArrowDataType)> = guarded(path, "Parquet", || {
        let mut reader = ParquetReader::new(Cursor::new(bytes.as_slice()));
        let schema = reader.schema()?;
        Ok(schema.iter_values().map(|field| (field.name.to_string(), field.dtype().clone())).collect())
    })?;
    // polars panics at some of these types, and must not come to read them.
    let readable = |kind: &ArrowDataType| is_supported(kind) || *kind == ArrowDataType::Boolean;
    if let Some((name, kind)) = types.iter().find(|(name, kind)| select(name) && !readable(kind)) {
        let message = format!(
            "column {name:?} has type {}; save it as bool, int32, int64, float32, float64 or string",
            type_name(kind)
        );
        return Err(ScoreError::Format { path: path.to_owned(), format: "Parquet", message });
    }
    let names: Vec<String> = types.into_iter().map(|(name, _)| name).collect();
    let wanted: Vec<String> = names.iter().filter(|name| select(name)).cloned().collect();
    if wanted.is_empty() {
        return Ok((names, Columns::new()));
    }
    let frame = parquet_frame(path, Cursor::new(bytes.as_slice()), length, Some(&wanted))?;
    Ok((names, selected(path, "Parquet", &frame, select)?))
}

fn names(frame: &DataFrame) -> Vec<String> {
    frame.get_column_names().iter().map(|name| name.to_string()).collect()
}

fn selected(
    path: &Path,
    format: &'static str,
    frame: &DataFrame,
    select: &dyn Fn(&str) -> bool,
) -> Result<Columns, ScoreError> {
    let columns = frame.columns().iter().map(Column::as_materialized_series).filter(|column| select(column.name()));
    columns
        .map(|series| {
            let cells = guarded(path, format, || cells(series))?;
            Ok((series.name().to_string(), (series.len(), cells)))
        })
        .collect()
}

fn cells(series: &Series) -> polars::error::PolarsResult<Cells> {
    Ok(match series.dtype() {
        DataType::Boolean => Cells::Flags(series.bool()?.iter().collect()),
        DataType::String => Cells::Texts(series.str()?.iter().map(|text| text.map(str::to_owned)).collect()),
        kind if kind.is_primitive_numeric() => {
            let numbers = series.cast(&DataType::Float64)?;
            let numbers = numbers.f64()?;
            let absent = numbers.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(row, _)| row).collect();
            Cells::Numbers { width: 1, values: numbers.iter().map(Option::unwrap_or_default).collect(), absent }
        }
        kind => Cells::Other(kind.to_string()),
    })
}
