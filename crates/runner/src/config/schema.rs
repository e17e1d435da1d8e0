//! The JSON schema of experiment files, from the types that read them.
//!
//! A schema is a help for editors: it knows keys, types and descriptions. What contradicts itself is found by `oodlab config`.

use std::borrow::Cow;

use anyhow::Result;
use oodlab_encoders::EncoderConfig;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::encoder::{EncoderSection, IMPORTED};
use super::experiment::Experiment;
use super::layers::SECTIONS;
use super::presets::Presets;
use super::sweep::Sweep;
use super::sweep::part::WORDS;

/// The schema as it is checked in.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn text() -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(&schema())?))
}

/// The schema of an experiment file.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let detector = detector(&mut generator);
    let mut root = generator.into_root_schema_for::<Experiment>().to_value();
    relax(&mut root);
    root["$defs"]["reference"] = json!({ "type": "string", "pattern": "\\$\\{.+\\}", "description": "A reference, as ${detector.network.width}." });
    root["$defs"]["detector"] = detector;
    relax(&mut root["$defs"]["detector"]);
    root["properties"]["detector"] =
        json!({ "$ref": "#/$defs/detector", "description": "`kind` and its own settings." });
    root["properties"]["controls"]["items"] =
        json!({ "anyOf": [{ "enum": oodlab_detectors::kinds() }, { "$ref": "#/$defs/detector" }] });
    for section in SECTIONS {
        let of = root["properties"][section].take();
        let names: Vec<String> = Presets::default().names(section).into_iter().collect();
        let description = of["description"].clone();
        let mut name = json!({ "type": "string", "description": "The name of a preset." });
        if !names.is_empty() {
            name["examples"] = json!(names);
        }
        root["properties"][section] = json!({ "anyOf": [of, name], "description": description });
    }
    let file = json!({ "type": "string" });
    root["properties"]["extends"] = json!({ "anyOf": [file, { "type": "array", "items": file }],
        "description": "Files whose values come first, beside this file." });
    root["properties"]["defaults"] = json!({ "type": "array", "description": "Presets by section, as in Hydra; `_self_` is this file.",
        "items": { "anyOf": [file, { "type": "object", "minProperties": 1, "maxProperties": 1 }] } });
    // What a file leaves out may be in the one that it extends.
    if let Value::Object(map) = &mut root {
        map.remove("required");
        map.insert("title".to_owned(), json!("oodlab experiment"));
    }
    root
}

/// Takes `required` and `null` from sections, and lets every scalar be a reference.
fn relax(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("required") != Some(&json!(["kind"])) {
                map.remove("required");
            }
            for (key, inner) in map.iter_mut() {
                // Examples and defaults are values, not schemas.
                if key != "default" && key != "examples" {
                    relax(inner);
                }
            }
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                for property in properties.values_mut() {
                    or_reference(property);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(relax),
        _ => {}
    }
}

fn or_reference(property: &mut Value) {
    let is_scalar = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
    let scalar = match property.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_scalar),
        Some(kind) => is_scalar(kind),
        None => false,
    };
    if scalar && let Value::Object(map) = property.take() {
        let mut outer = Map::new();
        let mut inner = Map::new();
        for (key, value) in map {
            let outside = key == "description" || key == "default";
            if outside {
                outer.insert(key, value)
            } else {
                inner.insert(key, value)
            };
        }
        outer.insert("anyOf".to_owned(), json!([inner, { "$ref": "#/$defs/reference" }]));
        *property = Value::Object(outer);
    }
}

/// A detector's section: by its kind, as far as the types say.
fn detector(generator: &mut SchemaGenerator) -> Value {
    let kinds = oodlab_detectors::kinds();
    let of_kind: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let section = oodlab_detectors::schema(kind, generator).map_or_else(|| json!({}), Schema::to_value);
            let mut keys = section.get("properties").cloned().unwrap_or_else(|| json!({}));
            for common in ["kind", "name", "scores"] {
                keys[common] = json!(true);
            }
            let then = json!({ "properties": keys, "additionalProperties": false });
            json!({ "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] }, "then": then })
        })
        .collect();
    json!({
        "type": "object",
        "properties": {
            "kind": { "enum": kinds, "description": "Which detector." },
            "name": { "type": "string", "description": "Its name in tables; the kind when absent." },
            "scores": { "type": "array", "description": "Scores of a control; those of the experiment's own detector stand at the top." },
        },
        "allOf": of_kind,
    })
}

