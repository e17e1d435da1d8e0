//! Conditions that decide which cells are run.

use anyhow::Result;
use serde_json::Value;

use super::super::yaml::{self, describe};
use crate::config::tree::Tree;
use crate::failure::at;

/// Settings that must all have given values.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Where it stands.
    pub place: String,
    /// Dotted key and what its value is tested for; at least one.
    pub terms: Vec<(String, Test)>,
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal to this; numbers by their value.
    Equal(Value),
    /// Anything else.
    Differs(Value),
    /// One of these.
    Among(Vec<Value>),
    /// A number on this side of another.
    Compared(Comparison, f64),
}

/// `<`, `<=`, `>` and `>=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// Reads `drop` or `keep`: a list of mappings.
///
/// # Errors
/// Names the condition that is wrong.
pub fn read(section: &Tree, word: &str, place: &str) -> Result<Vec<Condition>> {
    let place = format!("{place}.{word}");
    let expected =
        "expected a list of conditions, as in [{detector.network.width: 512, detector.network.blocks: \">= 8\"}]";
    let items = match section.get(word) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(at(&place, &format!("{expected}, found {}", describe(other)))),
    };
    let mut conditions = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let place = format!("{place}.{number}");
        let terms = match item {
            Value::Object(map) if !map.is_empty() => map,
            other => return Err(at(&place, &format!("expected settings with values, found {other}"))),
        };
        let mut read = Vec::new();
        for (key, value) in terms {
            super::part::check_key(key, &place)?;
            read.push((key.clone(), test(value, &format!("{place}.{key}"))?));
        }
        conditions.push(Condition { place, terms: read });
    }
    Ok(conditions)
}

/// A text that begins with a sign is a comparison, any other value is meant itself.
fn test(value: &Value, place: &str) -> Result<Test> {
    let Value::String(text) = value else { return Ok(Test::Equal(value.clone())) };
    let text = text.trim();
    let operand = |rest: &str| yaml::parse_value(rest.trim()).map_err(|error| at(place, &error.to_string()));
    if let Some(rest) = text.strip_prefix("!=") {
        return operand(rest).map(Test::Differs);
    }
    if let Some(rest) = text.strip_prefix("==") {
        return operand(rest).map(Test::Equal);
    }
    if let Some(rest) = text.strip_prefix("in ") {
        return match operand(rest)? {
            Value::Array(values) => Ok(Test::Among(values)),
            _ => Err(at(place, &format!("expected a list, as in \"in [1, 2]\", found {text:?}"))),
        };
    }
    let signs =
        [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Below), (">", Comparison::Above)];
    for (sign, comparison) in signs {
        if let Some(rest) = text.strip_prefix(sign) {
            let number = operand(rest)?.as_f64();
            let wrong = || at(place, &format!("expected a number, as in \"{sign} 3\", found {text:?}"));
            return Ok(Test::Compared(comparison, number.ok_or_else(wrong)?));
        }
    }
    Ok(Test::Equal(value.clone()))
}

impl Test {
    /// Whether a value passes. What is no number is on no side of one.
    pub fn passes(&self, value: &Value) -> bool {
        match self {
            Test::Equal(wanted) => equal(wanted, value),
            Test::Differs(wanted) => !equal(wanted, value),
            Test::Among(wanted) => wanted.iter().any(|wanted| equal(wanted, value)),
            Test::Compared(comparison, number) => value.as_f64().is_some_and(|value| match comparison {
                Comparison::Below => value < *number,
                Comparison::AtMost => value <= *number,
                Comparison::Above => value > *number,
                Comparison::AtLeast => value >= *number,
            }),
        }
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_tested_as_they_are_written() {
        let passes = |written: Value, value: Value| test(&written, "sweep.drop.0.a").expect("a test").passes(&value);
        assert!(passes(json!(512), json!(512.0)) && !passes(json!(512), json!(511)) && !passes(json!(1), json!("1")));
        assert!(passes(json!("pca"), json!("pca")) && passes(json!([1, 2]), json!([1, 2])));
        assert!(passes(json!("> 3"), json!(4)) && !passes(json!("> 3"), json!(3)) && passes(json!(">=3"), json!(3)));
        assert!(
            passes(json!("< 3"), json!(2.5)) && passes(json!("<= 2.5"), json!(2.5)) && !passes(json!("<3"), json!("a"))
        );
        assert!(passes(json!("!= pca"), json!("vae")) && !passes(json!("!= pca"), json!("pca")));
        assert!(passes(json!("in [1, pca]"), json!("pca")) && !passes(json!("in [1, 2]"), json!(3)));
        assert!(passes(json!("== [1]"), json!([1])) && passes(json!("inside"), json!("inside")));
        for bad in ["> many", "in 3", "< ", "== [", "!= {"] {
            assert!(test(&json!(bad), "sweep.drop.0.a").is_err(), "{bad}");
        }
    }
}
