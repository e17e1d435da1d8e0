//! Values as Hydra's users type them: `1,2,4`, `range(1,10,2)`, `choice(a,b)`, with commas inside quotes and brackets left alone.

use anyhow::Result;
use serde_json::{Number, Value};

use super::yaml;
use crate::failure::settings;

/// A range may have so many values.
const MOST_VALUES: usize = 100_000;
/// Functions of Hydra that mean nothing here.
const NOT_UNDERSTOOD: [&str; 6] = ["shuffle", "sort", "tag", "glob", "interval", "extend_list"];

/// What stands behind `key=`.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed {
    /// One value.
    One(Value),
    /// Values to sweep over, at least one.
    Many(Vec<Value>),
}

/// Reads what was typed.
///
/// # Errors
/// When a piece is empty or not valid YAML, or a range has no values or too many.
pub fn parse(text: &str) -> Result<Typed> {
    let pieces = split(text);
    if let [only] = pieces.as_slice() {
        return match function(only)? {
            Some(values) => Ok(Typed::Many(values)),
            None => Ok(Typed::One(yaml::parse_value(&unescaped(only))?)),
        };
    }
    let mut values = Vec::new();
    for piece in pieces {
        if piece.trim().is_empty() {
            return Err(settings("a value is missing between commas; write '' for an empty text"));
        }
        match function(piece)? {
            Some(inner) => values.extend(inner),
            None => values.push(yaml::parse_value(&unescaped(piece.trim()))?),
        }
    }
    Ok(Typed::Many(values))
}

/// Cuts a text at the commas that stand outside of quotes and brackets and behind no backslash.
fn split(text: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let mut quote: Option<char> = None;
    // A quote opens where a value can begin; elsewhere it is an apostrophe.
    let (mut fresh, mut escaped) = (true, false);
    let mut signs = text.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, sign) {
            (Some('"') | None, '\\') => escaped = true,
            // Two single quotes are one inside of single quotes.
            (Some('\''), '\'') if signs.peek().is_some_and(|(_, next)| *next == '\'') => escaped = true,
            (Some(open), _) if open == sign => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if fresh => quote = Some(sign),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        fresh = sign.is_whitespace() || "([{,:=".contains(sign);
    }
    pieces.push(&text[start..]);
    pieces
}

/// `\,` is a comma of a text that is not in quotes.
fn unescaped(piece: &str) -> String {
    if piece.starts_with(['"', '\'']) { piece.to_owned() } else { piece.replace("\\,", ",") }
}

/// The values of `range(..)` and `choice(..)`; none when the text is no such thing.
fn function(text: &str) -> Result<Option<Vec<Value>>> {
    let Some((name, inner)) = text.trim().strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return Ok(None);
    };
    match name.trim() {
        "choice" => match parse(inner)? {
            Typed::One(Value::Null) if inner.trim().is_empty() => Err(settings("choice() has no values")),
            Typed::One(one) => Ok(Some(vec![one])),
            Typed::Many(values) => Ok(Some(values)),
        },
        "range" => range(inner).map(Some),
        other if NOT_UNDERSTOOD.contains(&other) => Err(settings(format!(
            "{other}(..) is not understood; write the values, range(start,stop,step) or choice(a,b)"
        ))),
        _ => Ok(None),
    }
}

/// `range(stop)`, `range(start,stop)`, `range(start,stop,step)`, also by name; the stop itself is left out, as in Hydra and Python.
fn range(inner: &str) -> Result<Vec<Value>> {
    let (mut start, mut stop, mut step) = (None, None, None);
    let pieces = split(inner);
    let places: &mut [&mut Option<Value>] =
        if pieces.len() == 1 { &mut [&mut stop] } else { &mut [&mut start, &mut stop, &mut step] };
    let wrong = || settings(format!("range({inner}): expected range(start,stop,step) of numbers, as in range(1,10,2)"));
    if pieces.len() > 3 {
        return Err(wrong());
    }
    let mut named = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece.split_once('=') {
            Some((name, value)) => named.push((name.trim(), yaml::parse_value(value)?)),
            None => *places[at] = Some(yaml::parse_value(piece)?),
        }
    }
    for (name, value) in named {
        match name {
            "start" => start = Some(value),
            "stop" => stop = Some(value),
            "step" => step = Some(value),
            _ => return Err(wrong()),
        }
    }
    let whole = |value: &Option<Value>, or: i64| value.as_ref().map_or(Some(or), Value::as_i64);
    let real = |value: &Option<Value>, or: f64| value.as_ref().map_or(Some(or), Value::as_f64);
    let Some(last) = &stop else { return Err(wrong()) };
    let values = match (whole(&start, 0), last.as_i64(), whole(&step, 1)) {
        (Some(start), Some(stop), Some(step)) => whole_range(start, stop, step),
        _ => match (real(&start, 0.0), last.as_f64(), real(&step, 1.0)) {
            (Some(start), Some(stop), Some(step)) => real_range(start, stop, step),
            _ => return Err(wrong()),
        },
    };
    let values = values.filter(|values| !values.is_empty());
    values.ok_or_else(|| settings(format!("range({inner}): expected 1 to {MOST_VALUES} values")))
}

