//! Which settings are tried.

use serde_json::{Map, Value};

use super::KEY;
use crate::{Detector, DetectorError};

/// Most combinations: each is fitted.
const MOST: usize = 1000;

/// Settings with the values of each, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Grid(Vec<(String, Vec<Value>)>);

pub(super) fn refuse(message: impl Into<String>) -> DetectorError {
    DetectorError::Config { place: format!("detector.{KEY}"), message: message.into() }
}

impl Grid {
    /// `true` is the detector's own.
    pub fn new(detector: &dyn Detector, tune: Value) -> Result<Grid, DetectorError> {
        let grid = match tune {
            Value::Bool(true) => {
                let own = detector.space();
                if own.is_empty() {
                    let kind = detector.kind();
                    return Err(refuse(format!(
                        "{kind} has no values of its own to try: name settings with a list of values each, or leave `{KEY}` out"
                    )));
                }
                own.into_iter().map(|(key, values)| (key.to_owned(), values)).collect()
            }
            Value::Object(map) => map.into_iter().map(list).collect::<Result<Vec<_>, _>>()?,
            other => {
                return Err(refuse(format!("found {other}, expected true, or settings with a list of values each")));
            }
        };
        let count = grid.iter().map(|(_, values)| values.len()).try_fold(1usize, usize::checked_mul);
        match count {
            Some(1..=MOST) => Ok(Grid(grid)),
            _ => Err(refuse(format!("found more combinations than the {MOST} allowed"))),
        }
    }

    /// As it stands in a configuration.
    pub fn to_value(&self) -> Value {
        self.0.iter().map(|(key, values)| (key.clone(), Value::Array(values.clone()))).collect::<Map<_, _>>().into()
    }

    /// Every combination, the last setting changing fastest.
    pub fn combinations(&self) -> Vec<Map<String, Value>> {
        let mut all = vec![Map::new()];
        for (key, values) in &self.0 {
            let longer = |one: &Map<String, Value>| {
                let with = |value: &Value| {
                    let mut longer = one.clone();
                    longer.insert(key.clone(), value.clone());
                    longer
                };
                values.iter().map(with).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }
}

fn list((key, values): (String, Value)) -> Result<(String, Vec<Value>), DetectorError> {
    match values {
        Value::Array(values) if !values.is_empty() && key != KEY && key != "scores" => Ok((key, values)),
        Value::Array(_) if key == KEY || key == "scores" => Err(refuse(format!("{key:?} is not a setting to choose"))),
        other => Err(refuse(format!("{key}: found {other}, expected a list of values"))),
    }
}
