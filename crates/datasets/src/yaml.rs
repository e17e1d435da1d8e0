//! Strict YAML: duplicate and unknown keys are errors that name the file.

use serde::de::DeserializeOwned;

use crate::error::DatasetError;

/// Parses one document. `place` names the file in errors.
pub(crate) fn parse<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, DatasetError> {
    let fail = |error: serde_yaml::Error| DatasetError::manifest(place, error.to_string());
    // A typed map would keep the last of two equal keys; the untyped value refuses them.
    let _: serde_yaml::Value = serde_yaml::from_str(text).map_err(fail)?;
    serde_yaml::from_str(text).map_err(fail)
}
