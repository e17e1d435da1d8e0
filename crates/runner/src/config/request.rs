//! What the command line asks for: files, overrides and switches.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::environment::Environment;
use crate::failure::settings;

/// An experiment as it is asked for. It can be written down and handed to another process, which then resolves the same cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Experiment files, at least one; a later one wins over an earlier one, and the last one gives the experiment its name.
    pub files: Vec<PathBuf>,
    /// Overrides as they were typed: `key=value`, `+key=value`, `~key`.
    pub overrides: Vec<String>,
    /// Whether variables of the environment count.
    pub environment: Environment,
    /// Whether `key=a,b` is a sweep over two values.
    pub sweep: bool,
    /// Whether everything costly is shrunk.
    pub smoke: bool,
}

impl Request {
    /// A file as it is.
    pub fn of_file(file: &Path, environment: Environment) -> Request {
        Request { files: vec![file.to_owned()], overrides: Vec::new(), environment, sweep: false, smoke: false }
    }

    /// Words of a command line: those with `=` or a leading `~` or `+` are overrides, all others are files.
    ///
    /// # Errors
    /// When no file is among them.
    pub fn of_words(words: &[String], environment: Environment, sweep: bool, smoke: bool) -> Result<Request> {
        let is_override = |word: &&String| word.contains('=') || word.starts_with(['~', '+']);
        let (overrides, files): (Vec<&String>, Vec<&String>) = words.iter().partition(is_override);
        if files.is_empty() {
            return Err(settings("no experiment file is named, as in experiments/quickstart.yaml"));
        }
        Ok(Request {
            files: files.into_iter().map(PathBuf::from).collect(),
            overrides: overrides.into_iter().cloned().collect(),
            environment,
            sweep,
            smoke,
        })
    }

    /// The words and switches of a command line that asks for this, behind the command's own name.
    pub fn arguments(&self) -> Vec<String> {
        let files = self.files.iter().map(|file| file.display().to_string());
        let switches = [("--sweep", self.sweep), ("--smoke", self.smoke)];
        let switches = switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned());
        files.chain(self.overrides.iter().cloned()).chain(switches).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn words_are_files_or_overrides() {
        let request = Request::of_words(&words("a.yaml x=1 b.yaml +y=2 ~z"), Environment::Ignore, true, false);
        let request = request.expect("two files");
        assert_eq!(request.files, [Path::new("a.yaml"), Path::new("b.yaml")]);
        assert_eq!(request.overrides, ["x=1", "+y=2", "~z"]);
        assert_eq!(request.arguments(), words("a.yaml b.yaml x=1 +y=2 ~z --sweep"));
        assert!(Request::of_words(&words("x=1"), Environment::Ignore, false, false).is_err());
    }

    #[test]
    fn a_request_can_be_written_down() {
        let request = Request::of_file(Path::new("a.yaml"), Environment::Read);
        let text = serde_json::to_string(&request).expect("writes");
        assert_eq!(serde_json::from_str::<Request>(&text).expect("reads"), request);
    }
}
