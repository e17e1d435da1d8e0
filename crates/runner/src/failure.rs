//! What can go wrong, and the exit code that says so.

use std::fmt;

use oodlab_base::Cancelled;

/// Exit code of a run, check or verification that failed.
pub const FAILED: u8 = 1;
/// Exit code of a wrong command line or experiment file: nothing was started.
pub const SETTINGS: u8 = 2;
/// Exit code after Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The user's settings are wrong: exit code 2.
#[derive(Debug)]
pub struct Settings(String);

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Settings {}

/// A settings error with its message.
pub fn settings(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Settings(message.into()))
}

/// A value of an experiment is wrong; where it came from is added by [`crate::config::Source::locate`].
#[derive(Debug)]
pub struct Misplaced {
    /// Dotted key.
    pub key: String,
    /// What is wrong with its value.
    pub message: String,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for Misplaced {}

/// An error of the value under a dotted key.
pub fn at(key: &str, message: &str) -> anyhow::Error {
    anyhow::Error::new(Misplaced { key: key.to_owned(), message: message.to_owned() })
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if is_cancelled(error) {
        INTERRUPTED
    } else if error.chain().any(|cause| cause.is::<Settings>()) {
        SETTINGS
    } else {
        FAILED
    }
}

/// Whether the error is a request to stop, however deep.
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Cancelled>())
}
