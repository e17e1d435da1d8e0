//! Variables `OODLAB__A__B` that override the file.

use std::ffi::OsString;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::layers::{self, Layer};
use super::presets::Presets;
use super::yaml;
use crate::failure::settings;

/// Variables `OODLAB__DETECTOR__SAMPLE__START` override the file.
const PREFIX: &str = "OODLAB__";

/// Whether variables of the environment override the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// They do.
    Read,
    /// They do not: what a baseline guards is the file alone.
    Ignore,
}

/// The layers of all variables with the prefix; values are YAML, as on the command line.
///
/// # Errors
/// When a value is not valid YAML, or names no key.
pub fn layers(variables: impl Iterator<Item = (OsString, OsString)>, presets: &Presets) -> Result<Vec<Layer>> {
    let known = variables.filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
    let mut found: Vec<(String, OsString)> = known.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    found.sort();
    let mut pairs = Vec::new();
    for (name, text) in &found {
        let text = text.to_str().ok_or_else(|| settings(format!("variable {name}: not valid UTF-8")))?;
        let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        let value = yaml::parse_value(text).map_err(|error| error.context(format!("variable {name}")))?;
        // Each alone first, so that an error names the variable.
        layers::from_pairs("environment", [(key.as_str(), value.clone())], presets)
            .map_err(|error| error.context(format!("variable {name}")))?;
        pairs.push((key, value));
    }
    let made =
        layers::from_pairs("environment", pairs.iter().map(|(key, value)| (key.as_str(), value.clone())), presets)?;
    Ok(made.into_iter().filter(|layer| !layer.values.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{layers::merge, tree::get};

    #[test]
    fn variables_are_read_as_yaml() {
        let set = [("OODLAB__A__B", "1e-3"), ("OODLAB__A__C", "[1, 2]"), ("OODLAB_STORE", "x"), ("PATH", "y")];
        let read = |set: &[(&str, &str)]| {
            layers(set.iter().map(|(name, text)| (name.into(), text.into())), &Presets::built_in())
        };
        let merged = merge(&read(&set).expect("valid"));
        assert_eq!((get(&merged, "a.b"), get(&merged, "a.c.1")), (Some(&1e-3.into()), Some(&2.into())));
        assert!(read(&[]).expect("nothing").is_empty());
        let preset = merge(&read(&[("OODLAB__DETECTOR", "pca")]).expect("a kind"));
        assert_eq!(get(&preset, "detector.kind"), Some(&"pca".into()));
        assert!(read(&[("OODLAB__A__B", "[1")]).is_err() && read(&[("OODLAB____B", "1")]).is_err());
    }
}
