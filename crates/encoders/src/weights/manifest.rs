//! The weights that this build knows: one YAML file each, compiled in.

use serde::Deserialize;

use super::WeightError;

/// The manifests, `crates/encoders/weights/<name>.yaml`, in byte order of their names.
const MANIFESTS: [(&str, &str); 8] = [
    ("densenet100-cifar10", include_str!("../../weights/densenet100-cifar10.yaml")),
    ("densenet100-cifar100", include_str!("../../weights/densenet100-cifar100.yaml")),
    ("efficientnet-b4", include_str!("../../weights/efficientnet-b4.yaml")),
    ("efficientnet-lite0", include_str!("../../weights/efficientnet-lite0.yaml")),
    ("efficientnet-lite2", include_str!("../../weights/efficientnet-lite2.yaml")),
    ("resnet20", include_str!("../../weights/resnet20.yaml")),
    ("resnet50", include_str!("../../weights/resnet50.yaml")),
    ("resnet56", include_str!("../../weights/resnet56.yaml")),
];

/// One file in which the weights are published.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightFile {
    /// Its usual name.
    pub file: String,
    /// Its SHA-256 in lower-case hexadecimal: all 64 digits, or as many as are published (at least 8).
    pub sha256: String,
    /// Its size, where it is known.
    pub size_bytes: Option<u64>,
}

impl WeightFile {
    /// Whether a file with this SHA-256 (64 digits) is the one.
    #[must_use]
    pub fn matches(&self, sha256: &str) -> bool {
        sha256.starts_with(&self.sha256)
    }

    /// The SHA-256 for messages: with dots when only its beginning is known.
    #[must_use]
    pub fn sha256_shown(&self) -> String {
        if self.sha256.len() == 64 { self.sha256.clone() } else { format!("{}..", self.sha256) }
    }
}

/// Weights that are known by checksum.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightManifest {
    /// The name: `efficientnet-lite0`.
    pub name: String,
    /// The network that they belong to.
    pub network: String,
    /// The files that carry them, the preferred one first.
    pub files: Vec<WeightFile>,
    /// Other names under which the files are met.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Licence of the weights (SPDX).
    pub licence: String,
    /// Who published them, in which package or paper.
    pub source: String,
    /// Data they were trained on, and how good they are.
    pub trained_on: String,
    /// What the network expects of its input.
    pub preprocessing: String,
    /// Anything else.
    #[serde(default)]
    pub notes: String,
}

/// All known weights, in byte order of their names.
///
/// # Errors
/// When a manifest is wrong: a mistake in this program, which its tests find.
pub fn manifests() -> Result<Vec<WeightManifest>, WeightError> {
    MANIFESTS.iter().map(|(name, text)| parse(name, text)).collect()
}

fn parse(name: &str, text: &str) -> Result<WeightManifest, WeightError> {
    let wrong = |reason: String| WeightError::Manifest { manifest: name.to_owned(), reason };
    let manifest: WeightManifest = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if manifest.name != name {
        return Err(wrong(format!("it names itself `{}`", manifest.name)));
    }
    if manifest.files.is_empty() {
        return Err(wrong("it names no file".to_owned()));
    }
    for file in &manifest.files {
        let digits = file.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || !(8..=64).contains(&file.sha256.len()) {
            return Err(wrong(format!("`{}` is no SHA-256 of 8 to 64 digits", file.sha256)));
        }
        if file.file.is_empty() || file.file.starts_with('.') || file.file.contains(['/', '\\']) {
            return Err(wrong(format!("`{}` is no plain file name", file.file)));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_manifests_are_right_and_no_file_belongs_to_two() {
        let manifests = manifests().expect("sound manifests");
        let names: Vec<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
        assert!(names.is_sorted());
        let files: Vec<&WeightFile> = manifests.iter().flat_map(|manifest| &manifest.files).collect();
        let distinct = |field: fn(&WeightFile) -> &str| files.iter().map(|file| field(file)).collect::<BTreeSet<_>>();
        assert_eq!(distinct(|file| &file.file).len(), files.len());
        assert_eq!(distinct(|file| &file.sha256[..8]).len(), files.len());
        // The convention of torch's hub: the checksum's first digits end the name of a file that torch wrote.
        for file in files.iter().filter(|file| file.file.ends_with(".pth") || file.file.ends_with(".th")) {
            let (stem, _) = file.file.rsplit_once('.').expect("a suffix");
            assert_eq!(stem.rsplit_once('-').expect("a checksum").1, &file.sha256[..8]);
        }
    }

    #[test]
    fn wrong_manifests_are_refused() {
        let sound = include_str!("../../weights/resnet50.yaml");
        assert!(parse("resnet50", sound).is_ok());
        for (from, to, reason) in [
            ("name: resnet50", "name: other", "names itself"),
            ("sha256: 19c8e357", "sha256: 19C8E357", "no SHA-256"),
            ("sha256: 19c8e357", "sha256: \"19c8\"", "no SHA-256"),
            ("file: resnet50", "file: ../resnet50", "no plain file name"),
            ("licence:", "license:", "unknown field"),
        ] {
            let error = parse("resnet50", &sound.replacen(from, to, 1)).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
