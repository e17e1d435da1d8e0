//! The JSON schema of an entry of `figures:`: by its kind.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::kinds::{
    BarsSpec, ContactSheetSpec, DensitySpec, HeatmapSpec, HistogramSpec, LayersSpec, LossSpec, PrSpec, ProjectionSpec,
    RocSpec, StepsSpec, SweepSpec,
};
use super::{FigureKind, FigureSpec, Selection};

impl JsonSchema for FigureSpec {
    fn schema_name() -> Cow<'static, str> {
        "FigureSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: [Value; FigureKind::NAMES.len()] = [
            RocSpec::json_schema(generator).to_value(),
            PrSpec::json_schema(generator).to_value(),
            HistogramSpec::json_schema(generator).to_value(),
            DensitySpec::json_schema(generator).to_value(),
            SweepSpec::json_schema(generator).to_value(),
            HeatmapSpec::json_schema(generator).to_value(),
            BarsSpec::json_schema(generator).to_value(),
            LossSpec::json_schema(generator).to_value(),
            StepsSpec::json_schema(generator).to_value(),
            LayersSpec::json_schema(generator).to_value(),
            ProjectionSpec::json_schema(generator).to_value(),
            ContactSheetSpec::json_schema(generator).to_value(),
        ];
        let selection = generator.subschema_for::<Selection>();
        let of_kind = FigureKind::NAMES.iter().zip(kinds).map(|(kind, mut section)| {
            let mut keys = section.get("properties").cloned().unwrap_or_else(|| json!({}));
            keys["kind"] = json!({ "const": kind });
            keys["name"] = json!({ "type": "string", "description": "File stem, in place of the kind's own." });
            keys["title"] = json!({ "type": "string", "description": "Title, in place of the kind's own." });
            keys["where"] = selection.clone().to_value();
            section["properties"] = keys;
            section["type"] = json!("object");
            section["additionalProperties"] = json!(false);
            json!({ "if": { "properties": { "kind": { "const": kind } } }, "then": section })
        });
        json_schema!({
            "type": "object",
            "required": ["kind"],
            "properties": { "kind": { "enum": FigureKind::NAMES, "description": "What the figure shows." } },
            "allOf": of_kind.collect::<Vec<_>>(),
        })
    }
}
