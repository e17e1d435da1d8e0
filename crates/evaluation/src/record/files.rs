//! A record in the folder of its results.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use oodlab_base::KeyBuilder;
use oodlab_base::file::write_atomic;
use serde::{Deserialize, Serialize};

use super::{About, Record, RecordError, points, thumbnails};
use crate::metrics::{comparisons_from_csv, comparisons_to_csv};
use crate::scores::{guarded, read_scores_parquet, write_scores_parquet};
use crate::table::{Table, TableError};

/// Format of `record.json` that this version writes and reads. It rises whenever a record of before cannot be read any more.
pub const FORMAT: u64 = 1;

const RECORD: &str = "record.json";
const TABLE: &str = "table.csv";
const SCORES: &str = "scores.parquet";
const COMPARISONS: &str = "comparisons.csv";
const POINTS: &str = "points.parquet";

/// Bytes that a file has at most: far more than the largest experiment leaves behind, far less than what exhausts a machine.
const MOST_RECORD: u64 = 1 << 28;
const MOST_TABLE: u64 = 1 << 30;
const MOST_SCORES: u64 = 1 << 34;
const MOST_POINTS: u64 = 1 << 30;

/// `record.json`.
#[derive(Serialize)]
struct Stored<'a> {
    format: u64,
    /// Hash of each file that was written with it.
    files: BTreeMap<&'static str, String>,
    about: &'a About,
}

/// What is read of `record.json` first: the rest has whatever shape its format gives it.
#[derive(Deserialize)]
struct StoredFormat {
    format: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAbout {
    #[serde(rename = "format")]
    _format: u64,
    files: BTreeMap<String, String>,
    about: About,
}

impl Record {
    /// Writes the record into the folder of its results, which is made where it is not there: `record.json`, `table.csv`,
    /// `comparisons.csv`, `scores.parquet`, `points.parquet` (when there are points) and `thumbnails/<set>/<index>.png`.
    ///
    /// What an earlier run left of these is replaced or removed; other files of the folder stay. Each file appears whole or not at all,
    /// and `record.json` last: a folder that has it has the rest, of the same run. Clouds without points are left out.
    ///
    /// # Errors
    /// When a curve or a point is not finite, a cloud's lists have different lengths, a picture is no PNG or comes twice, or the disk
    /// refuses. All but the last is found before anything is written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        let path = |name: &str| folder.join(name);
        self.check_curves()?;
        thumbnails::check(&self.thumbnails)?;
        let points = points::write(&self.points, &path(POINTS))?;
        let unwritable = |name, message| RecordError::Write { path: path(name), message };
        let table = self.table.to_csv().map_err(|error| unwritable(TABLE, error.to_string()))?;
        let scores = write_scores_parquet(&self.scores).map_err(|error| unwritable(SCORES, error.to_string()))?;
        let compared = comparisons_to_csv(&self.comparisons);
        let compared = compared.map_err(|error| unwritable(COMPARISONS, error.to_string()))?;
        let mut files =
            BTreeMap::from([(TABLE, hash(&table)), (SCORES, hash(&scores)), (COMPARISONS, hash(&compared))]);
        files.extend(points.as_ref().map(|bytes| (POINTS, hash(bytes))));
        let about = serde_json::to_string_pretty(&Stored { format: FORMAT, files, about: &self.about });
        let about = about.map_err(|error| content("description", "what JSON can hold", error.to_string()))?;

        fs_err::create_dir_all(folder)?;
        // While the others are replaced, the folder holds no record.
        remove(&path(RECORD))?;
        write_atomic(&path(TABLE), &table)?;
        write_atomic(&path(SCORES), &scores)?;
        write_atomic(&path(COMPARISONS), &compared)?;
        match points {
            Some(bytes) => write_atomic(&path(POINTS), &bytes)?,
            None => remove(&path(POINTS))?,
        }
        thumbnails::write(&self.thumbnails, folder)?;
        Ok(write_atomic(&path(RECORD), format!("{about}\n").as_bytes())?)
    }

    /// Makes the folder one without a record: what lies in it is going to change. Tables and scores stay.
    ///
    /// # Errors
    /// When `record.json` is there and cannot be removed.
    pub fn remove(folder: &Path) -> Result<(), RecordError> {
        remove(&folder.join(RECORD))
    }

