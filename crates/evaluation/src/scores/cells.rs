//! The values of one column of a score file, whatever the format, and what they are read as.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Columns that were read, by name, each with its rows.
pub(super) type Columns = BTreeMap<String, (usize, Cells)>;

/// The values of a column, one a row (of numbers `width` a row).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    /// Numbers; `absent` are the rows without one.
    Numbers { width: usize, values: Vec<f64>, absent: BTreeSet<usize> },
    /// Truth values.
    Flags(Vec<Option<bool>>),
    /// Texts that may be anything.
    Texts(Vec<Option<String>>),
    /// Values of JSON objects; absent where the object lacks the key.
    Json(Vec<Option<Value>>),
    /// A type that is not read, and its name.
    Other(String),
}

/// A value that is not what it should be.
#[derive(Debug, PartialEq)]
pub(super) struct BadCell {
    /// Row, counted from 0.
    pub row: usize,
    pub expected: &'static str,
    pub found: String,
}

impl BadCell {
    /// The same value, found in these rows of the file.
    pub fn at(self, rows: &[usize]) -> BadCell {
        BadCell { row: rows.get(self.row).copied().unwrap_or(self.row), ..self }
    }
}

const NUMBER: &str = "a number";
const TEXT: &str = "a text";
/// Distinct values that are told of a column.
const TOLD: usize = 8;

fn bad<T>(row: usize, expected: &'static str, found: impl Into<String>) -> Result<T, BadCell> {
    Err(BadCell { row, expected, found: found.into() })
}

impl Cells {
    /// The values of these rows alone, ascending: what stands in others does not matter.
    pub fn take(&self, rows: &[usize]) -> Cells {
        match self {
            Cells::Numbers { width, values, absent } => Cells::Numbers {
                width: *width,
                values: rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect(),
                absent: (0..rows.len()).filter(|&at| absent.contains(&rows[at])).collect(),
            },
            Cells::Flags(flags) => Cells::Flags(rows.iter().map(|&row| flags[row]).collect()),
            Cells::Texts(texts) => Cells::Texts(rows.iter().map(|&row| texts[row].clone()).collect()),
            Cells::Json(values) => Cells::Json(rows.iter().map(|&row| values[row].clone()).collect()),
            Cells::Other(kind) => Cells::Other(kind.clone()),
        }
    }

    /// One number a row, none of them NaN; infinities are kept.
    pub fn numbers(&self) -> Result<Vec<f64>, BadCell> {
        let values = match self {
            Cells::Numbers { width, .. } if *width != 1 => return bad(0, NUMBER, format!("{width} numbers a row")),
            Cells::Numbers { values, absent, .. } => match absent.first() {
                Some(&row) => return bad(row, NUMBER, "nothing"),
                None => values.clone(),
            },
            Cells::Flags(_) => return bad(0, NUMBER, "a truth value"),
            Cells::Other(kind) => return bad(0, NUMBER, format!("a value of type {kind}")),
            Cells::Texts(texts) => {
                let parse = |(row, text): (usize, &Option<String>)| match text {
                    None => bad(row, NUMBER, "nothing"),
                    Some(text) => text.trim().parse().or_else(|_| bad(row, NUMBER, format!("{text:?}"))),
                };
                texts.iter().enumerate().map(parse).collect::<Result<_, _>>()?
            }
            Cells::Json(values) => {
                let parse = |(row, value): (usize, &Option<Value>)| match value {
                    None | Some(Value::Null) => bad(row, NUMBER, "nothing"),
                    // JSON has no infinities: they come as texts. Other numbers in quotes are a mistake.
                    Some(Value::String(text)) => match text.parse::<f64>() {
                        Ok(value) if !value.is_finite() => Ok(value),
                        _ => bad(row, NUMBER, format!("{text:?}")),
                    },
                    Some(value) => value.as_f64().map_or_else(|| bad(row, NUMBER, value.to_string()), Ok),
                };
                values.iter().enumerate().map(parse).collect::<Result<_, _>>()?
            }
        };
        match values.iter().position(|value| value.is_nan()) {
            Some(row) => bad(row, NUMBER, "NaN"),
            None => Ok(values),
        }
    }

