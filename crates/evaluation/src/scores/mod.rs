//! Scores in files: `scores.parquet` of an experiment, and anybody's scores read from CSV, Parquet, JSON lines or npz.

mod cells;
mod file;
mod json_lines;
mod npz;
mod parquet;
mod read;

use std::path::PathBuf;

use oodlab_base::text::hint;

pub use file::{ScoreFile, number_behind};
pub use parquet::{ScoreBlock, ScoreRecords, read_scores_parquet, write_scores_parquet};
pub use read::{DetectorScores, ScoreColumns, read_score_file};
pub(crate) use read::{guarded, parquet_frame};

/// A table that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file name that names no known format.
    #[error("{}: expected a file named *.csv, *.parquet, *.jsonl or *.npz", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not of the format.
    #[error("{}: not readable as {format}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// CSV, Parquet or JSON lines.
        format: &'static str,
        /// What the parser said.
        message: String,
    },
    /// A file without rows.
    #[error("{}: expected scores, found no rows", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A column that was asked for and is absent.
    #[error("{}: no column {name:?}; there are: {found}{}", path.display(), hint(name, found.split(", ")))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        name: String,
        /// The columns there are.
        found: String,
    },
    /// A value of the wrong kind.
    #[error("{}: row {row}, column {column:?}: expected {expected}, found {found}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Row, counted from 1, without a header.
        row: usize,
        /// Column.
        column: String,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A column of flags that holds other values.
    #[error(
        "{}: row {row}, column {column:?}: expected true, false, 1 or 0 (1 is OOD), found {found} in this column",
        path.display()
    )]
    Flags {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The first such row, counted from 1, without a header.
        row: usize,
        /// The column's first distinct values.
        found: String,
    },
    /// No row has a value that means OOD.
    #[error("{}: column {column:?}: expected some rows of {expected}, which mean OOD, found {found}", path.display())]
    NoOodValue {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The values that mean OOD.
        expected: String,
        /// The column's first distinct values.
        found: String,
    },
    /// Columns that Parquet cannot be made of, which has no known cause.
    #[error("cannot write Parquet: {0}")]
    Write(#[from] polars::error::PolarsError),
}
