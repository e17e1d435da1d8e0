//! Experiment files: what they extend, and their lists of defaults.

use std::path::{Path, PathBuf};

use anyhow::Result;
use oodlab_base::text;
use serde_json::Value;

use super::layers::{Layer, SECTIONS};
use super::place::line_of;
use super::presets::Presets;
use super::yaml;
use crate::failure::settings;

/// The place of the file itself in its list of defaults; last when it is not named.
const ITSELF: &str = "_self_";

/// Reads a file: what it extends first, then the presets of its `defaults`, then the file.
///
/// # Errors
/// When a file cannot be read, extends itself, or names what does not exist.
pub fn read(file: &Path, layers: &mut Vec<Layer>) -> Result<()> {
    read_inside(file, layers, &mut Vec::new())
}

fn read_inside(file: &Path, layers: &mut Vec<Layer>, open: &mut Vec<PathBuf>) -> Result<()> {
    let identity = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    if open.contains(&identity) {
        return Err(settings(format!("{} extends itself", file.display())));
    }
    let (text, mut values) = yaml::read_file(file)?;
    open.push(identity);
    let parents = match values.remove("extends") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            many.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
        }
        Some(_) => {
            let place = place_of(file, &text, "extends");
            return Err(settings(format!("{place}: extends: expected a file or a list of files")));
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut extend = |parent: &Path, layers: &mut Vec<Layer>| {
        read_inside(parent, layers, open)
            .map_err(|error| error.context(format!("{} extends {}", file.display(), parent.display())))
    };
    for parent in parents {
        extend(&folder.join(parent), layers)?;
    }
    let place = place_of(file, &text, "defaults");
    let defaults = defaults(values.remove("defaults"), &place)?;
    let presets = Presets::beside(file);
    let own = Layer { origin: file.display().to_string(), text: Some(text), section: None, values };
    let mut own = Some(own.with_presets(&presets)?);
    for entry in defaults {
        match entry {
            Entry::Itself => layers.extend(own.take().unwrap_or_default()),
            Entry::File(name) => {
                let named = folder.join(&name);
                let with_ending = if named.extension().is_some() { named } else { folder.join(format!("{name}.yaml")) };
                extend(&with_ending, layers)?;
            }
            Entry::Preset { section, name, optional: false } => layers.push(presets.find(&section, &name, &place)?),
            Entry::Preset { section, name, optional: true } => {
                layers.extend(presets.optional(&section, &name, &place)?);
            }
        }
    }
    layers.extend(own.unwrap_or_default());
    open.pop();
    Ok(())
}

fn place_of(file: &Path, text: &str, key: &str) -> String {
    let line = line_of(text, &[key]).map_or_else(String::new, |line| format!(":{line}"));
    format!("{}{line}", file.display())
}

#[derive(Debug, PartialEq)]
enum Entry {
    /// Here stands the file that holds the list.
    Itself,
    /// Another experiment file beside it.
    File(String),
    /// A preset of a section.
    Preset { section: String, name: String, optional: bool },
}

/// Reads a list of defaults as Hydra's are written: `- detector: dlsr-small`, `- optional encoder: mine`, `- _self_`, `- other_file`.
fn defaults(list: Option<Value>, place: &str) -> Result<Vec<Entry>> {
    let wrong = |found: &Value| {
        let expected = "expected a list such as [{detector: dlsr-small}, {encoder: lite0}]";
        settings(format!("{place}: defaults: {expected}, found {found}"))
    };
    let items = match list {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong(&other)),
    };
    let mut entries = Vec::new();
    for item in &items {
        match item {
            Value::String(itself) if itself == ITSELF => entries.push(Entry::Itself),
            Value::String(name) => entries.push(Entry::File(name.clone())),
            Value::Object(map) if map.len() == 1 => {
                let Some((key, name)) = map.iter().next() else { return Err(wrong(item)) };
                entries.extend(preset_entry(key, name, place)?);
            }
            other => return Err(wrong(other)),
        }
    }
    if entries.iter().filter(|entry| **entry == Entry::Itself).count() > 1 {
        return Err(settings(format!("{place}: defaults: {ITSELF} is given twice")));
    }
    Ok(entries)
}

