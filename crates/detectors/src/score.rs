//! Which scores are asked for: `mse`, or `{mfsim: {skip_first: true}}`.

use serde_json::Value;

use crate::DetectorError;

/// A score by name, with its options: in YAML a string, or a map of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSpec {
    /// Name: `mfsim`.
    pub name: String,
    /// Its options by name; empty for a plain string.
    pub options: serde_json::Map<String, Value>,
}

impl ScoreSpec {
    /// A score without options.
    #[must_use]
    pub fn plain(name: &str) -> ScoreSpec {
        ScoreSpec { name: name.to_owned(), options: serde_json::Map::new() }
    }

    /// Reads a score from its place in a configuration.
    ///
    /// ```
    /// use oodlab_detectors::ScoreSpec;
    /// let spec = ScoreSpec::parse(&serde_json::json!({"mfsim": {"skip_first": true}}))?;
    /// assert_eq!((spec.name.as_str(), spec.options["skip_first"].as_bool()), ("mfsim", Some(true)));
    /// assert_eq!(ScoreSpec::parse(&"mse".into())?, ScoreSpec::plain("mse"));
    /// # Ok::<(), oodlab_detectors::DetectorError>(())
    /// ```
    ///
    /// # Errors
    /// When the value is neither a string nor a map of one key to a map.
    pub fn parse(value: &Value) -> Result<ScoreSpec, DetectorError> {
        let refuse = || DetectorError::Config {
            place: "scores".into(),
            message: format!(
                "found {value}, expected a name like `mse` or a map like `{{mfsim: {{skip_first: true}}}}`"
            ),
        };
        match value {
            Value::String(name) => Ok(ScoreSpec::plain(name)),
            Value::Object(map) if map.len() == 1 => {
                let (name, options) = map.iter().next().ok_or_else(refuse)?;
                let options = options.as_object().ok_or_else(refuse)?;
                Ok(ScoreSpec { name: name.clone(), options: options.clone() })
            }
            _ => Err(refuse()),
        }
    }
}
