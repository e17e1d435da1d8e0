//! Manifests: what a data set is, which files hold it, and how they are recognised.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::yaml;

/// A data set as its file `datasets/<name>.yaml` describes it. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lower-case name, equal to the file's stem.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Licence as the publisher states it.
    pub licence: String,
    /// What to cite.
    pub citation: String,
    /// Where it is published.
    #[serde(default)]
    pub homepage: Option<String>,
    /// How the files are read.
    pub format: Format,
    /// Width and height, when all images have the same.
    #[serde(default)]
    pub image_size: Option<(u32, u32)>,
    /// Number of classes; every label is below it. Not needed beside `class_names`.
    #[serde(default)]
    pub classes: Option<u32>,
    /// Names of the classes in the order of their labels.
    #[serde(default)]
    pub class_names: Vec<String>,
    /// Names of folders that hold the data set as people usually store it.
    #[serde(default)]
    pub folder_names: Vec<String>,
    /// Files that are known one by one. Order counts: it is the order of the images.
    #[serde(default)]
    pub files: Vec<KnownFile>,
    /// Name of a file `*.sha256` beside the manifest with checksums of single files: every file that it lists must have its
    /// sum.
    #[serde(default)]
    pub sums: Option<String>,
    /// The splits.
    pub splits: BTreeMap<String, Split>,
    /// The files are compiled into the program.
    #[serde(default)]
    pub embedded: bool,
    /// Traps and remarks.
    #[serde(default)]
    pub notes: String,
}

/// How the files of a data set are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Format {
    /// Records of label bytes and three colour planes (CIFAR-10 and CIFAR-100 "binary version"); `.gz` is unpacked.
    CifarBinary {
        /// The label bytes in front of each image.
        labels: Vec<String>,
        /// Which of them is the label.
        label: String,
    },
    /// IDX files of u8, plain or gzip: images `[n, height, width]`, labels `[n]`.
    Idx {},
    /// A folder of PNG and JPEG files in byte order of their paths.
    ImageFolder {
        /// Whether the folder below the split's folder is the class.
        classes: FolderClasses,
    },
    /// Zip files of PNG and JPEG files in the order of the manifest, inside each in the archive's order.
    ZipImages {
        /// What happens to images that are equal to the byte.
        equal_images: EqualImages,
    },
    /// Images that the program makes itself, a function of the seed and the position alone.
    Generated {
        /// Seed of the random streams.
        seed: u64,
        /// What they show.
        pattern: Pattern,
    },
}

/// Where the class of an image in a folder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FolderClasses {
    /// There are none.
    None,
    /// The name of the first folder below the split's folder.
    Folder,
}

/// What happens to images of a zip set whose files are equal to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EqualImages {
    /// Only the first counts.
    Once,
    /// All count.
    Each,
}

/// What generated images show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Pattern {
    /// Every value normal, rounded and clipped to `0..=255`.
    GaussianNoise {
        /// Mean in grey levels.
        mean: f64,
        /// Deviation in grey levels.
        deviation: f64,
    },
    /// Every value uniform over `0..=255`.
    UniformNoise {},
    /// Two random colours in straight stripes of random period, direction and phase.
    Stripes {
        /// Least and greatest period in pixels.
        period: (f64, f64),
    },
    /// Blobs with sharp edges: random dots, blurred, and set to zero below a threshold.
    Blobs {
        /// Share of dots that are set.
        density: f64,
        /// Deviation of the blur in pixels.
        blur: f64,
        /// Values below this (of 1) become zero.
        threshold: f64,
    },
}

/// A file that is known by its checksum, or at least by name and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// Path inside the data set.
    pub path: String,
    /// The split it belongs to; a `marker` belongs to none.
    #[serde(default)]
    pub split: Option<String>,
    /// What is in it.
    #[serde(default)]
    pub role: Role,
    /// Size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// MD5 in lower-case hexadecimal, where that is what was published.
    #[serde(default)]
    pub md5: Option<String>,
    /// Size of the unpacked file (of a `.gz`), which is accepted too.
    #[serde(default)]
    pub unpacked_size: Option<u64>,
    /// SHA-256 of the unpacked file.
    #[serde(default)]
    pub unpacked_sha256: Option<String>,
    /// Addresses to download it from, tried in turn.
    #[serde(default)]
    pub mirrors: Vec<String>,
}

/// What a known file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Images, with their labels where the format keeps them together.
    #[default]
    Images,
    /// Labels of the images file of the same split.
    Labels,
    /// Nothing that is read: it shows that the folder it lies in is this data set's.
    Marker,
}

/// A split of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Images of the complete split, where that is known.
    #[serde(default)]
    pub images: Option<usize>,
    /// For image folders: where the split's images lie, usual layouts in turn; the first is the one they are kept in.
    #[serde(default)]
    pub folders: Vec<String>,
    /// What a reader must know about it.
    #[serde(default)]
    pub notes: String,
}

