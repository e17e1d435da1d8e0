//! The detectors by kind. A new one is a file of its own and a line in [`KINDS`].

use oodlab_base::text;
use serde_json::Value;

use crate::{Detector, DetectorError, ScoreSpec, autoencoder, dlsr, mean_distance, pca, pixel_ddpm, pixel_vae, vae};

type Builder = fn(Value, &[ScoreSpec]) -> Result<Box<dyn Detector>, DetectorError>;

const KINDS: &[(&str, Builder)] = &[
    (autoencoder::KIND, autoencoder::build),
    (dlsr::KIND, dlsr::build),
    (mean_distance::KIND, mean_distance::build),
    (pca::KIND, pca::build),
    (pixel_ddpm::KIND, pixel_ddpm::build),
    (pixel_vae::KIND, pixel_vae::build),
    (vae::KIND, vae::build),
];

/// The controls that stand in every table beside the detector asked for.
pub const CONTROLS: &[&str] = &[mean_distance::KIND];

/// All kinds, in the order of the registry.
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|(kind, _)| *kind).collect()
}

/// Builds a detector from its kind, its section of the configuration (without `kind`) and the scores asked for (none: all it has).
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
    match KINDS.iter().find(|(known, _)| *known == kind) {
        Some((_, build)) => build(config, scores),
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
            message.contains("did you mean \"mean-distance\"") && message.contains("dlsr, mean-distance"),
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
            assert!(!detector.needs().labels, "unsupervised");
        }
        assert!(CONTROLS.iter().all(|control| kinds().contains(control)));
    }
}
