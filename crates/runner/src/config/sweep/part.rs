//! The grammar of a sweep.
//!
//! A sweep is the product of all that it names: every key of `grid`, the tuples of `zip`, the cells of `list`, each entry of
//! `product`, and the draws of `random`. `list` and `product` hold sweeps themselves, which may set keys beside: `list` runs one after
//! the other, `product` crosses them. `drop` and `keep` then decide which cells are run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oodlab_base::text;
use serde_json::Value;

use super::super::values::{self, Typed};
use super::super::yaml::describe;
use super::condition::Condition;
use super::{MOST_CELLS, random};
use crate::config::tree::Tree;
use crate::failure::at;

/// The words of a sweep.
pub const WORDS: [&str; 7] = ["grid", "zip", "list", "product", "random", "drop", "keep"];

/// Keys with values that are set together.
pub type Row = BTreeMap<String, Value>;

/// A sweep, or a part of one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// Keys that are the same in all of its cells.
    pub fixed: Row,
    /// What is crossed; the last changes fastest.
    pub factors: Vec<Factor>,
    /// A cell that matches one of them is not run.
    pub drop: Vec<Condition>,
    /// When there are any, only cells that match one of them are run.
    pub keep: Vec<Condition>,
}

/// One side of a product.
#[derive(Debug, Clone, PartialEq)]
pub enum Factor {
    /// One row after the other.
    Rows(Vec<Row>),
    /// The cells of one part after those of the other.
    Parts(Vec<Part>),
}

/// Reads the section `sweep`.
///
/// # Errors
/// Names the key that is wrong, and what was expected.
pub fn read(section: &Tree) -> Result<Part> {
    if let Some(word) = section.keys().find(|key| !WORDS.contains(&key.as_str())) {
        let more = match word.as_str() {
            "seeds" => "; seeds stand at the top of the file, as in seeds: [0, 1, 2]".to_owned(),
            _ if word.contains('.') => format!("; a setting is swept below one of them, as in grid: {{{word}: [..]}}"),
            _ => text::hint(word, WORDS),
        };
        return Err(at(&format!("sweep.{word}"), &format!("unknown key {word:?}{more} (known: {})", WORDS.join(", "))));
    }
    let part = read_part(section, "sweep")?;
    if part.count() > MOST_CELLS {
        return Err(at("sweep", &format!("more than {MOST_CELLS} combinations; sweep fewer keys at once")));
    }
    Ok(part)
}

fn read_part(section: &Tree, place: &str) -> Result<Part> {
    let mut part = Part::default();
    for (key, value) in section.iter().filter(|(key, _)| !WORDS.contains(&key.as_str())) {
        check_key(key, place)?;
        part.fixed.insert(key.clone(), value.clone());
    }
    let mut factors: Vec<(String, Factor)> = Vec::new();
    for (key, values) in mapping(section, "grid", place)? {
        let place = format!("{place}.grid.{key}");
        let values = values_of(values, &place)?;
        let mut seen = BTreeSet::new();
        if let Some(again) = values.iter().find(|value| !seen.insert(value.to_string())) {
            return Err(at(&place, &format!("{again} is given twice")));
        }
        let rows = values.into_iter().map(|value| Row::from([(key.clone(), value)])).collect();
        factors.push((place, Factor::Rows(rows)));
    }
    let zip = mapping(section, "zip", place)?;
    if !zip.is_empty() {
        let place = format!("{place}.zip");
        factors.push((place.clone(), Factor::Rows(zipped(&zip, &place)?)));
    }
    if let Some(entries) = entries(section, "list", place)? {
        factors.push((format!("{place}.list"), Factor::Parts(entries)));
    }
    for (number, entry) in entries(section, "product", place)?.into_iter().flatten().enumerate() {
        factors.push((format!("{place}.product.{number}"), Factor::Parts(vec![entry])));
    }
    if let Some(drawn) = section.get("random") {
        let place = format!("{place}.random");
        factors.push((place.clone(), Factor::Rows(random::rows(drawn, &place)?)));
    }
    let mut known: BTreeSet<&str> = part.fixed.keys().map(String::as_str).collect();
    for (place, factor) in &factors {
        for key in factor.keys() {
            if !known.insert(key) {
                return Err(at(place, &format!("{key} is swept twice in one product; keep one of them")));
            }
        }
    }
    part.factors = factors.into_iter().map(|(_, factor)| factor).collect();
    part.drop = super::condition::read(section, "drop", place)?;
    part.keep = super::condition::read(section, "keep", place)?;
    Ok(part)
}