    /// `width` numbers a row, row after row.
    pub fn matrix(&self) -> Result<(usize, Vec<f64>), BadCell> {
        match self {
            Cells::Numbers { width, values, .. } if *width > 1 => {
                match values.iter().position(|value| value.is_nan()) {
                    Some(at) => bad(at / width, NUMBER, "NaN"),
                    None => Ok((*width, values.clone())),
                }
            }
            _ => Ok((1, self.numbers()?)),
        }
    }

    /// One text a row; numbers are written out.
    pub fn texts(&self) -> Result<Vec<String>, BadCell> {
        match self.written() {
            None => bad(0, TEXT, "numbers of several columns or a type that is not read"),
            Some(texts) => {
                let present = |(row, text): (usize, Option<String>)| text.map_or_else(|| bad(row, TEXT, "nothing"), Ok);
                texts.into_iter().enumerate().map(present).collect()
            }
        }
    }

    /// Which rows are OOD. Without `ood_values`: true or 1 for OOD, false or 0 for ID, and nothing else. With them: OOD where the value is one of
    /// them, ID elsewhere.
    pub fn flags(&self, ood_values: &[String]) -> Result<Vec<bool>, BadFlags> {
        let texts = self.written().ok_or(BadFlags::NotValues)?;
        let mut flags = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else { return Err(BadFlags::Absent { row }) };
            let flag = if ood_values.is_empty() { truth(text) } else { Some(ood_values.iter().any(|v| same(v, text))) };
            match flag {
                Some(flag) => flags.push(flag),
                None => return Err(BadFlags::Values { row, found: distinct(&texts) }),
            }
        }
        if !ood_values.is_empty() && !flags.is_empty() && !flags.contains(&true) {
            return Err(BadFlags::NoneOf { found: distinct(&texts) });
        }
        Ok(flags)
    }

    /// Every value as text; `None` for types that have no such form.
    fn written(&self) -> Option<Vec<Option<String>>> {
        Some(match self {
            Cells::Numbers { width: 1, values, absent } => {
                let row = |(row, value): (usize, &f64)| (!absent.contains(&row)).then(|| value.to_string());
                values.iter().enumerate().map(row).collect()
            }
            Cells::Numbers { .. } | Cells::Other(_) => return None,
            Cells::Flags(flags) => flags.iter().map(|flag| flag.map(|flag| flag.to_string())).collect(),
            Cells::Texts(texts) => texts.clone(),
            Cells::Json(values) => {
                let text = |value: &Value| match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                };
                values.iter().map(|value| value.as_ref().and_then(text)).collect()
            }
        })
    }
}

/// Why a column does not tell OOD from ID.
#[derive(Debug, PartialEq)]
pub(super) enum BadFlags {
    /// No values of rows at all.
    NotValues,
    /// A row without a value.
    Absent { row: usize },
    /// Values that do not say which of them are OOD: the first such row, and what the column holds.
    Values { row: usize, found: String },
    /// None of the values that mean OOD.
    NoneOf { found: String },
}

fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "1.0" | "true" | "True" | "TRUE" => Some(true),
        "0" | "0.0" | "-0" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Equal as numbers where both are, else as texts.
fn same(a: &str, b: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    a.trim() == b.trim() || number(a).is_some_and(|value| number(b) == Some(value))
}

/// The first distinct values of a column, in their order in the file.
fn distinct(texts: &[Option<String>]) -> String {
    let mut found: Vec<&str> = Vec::new();
    for text in texts.iter().flatten() {
        if !found.contains(&text.as_str()) {
            if found.len() == TOLD {
                return format!("{}, ..", found.join(", "));
            }
            found.push(text);
        }
    }
    found.join(", ")
}