fn whole_range(start: i64, stop: i64, step: i64) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        values.push(Value::from(at));
        if values.len() > MOST_VALUES {
            return None;
        }
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(values)
}

fn real_range(start: f64, stop: f64, step: f64) -> Option<Vec<Value>> {
    // What is left of a step by rounding alone is none: 0.1 to 0.4 by 0.1 are three.
    let count = ((stop - start) / step - 1e-9).ceil();
    if !(count > 0.0 && count <= MOST_VALUES as f64) {
        return None;
    }
    // Steps are multiplied, not added up, and rounded to what was typed: 0.1, 0.2, 0.3, not 0.30000000000000004.
    let values = (0..count as usize).map(|at| Number::from_f64(rounded(start + at as f64 * step)).map(Value::Number));
    values.collect()
}

/// A number rounded to twelve significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn many(text: &str) -> Vec<Value> {
        match parse(text).expect(text) {
            Typed::Many(values) => values,
            Typed::One(one) => panic!("{text}: one value {one}"),
        }
    }

    fn one(text: &str) -> Value {
        match parse(text).expect(text) {
            Typed::One(one) => one,
            Typed::Many(values) => panic!("{text}: {values:?}"),
        }
    }

    #[test]
    fn commas_outside_of_quotes_and_brackets_split() {
        assert_eq!(many("1,2,4"), [json!(1), json!(2), json!(4)]);
        assert_eq!(many("[1,2],[3]"), [json!([1, 2]), json!([3])]);
        assert_eq!(many("{a: 1, b: 2},{a: 3}"), [json!({"a": 1, "b": 2}), json!({"a": 3})]);
        assert_eq!(many("\"a,b\",'c,d', e"), [json!("a,b"), json!("c,d"), json!("e")]);
        assert_eq!(many("don't,won't"), [json!("don't"), json!("won't")]);
        assert_eq!(many("choice(a,'b,c')"), [json!("a"), json!("b,c")]);
        assert_eq!(many("choice(a)"), [json!("a")]);
        assert_eq!(one("[1,2]"), json!([1, 2]));
        assert_eq!(one("a\\,b"), json!("a,b"));
        assert_eq!(one("'it''s, here'"), json!("it's, here"));
        assert_eq!(one("1e-4"), json!(1e-4));
        assert_eq!(one(""), json!(null));
        assert_eq!(one("f(x)"), json!("f(x)"));
    }

    #[test]
    fn ranges_leave_their_end_out() {
        assert_eq!(many("range(1,10,2)"), [1, 3, 5, 7, 9].map(Value::from));
        assert_eq!(many("range(3)"), [0, 1, 2].map(Value::from));
        assert_eq!(many("range(start=3, stop=0, step=-1)"), [3, 2, 1].map(Value::from));
        assert_eq!(many("range(0.1,0.4,0.1)"), [0.1, 0.2, 0.3].map(Value::from));
        assert_eq!(many("range(2),7"), [0, 1, 7].map(Value::from));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            "1,,2",
            "1,",
            ",",
            "range()",
            "range(0)",
            "range(1,2,0)",
            "range(a)",
            "range(1,2,3,4)",
            "range(x=1)",
            "choice()",
            "range(0,1,1e-9)",
            "range(0,1000000)",
            "shuffle(1,2)",
            "interval(0,1)",
            "[1",
            "{a",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
