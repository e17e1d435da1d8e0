//! Scores as JSON lines: one object a line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::cells::{Cells, Columns};

/// The keys of the first object, and the values of those keys of any object that are selected; blank lines are skipped.
///
/// The error says which row, counted from 1, is no object.
pub(super) fn read(text: &str, select: &dyn Fn(&str) -> bool) -> Result<(Vec<String>, Columns), String> {
    let mut names = Vec::new();
    let mut columns: BTreeMap<String, Vec<Option<Value>>> = BTreeMap::new();
    let mut rows = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let object: Map<String, Value> =
            serde_json::from_str(&quoted(line)).map_err(|error| format!("row {}: {error}", rows + 1))?;
        if rows == 0 {
            names = object.keys().cloned().collect();
        }
        for (name, value) in object {
            if select(&name) {
                let column = columns.entry(name).or_default();
                // Rows before the first that has this key.
                column.resize(rows, None);
                column.push(Some(value));
            }
        }
        rows += 1;
    }
    let columns = columns.into_iter().map(|(name, mut values)| {
        values.resize(rows, None);
        (name, (rows, Cells::Json(values)))
    });
    Ok((names, columns.collect()))
}

/// The line with Python's bare words for what JSON cannot say (`NaN`, `Infinity`, `-Infinity`) in quotes.
fn quoted(line: &str) -> Cow<'_, str> {
    if !line.contains("NaN") && !line.contains("Infinity") {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 8);
    let (mut within, mut escaped) = (false, false);
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !within && rest.starts_with(word));
        if let Some(word) = word {
            out.push('"');
            out.push_str(word);
            out.push('"');
            rest = &rest[word.len()..];
            continue;
        }
        if next == '"' && !escaped {
            within = !within;
        }
        escaped = within && next == '\\' && !escaped;
        out.push(next);
        rest = &rest[next.len_utf8()..];
    }
    Cow::Owned(out)
}
