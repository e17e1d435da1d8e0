//! A detector that stands beside the experiment's own in every table.

use oodlab_base::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A control: the name of a kind with its defaults, or a section like that of `detector`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Control {
    /// A kind: `mean-distance`.
    Kind(String),
    /// `kind`, the detector's own settings, and optionally `name` (its name in tables; the kind when absent), `scores`.
    Section(Map<String, Value>),
}

/// A detector's section taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Kind; empty when it is missing or no text.
    pub kind: String,
    /// Name in tables.
    pub name: String,
    /// The scores asked for; none: all.
    pub scores: Vec<Value>,
    /// The detector's own settings.
    pub settings: Value,
}

impl Control {
    /// A control by its kind.
    pub fn kind(kind: &str) -> Control {
        Control::Kind(kind.to_owned())
    }

    /// Kind, name, scores and settings; or what is wrong with them.
    pub fn parts(&self) -> Result<Parts, String> {
        match self {
            Control::Kind(kind) => {
                Ok(Parts { kind: kind.clone(), name: kind.clone(), scores: Vec::new(), settings: Value::Null })
            }
            Control::Section(section) => parts(section),
        }
    }

    /// Its name in tables, as far as it can be told.
    pub fn name(&self) -> String {
        self.parts().map(|parts| parts.name).unwrap_or_default()
    }
}

/// Takes a section apart.
pub fn parts(section: &Map<String, Value>) -> Result<Parts, String> {
    let mut section = section.clone();
    let kind = match section.remove("kind") {
        Some(Value::String(kind)) => kind,
        _ => return Err("expected the name of a detector, as in `kind: dlsr`".to_owned()),
    };
    let name = match section.remove("name") {
        None => kind.clone(),
        Some(Value::String(name)) if text::is_plain_name(&name) => name,
        Some(other) => {
            return Err(format!("`name` is {other}, expected letters, digits, `-`, `_`, `.`, `+` and `=`"));
        }
    };
    let scores = match section.remove("scores") {
        None => Vec::new(),
        Some(Value::Array(scores)) => scores,
        Some(other) => return Err(format!("`scores` is {other}, expected a list")),
    };
    Ok(Parts { kind, name, scores, settings: section.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Parts, String> {
        serde_json::from_value::<Control>(value).map_err(|error| error.to_string())?.parts()
    }

    #[test]
    fn a_kind_alone_has_its_defaults() {
        let parts = read(json!("pca")).expect("a kind");
        assert_eq!((parts.kind.as_str(), parts.name.as_str(), parts.settings), ("pca", "pca", Value::Null));
    }

    #[test]
    fn a_section_may_be_named() {
        let parts = read(json!({"kind": "dlsr", "name": "wide", "scores": ["mse"], "network": {"width": 8}}));
        let parts = parts.expect("a section");
        assert_eq!((parts.kind.as_str(), parts.name.as_str()), ("dlsr", "wide"));
        assert_eq!((parts.scores, parts.settings), (vec![json!("mse")], json!({"network": {"width": 8}})));
    }

    #[test]
    fn what_is_no_section_is_refused() {
        for bad in
            [json!({}), json!({"kind": 3}), json!({"kind": "a", "name": "../x"}), json!({"kind": "a", "scores": 1})]
        {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
