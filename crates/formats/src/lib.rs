//! Readers of files of other programs that several crates need: numpy's [`npy`] and [`npz`], Python's [`pickle`].
//!
//! They know the form of such a file and not what its content means. Files are not trusted: no panic, and nothing is allocated
//! for what a header says before the bytes were seen.

pub mod npy;
pub mod npz;
mod number;
pub mod pickle;

pub use number::Number;

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);