fn preset_entry(key: &str, name: &Value, place: &str) -> Result<Option<Entry>> {
    let (mut section, mut optional) = (key.trim(), false);
    // `override` asks Hydra for what always happens here: the later choice wins.
    while let Some((word, rest)) = section.split_once(' ') {
        match word {
            "optional" => optional = true,
            "override" => {}
            _ => return Err(settings(format!("{place}: defaults: {key:?}: unknown word {word:?}"))),
        }
        section = rest.trim_start();
    }
    let section = section.trim_start_matches('/');
    if !SECTIONS.contains(&section) {
        let hint = text::hint(section, SECTIONS);
        let known = SECTIONS.join(", ");
        return Err(settings(format!("{place}: defaults: no section is called {section:?}{hint} (known: {known})")));
    }
    match name {
        Value::Null => Ok(None),
        Value::String(name) => Ok(Some(Entry::Preset { section: section.to_owned(), name: name.clone(), optional })),
        other => Err(settings(format!("{place}: defaults: {section}: found {other}, expected the name of a preset"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::merge;
    use crate::config::tree::get;

    fn merged(files: &[(&str, &str)]) -> Result<super::super::tree::Tree> {
        let folder = tempfile::tempdir()?;
        for (name, text) in files {
            fs_err::write(folder.path().join(name), text)?;
        }
        let mut layers = Vec::new();
        read(&folder.path().join(files[0].0), &mut layers)?;
        Ok(merge(&layers))
    }

    #[test]
    fn the_file_stands_over_its_defaults_and_these_over_what_it_extends() {
        let base = ("base.yaml", "detector: {kind: dlsr, network: {width: 9}}\nlimit: {ood: 3, train: 4}");
        let own = "extends: base.yaml\ndefaults: [{detector: pca}]\nlimit: {ood: 5}\ndetector: {variance: 0.5}";
        let found = merged(&[("own.yaml", own), base]).expect("valid");
        assert_eq!((get(&found, "limit.ood"), get(&found, "limit.train")), (Some(&5.into()), Some(&4.into())));
        assert_eq!(get(&found, "detector.variance"), Some(&0.5.into()));
        assert_eq!(get(&found, "detector.network"), None);
        let first = "defaults: [_self_, base, {override /detector: pca}, {encoder: null}]\ndetector: {variance: 0.5}";
        let found = merged(&[("own.yaml", first), base]).expect("valid");
        assert_eq!((get(&found, "detector.kind"), get(&found, "detector.variance")), (Some(&"pca".into()), None));
    }

    #[test]
    fn what_is_no_list_of_defaults_is_refused_with_its_line() {
        for bad in [
            "defaults: pca",
            "defaults: [3]",
            "defaults: [{detector: pca, encoder: lite0}]",
            "defaults: [{detectr: pca}]",
            "defaults: [{detector: [pca]}]",
            "defaults: [{detector: nothing-such}]",
            "defaults: [absent]",
            "defaults: [_self_, _self_]",
            "defaults: [{whatever detector: pca}]",
            "defaults: [{detector@x: pca}]",
            "extends: own.yaml",
            "extends: {a: b}",
        ] {
            let error = merged(&[("own.yaml", &format!("# a comment\n{bad}\n"))]).expect_err(bad);
            let told = crate::failure::describe(&error);
            assert!(told.contains("own.yaml"), "{bad}: {told}");
            assert_eq!(crate::failure::exit_code(&error), crate::failure::SETTINGS);
        }
        assert!(merged(&[("own.yaml", "defaults: [{optional detector: nothing-such}]")]).is_ok());
    }
}
