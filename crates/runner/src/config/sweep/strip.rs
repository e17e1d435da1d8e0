//! Takes a key out of a sweep: the command line has the last word on it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::part::WORDS;
use crate::config::tree::Tree;

/// Takes a key out wherever it is swept. Zips and draws lose the key alone; cells of a list that differed in it alone become one;
/// what is empty then goes with it. Conditions stay: they see the value that the key has now.
pub fn key(sweep: &mut Tree, key: &str) {
    if !names(sweep).contains(key) {
        return;
    }
    sweep.remove(key);
    for word in ["grid", "zip"] {
        if let Some(Value::Object(lists)) = sweep.get_mut(word) {
            lists.remove(key);
            if lists.is_empty() {
                sweep.remove(word);
            }
        }
    }
    for word in ["list", "product"] {
        if let Some(Value::Array(entries)) = sweep.get_mut(word) {
            let mut left: Vec<Value> = Vec::new();
            for mut entry in std::mem::take(entries) {
                if let Value::Object(inner) = &mut entry {
                    self::key(inner, key);
                }
                let crossed_with_nothing = word == "product" && entry.as_object().is_some_and(Tree::is_empty);
                if !left.contains(&entry) && !crossed_with_nothing {
                    left.push(entry);
                }
            }
            let only_empty = matches!(left.as_slice(), [Value::Object(only)] if only.is_empty());
            if left.is_empty() || only_empty {
                sweep.remove(word);
            } else {
                *entries = left;
            }
        }
    }
    if let Some(Value::Object(random)) = sweep.get_mut("random")
        && let Some(Value::Object(keys)) = random.get_mut("keys")
    {
        keys.remove(key);
        if keys.is_empty() {
            sweep.remove("random");
        }
    }
}

/// Every key that a sweep sets.
pub fn names(sweep: &Tree) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    collect(sweep, &mut names);
    names
}

fn collect<'a>(sweep: &'a Tree, names: &mut BTreeSet<&'a str>) {
    names.extend(sweep.keys().map(String::as_str).filter(|key| !WORDS.contains(key)));
    let random = sweep.get("random").and_then(|random| random.get("keys"));
    for lists in [sweep.get("grid"), sweep.get("zip"), random].into_iter().flatten() {
        names.extend(lists.as_object().into_iter().flat_map(Tree::keys).map(String::as_str));
    }
    for entries in [sweep.get("list"), sweep.get("product")].into_iter().flatten() {
        for entry in entries.as_array().into_iter().flatten().filter_map(Value::as_object) {
            collect(entry, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn a_key_goes_wherever_it_stands_and_leaves_the_rest() {
        for (text, left) in [
            ("grid: {a: [1], b: [2]}", "grid: {b: [2]}"),
            ("grid: {a: [1]}", "{}"),
            ("zip: {a: [1, 2], b: [3, 4]}", "zip: {b: [3, 4]}"),
            ("list: [{a: 1, b: 1}, {a: 2, b: 1}, {b: 2}]", "list: [{b: 1}, {b: 2}]"),
            ("list: [{a: 1}, {a: 2}]", "{}"),
            ("list: [{a: 1}, {b: 2}]", "list: [{}, {b: 2}]"),
            ("list: [{c: 1, grid: {a: [1, 2]}}]", "list: [{c: 1}]"),
            ("product: [{grid: {a: [1]}}, {grid: {b: [1]}}]", "product: [{grid: {b: [1]}}]"),
            ("random: {count: 3, keys: {a: {linear: [0, 1]}}}", "{}"),
            (
                "random: {count: 3, keys: {a: {linear: [0, 1]}, b: {linear: [0, 1]}}}",
                "random: {count: 3, keys: {b: {linear: [0, 1]}}}",
            ),
            ("grid: {b: [1]}\ndrop: [{a: 1}]", "grid: {b: [1]}\ndrop: [{a: 1}]"),
        ] {
            let mut sweep = yaml::parse(text).expect(text);
            key(&mut sweep, "a");
            assert_eq!(sweep, yaml::parse(left).expect(left), "{text}");
        }
    }
}
