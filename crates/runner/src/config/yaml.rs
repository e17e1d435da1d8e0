//! YAML files into trees of settings: duplicates, tags and keys that are not text are refused, never lost.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Number, Value};

use super::tree::Tree;
use crate::failure::settings;

/// Reads a YAML file whose top level is a mapping. Returns its text too, so that errors can name lines.
pub fn read_file(path: &Path) -> Result<(String, Tree)> {
    let text =
        fs_err::read_to_string(path).map_err(|error| settings(format!("cannot read the experiment file: {error}")))?;
    let tree = parse(&text).with_context(|| format!("in {}", path.display()))?;
    Ok((text, tree))
}

/// Parses a YAML text whose top level is a mapping.
pub fn parse(text: &str) -> Result<Tree> {
    // Editors on Windows write a byte order mark.
    let value: serde_yaml::Value = serde_yaml::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| settings(format!("not valid YAML: {error}")))?;
    match convert(&value, "")? {
        Value::Object(tree) => Ok(tree),
        other => Err(settings(format!("expected a mapping of sections, found {}", describe(&other)))),
    }
}

/// Parses one value as it stands behind `key=` on the command line: `3`, `1e-4`, `[1, 2]`, `paper`.
pub fn parse_value(text: &str) -> Result<Value> {
    let value: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| settings(format!("not a valid YAML value: {error}")))?;
    convert(&value, "")
}

fn convert(value: &serde_yaml::Value, path: &str) -> Result<Value> {
    use serde_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(*flag),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64().and_then(Number::from_f64)) {
            (Some(whole), _, _) => Value::from(whole),
            (_, Some(whole), _) => Value::from(whole),
            (_, _, Some(real)) => Value::Number(real),
            _ => return Err(settings(format!("{}number {number} is out of range", place(path)))),
        },
        Yaml::String(text) => Value::String(text.clone()),
        Yaml::Sequence(items) => {
            let items = items.iter().enumerate().map(|(at, item)| convert(item, &join(path, &at.to_string())));
            Value::Array(items.collect::<Result<Vec<Value>>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut tree = Tree::new();
            for (key, item) in entries {
                let Some(key) = key.as_str() else {
                    return Err(settings(format!("{}key {key:?} is not text; put it in quotes", place(path))));
                };
                tree.insert(key.to_owned(), convert(item, &join(path, key))?);
            }
            Value::Object(tree)
        }
        Yaml::Tagged(tagged) => {
            return Err(settings(format!("{}tag {} is not understood; remove it", place(path), tagged.tag)));
        }
    })
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What a value is that should have been another.
pub fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Array(..) => "a list",
        Value::Object(..) => "a mapping",
        _ => "a single value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_key_is_refused_with_its_name() {
        let error = format!("{:#}", parse("a: 1\nb: 2\na: 3\n").expect_err("a duplicate"));
        assert!(error.contains("duplicate") && error.contains('a'), "{error}");
        let error = format!("{:#}", parse("a:\n  x: 1\n  x: 2\n").expect_err("a nested duplicate"));
        assert!(error.contains("duplicate") && error.contains('x'), "{error}");
    }

    #[test]
    fn what_is_not_a_mapping_is_refused() {
        for text in ["", "- 1", "3", "a: !tag b", "1: x", "a: .nan", "a: [.inf]"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_their_kind() {
        let dict = parse("a: 1.0e-4\nb: 3\nc: [1, 2.5]\nd: null").expect("valid");
        assert_eq!((dict["a"].as_f64(), dict["b"].as_u64()), (Some(1.0e-4), Some(3)));
        assert_eq!((dict["c"][1].as_f64(), &dict["d"]), (Some(2.5), &Value::Null));
    }
}
