//! What can be wrong with a folder of results.

use std::path::{Path, PathBuf};

use crate::scores::ScoreError;

/// A folder of results that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file or folder cannot be opened, read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// No folder is there.
    #[error("{}: expected a folder of results, found {found}; `oodlab run FILE` makes one under results/", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
        /// A file, or nothing.
        found: &'static str,
    },
    /// A folder that no run wrote.
    #[error("{}: no folder of results: it has neither record.json nor table.csv; `oodlab run FILE` makes one under results/", path.display())]
    NoResults {
        /// The folder.
        path: PathBuf,
    },
    /// A run was here that wrote no record: an older version, or one that was stopped.
    #[error(
        "{}: record.json is missing: these results are of an older version, or the run was stopped before it had written all; run the \
         experiment again (`oodlab run FILE`): finished stages cost nothing", path.display()
    )]
    NoRecord {
        /// The folder.
        path: PathBuf,
    },
    /// A file that belongs to every record is not there.
    #[error("{}: missing; run the experiment again (`oodlab run FILE`): finished stages cost nothing", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A record that this version cannot read.
    #[error(
        "{}: expected a record of format {expected}, found format {found}; run the experiment again with this version (finished stages cost \
         nothing), or read it with the version that wrote it", path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that this version reads.
        expected: u64,
        /// The format of the file.
        found: u64,
    },
    /// Bytes that are no record.
    #[error("{}: not readable as {what}: {message}; run the experiment again (`oodlab run FILE`): finished stages cost nothing", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What the parser said.
        message: String,
    },
    /// More than any experiment leaves behind.
    #[error("{}: expected at most {most} {unit}, found {found}", path.display())]
    TooLarge {
        /// The file or folder.
        path: PathBuf,
        /// How much there may be.
        most: u64,
        /// How much there is.
        found: u64,
        /// Bytes or files.
        unit: &'static str,
    },
    /// Something in a record that cannot be drawn or named.
    #[error("the record's {what}: expected {expected}, found {found}")]
    Content {
        /// Where it stands.
        what: String,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// Columns that no file can be made of, which has no known cause.
    #[error("{}: cannot be written: {message}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the table library said.
        message: String,
    },
}

impl RecordError {
    /// What is wrong with the file of scores or points at `path`; the path within the error may be a mere name.
    pub(super) fn of_scores(path: &Path, error: ScoreError) -> RecordError {
        let (what, message) = match error {
            ScoreError::Io(error) => return error.into(),
            ScoreError::Format { format, message, .. } => (format, message),
            ScoreError::MissingColumn { name, found, .. } => {
                ("columns of a record", format!("no column {name:?}; there are: {found}"))
            }
            other => ("columns of a record", other.to_string()),
        };
        RecordError::Damaged { path: path.to_owned(), what, message }
    }
}
