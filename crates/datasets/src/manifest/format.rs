//! How the files of a data set are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
