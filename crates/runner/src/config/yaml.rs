//! YAML files into figment values: duplicates, tags and keys that are not text are refused, never lost.

use std::path::Path;

use anyhow::{Context, Result};
use figment::value::{Dict, Value};

use crate::failure::settings;

/// Reads a YAML file whose top level is a mapping. Returns its text too, so that errors can name lines.
pub fn read_file(path: &Path) -> Result<(String, Dict)> {
    let text =
        fs_err::read_to_string(path).map_err(|error| settings(format!("cannot read the experiment file: {error}")))?;
    // Editors on Windows write a byte order mark.
    let dict = parse(text.trim_start_matches('\u{feff}')).with_context(|| format!("in {}", path.display()))?;
    Ok((text, dict))
}

/// Parses a YAML text whose top level is a mapping.
pub fn parse(text: &str) -> Result<Dict> {
    let value: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| settings(format!("not valid YAML: {error}")))?;
    match convert(&value, "")? {
        Value::Dict(_, dict) => Ok(dict),
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
        Yaml::Null => Value::from(figment::value::Empty::None),
        Yaml::Bool(flag) => Value::from(*flag),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(whole), _, _) => Value::from(whole),
            (_, Some(whole), _) => Value::from(whole),
            (_, _, Some(real)) => Value::from(real),
            _ => return Err(settings(format!("{path}: number {number} is out of range"))),
        },
        Yaml::String(text) => Value::from(text.clone()),
        Yaml::Sequence(items) => {
            let items = items.iter().enumerate().map(|(at, item)| convert(item, &join(path, &at.to_string())));
            Value::from(items.collect::<Result<Vec<Value>>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut dict = Dict::new();
            for (key, item) in entries {
                let Some(key) = key.as_str() else {
                    return Err(settings(format!("{path}: key {key:?} is not text; put it in quotes")));
                };
                dict.insert(key.to_owned(), convert(item, &join(path, key))?);
            }
            Value::from(dict)
        }
        Yaml::Tagged(tagged) => {
            return Err(settings(format!("{path}: tag {} is not understood; remove it", tagged.tag)));
        }
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Empty(..) => "nothing",
        Value::Array(..) => "a list",
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
        for text in ["", "- 1", "3", "a: !tag b", "1: x"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_their_kind() {
        let dict = parse("a: 1.0e-4\nb: 3\nc: [1, 2.5]\nd: null").expect("valid");
        assert_eq!(dict["a"].to_num().and_then(|n| n.to_f64()), Some(1.0e-4));
        assert_eq!(dict["b"].to_u128(), Some(3));
    }
}
