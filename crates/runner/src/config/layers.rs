//! Configuration in layers, later wins: files that are extended, the file, the environment, the command line, a sweep's cell.
//!
//! figment merges the layers and remembers where each value came from.

use std::path::{Path, PathBuf};

use anyhow::Result;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Serialize};

use super::Request;
use super::encoder::IMPORTED;
use super::yaml;
use crate::failure::settings;

/// Variables `OODLAB__DETECTOR__SAMPLE__START` override the file.
const ENVIRONMENT_PREFIX: &str = "OODLAB__";

/// Whether variables of the environment override the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// They do.
    Read,
    /// They do not: what a baseline guards is the file alone.
    Ignore,
}

/// One source of values.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Shown as the origin of its values: a path, `environment`, `command line`, `sweep`.
    pub origin: String,
    /// The text, for a file: errors name its lines.
    pub text: Option<String>,
    /// Its values.
    pub values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The layers of experiment files with overrides, in order of growing priority.
pub fn gather(request: &Request) -> Result<Vec<Layer>> {
    let Request { files, overrides, environment, .. } = request;
    let mut layers = Vec::new();
    for file in files {
        read_with_extended(file, &mut layers, &mut Vec::new())?;
    }
    if *environment == Environment::Read
        && let Some(layer) = from_environment(std::env::vars())?
    {
        layers.push(layer);
    }
    if !overrides.is_empty() {
        let mut values = Dict::new();
        for text in overrides {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                settings(format!("override {text:?}: expected key=value, as in detector.sample.start=10"))
            })?;
            let value = yaml::parse_value(value).map_err(|error| error.context(format!("override {text:?}")))?;
            insert(&mut values, key, value)?;
        }
        layers.push(Layer { origin: "command line".into(), text: None, values });
    }
    Ok(layers)
}

/// The layer of all variables with the prefix; values are YAML, as on the command line.
fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<Option<Layer>> {
    let mut found: Vec<(String, String)> = variables.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
    found.sort();
    let mut values = Dict::new();
    for (name, text) in &found {
        let key = name[ENVIRONMENT_PREFIX.len()..].to_lowercase().replace("__", ".");
        let value = yaml::parse_value(text).map_err(|error| error.context(format!("variable {name}")))?;
        insert(&mut values, &key, value).map_err(|error| error.context(format!("variable {name}")))?;
    }
    Ok((!found.is_empty()).then(|| Layer { origin: "environment".into(), text: None, values }))
}

/// A layer that sets dotted keys: a cell of a sweep.
pub fn from_pairs<'a>(origin: &str, pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Result<Layer> {
    let mut values = Dict::new();
    for (key, value) in pairs {
        insert(&mut values, key, value)?;
    }
    Ok(Layer { origin: origin.to_owned(), text: None, values })
}

/// Merges the layers. A section whose `kind` changes starts anew: settings of the old kind are dropped with it. The kinds of the
/// section `encoder` are those that name a `network` and those that name what was `imported`.
pub fn merge(layers: &[Layer]) -> Figment {
    let mut kept: Vec<Layer> = Vec::new();
    for layer in layers {
        for (section, value) in &layer.values {
            let kind = |value: &Value| {
                let dict = value.as_dict()?;
                let named =
                    [IMPORTED, "network"].into_iter().find(|key| section == "encoder" && dict.contains_key(*key));
                named.or_else(|| dict.get("kind")?.as_str()).map(str::to_owned)
            };
            let Some(new) = kind(value) else { continue };
            let old = kept.iter().rev().find_map(|earlier| earlier.values.get(section).and_then(kind));
            if old.is_some_and(|old| old != new) {
                for earlier in &mut kept {
                    earlier.values.remove(section);
                }
            }
        }
        kept.push(layer.clone());
    }
    kept.into_iter().fold(Figment::new(), Figment::merge)
}

fn read_with_extended(file: &Path, layers: &mut Vec<Layer>, open: &mut Vec<PathBuf>) -> Result<()> {
    let identity = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    if open.contains(&identity) {
        return Err(settings(format!("{} extends itself", file.display())));
    }
    let (text, mut values) = yaml::read_file(file)?;
    open.push(identity);
    let parents = match values.remove("extends") {
        None => Vec::new(),
        Some(Value::String(_, one)) => vec![one],
        Some(Value::Array(_, many)) if many.iter().all(|v| v.as_str().is_some()) => {
            many.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        }
        Some(_) => return Err(settings(format!("{}: extends: expected a file or a list of files", file.display()))),
    };
    for parent in parents {
        let path = file.parent().unwrap_or(Path::new("")).join(parent);
        read_with_extended(&path, layers, open)
            .map_err(|error| error.context(format!("{} extends {}", file.display(), path.display())))?;
    }
    open.pop();
    layers.push(Layer { origin: file.display().to_string(), text: Some(text), values });
    Ok(())
}

