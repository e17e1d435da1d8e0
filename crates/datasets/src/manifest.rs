//! Manifests: what a data set is, which files hold it, and how they are recognised.

mod archive;
mod check;
mod format;
mod list;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::yaml;

pub use archive::{Archive, Conversion};
pub use format::{Axes, EqualImages, FolderClasses, Format, Pattern};
pub use list::{Column, Condition, ListForm, ListSpec};

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
    /// Archives in which the set is published. Their files are what the set consists of; they themselves are not kept.
    #[serde(default)]
    pub archives: Vec<Archive>,
    /// Files of other programs that hold the same images, and the known files that they are turned into at import.
    #[serde(default)]
    pub conversions: Vec<Conversion>,
    /// Files of the set that are known to be no readable images, as they are kept: left out and counted, without being asked.
    #[serde(default)]
    pub broken: Vec<String>,
    /// What to do where no address can be downloaded from as it is (a form to sign, a page to log in to).
    #[serde(default)]
    pub access: Option<String>,
    /// Mean of each channel over the training images, of values 0..1.
    #[serde(default)]
    pub mean: Option<[f64; 3]>,
    /// Deviation of each channel over the training images, of values 0..1.
    #[serde(default)]
    pub deviation: Option<[f64; 3]>,
    /// The splits.
    pub splits: BTreeMap<String, Split>,
    /// The files are compiled into the program.
    #[serde(default)]
    pub embedded: bool,
    /// Traps and remarks.
    #[serde(default)]
    pub notes: String,
}

/// A file that is known by its checksum, or at least by name and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// Path inside the data set.
    pub path: String,
    /// The split it belongs to; a `marker` and a `list` belong to none.
    #[serde(default)]
    pub split: Option<String>,
    /// The splits that it belongs to, where there are several.
    #[serde(default)]
    pub splits: Vec<String>,
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
    /// A list that splits name: which images belong to them, and their labels.
    List,
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
    /// For image folders: where the classes of this split come from, when not from where the format says.
    #[serde(default)]
    pub classes: Option<FolderClasses>,
    /// For image folders: the list of the split's images. Its paths begin in the first of `folders`.
    #[serde(default)]
    pub list: Option<ListSpec>,
    /// What a reader must know about it.
    #[serde(default)]
    pub notes: String,
}

impl KnownFile {
    /// Whether it belongs to a split.
    #[must_use]
    pub fn is_of(&self, split: &str) -> bool {
        self.split.as_deref() == Some(split) || self.splits.iter().any(|name| name == split)
    }

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

    /// Where the classes of a split of an image folder come from. A list that has labels of its own needs none.
    #[must_use]
    pub fn folder_classes(&self, split: &str) -> FolderClasses {
        let options = self.splits.get(split);
        let listed = options.and_then(|split| split.list.as_ref());
        match (options.and_then(|split| split.classes), &self.format) {
            (Some(classes), _) => classes,
            _ if listed.is_some_and(|list| list.label.is_some() || list.labels_from.is_some()) => FolderClasses::None,
            (None, Format::ImageFolder { classes }) => *classes,
            (None, _) => FolderClasses::None,
        }
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
mod tests;
