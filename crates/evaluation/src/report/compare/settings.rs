//! Configurations as dotted keys, and where two differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use super::SettingPair;

/// What differs, by key, and how many settings are the same.
pub(super) fn differences(a: &str, b: &str) -> (Vec<SettingPair>, usize) {
    let (a, b) = (flat(a), flat(b));
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let (same, other): (Vec<&String>, Vec<&String>) = keys.into_iter().partition(|key| a.get(*key) == b.get(*key));
    let pair = |key: &String| SettingPair { key: key.clone(), a: a.get(key).cloned(), b: b.get(key).cloned() };
    (other.into_iter().map(pair).collect(), same.len())
}

/// Every setting by its dotted key. A text that is no YAML is one setting: it can still be equal to another or not.
fn flat(config: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if config.trim().is_empty() {
        return out;
    }
    match serde_yaml::from_str::<Value>(config) {
        Ok(value) => walk(&value, "", &mut out),
        Err(_) => {
            out.insert("(whole configuration, not YAML)".to_owned(), config.to_owned());
        }
    }
    out
}

fn walk(value: &Value, key: &str, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            for (name, value) in mapping {
                let name = part(&scalar(name));
                walk(value, &if key.is_empty() { name } else { format!("{key}.{name}") }, out);
            }
        }
        // A list of plain values is one value: where it became longer, not every place in it became another.
        Value::Sequence(list) if list.iter().any(|entry| entry.is_mapping() || entry.is_sequence()) => {
            for (at, value) in list.iter().enumerate() {
                walk(value, &format!("{key}[{at}]"), out);
            }
        }
        other => {
            out.insert(key.to_owned(), scalar(other));
        }
    }
}

/// A name that has dots of its own stands in quotes.
fn part(name: &str) -> String {
    if name.contains(['.', '[']) { format!("\"{name}\"") } else { name.to_owned() }
}

/// A value in one line.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) if value.is_empty() => "''".to_owned(),
        Value::String(value) => value.clone(),
        Value::Sequence(list) => format!("[{}]", list.iter().map(scalar).collect::<Vec<_>>().join(", ")),
        Value::Mapping(mapping) => {
            let entries = mapping.iter().map(|(name, value)| format!("{}: {}", scalar(name), scalar(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Tagged(tagged) => format!("{} {}", tagged.tag, scalar(&tagged.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_differ_by_dotted_keys() {
        let a = "detector: {train: {epochs: 40}, kind: dlsr}\nscores: [mse, {mfsim: {skip: true}}]\nsweep: {grid: {}}\nseeds: [0]\n";
        let b = "detector: {train: {epochs: 80}, kind: dlsr}\nscores: [mse, mfsim]\nsweep: {grid: {a.b: [1, 2]}}\nseeds: [0]\nx: null\n";
        let (found, same) = differences(a, b);
        let said: Vec<String> = found
            .iter()
            .map(|pair| {
                let of = |value: &Option<String>| value.clone().unwrap_or("-".into());
                format!("{} {} {}", pair.key, of(&pair.a), of(&pair.b))
            })
            .collect();
        let expected = [
            "detector.train.epochs 40 80",
            "scores - [mse, mfsim]",
            "scores[0] mse -",
            "scores[1].mfsim.skip true -",
            "sweep.grid {} -",
            "sweep.grid.\"a.b\" - [1, 2]",
            "x - null",
        ];
        assert_eq!(said, expected);
        assert_eq!(same, 2);
    }

    #[test]
    fn what_is_no_yaml_is_the_same_or_another() {
        assert_eq!(differences("a: [", "a: ["), (Vec::new(), 1));
        assert_eq!(differences("a: [", "a: 1").0.len(), 2);
        assert_eq!(differences("", "").0, []);
    }
}
