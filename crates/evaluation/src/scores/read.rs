//! Anybody's scores: one row a sample, one column a detector, and a column that says which samples are OOD.

use std::io::{Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use polars::prelude::{CsvReadOptions, DataFrame, DataType, ParquetReader, SerReader, Series};

use super::{ScoreError, json_lines};

/// Which columns of a score file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreColumns {
    /// One column a detector; higher = more out-of-distribution.
    pub scores: Vec<String>,
    /// The column that says which samples are OOD: true or 1 for OOD, false or 0 for ID.
    pub is_ood: String,
}

impl Default for ScoreColumns {
    fn default() -> ScoreColumns {
        ScoreColumns { scores: vec!["score".to_owned()], is_ood: "is_ood".to_owned() }
    }
}

/// The scores of one detector.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorScores {
    /// The column's name.
    pub name: String,
    /// Scores of in-distribution samples, in the file's order.
    pub id: Vec<f64>,
    /// Scores of out-of-distribution samples, in the file's order.
    pub ood: Vec<f64>,
}

const NUMBER: &str = "a number";
const FLAG: &str = "true, false, 1 or 0";

/// Reads scores from a CSV file with a header (`.csv`), a Parquet file (`.parquet`) or JSON lines (`.jsonl`, `.ndjson`:
/// one object a line).
///
/// Infinities are kept (in CSV written as `inf` and `-inf`).
///
/// A Parquet file cut short is refused. One whose pages were altered in place may be misread, or exhaust memory: polars trusts
/// the lengths inside pages, and Parquet's own checksums are optional and seldom written.
///
/// # Errors
/// When the file cannot be read or its name names no format, has no rows, lacks a column (those it has are listed), or holds a
/// value that is empty, NaN, or of the wrong kind (row and column are named).
pub fn read_score_file(path: &Path, columns: &ScoreColumns) -> Result<Vec<DetectorScores>, ScoreError> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let cells = match extension.as_str() {
        "csv" => from_frame(path, &csv_frame(path)?, columns)?,
        "parquet" => {
            let mut names = columns.scores.clone();
            names.push(columns.is_ood.clone());
            let file = fs_err::File::open(path)?;
            let length = file.metadata()?.len();
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            let frame = parquet_frame(path, Cursor::new(bytes.as_slice()), length, Some(&names))?;
            from_frame(path, &frame, columns)?
        }
        "jsonl" | "ndjson" => json_lines::read(path, columns)?,
        _ => return Err(ScoreError::UnknownFormat { path: path.to_owned() }),
    };
    cells.split(path, columns)
}

/// Values of the columns asked for, checked for kind.
pub(super) struct Values {
    /// One vector a score column.
    pub scores: Vec<Vec<f64>>,
    pub is_ood: Vec<bool>,
}

impl Values {
    fn split(self, path: &Path, columns: &ScoreColumns) -> Result<Vec<DetectorScores>, ScoreError> {
        if self.is_ood.is_empty() {
            return Err(ScoreError::NoRows { path: path.to_owned() });
        }
        let mut detectors = Vec::with_capacity(self.scores.len());
        for (name, values) in columns.scores.iter().zip(self.scores) {
            if let Some(index) = values.iter().position(|value| value.is_nan()) {
                return Err(ScoreError::Value {
                    path: path.to_owned(),
                    row: index + 1,
                    column: name.clone(),
                    expected: NUMBER,
                    found: "NaN".to_owned(),
                });
            }
            let class =
                |ood| self.is_ood.iter().zip(&values).filter(|(flag, _)| **flag == ood).map(|(_, &v)| v).collect();
            detectors.push(DetectorScores { name: name.clone(), id: class(false), ood: class(true) });
        }
        Ok(detectors)
    }
}

/// A CSV file, every column as text: values are parsed here, where the row can be named.
fn csv_frame(path: &Path) -> Result<DataFrame, ScoreError> {
    let bytes = fs_err::read(path)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ScoreError::NoRows { path: path.to_owned() });
    }
    guarded(path, "CSV", || {
        CsvReadOptions::default()
            .with_has_header(true)
            .with_infer_schema_length(Some(0))
            .into_reader_with_file_handle(Cursor::new(bytes.as_slice()))
            .finish()
    })
}

