//! Scores as JSON lines: one object a line.

use std::path::Path;

use serde_json::{Map, Value};

use super::ScoreError;
use super::read::{ScoreColumns, Values};

/// Reads the columns asked for; blank lines are skipped.
pub(super) fn read(path: &Path, columns: &ScoreColumns) -> Result<Values, ScoreError> {
    let text = fs_err::read_to_string(path)?;
    let mut values = Values { scores: vec![Vec::new(); columns.scores.len()], is_ood: Vec::new() };
    for (index, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let row = index + 1;
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| ScoreError::Format {
            path: path.to_owned(),
            format: "JSON lines",
            message: format!("row {row}: {error}"),
        })?;
        let get = |name: &str| {
            object.get(name).ok_or_else(|| ScoreError::MissingColumn {
                path: path.to_owned(),
                name: name.to_owned(),
                found: format!("{} (in row {row})", object.keys().cloned().collect::<Vec<_>>().join(", ")),
            })
        };
        let fail = |column: &str, expected, found: &Value| ScoreError::Value {
            path: path.to_owned(),
            row,
            column: column.to_owned(),
            expected,
            found: found.to_string(),
        };
        for (name, scores) in columns.scores.iter().zip(&mut values.scores) {
            let value = get(name)?;
            scores.push(value.as_f64().ok_or_else(|| fail(name, "a number", value))?);
        }
        let value = get(&columns.is_ood)?;
        values.is_ood.push(match (value.as_bool(), value.as_f64()) {
            (Some(flag), _) => flag,
            (_, Some(1.0)) => true,
            (_, Some(0.0)) => false,
            _ => return Err(fail(&columns.is_ood, "true, false, 1 or 0", value)),
        });
    }
    Ok(values)
}