    /// Reads what [`Record::write`] wrote; equal to it, with thumbnails in the order of (set, index).
    ///
    /// # Errors
    /// When the folder holds no results, or those of another version; when a file is missing, damaged or absurdly large. The message
    /// names the file and says how to get another.
    pub fn read(folder: &Path) -> Result<Record, RecordError> {
        let path = |name: &str| folder.join(name);
        if !folder.is_dir() {
            let found = if folder.exists() { "a file" } else { "nothing" };
            return Err(RecordError::NoFolder { path: folder.to_owned(), found });
        }
        if !path(RECORD).exists() {
            let path = folder.to_owned();
            let ran = folder.join(TABLE).exists() || folder.join("runs").is_dir();
            return Err(if ran { RecordError::NoRecord { path } } else { RecordError::NoResults { path } });
        }
        let StoredAbout { about, files, .. } = read_about(&path(RECORD))?;
        let read = |name: &str, most| same(&path(name), whole(&path(name), most)?, files.get(name));
        let table = parsed(&path(TABLE), "a table of results", &read(TABLE, MOST_TABLE)?, Table::from_csv)?;
        let compared = read(COMPARISONS, MOST_TABLE)?;
        let comparisons = parsed(&path(COMPARISONS), "comparisons", &compared, comparisons_from_csv)?;
        let scores = read_scores_parquet(&read(SCORES, MOST_SCORES)?);
        let scores = scores.map_err(|error| RecordError::of_scores(&path(SCORES), error))?;
        let points = match files.contains_key(POINTS) {
            true => points::read(&path(POINTS), read(POINTS, MOST_POINTS)?)?,
            false => Vec::new(),
        };
        let record = Record { about, table, scores, comparisons, points, thumbnails: thumbnails::read(folder)? };
        record.check_curves()?;
        Ok(record)
    }

    /// JSON has no infinities, and no figure can show them.
    fn check_curves(&self) -> Result<(), RecordError> {
        for run in &self.about.runs {
            for curve in &run.curves {
                if let Some(at) = curve.points.iter().position(|(x, y)| !x.is_finite() || !y.is_finite()) {
                    let what =
                        format!("curve {} of {} (run {}), point {}", curve.name, curve.detector, run.run, at + 1);
                    return Err(content(&what, "finite numbers", format!("{:?}", curve.points[at])));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn content(what: &str, expected: &'static str, found: String) -> RecordError {
    RecordError::Content { what: what.to_owned(), expected, found }
}

/// Removes a file that need not be there.
fn remove(path: &Path) -> Result<(), RecordError> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The bytes of a file that every record has.
pub(super) fn whole(path: &Path, most: u64) -> Result<Vec<u8>, RecordError> {
    let file = match fs_err::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(RecordError::MissingFile { path: path.to_owned() });
        }
        opened => opened?,
    };
    let found = file.metadata()?.len();
    if found > most {
        return Err(RecordError::TooLarge { path: path.to_owned(), most, found, unit: "bytes" });
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_about(path: &Path) -> Result<StoredAbout, RecordError> {
    let bytes = whole(path, MOST_RECORD)?;
    let damaged = |error: serde_json::Error| RecordError::Damaged {
        path: path.to_owned(),
        what: "a record of an experiment",
        message: error.to_string(),
    };
    let StoredFormat { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(RecordError::Format { path: path.to_owned(), expected: FORMAT, found: format });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

fn parsed<T>(
    path: &Path,
    what: &'static str,
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Result<T, TableError>,
) -> Result<T, RecordError> {
    // The parser of foreign bytes may panic; that is an error of the file.
    let table = guarded(path, "CSV", || Ok(parse(bytes)));
    let damaged = |message| RecordError::Damaged { path: path.to_owned(), what, message };
    table.map_err(|error| RecordError::of_scores(path, error))?.map_err(|error| damaged(error.to_string()))
}

/// A file is known by its content: one that was cut, changed or belongs to another run is told from the one that the record was
/// written with.
fn hash(bytes: &[u8]) -> String {
    KeyBuilder::new("record file", 1).bytes("content", bytes).finish().hex()
}

/// The bytes, if they are those that the record was written with.
fn same(path: &Path, bytes: Vec<u8>, expected: Option<&String>) -> Result<Vec<u8>, RecordError> {
    if expected.is_some_and(|expected| *expected == hash(&bytes)) {
        return Ok(bytes);
    }
    let message =
        "it is not the file that record.json was written with: it was changed, cut short, or is of another run"
            .to_owned();
    Err(RecordError::Damaged { path: path.to_owned(), what: "part of this record", message })
}
