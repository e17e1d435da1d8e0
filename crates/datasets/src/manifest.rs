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
    Idx {
        /// Images are stored column by column, as EMNIST's are.
        #[serde(default)]
        transposed: bool,
        /// The least label in the file; it becomes 0 (EMNIST Letters: 1).
        #[serde(default)]
        first_label: u32,
    },
    /// MATLAB files, version 5, of an array `[height, width, 3, n]` of u8 and one of labels (SVHN's "format 2").
    Mat {
        /// Name of the images' array.
        images: String,
        /// Name of the labels' array.
        #[serde(default)]
        labels: Option<String>,
        /// Labels of the file that mean another one (SVHN: `{10: 0}`).
        #[serde(default)]
        relabel: BTreeMap<u32, u32>,
    },
    /// Raw u8 images without a header, three planes each, every plane column by column (STL-10); labels are raw u8.
    Planes {
        /// The least label in the file; it becomes 0 (STL-10: 1).
        #[serde(default)]
        first_label: u32,
    },
    /// numpy arrays of u8 in `.npy` or `.npz`: images, and labels where they are at hand.
    Numpy {
        /// Order of the axes of the images' array.
        #[serde(default)]
        axes: Axes,
        /// Name of the images' array in an `.npz`; a `.npy` has one.
        #[serde(default)]
        images: Option<String>,
        /// Name of the labels' array in the same `.npz`.
        #[serde(default)]
        labels: Option<String>,
    },
    /// A folder of picture files in byte order of their paths, or in the order of a split's list.
    ImageFolder {
        /// Whether the folder below the split's folder is the class.
        classes: FolderClasses,
    },
    /// Zip files of pictures in the order of the manifest, inside each in the archive's order.
    ZipImages {
        /// What happens to images that are equal to the byte.
        equal_images: EqualImages,
    },
    /// Tar files of pictures, plain or gzip, in their order: WebDataset shards, and LMDB databases as they are kept.
    TarImages {
        /// Ending of the file beside each picture that holds its label as a number (WebDataset: `cls`).
        #[serde(default)]
        label: Option<String>,
    },
    /// Parquet files with a column of pictures, as Hugging Face publishes them.
    ParquetImages {
        /// Column of the pictures: bytes, or a group with a field `bytes`.
        image: String,
        /// Column of the labels.
        #[serde(default)]
        label: Option<String>,
    },
    /// Images that the program makes itself, a function of the seed and the position alone.
    Generated {
        /// Seed of the random streams.
        seed: u64,
        /// What they show.
        pattern: Pattern,
    },
}

/// Order of the axes of an array of images: count, height, width, channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axes {
    /// `[n, height, width, 3]`.
    #[default]
    Nhwc,
    /// `[n, 3, height, width]`.
    Nchw,
    /// `[n, height, width]`, grey.
    Nhw,
}

/// Where the class of an image in a folder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FolderClasses {
    /// There are none.
    None,
    /// The name of the first folder below the split's folder.
    Folder,
    /// As `folder`, and only the folders that `class_names` lists belong to the set: a part of a larger one's classes.
    Listed,
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

/// A list of images: a text file with a line an image, or a table.
///
/// Images are those of the list, in its order; one that is listed and not there makes the split partial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// Path inside the data set.
    pub file: String,
    /// How its lines are cut.
    #[serde(default)]
    pub form: ListForm,
    /// Lines before the first that counts (before the names of the columns, where there are any).
    #[serde(default)]
    pub skip_lines: usize,
    /// The first line that counts holds the names of the columns; where lines have more columns than it has names, the last
    /// columns have them (CelebA's attributes). Parquet always has names.
    #[serde(default)]
    pub header: bool,
    /// The column of the paths.
    #[serde(default)]
    pub path: Column,
    /// What is put behind every path, where the list leaves out the ending.
    #[serde(default)]
    pub ending: String,
    /// The column of the labels: names of classes, folders, or numbers.
    #[serde(default)]
    pub label: Option<Column>,
    /// Labels by the text of their column, where it is neither a class name nor the number itself (`{"-1": 0, "1": 1}`).
    #[serde(default)]
    pub label_values: BTreeMap<String, u32>,
    /// Only the lines with this text in this column belong to the split.
    #[serde(default, rename = "where")]
    pub condition: Option<Condition>,
    /// Another list with the labels of the same paths (CelebA's attributes).
    #[serde(default)]
    pub labels_from: Option<Box<ListSpec>>,
}

/// How the lines of a list are cut into columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListForm {
    /// At blanks, any number of them (OpenOOD's `imglist`, CelebA's lists).
    #[default]
    Blanks,
    /// At tabs.
    Tabs,
    /// Comma-separated values with quotes (RFC 4180).
    Csv,
    /// A Parquet file.
    Parquet,
}

/// A column: its number, counted from 0, or its name where the list has names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// Counted from 0.
    Number(usize),
    /// As the header names it.
    Name(String),
}

impl Default for Column {
    fn default() -> Column {
        Column::Number(0)
    }
}

/// A condition on a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column that is looked at.
    pub column: Column,
    /// Its text.
    pub is: String,
}

/// An archive in which files of a data set are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Its file name; the ending says how it is unpacked: `.tar`, `.tar.gz`, `.tgz`, `.zip`.
    pub path: String,
    /// The folder inside that is the set's; all of it where not given.
    #[serde(default)]
    pub root: Option<String>,
    /// The splits whose files it holds; all where none is named.
    #[serde(default)]
    pub splits: Vec<String>,
    /// Size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// MD5 in lower-case hexadecimal, where that is what was published.
    #[serde(default)]
    pub md5: Option<String>,
    /// Addresses to download it from, tried in turn.
    #[serde(default)]
    pub mirrors: Vec<String>,
}

/// A file of another program that holds the same images as a known file, which it is turned into at import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Conversion {
    /// A pickle of CIFAR's "python version" becomes the batch of the "binary version", to the byte.
    CifarPickle {
        /// Its file name.
        from: String,
        /// Path of the known file.
        to: String,
        /// Its own MD5, where published.
        #[serde(default)]
        md5: Option<String>,
    },
    /// A folder with an LMDB database (`data.mdb`) of pictures becomes a tar file in the order of its keys.
    Lmdb {
        /// The folder's name.
        from: String,
        /// Path of the known file.
        to: String,
    },
}

impl Conversion {
    /// The file or folder that is turned, and the known file that it becomes.
    #[must_use]
    pub fn names(&self) -> (&str, &str) {
        match self {
            Conversion::CifarPickle { from, to, .. } | Conversion::Lmdb { from, to } => (from, to),
        }
    }
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