impl Part {
    /// How many cells it has before conditions drop any; `usize::MAX` when they cannot be counted.
    pub fn count(&self) -> usize {
        self.factors.iter().fold(1, |cells, factor| cells.saturating_mul(factor.count()))
    }

    fn keys(&self) -> BTreeSet<&str> {
        let fixed = self.fixed.keys().map(String::as_str);
        fixed.chain(self.factors.iter().flat_map(Factor::keys)).collect()
    }
}

impl Factor {
    fn count(&self) -> usize {
        match self {
            Factor::Rows(rows) => rows.len(),
            Factor::Parts(parts) => parts.iter().fold(0, |cells, part| cells.saturating_add(part.count())),
        }
    }

    fn keys(&self) -> BTreeSet<&str> {
        match self {
            Factor::Rows(rows) => rows.iter().flat_map(|row| row.keys().map(String::as_str)).collect(),
            Factor::Parts(parts) => parts.iter().flat_map(Part::keys).collect(),
        }
    }
}

/// Refuses what cannot be the dotted key of a setting.
pub fn check_key(key: &str, place: &str) -> Result<()> {
    let place = || if key.is_empty() { place.to_owned() } else { format!("{place}.{key}") };
    if key.split('.').any(|part| part.trim().is_empty()) {
        return Err(at(&place(), &format!("key {key:?}: expected names joined by dots, as in detector.sample.start")));
    }
    if key == "sweep" || key.starts_with("sweep.") {
        return Err(at(&place(), "a sweep cannot be swept"));
    }
    Ok(())
}

/// The keys below a word that holds lists of values by key.
fn mapping<'a>(section: &'a Tree, word: &str, place: &str) -> Result<BTreeMap<&'a String, &'a Value>> {
    match section.get(word) {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(map)) => {
            for key in map.keys() {
                check_key(key, &format!("{place}.{word}"))?;
            }
            Ok(map.iter().collect())
        }
        Some(other) => {
            let found = describe(other);
            let expected = "expected settings with lists of values, as in {detector.sample.start: [1, 3]}";
            Err(at(&format!("{place}.{word}"), &format!("{expected}, found {found}")))
        }
    }
}

/// A list of values, or a text as it is typed on the command line.
fn values_of(value: &Value, place: &str) -> Result<Vec<Value>> {
    let values = match value {
        Value::Array(values) => values.clone(),
        Value::String(typed) => match values::parse(typed).map_err(|error| at(place, &error.to_string()))? {
            Typed::Many(values) => values,
            Typed::One(_) => return Err(at(place, &format!("expected a list of values, found {value}"))),
        },
        other => return Err(at(place, &format!("expected a list of values, found {other}"))),
    };
    if values.is_empty() {
        return Err(at(place, "expected at least one value"));
    }
    Ok(values)
}

/// The first values of all lists together, then the second ones.
fn zipped(lists: &BTreeMap<&String, &Value>, place: &str) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for (number, (key, values)) in lists.iter().enumerate() {
        let values = values_of(values, &format!("{place}.{key}"))?;
        if number == 0 {
            rows.resize(values.len(), Row::new());
        }
        if values.len() != rows.len() {
            let lengths: Vec<String> =
                lists.iter().map(|(key, values)| format!("{key}: {}", values.as_array().map_or(1, Vec::len))).collect();
            let lengths = lengths.join(", ");
            return Err(at(
                place,
                &format!("expected lists of one length, as they are taken together; found {lengths}"),
            ));
        }
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert((*key).clone(), value);
        }
    }
    Ok(rows)
}

