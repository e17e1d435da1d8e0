//! The detectors by kind. A new one is a file of its own and a line in [`KINDS`].

use oodlab_base::text;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::autoencoder::{self, AutoencoderConfig};
use crate::dlsr::{self, DlsrConfig};
use crate::oal::{self, OalConfig};
use crate::pca::{self, PcaConfig};
use crate::pixel_ddpm::{self, PixelDdpmConfig};
use crate::pixel_vae::{self, PixelVaeConfig};
use crate::rule::{FitsLabeled, FitsUnlabeled, build_labeled, build_unlabeled};
use crate::vae::{self, VaeConfig};
use crate::{
    Detector, DetectorError, ScoreSpec, ash, dice, energy, entropy, fdbd, gaussian, gen_entropy, gradnorm, gram,
    isolation_forest, kl_matching, knn, mahalanobis, max_logit, mean_distance, mixture, msp, nac, nnguide, odin,
    one_class_svm, openmax, rankfeat, react, relative_mahalanobis, residual, scale, she, temperature, tuned, vim, vra,
};

type Builder = fn(Value, &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError>;

/// A kind of detector.
struct Entry {
    kind: &'static str,
    build: Builder,
    /// The JSON schema of its settings; none where it has none.
    schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

/// A detector with a builder of its own and settings of type `S`.
const fn of<S: JsonSchema>(kind: &'static str, build: Builder) -> Entry {
    Entry { kind, build, schema: Some(S::json_schema) }
}

/// A rule that sees no label.
const fn unlabeled<R: FitsUnlabeled>() -> Entry {
    Entry { kind: R::KIND, build: build_unlabeled::<R>, schema: Some(R::json_schema) }
}

/// A rule that learns from classes.
const fn labeled<R: FitsLabeled>() -> Entry {
    Entry { kind: R::KIND, build: build_labeled::<R>, schema: Some(R::json_schema) }
}

const KINDS: &[Entry] = &[
    unlabeled::<ash::Ash>(),
    of::<AutoencoderConfig>(autoencoder::KIND, autoencoder::build),
    unlabeled::<dice::Dice>(),
    of::<DlsrConfig>(dlsr::KIND, dlsr::build),
    unlabeled::<energy::Energy>(),
    unlabeled::<entropy::Entropy>(),
    unlabeled::<fdbd::Fdbd>(),
    unlabeled::<gaussian::Gaussian>(),
    unlabeled::<gen_entropy::Gen>(),
    unlabeled::<gradnorm::GradNorm>(),
    labeled::<gram::Gram>(),
    unlabeled::<isolation_forest::IsolationForest>(),
    unlabeled::<kl_matching::KlMatching>(),
    unlabeled::<knn::Knn>(),
    labeled::<mahalanobis::Mahalanobis>(),
    unlabeled::<max_logit::MaxLogit>(),
    Entry { kind: mean_distance::KIND, build: mean_distance::build, schema: None },
    unlabeled::<mixture::Mixture>(),
    unlabeled::<msp::Msp>(),
    unlabeled::<nac::Nac>(),
    unlabeled::<nnguide::NnGuide>(),
    of::<OalConfig>(oal::KIND, oal::build),
    unlabeled::<odin::Odin>(),
    unlabeled::<one_class_svm::OneClassSvm>(),
    labeled::<openmax::OpenMax>(),
    of::<PcaConfig>(pca::KIND, pca::build),
    of::<PixelDdpmConfig>(pixel_ddpm::KIND, pixel_ddpm::build),
    of::<PixelVaeConfig>(pixel_vae::KIND, pixel_vae::build),
    unlabeled::<rankfeat::RankFeat>(),
    unlabeled::<react::React>(),
    labeled::<relative_mahalanobis::RelativeMahalanobis>(),
    unlabeled::<residual::Residual>(),
    unlabeled::<scale::Scale>(),
    labeled::<she::She>(),
    labeled::<temperature::TemperatureScaling>(),
    of::<VaeConfig>(vae::KIND, vae::build),
    unlabeled::<vim::Vim>(),
    unlabeled::<vra::Vra>(),
];

/// The controls that stand in every table beside the detector asked for.
pub const CONTROLS: &[&str] = &[mean_distance::KIND];

/// All kinds, in the order of the registry.
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|entry| entry.kind).collect()
}

/// The JSON schema of a kind's settings, without `kind`, `name` and `scores`; none where a kind has no settings.
#[must_use]
pub fn schema(kind: &str, generator: &mut SchemaGenerator) -> Option<Schema> {
    let mut schema = KINDS.iter().find(|entry| entry.kind == kind)?.schema?(generator);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(tuned::KEY.to_owned(), tuned::schema());
    }
    Some(schema)
}

/// Builds a detector from its kind, its section of the configuration (without `kind`) and the scores asked for (none: all it has). With `tune`
/// in its section it chooses settings by the benchmark's validation split.
///
/// ```
/// let detector = oodlab_detectors::build("mean-distance", serde_json::Value::Null, &[])?;
/// assert_eq!(detector.score_names(), ["mean-distance"]);
/// # Ok::<(), oodlab_detectors::DetectorError>(())
/// ```
///
/// # Errors
/// When the kind or a score is unknown, or the section has unknown keys, wrong types or values out of range.
pub fn build(kind: &str, config: Value, scores: &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError> {
    match KINDS.iter().find(|entry| entry.kind == kind) {
        Some(entry) => match tuned::split(config)? {
            (config, None) => (entry.build)(config, scores),
            (config, Some(tune)) => tuned::build(entry.build, config, tune, scores),
        },
        None => Err(DetectorError::UnknownKind {
            kind: kind.to_owned(),
            hint: text::hint(kind, kinds()),
            known: kinds().join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_names_the_known_ones() {
        let message = build("mean_distance", Value::Null, &[]).expect_err("not a kind").to_string();
        assert!(
            message.contains("did you mean \"mean-distance\"") && message.contains("mean-distance, mixture"),
            "{message}"
        );
    }

    /// A run's resolved configuration is written from both, without what is null, and must run again.
    #[test]
    fn what_a_detector_says_of_its_settings_is_a_section_of_its_own() {
        for kind in kinds() {
            let detector = build(kind, Value::Null, &[]).expect("defaults are valid");
            let mut section = serde_json::Map::new();
            for config in [detector.fit_config(), detector.score_config()] {
                let Value::Object(map) = config else { panic!("{kind}: expected a section") };
                let own = map.into_iter().filter(|(key, value)| key != "scores" && key != "summed" && !value.is_null());
                section.extend(own);
            }
            let again = build(kind, Value::Object(section), &[]).expect("its own settings");
            assert_eq!(again.fit_config(), detector.fit_config(), "{kind}");
            assert_eq!(again.score_config(), detector.score_config(), "{kind}");
        }
    }

    #[test]
    fn every_kind_builds_with_its_defaults() {
        for kind in kinds() {
            let detector = build(kind, Value::Null, &[]).expect("defaults are valid");
            assert_eq!(detector.kind(), kind);
            assert!(!detector.score_names().is_empty());
            assert_eq!(detector.needs().labels, detector.supervised().is_some(), "{kind}");
            assert_eq!(detector.needs().images, !detector.probes().is_empty(), "{kind}");
        }
        assert!(CONTROLS.iter().all(|control| kinds().contains(control)));
    }

    /// Every setting that a detector says it has can be found in its schema.
    #[test]
    fn schemas_have_every_setting() {
        for kind in kinds() {
            let detector = build(kind, Value::Null, &[]).expect("defaults are valid");
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
