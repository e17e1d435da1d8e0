//! Settings as a tree: maps in maps, reached by dotted keys.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::failure::settings;

/// Sections by name, or the keys of one.
pub type Tree = Map<String, Value>;

/// Below these places keys hold dots themselves: the settings that are swept.
const SWEPT: [&str; 3] = ["sweep.grid.", "sweep.zip.", "sweep.random.keys."];

/// The value behind a path. Numbers reach into lists, and keys that hold dots themselves are found too.
pub fn find<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let Some(first) = path.first() else { return Some(value) };
    match value {
        Value::Object(map) => find_in(map, path),
        Value::Array(items) => find(items.get(first.parse::<usize>().ok()?)?, &path[1..]),
        _ => None,
    }
}

/// The value behind a path in a tree.
pub fn find_in<'a>(tree: &'a Tree, path: &[&str]) -> Option<&'a Value> {
    // One part is by far the commonest key: it is looked up without joining anything.
    let first = path.first()?;
    if let Some(found) = tree.get(*first).and_then(|value| find(value, &path[1..])) {
        return Some(found);
    }
    (2..=path.len()).find_map(|length| find(tree.get(&path[..length].join("."))?, &path[length..]))
}

/// The value behind a dotted key.
pub fn get<'a>(tree: &'a Tree, key: &str) -> Option<&'a Value> {
    find_in(tree, &key.split('.').collect::<Vec<_>>())
}

/// Takes out the value behind a path; maps that it leaves empty stay.
pub fn remove(tree: &mut Tree, path: &[&str]) -> Option<Value> {
    for length in 1..=path.len() {
        let key = path[..length].join(".");
        if length == path.len() {
            if let Some(value) = tree.remove(&key) {
                return Some(value);
            }
        } else if let Some(Value::Object(inner)) = tree.get_mut(&key)
            && let Some(value) = remove(inner, &path[length..])
        {
            return Some(value);
        }
    }
    None
}

/// Sets the value of a dotted key, making the maps on the way.
///
/// # Errors
/// When a part of the key is empty, or a map on the way is a single value already.
pub fn insert(tree: &mut Tree, key: &str, value: Value) -> Result<()> {
    if key.split('.').any(|part| part.trim().is_empty()) {
        return Err(settings(format!("key {key:?}: expected names joined by dots, as in detector.sample.start")));
    }
    let swept = SWEPT.iter().find_map(|place| Some((place.trim_end_matches('.'), key.strip_prefix(place)?)));
    let (parents, last) = match swept {
        Some((place, swept)) => (Some(place), swept),
        None => key.rsplit_once('.').map_or((None, key), |(parents, last)| (Some(parents), last)),
    };
    let mut map = tree;
    for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
        map = match map.entry(part).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => inner,
            _ => return Err(settings(format!("key {key:?}: {part:?} is set to a single value already"))),
        };
    }
    map.insert(last.to_owned(), value);
    Ok(())
}

/// Lays one tree over another: maps are merged, everything else is replaced.
pub fn overlay(under: &mut Tree, over: Tree) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => overlay(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(value: Value) -> Tree {
        value.as_object().expect("a map").clone()
    }

    #[test]
    fn dotted_keys_nest_and_bad_ones_are_refused() {
        let mut made = Tree::new();
        insert(&mut made, "a.b", json!(1)).expect("a key");
        insert(&mut made, "a.c", json!(2)).expect("a key");
        insert(&mut made, "sweep.grid.a.b", json!([3])).expect("a swept key");
        assert_eq!(Value::Object(made.clone()), json!({"a": {"b": 1, "c": 2}, "sweep": {"grid": {"a.b": [3]}}}));
        for key in ["", "a..b", ".a", "a.b.c", "a.", " "] {
            assert!(insert(&mut made, key, json!(1)).is_err(), "{key:?}");
        }
    }

    #[test]
    fn values_are_found_and_removed_also_below_keys_with_dots() {
        let mut held = tree(json!({"sweep": {"grid": {"a.b": [3, 4]}}, "list": [{"x": 5}]}));
        assert_eq!(get(&held, "sweep.grid.a.b.1"), Some(&json!(4)));
        assert_eq!(get(&held, "list.0.x"), Some(&json!(5)));
        assert_eq!((get(&held, "list.x"), get(&held, "list.7"), get(&held, "nothing.at")), (None, None, None));
        assert_eq!(remove(&mut held, &["sweep", "grid", "a", "b"]), Some(json!([3, 4])));
        assert_eq!(remove(&mut held, &["sweep", "grid", "a", "b"]), None);
    }

    #[test]
    fn maps_are_merged_and_lists_replaced() {
        let mut under = tree(json!({"a": {"x": 1, "y": [1, 2]}, "b": 1}));
        overlay(&mut under, tree(json!({"a": {"y": [3]}, "b": {"z": 1}})));
        assert_eq!(Value::Object(under), json!({"a": {"x": 1, "y": [3]}, "b": {"z": 1}}));
    }
}