/// The columns of a Parquet file of `length` bytes that are among `names`, or all.
pub(crate) fn parquet_frame(
    path: &Path,
    mut file: Cursor<&[u8]>,
    length: u64,
    names: Option<&[String]>,
) -> Result<DataFrame, ScoreError> {
    file.rewind()?;
    guarded(path, "Parquet", || {
        let mut reader = ParquetReader::new(file);
        // Run-length coding makes rows cheap, but not this cheap: such a count is a lie, and would be allocated for.
        let rows = reader.num_rows()? as u64;
        let limit = length.saturating_mul(1 << 12);
        if rows > limit {
            let message = format!("{rows} rows in {length} bytes");
            return Err(polars::error::PolarsError::ComputeError(message.into()));
        }
        let present: Option<Vec<String>> = match names {
            None => None,
            Some(names) => {
                let schema = reader.schema()?;
                // A column that is absent is missed later, with a list of those that there are.
                let wanted: Vec<String> = schema.iter_names().map(|n| n.to_string()).collect();
                let all = names.iter().all(|name| wanted.contains(name));
                Some(if all { wanted.into_iter().filter(|name| names.contains(name)).collect() } else { wanted })
            }
        };
        reader.with_columns(present).finish()
    })
}

/// Runs a parser of foreign bytes; should it panic, that is an error of the file.
pub(crate) fn guarded<T>(
    path: &Path,
    format: &'static str,
    parse: impl FnOnce() -> polars::error::PolarsResult<T>,
) -> Result<T, ScoreError> {
    let error = |message: String| ScoreError::Format { path: path.to_owned(), format, message };
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(Ok(frame)) => Ok(frame),
        Ok(Err(found)) => Err(error(found.to_string())),
        Err(_) => Err(error("the file is damaged".to_owned())),
    }
}

fn from_frame(path: &Path, frame: &DataFrame, columns: &ScoreColumns) -> Result<Values, ScoreError> {
    let column = |name: &str| {
        frame.column(name).map(|column| column.as_materialized_series()).map_err(|_| ScoreError::MissingColumn {
            path: path.to_owned(),
            name: name.to_owned(),
            found: frame.get_column_names().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    let scores = columns.scores.iter().map(|name| numbers(path, column(name)?)).collect::<Result<_, _>>()?;
    Ok(Values { scores, is_ood: flags(path, column(&columns.is_ood)?)? })
}

fn bad(path: &Path, series: &Series, row: usize, expected: &'static str, found: String) -> ScoreError {
    ScoreError::Value { path: path.to_owned(), row: row + 1, column: series.name().to_string(), expected, found }
}

fn numbers(path: &Path, series: &Series) -> Result<Vec<f64>, ScoreError> {
    let fail = |row, found| bad(path, series, row, NUMBER, found);
    let nothing = |row| fail(row, "nothing".to_owned());
    let damaged = |error: polars::error::PolarsError| fail(0, error.to_string());
    match series.dtype() {
        DataType::String => {
            let texts = series.str().map_err(damaged)?;
            let parse = |(row, text): (usize, Option<&str>)| {
                let text = text.ok_or_else(|| nothing(row))?;
                text.trim().parse().map_err(|_| fail(row, format!("{text:?}")))
            };
            texts.iter().enumerate().map(parse).collect()
        }
        kind if kind.is_primitive_numeric() => {
            let values = series.cast(&DataType::Float64).map_err(damaged)?;
            let values = values.f64().map_err(damaged)?;
            values.iter().enumerate().map(|(row, value)| value.ok_or_else(|| nothing(row))).collect()
        }
        kind => Err(fail(0, format!("a value of type {kind}"))),
    }
}

fn flags(path: &Path, series: &Series) -> Result<Vec<bool>, ScoreError> {
    let fail = |row, found| bad(path, series, row, FLAG, found);
    let nothing = |row| fail(row, "nothing".to_owned());
    let damaged = |error: polars::error::PolarsError| fail(0, error.to_string());
    match series.dtype() {
        DataType::Boolean => {
            let values = series.bool().map_err(damaged)?;
            values.iter().enumerate().map(|(row, flag)| flag.ok_or_else(|| nothing(row))).collect()
        }
        DataType::String => {
            let texts = series.str().map_err(damaged)?;
            let parse = |(row, text): (usize, Option<&str>)| match text.ok_or_else(|| nothing(row))?.trim() {
                "1" | "1.0" | "true" | "True" | "TRUE" => Ok(true),
                "0" | "0.0" | "false" | "False" | "FALSE" => Ok(false),
                other => Err(fail(row, format!("{other:?}"))),
            };
            texts.iter().enumerate().map(parse).collect()
        }
        _ => {
            let flag = |(row, value): (usize, f64)| match value {
                1.0 => Ok(true),
                0.0 => Ok(false),
                other => Err(fail(row, other.to_string())),
            };
            numbers(path, series)?.into_iter().enumerate().map(flag).collect()
        }
    }
}
