//! The weights that this build knows: one YAML file each, compiled in.

use serde::{Deserialize, Serialize};

use super::WeightError;
use crate::network::Normalisation;

/// Names and texts of the manifests `crates/encoders/weights/<name>.yaml`.
macro_rules! manifests {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../weights/", $name, ".yaml")))),*]
    };
}

/// The manifests in byte order of their names.
const MANIFESTS: [(&str, &str); 35] = manifests![
    "densenet100-cifar10",
    "densenet100-cifar100",
    "efficientnet-b0",
    "efficientnet-b0-symmetric",
    "efficientnet-b1",
    "efficientnet-b1-symmetric",
    "efficientnet-b2",
    "efficientnet-b2-symmetric",
    "efficientnet-b3",
    "efficientnet-b3-symmetric",
    "efficientnet-b4",
    "efficientnet-b4-symmetric",
    "efficientnet-b5",
    "efficientnet-b5-symmetric",
    "efficientnet-b6",
    "efficientnet-b6-symmetric",
    "efficientnet-b7",
    "efficientnet-b7-symmetric",
    "efficientnet-lite0",
    "efficientnet-lite0-timm",
    "efficientnet-lite1",
    "efficientnet-lite2",
    "efficientnet-lite2-timm",
    "efficientnet-lite3",
    "efficientnet-lite4",
    "resnet101",
    "resnet101-v2",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "resnet50-v2",
    "resnet56",
    "vit-b16",
    "vit-b16-torchvision",
];

/// One file in which the weights are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightFile {
    /// Its usual name.
    pub file: String,
    /// Its SHA-256 in lower-case hexadecimal: all 64 digits, or as many as are published (at least 8).
    pub sha256: String,
    /// Its size, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Where it is published, the preferred address first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightManifest {
    /// The name: `efficientnet-lite0`.
    pub name: String,
    /// The network that they belong to.
    pub network: String,
    /// The files that carry them, the preferred one first.
    pub files: Vec<WeightFile>,
    /// Other names under which the files are met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Licence of the weights (SPDX).
    pub licence: String,
    /// Who published them, in which package or paper.
    pub source: String,
    /// Data they were trained on, and how good they are.
    pub trained_on: String,
    /// What the network expects of its input.
    pub preprocessing: String,
    /// The same in numbers; the network's own where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

/// All known weights, in byte order of their names.
///
/// # Errors
/// When a manifest is wrong: a mistake in this program, which its tests find.
pub fn manifests() -> Result<Vec<WeightManifest>, WeightError> {
    MANIFESTS.iter().map(|(name, text)| parse(name, text)).collect()
}

/// Reads one manifest and checks it.
pub(super) fn parse(name: &str, text: &str) -> Result<WeightManifest, WeightError> {
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
        if let Some(address) = file.addresses.iter().find(|address| !is_address(address)) {
            return Err(wrong(format!("`{address}` is no https address")));
        }
    }
    if manifest.normalisation.is_some_and(|normalisation| !normalisation.is_sound()) {
        return Err(wrong(
            "its normalisation has a deviation that is not above zero, or a number that is none".to_owned(),
        ));
    }
    Ok(manifest)
}

fn is_address(address: &str) -> bool {
    address.strip_prefix("https://").is_some_and(|rest| rest.contains('/') && !rest.contains(char::is_whitespace))
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
        // An address ends in the file's own name, so that mirrors can be made by copying.
        for file in &files {
            assert!(
                file.addresses.iter().all(|address| address.ends_with(&format!("/{}", file.file))),
                "{}",
                file.file
            );
        }
    }

    #[test]
    fn every_manifest_is_of_a_network_and_says_how_it_normalises() {
        for manifest in manifests().expect("sound manifests") {
            let name = &manifest.name;
            assert!(crate::network::Network::named(&manifest.network).is_some(), "{name}: {}", manifest.network);
            let normalisation = manifest.normalisation.expect("known for all");
            // The words and the numbers are the same.
            let words = if normalisation == Normalisation::LITE {
                "(x - 127) / 128 on pixels of 0..255".to_owned()
            } else {
                let three = |numbers: [f64; 3]| {
                    let mut texts = numbers.map(|n| n.to_string().trim_start_matches('0').to_owned()).to_vec();
                    texts.dedup();
                    texts.join(" ")
                };
                let (mean, deviation) = (three(normalisation.mean), three(normalisation.deviation));
                format!("pixels of 0..1, mean {mean}, deviation {deviation}")
            };
            assert_eq!(manifest.preprocessing, words, "{name}");
        }
    }

    #[test]
    fn a_manifest_is_written_as_it_is_read() {
        for manifest in manifests().expect("sound manifests") {
            let text = serde_yaml::to_string(&manifest).expect("a manifest");
            assert_eq!(parse(&manifest.name, &text).expect("what was written"), manifest);
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
            ("- https:", "- ftp:", "no https address"),
            ("deviation: [0.229", "deviation: [0", "normalisation"),
            ("mean: [0.485, ", "mean: [", "normalisation"),
            ("licence:", "license:", "unknown field"),
        ] {
            let error = parse("resnet50", &sound.replacen(from, to, 1)).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