impl KnownFile {
    /// Last part of the path.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// File name after `gunzip`, for a `.gz` whose unpacked form is accepted.
    #[must_use]
    pub fn unpacked_name(&self) -> Option<&str> {
        self.unpacked_sha256.as_ref().and(self.file_name().strip_suffix(".gz"))
    }

    /// Whether any checksum is known.
    #[must_use]
    pub fn has_checksum(&self) -> bool {
        self.sha256.is_some() || self.md5.is_some()
    }
}

impl Manifest {
    /// Parses and checks a manifest. `place` names the file in errors.
    ///
    /// # Errors
    /// Unknown or duplicate keys, wrong types, paths that leave the data set, malformed checksums, splits that no file belongs to.
    pub fn parse(place: &str, text: &str) -> Result<Manifest, DatasetError> {
        let manifest: Manifest = yaml::parse(place, text)?;
        match manifest.problem() {
            None => Ok(manifest),
            Some(problem) => Err(DatasetError::manifest(place, problem)),
        }
    }

    /// The number of classes, where known.
    #[must_use]
    pub fn class_count(&self) -> Option<u32> {
        self.classes.or_else(|| (!self.class_names.is_empty()).then_some(self.class_names.len() as u32))
    }

    /// The split that a benchmark takes out-of-distribution images from unless it says otherwise: `test`, or the only one.
    #[must_use]
    pub fn evaluation_split(&self) -> Option<&str> {
        match self.splits.get_key_value("test") {
            Some((name, _)) => Some(name),
            None if self.splits.len() == 1 => self.splits.keys().next().map(String::as_str),
            None => None,
        }
    }

    /// The split of that name.
    ///
    /// # Errors
    /// When there is none; the error lists those that there are.
    pub fn split(&self, name: &str) -> Result<&Split, DatasetError> {
        self.splits.get(name).ok_or_else(|| DatasetError::UnknownSplit {
            name: self.name.clone(),
            split: name.to_owned(),
            known: self.splits.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// `embedded` or `generated`, or `None` for a set that must be imported.
    #[must_use]
    pub fn built_in(&self) -> Option<&'static str> {
        match self.format {
            Format::Generated { .. } => Some("generated"),
            _ if self.embedded => Some("embedded"),
            _ => None,
        }
    }
}

/// Whether a path stays below the folder it is joined to: relative, of plain parts only.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\\')
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
name: small
title: Small
licence: none
citation: none
format: {kind: cifar-binary, labels: [class], label: class}
image_size: [2, 2]
classes: 10
files:
  - {path: a.bin, split: test, size: 13}
splits:
  test: {images: 1}
";

    fn error(from: &str, to: &str) -> String {
        assert!(SMALL.contains(from), "{from}");
        match Manifest::parse("small.yaml", &SMALL.replace(from, to)) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        }
    }

    #[test]
    fn a_small_manifest_is_read() {
        let manifest = Manifest::parse("small.yaml", SMALL).expect("valid");
        assert_eq!(manifest.evaluation_split(), Some("test"));
        assert_eq!(manifest.class_count(), Some(10));
        assert!(manifest.split("train").is_err_and(|error| error.to_string().contains("it has: test")));
    }

    #[test]
    fn mistakes_are_named_with_the_file() {
        for (from, to, part) in [
            ("title: Small", "titel: Small", "titel"),
            ("label: class}", "label: class, extra: 1}", "extra"),
            ("title: Small", "title: Small\ntitle: Twice", "duplicate"),
            ("a.bin", "../a.bin", ".."),
            ("split: test", "split: tset", "tset"),
            ("size: 13", "sha256: 12", "64"),
            ("size: 13", "size: thirteen", "thirteen"),
            ("label: class}", "label: fine}", "fine"),
            ("name: small", "name: Small/..", "lower-case"),
            ("image_size: [2, 2]", "image_size: [2, 0]", "image_size"),
            ("classes: 10", "sums: ../x.sha256", "beside the manifest"),
            ("classes: 10", "sums: x.txt", "beside the manifest"),
            ("kind: cifar-binary", "kind: cifar-pickle", "cifar-pickle"),
        ] {
            let message = error(from, to);
            assert!(message.starts_with("small.yaml: ") && message.contains(part), "{to}: {message:?}");
        }
    }

    #[test]
    fn paths_that_leave_the_folder_are_seen() {
        for path in ["", "/a", "a/../b", "..", "a//b", "./a", "a\\b", "a/"] {
            assert!(!is_inside(path), "{path:?}");
        }
        assert!(is_inside("images/banded/banded_0002.jpg"));
    }
}
