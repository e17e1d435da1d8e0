//! Errors of settings: file, line, key, what is wrong, and the nearest known key.

use anyhow::Result;
use figment::error::Kind;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use oodlab_base::text;
use serde_json::Value;

use super::encoder::IMPORTED;
use super::experiment::Experiment;
use super::layers::{Layer, kept};
use super::origin::place_in;
use super::tree::find_in;
use crate::failure::{Misplaced, settings};

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut values = Dict::new();
        for (key, value) in &self.values {
            values.insert(key.clone(), figment::value::Value::serialize(value)?);
        }
        Ok(Profile::Default.collect(values))
    }
}

/// Reads the experiment from its layers as figment does, which remembers where each value came from. Slower than reading the merged
/// tree, and equal to it: it is asked for the place of an error.
///
/// # Errors
/// When a value is not what it should be.
pub fn extract(layers: &[Layer]) -> Result<Experiment> {
    let merged = kept(layers).into_iter().fold(Figment::new(), Figment::merge);
    merged.extract().map_err(|error| explain(&error, layers))
}

/// Adds file and line to an error of one of the values; any other passes.
pub fn locate(layers: &[Layer], error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Misplaced>() {
        Ok(Misplaced { key, message }) => at_place(layers, None, &key.split('.').collect::<Vec<_>>(), &message),
        Err(other) => other,
    }
}

/// Turns figment's error into one that names the place and, for an unknown key, the nearest known one.
fn explain(error: &figment::Error, layers: &[Layer]) -> anyhow::Error {
    let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
    let mut path: Vec<&str> = error.path.iter().map(String::as_str).collect();
    let message = match &error.kind {
        Kind::UnknownField(field, known) => {
            if path.last() != Some(&field.as_str()) {
                path.push(field);
            }
            // The section of a network knows nothing of the other kind of section.
            let other = (path.first() == Some(&"encoder")).then_some(IMPORTED);
            unknown_key(field, known.iter().copied().chain(other))
        }
        Kind::MissingField(field) => format!("key {field:?} is missing"),
        Kind::UnknownVariant(found, known) => format!("unknown value {found:?}: expected one of {}", known.join(", ")),
        Kind::InvalidType(found, expected) => format!("found {found}, expected {expected}"),
        other => other.to_string(),
    };
    at_place(layers, origin.as_deref(), &path, &message)
}

/// `unknown key "strat"; did you mean "start"? known keys: ..`
fn unknown_key<'a>(field: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = text::hint(field, known.clone());
    format!("unknown key {field:?}{hint} (known: {})", known.collect::<Vec<_>>().join(", "))
}

/// A settings error with its place: `file:line: key: message`.
pub fn at_place(layers: &[Layer], origin: Option<&str>, path: &[&str], message: &str) -> anyhow::Error {
    // An unknown key has no value of its own to remember its origin: look for it, the latest layer first; else for what it is in.
    let holder = |path: &[&str]| layers.iter().rev().find(|layer| find_in(&layer.values, path).is_some());
    let named = origin.and_then(|origin| layers.iter().rev().find(|layer| layer.origin == origin));
    let file = layers.iter().rev().find(|layer| layer.text.is_some());
    let above = (1..path.len()).rev().find_map(|length| holder(&path[..length]));
    let layer = holder(path).or(named).or(above).or(file);
    let place = match layer {
        Some(layer) => place_in(layer, path),
        None => layers.first().map(|layer| layer.origin.clone()).unwrap_or_default(),
    };
    let key = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
    settings(format!("{place}: {key}{message}"))
}

/// Refuses sections that are no mappings, in the words of a user.
///
/// # Errors
/// Names the section.
pub fn check_sections(tree: &super::tree::Tree) -> Result<()> {
    for section in super::layers::SECTIONS {
        let found = match tree.get(section) {
            None | Some(Value::Object(..)) => continue,
            Some(Value::Null) => "nothing; leave the section out",
            Some(other) => super::yaml::describe(other),
        };
        return Err(crate::failure::at(section, &format!("expected keys with values, found {found}")));
    }
    Ok(())
}
