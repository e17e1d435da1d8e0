//! Anybody's scores: one row a sample, one column a detector, and a column that says which samples are OOD.

use std::io::{Cursor, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use polars::prelude::{DataFrame, ParquetReader, SerReader};

use super::{ScoreError, ScoreFile};

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

/// Reads scores from a file of any format that [`ScoreFile`] knows.
///
/// # Errors
/// When the file cannot be read or its name names no format, has no rows, lacks a column (those it has are listed), or holds a
/// value that is empty, NaN, or of the wrong kind (row and column are named).
pub fn read_score_file(path: &Path, columns: &ScoreColumns) -> Result<Vec<DetectorScores>, ScoreError> {
    let file =
        ScoreFile::open(path, &|name| name == columns.is_ood || columns.scores.iter().any(|score| score == name))?;
    let scores: Vec<Vec<f64>> = columns.scores.iter().map(|name| file.numbers(name)).collect::<Result<_, _>>()?;
    let is_ood = file.flags(&columns.is_ood, &[])?;
    let detectors = columns.scores.iter().zip(scores).map(|(name, values)| {
        let class =
            |ood| is_ood.iter().zip(&values).filter(|(flag, _)| **flag == ood).map(|(_, &value)| value).collect();
        DetectorScores { name: name.clone(), id: class(false), ood: class(true) }
    });
    Ok(detectors.collect())
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
