//! Baseline files: read with every mistake named, found, written only when they change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use oodlab_base::file::write_atomic;
use oodlab_base::text;
use oodlab_evaluation::Metric;

use super::{Baseline, Entry};
use crate::failure::settings;

/// Where baselines are committed, from the project's root.
pub const FOLDER: &str = "results/baselines";

/// Bytes that a baseline has at most: a sweep of 10,000 cells has about 200 million.
const MOST_BYTES: u64 = 1 << 29;

/// Folders below [`FOLDER`] that are looked into: more than names of experiments have parts.
const MOST_DEPTH: usize = 16;

/// Reads a baseline; absent when there is no file.
///
/// # Errors
/// When the file cannot be read, is absurdly large, is no baseline, or holds a value that none has. The message names file, place
/// and what was expected.
pub fn read(path: &Path) -> Result<Option<Baseline>> {
    if !path.exists() {
        return Ok(None);
    }
    let told = |what: String| settings(format!("{} is not a baseline: {what}; {ADVICE}", path.display()));
    let metadata = fs_err::metadata(path).map_err(|error| settings(error.to_string()))?;
    if !metadata.is_file() {
        return Err(settings(format!("{}: expected a baseline, found a folder", path.display())));
    }
    if metadata.len() > MOST_BYTES {
        return Err(told(format!("expected at most {MOST_BYTES} bytes, found {}", metadata.len())));
    }
    let bytes = fs_err::read(path).map_err(|error| settings(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        told(format!("expected UTF-8, found other bytes at byte {}", error.utf8_error().valid_up_to()))
    })?;
    if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<< ")) {
        return Err(told(format!("line {} begins a merge conflict", line + 1)));
    }
    let parser = &mut serde_json::Deserializer::from_str(&text);
    let baseline: Baseline = serde_path_to_error::deserialize(&mut *parser).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { String::new() } else { format!("{place}: ") };
        told(format!("{place}{}", error.inner()))
    })?;
    parser.end().map_err(|error| told(error.to_string()))?;
    baseline.check().map_err(told)?;
    Ok(Some(baseline))
}

const ADVICE: &str = "restore it from version control, or remove it and write it anew with `oodlab check --update`";

impl Baseline {
    /// Finds values that parse but mean nothing.
    fn check(&self) -> Result<(), String> {
        let metric = |name: &str| {
            name.parse::<Metric>()
                .map_err(|error| format!("{error}{}", text::hint(name, Metric::ALL.map(Metric::name))))
        };
        for (name, tolerance) in &self.tolerance {
            let metric = metric(name).map_err(|error| format!("tolerance: {error}"))?;
            tolerance.check(metric).map_err(|error| format!("tolerance.{name}: {error}"))?;
        }
        let mut names = BTreeSet::new();
        for (at, row) in self.rows.iter().enumerate() {
            let place = |key: &str| format!("rows[{at}].{key}");
            if !names.insert(row.name()) {
                return Err(format!("rows[{at}]: {} is there twice", row.name()));
            }
            for (name, value) in &row.metrics {
                metric(name).map_err(|error| format!("{}: {error}", place("metrics")))?;
                fraction(*value).map_err(|error| format!("{}: {error}", place(&format!("metrics.{name}"))))?;
            }
            for (name, ends) in &row.intervals {
                metric(name).map_err(|error| format!("{}: {error}", place("intervals")))?;
                let place = place(&format!("intervals.{name}"));
                ends.iter().try_for_each(|end| fraction(*end)).map_err(|error| format!("{place}: {error}"))?;
                if ends[0] > ends[1] {
                    return Err(format!("{place}: expected the lower end first, found {ends:?}"));
                }
            }
        }
        Ok(())
    }

    /// Writes the file and the folder that it lies in.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        Ok(write_atomic(path, format!("{}\n", serde_json::to_string_pretty(self)?).as_bytes())?)
    }

    /// Whether both guard the same: all but the numerics, which need not be told anew where bits are equal.
    pub fn guards_as(&self, other: &Baseline) -> bool {
        let same = |a: &Entry, b: &Entry| a == b;
        self.experiment == other.experiment
            && self.file == other.file
            && self.exact == other.exact
            && self.tolerance == other.tolerance
            && self.train_lists == other.train_lists
            && self.rows.len() == other.rows.len()
            && self.rows.iter().zip(&other.rows).all(|(a, b)| same(a, b))
    }
}

fn fraction(value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(format!("expected a fraction 0 to 1, found {value}")) }
}

/// Every `*.json` below `results/baselines`, sorted.
///
/// # Errors
/// When there is none.
pub fn find_all() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    gather(Path::new(FOLDER), 0, &mut found).map_err(|error| settings(error.to_string()))?;
    found.sort();
    if found.is_empty() {
        return Err(settings(format!("there is no baseline below {FOLDER}; write one first with --update")));
    }
    Ok(found)
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MOST_DEPTH || !folder.is_dir() {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, depth + 1, found)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    Ok(())
}

/// `results/baselines/a/b.json` guards `experiments/a/b.yaml`.
///
/// # Errors
/// When the path is not below a folder `baselines`.
pub fn experiment_file(baseline: &Path) -> Result<PathBuf> {
    let mut parts = baseline.iter().skip_while(|part| *part != "baselines").skip(1).peekable();
    if parts.peek().is_none() {
        return Err(settings(format!("{}: a new baseline lives below {FOLDER}/", baseline.display())));
    }
    Ok(Path::new("experiments").join(parts.collect::<PathBuf>()).with_extension("yaml"))
}
