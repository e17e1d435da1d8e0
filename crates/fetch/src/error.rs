//! What can go wrong with a download.

use std::fmt;
use std::io;
use std::path::PathBuf;

use oodlab_base::Cancelled;

/// An error of fetching a file. Its final place is as it was before; what has arrived is kept for the next attempt unless it
/// is known to be wrong.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The work was asked to stop; what has arrived is kept.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The file system refused.
    #[error("{source} (while {operation})")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The system's answer, with the path.
        source: io::Error,
    },
    /// The disk is full, or a quota is used up.
    #[error("no space left for {label} in {} after {arrived_bytes} bytes; free some space and ask again: it goes on from there", folder.display())]
    Full {
        /// The file.
        label: String,
        /// Where it should go.
        folder: PathBuf,
        /// Bytes that are there.
        arrived_bytes: u64,
    },
    /// Another process writes the same file.
    #[error("another process is fetching {label} to {} now", path.display())]
    Busy {
        /// The file.
        label: String,
        /// Its final place.
        path: PathBuf,
    },
    /// No address gave the file.
    #[error("cannot fetch {label}: {}", Told(failures))]
    Failed {
        /// The file.
        label: String,
        /// Why, for each address in the order in which they were tried.
        failures: Vec<Failure>,
    },
    /// No address is known.
    #[error("cannot fetch {label}: no address is known")]
    NoAddress {
        /// The file.
        label: String,
    },
    /// A checksum that is none.
    #[error("{label}: `{checksum}` is no checksum: 8 to 64 hexadecimal digits of a SHA-256 or 32 of an MD5 expected")]
    BadChecksum {
        /// The file.
        label: String,
        /// What was given.
        checksum: String,
    },
    /// Certificates or proxy that the environment names are not usable.
    #[error("{variable}={value}: {reason}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
}

impl FetchError {
    /// Wraps an error of the file system.
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> FetchError {
        move |source| FetchError::Io { operation, source }
    }
}

/// Why one address did not give the file.
#[derive(Debug)]
pub struct Failure {
    /// The address.
    pub address: String,
    /// Why.
    pub reason: Reason,
}

/// What an address did instead of giving the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is no address of a file.
    #[error("not an http or https address")]
    Address,
    /// No connection, or it broke too often.
    #[error("{0}")]
    Network(String),
    /// Another answer than the file.
    #[error("HTTP status {status}{}", meaning(*status))]
    Status {
        /// The status.
        status: u16,
    },
    /// An address of https led to one of http, where anybody on the way may change the bytes.
    #[error("it leads from https to {to}, which is not safe")]
    Insecure {
        /// Where it leads.
        to: String,
    },
    /// More bytes than the file has, or may have.
    #[error("it sends {found} bytes, {} expected", bound(*.exact, *.most))]
    Size {
        /// Bytes announced or sent.
        found: u64,
        /// The bound.
        most: u64,
        /// Whether the bound is the size itself.
        exact: bool,
    },
    /// A page for people, where the file should be.
    #[error("it sends a web page, not the file (an expired link, a form, or a quota?)")]
    WebPage,
    /// Other bytes than the published ones.
    #[error("wrong checksum: expected {expected}, found {found}")]
    Checksum {
        /// The published checksum.
        expected: String,
        /// That of the bytes.
        found: String,
    },
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => " (not allowed)",
        404 | 410 => " (not there)",
        407 => " (the proxy wants a password)",
        429 => " (too many requests)",
        500..=599 => " (the server's own error)",
        _ => "",
    }
}

fn bound(exact: bool, most: u64) -> String {
    if exact { format!("{most}") } else { format!("at most {most}") }
}

/// Failures in one line.
struct Told<'a>(&'a [Failure]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{}: {}", failure.address, failure.reason)?;
        }
        Ok(())
    }
}
