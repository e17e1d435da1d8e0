//! Random draws of a sweep. A draw depends on seed, key and number alone: a larger count keeps the earlier cells.

use anyhow::Result;
use oodlab_base::{Seed, Stream, text};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::super::yaml::describe;
use super::MOST_CELLS;
use super::part::{Row, check_key};
use crate::failure::at;

/// Whole numbers up to here are exact in f64.
const LARGEST_WHOLE: i64 = 1 << 53;

/// The section `random`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    count: Option<usize>,
    #[serde(default)]
    seed: u64,
    keys: Option<Map<String, Value>>,
}

/// What the values of a key are drawn from.
#[derive(Debug, Clone, PartialEq)]
enum Range {
    /// Evenly between two numbers.
    Linear(f64, f64),
    /// Evenly between the logarithms of two numbers above zero.
    Log(f64, f64),
    /// Whole numbers, both ends among them.
    Integer(i64, i64),
    /// One of these.
    Choice(Vec<Value>),
}

/// One row a draw. A draw that equals an earlier one (whole numbers and choices) is left out.
///
/// # Errors
/// Names the key that is wrong.
pub fn rows(section: &Value, place: &str) -> Result<Vec<Row>> {
    let Value::Object(_) = section else {
        return Err(at(place, &format!("expected count, seed and keys, found {}", describe(section))));
    };
    let Section { count, seed, keys } = Section::deserialize(section).map_err(|error| at(place, &error.to_string()))?;
    let count = count.ok_or_else(|| at(&format!("{place}.count"), "key \"count\" is missing: the number of draws"))?;
    if !(1..=MOST_CELLS).contains(&count) {
        return Err(at(&format!("{place}.count"), &format!("{count} draws, expected 1 to {MOST_CELLS}")));
    }
    let place_of_keys = format!("{place}.keys");
    let keys = keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
        at(
            &place_of_keys,
            "expected settings with ranges, as in {detector.train.learning_rate: {log: [1.0e-5, 1.0e-3]}}",
        )
    })?;
    let mut drawn: Vec<Row> = vec![Row::new(); count];
    for (key, range) in &keys {
        check_key(key, &place_of_keys)?;
        let place = format!("{place_of_keys}.{key}");
        let range = read(range, &place)?;
        let stream = Seed(seed).stream(&format!("sweep {key}"));
        for (index, row) in drawn.iter_mut().enumerate() {
            let value = range.draw(stream, index as u64);
            row.insert(key.clone(), value.ok_or_else(|| at(&place, "the range holds no finite number"))?);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    drawn.retain(|row| seen.insert(row.values().map(Value::to_string).collect::<Vec<_>>()));
    Ok(drawn)
}

fn read(range: &Value, place: &str) -> Result<Range> {
    const KINDS: [&str; 4] = ["linear", "log", "integer", "choice"];
    let only = range.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    let Some((kind, given)) = only else {
        return Err(at(
            place,
            &format!("expected one of {}, as in {{linear: [0, 1]}}, found {range}", KINDS.join(", ")),
        ));
    };
    let Value::Array(values) = given else {
        return Err(at(&format!("{place}.{kind}"), &format!("expected a list, found {}", describe(given))));
    };
    let wrong = |expected: &str| at(&format!("{place}.{kind}"), &format!("expected {expected}, found {given}"));
    let ends = |values: &[Value]| match values {
        [low, high] => {
            Some((low.as_f64()?, high.as_f64()?)).filter(|(low, high)| low < high && (high - low).is_finite())
        }
        _ => None,
    };
    match kind.as_str() {
        "linear" => {
            let (low, high) = ends(values).ok_or_else(|| wrong("two numbers, the smaller one first"))?;
            Ok(Range::Linear(low, high))
        }
        "log" => {
            let found = ends(values).filter(|(low, _)| *low > 0.0);
            let (low, high) = found.ok_or_else(|| wrong("two numbers above zero, the smaller one first"))?;
            Ok(Range::Log(low, high))
        }
        "integer" => {
            let exact = |value: &Value| value.as_i64().filter(|whole| (-LARGEST_WHOLE..=LARGEST_WHOLE).contains(whole));
            let found = match values.as_slice() {
                [low, high] => exact(low).zip(exact(high)).filter(|(low, high)| low <= high),
                _ => None,
            };
            let (low, high) = found.ok_or_else(|| wrong("two whole numbers, the smaller one first"))?;
            Ok(Range::Integer(low, high))
        }
        "choice" if values.is_empty() => Err(wrong("at least one value")),
        "choice" => Ok(Range::Choice(values.clone())),
        other => {
            let hint = text::hint(other, KINDS);
            Err(at(place, &format!("unknown range {other:?}{hint} (known: {})", KINDS.join(", "))))
        }
    }
}

impl Range {
    /// The draw of a number; real numbers have six significant digits, so that cells have names that can be read.
    fn draw(&self, stream: Stream, index: u64) -> Option<Value> {
        let between = |low: f64, high: f64| low + (high - low) * uniform(stream, index);
        match self {
            Range::Linear(low, high) => real(between(*low, *high), *low, *high),
            Range::Log(low, high) => real(libm::exp(between(libm::log(*low), libm::log(*high))), *low, *high),
            Range::Integer(low, high) => {
                let drawn = stream.below((high - low) as u64 + 1, index);
                Some(Value::from(low + drawn as i64))
            }
            Range::Choice(values) => values.get(stream.below(values.len() as u64, index) as usize).cloned(),
        }
    }
}

fn real(value: f64, low: f64, high: f64) -> Option<Value> {
    let rounded: f64 = format!("{value:.5e}").parse().ok()?;
    Number::from_f64(rounded.clamp(low, high)).map(Value::Number)
}

/// Uniform in [0, 1) with 53 bits.
fn uniform(stream: Stream, index: u64) -> f64 {
    let bits = u64::from(stream.word(2 * index)) << 32 | u64::from(stream.word(2 * index + 1));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn drawn(text: &str) -> Vec<Row> {
        rows(&yaml::parse_value(text).expect(text), "sweep.random").expect(text)
    }

    #[test]
    fn a_larger_count_and_other_keys_keep_the_earlier_draws() {
        let ten = drawn("{count: 10, seed: 7, keys: {a: {log: [1e-5, 1e-1]}}}");
        let more = drawn("{count: 1000, seed: 7, keys: {a: {log: [1e-5, 1e-1]}, b: {linear: [-1, 1]}}}");
        assert!(ten.iter().zip(&more).all(|(few, many)| few["a"] == many["a"]));
        let other = drawn("{count: 10, seed: 8, keys: {a: {log: [1e-5, 1e-1]}}}");
        assert_ne!(ten, other);
    }

    #[test]
    fn draws_fill_their_ranges_evenly() {
        let text = "{count: 4000, keys: {l: {linear: [2, 4]}, g: {log: [1e-4, 1e-2]}, i: {integer: [-1, 2]}}}";
        let all = drawn(text);
        assert_eq!(all.len(), 4000);
        let share = |key: &str, below: f64| {
            let count = all.iter().filter(|row| row[key].as_f64().expect("a number") < below).count();
            count as f64 / 4000.0
        };
        assert!((share("l", 3.0) - 0.5).abs() < 0.03 && share("l", 2.0) == 0.0 && share("l", 4.1) == 1.0);
        assert!((share("g", 1e-3) - 0.5).abs() < 0.03 && share("g", 1e-4) == 0.0 && share("g", 1.1e-2) == 1.0);
        for (below, expected) in [(-1.0, 0.0), (0.0, 0.25), (1.0, 0.5), (2.0, 0.75), (3.0, 1.0)] {
            assert!((share("i", below) - expected).abs() < 0.03, "{below}");
        }
        let choices = drawn("{count: 50, keys: {c: {choice: [a, [1]]}}}");
        assert_eq!(choices.len(), 2, "equal draws are one cell");
    }

    /// Draws are part of results that people publish: they must never change.
    #[test]
    fn draws_are_what_they_always_were() {
        let row = &drawn("{count: 1, seed: 3, keys: {a.b: {linear: [0, 1]}, c: {integer: [0, 999999]}}}")[0];
        assert_eq!((&row["a.b"], &row["c"]), (&Value::from(0.310133), &Value::from(523_324)));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "3",
            "{count: 3}",
            "{count: 0, keys: {a: {linear: [0, 1]}}}",
            "{count: -1, keys: {a: {linear: [0, 1]}}}",
            "{keys: {a: {linear: [0, 1]}}}",
            "{count: 1, keys: {}}",
            "{count: 1, keys: {a: 3}}",
            "{count: 1, keys: {a: {linear: [1, 0]}}}",
            "{count: 1, keys: {a: {linear: [0]}}}",
            "{count: 1, keys: {a: {log: [0, 1]}}}",
            "{count: 1, keys: {a: {integer: [0, 1.5]}}}",
            "{count: 1, keys: {a: {choice: []}}}",
            "{count: 1, keys: {a: {uniform: [0, 1]}}}",
            "{count: 1, sed: 3}",
            "{count: 1, keys: {a: {linear: [0, 1], log: [1, 2]}}}",
            "{count: 1, keys: {a..b: {linear: [0, 1]}}}",
            "{count: 1, keys: {a: {linear: [-1.7e308, 1.7e308]}}}",
        ] {
            assert!(rows(&yaml::parse_value(bad).expect(bad), "sweep.random").is_err(), "{bad}");
        }
    }
}
