//! Overrides as Hydra's users type them: `key=value`, `key=1,2,4`, `+new=value`, `~gone`.

use anyhow::Result;
use oodlab_base::text;
use serde_json::Value;

use super::layers::{self, Layer, merge};
use super::presets::Presets;
use super::sweep::strip;
use super::tree::{self, Tree};
use super::values::{self, Typed};
use crate::failure::settings;

/// Origin of what was typed.
pub const COMMAND_LINE: &str = "command line";

/// One word of the command line.
#[derive(Debug, Clone, PartialEq)]
enum Override {
    /// `key=value` and `++key=value`.
    Set { key: String, value: Value },
    /// `+key=value`: the key must be new.
    Add { key: String, value: Value },
    /// `key=1,2,4`.
    Sweep { key: String, values: Vec<Value> },
    /// `~key`: the key must be there, with this value if one is given.
    Remove { key: String, value: Option<Value> },
}

/// Lays what was typed over the layers of files and environment.
///
/// First the keys that go, then presets, then values, whatever their order on the command line. A key that is set or swept here is
/// taken out of the sweep of the files.
///
/// # Errors
/// When a word is not understood, `~gone` is not there, `+new` is there, or several values are given without `--sweep`.
pub fn apply(words: &[String], sweep: bool, presets: &Presets, under: &mut Vec<Layer>) -> Result<()> {
    let overrides = words
        .iter()
        .map(|word| parse(word, sweep).map_err(|error| error.context(format!("override {word:?}"))))
        .collect::<Result<Vec<Override>>>()?;
    for change in &overrides {
        if let Override::Remove { key, value } = change {
            remove(key, value.as_ref(), under)?;
        }
    }
    let before = merge(under);
    let (mut pairs, mut swept) = (Vec::new(), Tree::new());
    for change in &overrides {
        match change {
            Override::Remove { .. } => {}
            Override::Add { key, value } => {
                if tree::get(&before, key).is_some() {
                    return Err(settings(format!(
                        "override \"+{key}=..\": {key} is set already, by {}; leave out the + to change it",
                        origin_of(under, key)
                    )));
                }
                pairs.push((key.as_str(), value.clone()));
            }
            Override::Set { key, value } => {
                strip_all(under, key);
                swept.remove(key);
                pairs.push((key.as_str(), value.clone()));
            }
            Override::Sweep { key, values } => {
                strip_all(under, key);
                swept.insert(key.clone(), Value::Array(values.clone()));
            }
        }
    }
    let mut over = layers::from_pairs(COMMAND_LINE, pairs, presets)?;
    if !swept.is_empty() {
        let grid = Tree::from_iter([("grid".to_owned(), Value::Object(swept))]);
        over.push(Layer::plain(COMMAND_LINE, Tree::from_iter([("sweep".to_owned(), Value::Object(grid))])));
    }
    under.extend(over.into_iter().filter(|layer| !layer.values.is_empty()));
    Ok(())
}

fn parse(word: &str, sweep: bool) -> Result<Override> {
    let key_of = |key: &str| -> Result<String> {
        let key = key.trim();
        // As an override of the tree itself would find out, but of keys that go too.
        tree::insert(&mut Tree::new(), key, Value::Null)?;
        Ok(key.to_owned())
    };
    if let Some(gone) = word.strip_prefix('~') {
        let (key, value) = match gone.split_once('=') {
            None => (gone, None),
            Some((key, value)) => (key, Some(super::yaml::parse_value(value)?)),
        };
        return Ok(Override::Remove { key: key_of(key)?, value });
    }
    let (adds, rest) = match (word.strip_prefix("++"), word.strip_prefix('+')) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => (false, word),
    };
    let Some((key, typed)) = rest.split_once('=') else {
        return Err(settings("expected key=value, as in detector.sample.start=10"));
    };
    let key = key_of(key)?;
    match values::parse(typed)? {
        Typed::One(value) if adds => Ok(Override::Add { key, value }),
        Typed::One(value) => Ok(Override::Set { key, value }),
        Typed::Many(_) if !sweep => Err(settings(format!(
            "several values are a sweep: add --sweep (or -m) to run a cell for each, or write {key}=[{typed}] for a list"
        ))),
        // Every cell is run with every seed anyway: a sweep over seeds would only tear a mean apart.
        Typed::Many(values) if key == "seeds" => Ok(Override::Set { key, value: Value::Array(values) }),
        Typed::Many(values) => Ok(Override::Sweep { key, values }),
    }
}

fn strip_all(layers: &mut [Layer], key: &str) {
    for layer in layers {
        if let Some(Value::Object(sweep)) = layer.values.get_mut("sweep") {
            strip::key(sweep, key);
        }
    }
}

fn remove(key: &str, value: Option<&Value>, layers: &mut [Layer]) -> Result<()> {
    let merged = merge(layers);
    let found = tree::get(&merged, key);
    let swept = merged.get("sweep").and_then(Value::as_object).is_some_and(|sweep| strip::names(sweep).contains(key));
    if found.is_none() && !swept {
        let keys = known_keys(&merged);
        let hint = text::hint(key, keys.iter().map(String::as_str));
        return Err(settings(format!("override \"~{key}\": {key} is not set by any file{hint}")));
    }
    if let (Some(found), Some(value)) = (found, value)
        && found != value
    {
        return Err(settings(format!("override \"~{key}={value}\": {key} is {found}")));
    }
    let path: Vec<&str> = key.split('.').collect();
    for layer in layers.iter_mut() {
        tree::remove(&mut layer.values, &path);
    }
    strip_all(layers, key);
    Ok(())
}

/// Every dotted key of a tree that could be removed, for hints.
fn known_keys(tree: &Tree) -> Vec<String> {
    fn walk(prefix: &str, tree: &Tree, keys: &mut Vec<String>) {
        for (key, value) in tree {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Value::Object(inner) = value {
                walk(&key, inner, keys);
            }
            keys.push(key);
        }
    }
    let mut keys = Vec::new();
    walk("", tree, &mut keys);
    keys
}

fn origin_of(layers: &[Layer], key: &str) -> String {
    let path: Vec<&str> = key.split('.').collect();
    super::origin::of(&layers::kept(layers), &path)
}