impl JsonSchema for EncoderSection {
    fn schema_name() -> Cow<'static, str> {
        "EncoderSection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let network = generator.subschema_for::<EncoderConfig>();
        let imported = json!({ "type": "object", "properties": { IMPORTED: { "type": "string",
            "description": "Name under which features were imported." } }, "required": [IMPORTED], "additionalProperties": false });
        json_schema!({ "anyOf": [network, imported] })
    }
}

impl JsonSchema for Sweep {
    fn schema_name() -> Cow<'static, str> {
        "Sweep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = json!({ "anyOf": [{ "type": "array", "minItems": 1 }, { "type": "string" }] });
        let lists = json!({ "type": "object", "additionalProperties": values });
        // Below `list` and `product` settings may stand beside the words.
        let entry = generator.subschema_for::<SweepEntry>();
        let entries = json!({ "type": "array", "minItems": 1, "items": entry });
        let conditions = json!({ "type": "array", "items": { "type": "object", "minProperties": 1 } });
        let described = |mut schema: Value, what: &str| {
            schema["description"] = json!(what);
            schema
        };
        let bounds = json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": "number" } });
        let range = json!({ "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": {
            "linear": bounds, "log": bounds, "integer": bounds, "choice": { "type": "array", "minItems": 1 } } });
        let random = json!({ "type": "object", "required": ["count", "keys"], "additionalProperties": false, "properties": {
            "count": { "type": "integer", "minimum": 1 }, "seed": { "type": "integer", "minimum": 0 },
            "keys": { "type": "object", "minProperties": 1, "additionalProperties": range } } });
        json_schema!({
            "type": "object",
            "description": "Cells to run: the product of everything named here.",
            "properties": {
                "grid": described(lists.clone(), "Settings with lists of values: every combination."),
                "zip": described(lists, "Settings with lists of one length: their values are taken together."),
                "list": described(entries.clone(), "Cells one after the other; an entry may hold a sweep of its own."),
                "product": described(entries, "Sweeps that are crossed with each other."),
                "random": described(random, "Draws from ranges; a larger count keeps the earlier cells."),
                "drop": described(conditions.clone(), "Cells that match one of these are not run."),
                "keep": described(conditions, "Only cells that match one of these are run."),
            },
            "additionalProperties": false,
        })
    }
}

/// An entry of `list` or `product`.
struct SweepEntry;

impl JsonSchema for SweepEntry {
    fn schema_name() -> Cow<'static, str> {
        "SweepEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object",
            "description": format!("Settings with values, and a sweep of its own ({}).", WORDS.join(", ")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_that_is_checked_in_is_fresh() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/schema.json");
        let kept = fs_err::read_to_string(file).expect("experiments/schema.json");
        assert!(kept == text().expect("JSON"), "out of date: oodlab schema > experiments/schema.json");
    }

    /// Every key of a type is in the schema, with its description.
    #[test]
    fn every_key_of_an_experiment_is_described() {
        let found = schema();
        let text = "benchmark: mini\nencoder: {network: a}\ndetector: {kind: dlsr}";
        let experiment: Experiment = serde_yaml::from_str(text).expect("an experiment");
        let Value::Object(keys) = serde_json::to_value(&experiment).expect("a tree") else { panic!("a map") };
        for key in keys.keys().map(String::as_str).chain(["comparisons", "tables", "figures", "extends", "defaults"]) {
            assert!(found["properties"][key]["description"].is_string(), "{key}");
        }
        let dlsr = found["$defs"]["detector"]["allOf"].as_array().expect("kinds").len();
        assert_eq!(dlsr, oodlab_detectors::kinds().len());
    }
}
