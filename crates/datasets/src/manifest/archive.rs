//! What known files are published in, or made of.

use serde::{Deserialize, Serialize};

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
