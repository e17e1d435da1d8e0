//! What can go wrong, and the exit code that says so.

use std::fmt;

use oodlab_base::Cancelled;
use oodlab_datasets::DatasetError;
use oodlab_detectors::DetectorError;
use oodlab_diffusion::DiffusionError;
use oodlab_encoders::weights::WeightError;
use oodlab_fetch::FetchError;
use oodlab_store::StoreError;

/// Exit code of a run, check or verification that failed.
pub const FAILED: u8 = 1;
/// Exit code of a wrong command line or experiment file: nothing was started.
pub const SETTINGS: u8 = 2;
/// Exit code of a run that `--max-time` stopped.
pub const OUT_OF_TIME: u8 = 3;
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

/// The time that a run was given is over: exit code 3.
#[derive(Debug)]
struct OutOfTime(String);

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OutOfTime {}

/// The error of a run that was stopped because its time was over.
pub fn out_of_time(message: String) -> anyhow::Error {
    anyhow::Error::new(OutOfTime(message))
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
    } else if error.chain().any(|cause| cause.is::<OutOfTime>()) {
        OUT_OF_TIME
    } else {
        FAILED
    }
}

/// Whether the error is a request to stop, however deep. The crates' errors pass it on transparently, so that its own type
/// does not stand in the chain.
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Cancelled>()
            || matches!(cause.downcast_ref(), Some(DetectorError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(DiffusionError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(StoreError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(DatasetError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(FetchError::Cancelled(_)))
            || matches!(cause.downcast_ref(), Some(WeightError::Fetch(FetchError::Cancelled(_))))
    })
}

/// The error and its causes in one line; a cause that the line before it tells already is not told again.
pub fn describe(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match (text.is_empty(), text.contains(&cause)) {
            (true, _) => cause,
            (_, true) => text,
            (_, false) => format!("{text}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_stop_is_seen_through_every_crates_error() {
        let errors: [anyhow::Error; 6] = [
            FetchError::Cancelled(Cancelled).into(),
            WeightError::Fetch(FetchError::Cancelled(Cancelled)).into(),
            DetectorError::Cancelled(Cancelled).into(),
            StoreError::Cancelled(Cancelled).into(),
            DatasetError::Cancelled(Cancelled).into(),
            anyhow::Error::from(Cancelled).context("while encoding"),
        ];
        for error in errors {
            assert_eq!(exit_code(&error), INTERRUPTED, "{error:?}");
        }
        assert_eq!(exit_code(&anyhow::anyhow!("else")), FAILED);
        assert_eq!(exit_code(&settings("wrong").context("in a file")), SETTINGS);
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("disk full").context("writing x: disk full").context("run a");
        assert_eq!(describe(&error), "run a: writing x: disk full");
    }
}
