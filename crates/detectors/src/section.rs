//! Reading a detector's section of the configuration, with errors that name the place and the nearest known key.

use oodlab_base::text;
use oodlab_diffusion::DiffusionError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::DetectorError;

/// A section as a map; nothing at all is an empty one.
pub(crate) fn map(place: &str, value: Value) -> Result<Map<String, Value>, DetectorError> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        other => Err(DetectorError::Config {
            place: place.to_owned(),
            message: format!("found {other}, expected a section"),
        }),
    }
}

/// Refuses keys that are not known.
pub(crate) fn known_keys(place: &str, section: &Map<String, Value>, known: &[&str]) -> Result<(), DetectorError> {
    match section.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(unknown_key(place, key, known)),
        None => Ok(()),
    }
}

/// Reads a section into its type; an absent one is the type's default.
pub(crate) fn read<T: DeserializeOwned>(place: &str, value: Option<Value>) -> Result<T, DetectorError> {
    let value = Value::Object(map(place, value.unwrap_or(Value::Null))?);
    serde_path_to_error::deserialize(value).map_err(|error| {
        let key = error.path().to_string();
        let message = error.into_inner().to_string();
        // serde names the key and all known ones between backticks.
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        match quoted.as_slice() {
            [key, known @ ..] if message.starts_with("unknown field") => unknown_key(place, key, known),
            _ if key == "." => DetectorError::Config { place: place.to_owned(), message },
            _ => DetectorError::Config { place: format!("{place}.{key}"), message },
        }
    })
}

fn unknown_key(place: &str, key: &str, known: &[&str]) -> DetectorError {
    let message = if known.is_empty() {
        format!("unknown key `{key}`: this section has no keys")
    } else {
        let hint = text::hint(key, known.iter().copied());
        format!("unknown key `{key}`{hint} (known keys: {})", known.join(", "))
    };
    DetectorError::Config { place: place.to_owned(), message }
}

/// Reads a section over defaults that are not the type's own: keys that are absent keep them.
pub(crate) fn read_over<T: DeserializeOwned + Serialize>(
    place: &str,
    value: Option<Value>,
    defaults: &T,
) -> Result<T, DetectorError> {
    let given = map(place, value.unwrap_or(Value::Null))?;
    let mut all = match serde_json::to_value(defaults) {
        Ok(Value::Object(all)) => all,
        _ => Map::new(),
    };
    all.extend(given);
    read(place, Some(Value::Object(all)))
}

/// A number; an absent one is the default.
pub(crate) fn number(place: &str, value: Option<Value>, default: f64) -> Result<f64, DetectorError> {
    match value {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value.as_f64().ok_or_else(|| DetectorError::Config {
            place: place.to_owned(),
            message: format!("found {value}, expected a number"),
        }),
    }
}

/// A setting that a network refuses, with its place in the detector's section.
pub(crate) fn refused(error: &DiffusionError) -> DetectorError {
    let place = match error {
        DiffusionError::Setting { name, .. } => format!("detector.{name}"),
        _ => "detector".to_owned(),
    };
    DetectorError::Config { place, message: error.to_string() }
}