fn insert(values: &mut Dict, key: &str, value: Value) -> Result<()> {
    // The keys of a grid hold dots themselves.
    let (parents, last) = match key.strip_prefix("sweep.grid.") {
        Some(swept) => (Some("sweep.grid"), swept),
        None => key.rsplit_once('.').map_or((None, key), |(parents, last)| (Some(parents), last)),
    };
    if key.split('.').any(|part| part.trim().is_empty()) {
        return Err(settings(format!("key {key:?}: expected names joined by dots, as in detector.sample.start")));
    }
    let mut dict = values;
    for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
        let entry = dict.entry(part.to_owned()).or_insert_with(|| Value::from(Dict::new()));
        dict = match entry {
            Value::Dict(_, inner) => inner,
            _ => return Err(settings(format!("key {key:?}: {part:?} is set to a single value already"))),
        };
    }
    dict.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(origin: &str, text: &str) -> Layer {
        Layer { origin: origin.into(), text: None, values: yaml::parse(text).expect("valid YAML") }
    }

    #[test]
    fn later_layers_win_and_origins_are_kept() {
        let merged = merge(&[layer("file", "a: {x: 1, y: 2}"), layer("command line", "a: {x: 3}")]);
        assert_eq!(merged.extract_inner::<u32>("a.x").expect("set"), 3);
        assert_eq!(merged.extract_inner::<u32>("a.y").expect("set"), 2);
        assert_eq!(merged.find_metadata("a.x").expect("known").name, "command line");
        assert_eq!(merged.find_metadata("a.y").expect("known").name, "file");
    }

    #[test]
    fn a_changed_kind_drops_the_settings_of_the_old_one() {
        let merged =
            merge(&[layer("file", "detector: {kind: dlsr, blocks: 4}"), layer("line", "detector: {kind: knn}")]);
        assert!(!merged.contains("detector.blocks"));
        let same =
            merge(&[layer("file", "detector: {kind: dlsr, blocks: 4}"), layer("line", "detector: {kind: dlsr}")]);
        assert!(same.contains("detector.blocks"));
    }

    #[test]
    fn imported_features_take_the_place_of_a_network_and_back() {
        let network = || layer("file", "encoder: {network: efficientnet-b4, resolution: 380}");
        let imported = || layer("line", "encoder: {imported: mine}");
        let merged = merge(&[network(), imported()]);
        assert!(merged.contains("encoder.imported") && !merged.contains("encoder.resolution"));
        let back = merge(&[network(), imported(), layer("sweep", "encoder: {network: efficientnet-b0}")]);
        assert!(!back.contains("encoder.imported") && !back.contains("encoder.resolution"));
        let finer = merge(&[network(), layer("line", "encoder: {resolution: 260}")]);
        assert!(finer.contains("encoder.network"));
    }

    #[test]
    fn variables_are_read_as_yaml() {
        let set = [("OODLAB__A__B", "1e-3"), ("OODLAB__A__C", "[1, 2]"), ("OODLAB_STORE", "x"), ("PATH", "y")];
        let layer = from_environment(set.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned()))).expect("valid");
        let merged = merge(&[layer.expect("two variables")]);
        assert_eq!(merged.extract_inner::<f64>("a.b").expect("set"), 1e-3);
        assert_eq!(merged.extract_inner::<Vec<u32>>("a.c").expect("set"), [1, 2]);
        assert!(from_environment(std::iter::empty()).expect("nothing").is_none());
    }

    #[test]
    fn dotted_keys_nest_and_bad_ones_are_refused() {
        let made = from_pairs("sweep", [("a.b", Value::from(1)), ("a.c", Value::from(2))]).expect("valid keys");
        let merged = merge(&[made]);
        assert_eq!(merged.extract_inner::<u32>("a.c").expect("set"), 2);
        for key in ["", "a..b", ".a"] {
            assert!(from_pairs("sweep", [(key, Value::from(1))]).is_err(), "{key:?}");
        }
        assert!(from_pairs("sweep", [("a", Value::from(1)), ("a.b", Value::from(1))]).is_err());
    }
}
