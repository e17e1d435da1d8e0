//! The JSON schema of each detector's section, from the types that read it.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::autoencoder::{self, AutoencoderConfig};
use crate::dlsr::{self, DlsrConfig};
use crate::pca::{self, PcaConfig};
use crate::pixel_ddpm::{self, PixelDdpmConfig};
use crate::pixel_vae::{self, PixelVaeConfig};
use crate::vae::{self, VaeConfig};

/// The settings of a kind, without `kind`, `name` and `scores`; none where a kind has no type of its own: it has no settings then.
#[must_use]
pub fn schema(kind: &str, generator: &mut SchemaGenerator) -> Option<Schema> {
    match kind {
        autoencoder::KIND => Some(AutoencoderConfig::json_schema(generator)),
        dlsr::KIND => Some(DlsrConfig::json_schema(generator)),
        pca::KIND => Some(PcaConfig::json_schema(generator)),
        pixel_ddpm::KIND => Some(PixelDdpmConfig::json_schema(generator)),
        pixel_vae::KIND => Some(PixelVaeConfig::json_schema(generator)),
        vae::KIND => Some(VaeConfig::json_schema(generator)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Every setting that a detector says it has can be found in its schema.
    #[test]
    fn schemas_have_every_setting() {
        for kind in crate::kinds() {
            let detector = crate::build(kind, Value::Null, &[]).expect("defaults are valid");
            let found = schema(kind, &mut SchemaGenerator::default()).map(Schema::to_value);
            for config in [detector.fit_config(), detector.score_config()] {
                let Value::Object(config) = config else { panic!("{kind}: expected a section") };
                for key in config.keys().filter(|key| !["scores", "summed"].contains(&key.as_str())) {
                    let known = found.as_ref().is_some_and(|schema| schema["properties"].get(key).is_some());
                    assert!(known, "{kind}: {key}");
                }
            }
        }
    }
}
