//! What can go wrong with weight files.

use std::path::PathBuf;

/// An error of reading, importing or converting weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// The file system refused.
    #[error("{source} (while {operation})")]
    Io {
        /// What was being done, with the path.
        operation: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The bytes are not a weight file of a known format, are truncated, or are damaged.
    #[error("{file}: not a readable weight file: {reason}")]
    Malformed {
        /// The file, or the name of the embedded weights.
        file: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A torch file asks for a class or function outside the short list that weights need.
    #[error(
        "{file}: this file asks to run `{name}`; refused (only tensors are read, never code). Save its `state_dict()` instead"
    )]
    ForbiddenGlobal {
        /// The file.
        file: String,
        /// The class or function, as `module.name`.
        name: String,
    },
    /// The file's checksum is not the published one.
    #[error("{}: wrong checksum for weights `{weights}`: expected SHA-256 {expected}, found {found}", path.display())]
    WrongChecksum {
        /// The file.
        path: PathBuf,
        /// The weights that its name belongs to.
        weights: String,
        /// The published SHA-256, or its published beginning followed by `..`.
        expected: String,
        /// The SHA-256 of the file.
        found: String,
    },
    /// The file's checksum belongs to no known weights.
    #[error(
        "{}: SHA-256 {found} belongs to no known weights (`oodlab weights list` shows those known); \
         say whose they are, as in `oodlab weights import FILE --network resnet18 --name mine`, or give this file's path as \
         the encoder's weights",
        path.display()
    )]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// The SHA-256 of the file.
        found: String,
    },
    /// Nothing is known under this name.
    #[error("no weights and no network named `{name}`; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The known names, comma-separated.
        known: String,
    },
    /// Known weights that are not on this machine.
    #[error(
        "the weights `{name}` are not at hand: {fetch}get {file} (SHA-256 {sha256}; {origin}) and run \
         `oodlab weights import FILE`, or give the file's path as the encoder's weights"
    )]
    NotAtHand {
        /// The weights.
        name: String,
        /// The file's usual name.
        file: String,
        /// The SHA-256 or its published beginning.
        sha256: String,
        /// Where the file comes from.
        origin: String,
        /// The command that fetches them, where an address is published.
        fetch: String,
    },
    /// Known weights without a published address.
    #[error(
        "no address is published for the weights `{name}`: get {file} (SHA-256 {sha256}; {origin}) and run \
         `oodlab weights import FILE`, or name a folder of files with --mirror ADDRESS"
    )]
    NoAddress {
        /// The weights.
        name: String,
        /// The file's usual name.
        file: String,
        /// The SHA-256 or its published beginning.
        sha256: String,
        /// Where the file comes from.
        origin: String,
    },
    /// A download failed or was stopped.
    #[error(transparent)]
    Fetch(#[from] oodlab_fetch::FetchError),
    /// A name that own weights cannot have.
    #[error("`{name}` cannot be the name of weights: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A network with several known sets of weights at hand.
    #[error("several weights are at hand for the network `{network}`: name one of {names}")]
    Ambiguous {
        /// The network.
        network: String,
        /// The weights, comma-separated.
        names: String,
    },
    /// A manifest of known weights is wrong.
    #[error("weight manifest `{manifest}`: {reason}")]
    Manifest {
        /// The manifest.
        manifest: String,
        /// What is wrong.
        reason: String,
    },
    /// No network of this name.
    #[error("no network named `{network}`; known: {known}")]
    UnknownNetwork {
        /// What was asked for.
        network: String,
        /// The known names, comma-separated.
        known: String,
    },
    /// Weights of another network, which would fit and give wrong features.
    #[error("{file}: these are weights of `{other}`, not of `{network}`: {reason}; name the network `{other}`")]
    OtherNetwork {
        /// The file.
        file: String,
        /// The network that was asked for.
        network: String,
        /// Theirs.
        other: String,
        /// How that is known.
        reason: String,
    },
    /// Tensors that do not fit the network by their names.
    #[error("{file}: {count} tensors are {what}, taken as weights of `{network}` with {scheme} names: {names}")]
    Names {
        /// The file.
        file: String,
        /// The network.
        network: String,
        /// Whose names they were taken for.
        scheme: &'static str,
        /// What is wrong with them.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The first few.
        names: String,
    },
    /// The batch norms could not be folded, or the classifier not be cut off.
    #[error("cannot convert the weights of {file}: {reason}")]
    Fold {
        /// The file.
        file: String,
        /// What the network said.
        reason: String,
    },
}

impl WeightError {
    /// Wraps an error of the file system.
    pub(crate) fn io(operation: impl Into<String>) -> impl FnOnce(std::io::Error) -> WeightError {
        let operation = operation.into();
        move |source| WeightError::Io { operation, source }
    }

    /// A file that does not hold what it should.
    pub(crate) fn malformed(file: &str, reason: impl Into<String>) -> WeightError {
        WeightError::Malformed { file: file.to_owned(), reason: reason.into() }
    }
}