/// The parts below a word that holds a list of them.
fn entries(section: &Tree, word: &str, place: &str) -> Result<Option<Vec<Part>>> {
    let place = format!("{place}.{word}");
    let wrong = |place: &str, found: &Value| {
        let expected = "expected a list of cells, as in [{detector.kind: pca, detector.variance: 0.9}]";
        at(place, &format!("{expected}, found {}", describe(found)))
    };
    let items = match section.get(word) {
        None => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong(&place, other)),
    };
    if items.is_empty() {
        return Err(at(&place, "expected at least one entry"));
    }
    let read = |(number, item): (usize, &Value)| {
        let place = format!("{place}.{number}");
        match item {
            Value::Object(map) if map.is_empty() && word == "product" => {
                Err(at(&place, "expected settings or a sweep"))
            }
            Value::Object(map) => read_part(map, &place),
            other => Err(wrong(&place, other)),
        }
    };
    items.iter().enumerate().map(read).collect::<Result<Vec<Part>>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use crate::failure::Misplaced;

    #[test]
    fn what_is_malformed_is_refused_with_its_key() {
        for (text, key) in [
            ("gird: {a: [1]}", "sweep.gird"),
            ("seeds: [1]", "sweep.seeds"),
            ("a.b: [1]", "sweep.a.b"),
            ("grid: [1]", "sweep.grid"),
            ("grid: ", "sweep.grid"),
            ("grid: {a: 3}", "sweep.grid.a"),
            ("grid: {a: []}", "sweep.grid.a"),
            ("grid: {a: 'range(0)'}", "sweep.grid.a"),
            ("grid: {a..b: [1]}", "sweep.grid.a..b"),
            ("grid: {sweep.grid: [1]}", "sweep.grid.sweep.grid"),
            ("zip: {a: [1, 2], b: [1]}", "sweep.zip"),
            ("zip: {a: x}", "sweep.zip.a"),
            ("list: {a: 1}", "sweep.list"),
            ("list: []", "sweep.list"),
            ("list: [1]", "sweep.list.0"),
            ("list: [{a: 1}, {zip: {b: 1}}]", "sweep.list.1.zip.b"),
            ("product: [{}]", "sweep.product.0"),
            ("grid: {a: [1]}\nzip: {a: [1]}", "sweep.zip"),
            ("list: [{a: 1, grid: {a: [1]}}]", "sweep.list.0.grid.a"),
            ("product: [{a: 1}, {grid: {a: [1]}}]", "sweep.product.1"),
            ("random: {count: 3}", "sweep.random.keys"),
            ("drop: {a: 1}", "sweep.drop"),
            ("drop: [3]", "sweep.drop.0"),
            ("grid: {a: 'range(400)', b: 'range(400)'}", "sweep"),
        ] {
            let error = read(&yaml::parse(text).expect(text)).expect_err(text);
            let found = error.downcast_ref::<Misplaced>().map(|it| it.key.clone());
            assert_eq!(found.as_deref(), Some(key), "{text}: {error}");
        }
    }

    #[test]
    fn parts_are_counted_before_they_are_expanded() {
        let count = |text: &str| read(&yaml::parse(text).expect(text)).expect(text).count();
        assert_eq!(count("{}"), 1);
        assert_eq!(count("grid: {a: [1, 2], b: [1, 2, 3]}\nzip: {c: [1, 2], d: [3, 4]}"), 12);
        assert_eq!(count("list: [{a: 1}, {a: 2, grid: {b: [1, 2]}}]\ngrid: {c: 'range(5)'}"), 15);
        assert_eq!(count("product: [{zip: {a: [1, 2]}}, {zip: {b: [1, 2]}}]"), 4);
    }
}
