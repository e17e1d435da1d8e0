//! What can go wrong with data sets.

use oodlab_base::Cancelled;

/// An error of this crate: where it happened, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder cannot be read or written; the path is in the message.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A manifest or benchmark file that cannot be used.
    #[error("{place}: {what}")]
    Manifest {
        /// File, and line where known.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// No manifest has this name.
    #[error("no data set is named {name:?}{}; `data list` shows all", nearest.as_ref().map(|n| format!(" (nearest: {n:?})")).unwrap_or_default())]
    UnknownSet {
        /// The name asked for.
        name: String,
        /// The known name that is nearest to it.
        nearest: Option<String>,
    },
    /// The file that describes a data set or benchmark in a folder of the person's own cannot be used.
    #[error("{name} cannot be used: {what}")]
    Broken {
        /// Name of the data set, or `benchmarks/` and the name of the benchmark.
        name: String,
        /// What is wrong with its file.
        what: String,
    },
    /// No benchmark has this name.
    #[error("no benchmark is named {name:?}; known: {known}")]
    UnknownBenchmark {
        /// The name asked for.
        name: String,
        /// All known names.
        known: String,
    },
    /// The data set has no such split.
    #[error("data set {name} has no split {split:?}; it has: {known}")]
    UnknownSplit {
        /// Data set.
        name: String,
        /// The split asked for.
        split: String,
        /// Its splits.
        known: String,
    },
    /// The data set was not imported.
    #[error("data set {name} is absent from {root}; `data import {name} --from DIR` takes its files from a folder")]
    Absent {
        /// Data set.
        name: String,
        /// Data root.
        root: String,
    },
    /// The split holds no image.
    #[error(
        "split {split:?} of data set {name} holds no image ({found} imported, {} expected, limit {})",
        expected.map_or("any number".into(), |n| n.to_string()),
        limit.map_or("none".into(), |n| n.to_string())
    )]
    Empty {
        /// Data set.
        name: String,
        /// Split.
        split: String,
        /// Images imported.
        found: usize,
        /// Images of the complete split.
        expected: Option<usize>,
        /// The limit asked for.
        limit: Option<usize>,
    },
    /// Bytes that are not what their format demands.
    #[error("{path}: {what}")]
    Decode {
        /// File, or file and record.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A file changed after its import.
    #[error(
        "{path}: changed since its import: expected blake3 {expected}, found {found}; `data import` again repairs it"
    )]
    Changed {
        /// File.
        path: String,
        /// Recorded hash.
        expected: String,
        /// Hash of what is there now.
        found: String,
    },
    /// A file that should be a known one and is not.
    #[error(
        "{path}: wrong checksum for {file} of data set {set}: expected {expected}, found {found}; the copy may be truncated or damaged"
    )]
    Checksum {
        /// File found.
        path: String,
        /// Data set.
        set: String,
        /// The file's name in the manifest.
        file: String,
        /// Expected checksum and size.
        expected: String,
        /// Checksum and size found.
        found: String,
    },
    /// Images that no decoder reads, or that lie in no class.
    #[error(
        "data set {name}: {count} of {total} images cannot be used, the first: {first}; `--allow-unreadable` leaves them out"
    )]
    Unreadable {
        /// Data set.
        name: String,
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// The first of them, with reasons.
        first: String,
    },
    /// A file differs from the one that was imported under its path before, or that lies in another folder of the same import.
    #[error(
        "{path}: two different contents for one file (blake3 {before} and {now}); remove {folder} to start anew, or import from one folder"
    )]
    Conflict {
        /// Path inside the data set, or the two files.
        path: String,
        /// Hash of the one.
        before: String,
        /// Hash of the other.
        now: String,
        /// The data set's folder.
        folder: String,
    },
    /// Nothing of the data set is in the folder.
    #[error("nothing of data set {name} was found in {from}; looked for {looked_for}{}", if notes.is_empty() { String::new() } else { format!("; {notes}") })]
    NothingFound {
        /// Data set.
        name: String,
        /// Folder searched.
        from: String,
        /// What would have been recognised.
        looked_for: String,
        /// What was there instead.
        notes: String,
    },
    /// The data set needs no import: it is embedded or generated.
    #[error("data set {name} is built in ({kind}) and needs no import")]
    BuiltIn {
        /// Data set.
        name: String,
        /// `embedded` or `generated`.
        kind: &'static str,
    },
    /// No such image.
    #[error("data set {name} has no image {index}: it has {len}")]
    OutOfRange {
        /// Data set.
        name: String,
        /// Position asked for.
        index: usize,
        /// Number of images.
        len: usize,
    },
    /// Width, height and buffer of an image do not agree.
    #[error("an image of {width} x {height} needs {} bytes, more than 0; found {found}", 3 * u64::from(*width) * u64::from(*height))]
    Shape {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// Bytes found.
        found: usize,
    },
    /// An image cannot be brought to this size.
    #[error("cannot resize to {width} x {height}: each side must be in 1..={limit}")]
    Target {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
        /// Largest side.
        limit: u32,
    },
    /// An image that preprocessing leaves at another size than the encoder takes.
    #[error(
        "{width} x {height} after preprocessing, expected {resolution} x {resolution}; set preprocess.resize or preprocess.crop"
    )]
    NotSquare {
        /// Width found.
        width: u32,
        /// Height found.
        height: u32,
        /// Side of the encoder's input.
        resolution: u32,
    },
    /// A file could not be downloaded.
    #[error(transparent)]
    Fetch(#[from] oodlab_fetch::FetchError),
    /// Stopped on request.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl DatasetError {
    pub(crate) fn decode(path: impl Into<String>, what: impl Into<String>) -> DatasetError {
        DatasetError::Decode { path: path.into(), what: what.into() }
    }

    pub(crate) fn manifest(place: impl Into<String>, what: impl Into<String>) -> DatasetError {
        DatasetError::Manifest { place: place.into(), what: what.into() }
    }
}
