//! The index of an imported set: `<root>/<name>/index.json`, written last. What it does not name is not there.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use oodlab_base::file::fill_atomic;
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::hash::Digest;
use crate::manifest::{Role, is_inside};

/// Raised when the form of the file changes.
const VERSION: u32 = 1;

/// Everything that was imported of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    version: u32,
    /// The data set's name.
    pub name: String,
    /// Usable images a split.
    pub images: BTreeMap<String, usize>,
    /// Images that a split's list names, where the manifest does not state how many there are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub listed: BTreeMap<String, usize>,
    /// All files in byte order of their paths.
    pub files: Vec<IndexedFile>,
}

/// An imported file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedFile {
    /// Path inside the data set; the file lies below `files/`.
    pub path: String,
    /// The split it belongs to.
    pub split: String,
    /// What is in it.
    pub role: Role,
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 of the whole file.
    pub blake3: Digest,
    /// SHA-256 of the whole file.
    pub sha256: Digest,
    /// Why it cannot be read: it was left out on request, and its bytes are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl Index {
    /// An index of no file.
    #[must_use]
    pub fn new(name: &str) -> Index {
        Index {
            version: VERSION,
            name: name.to_owned(),
            images: BTreeMap::new(),
            listed: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// Reads the index in a set's folder; `None` when nothing was imported.
    ///
    /// # Errors
    /// When it is not an index of this version and name, or names a path outside of the folder.
    pub fn read(folder: &Path, name: &str) -> Result<Option<Index>, DatasetError> {
        let path = path_in(folder);
        let file = match fs_err::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let fail = |what: String| DatasetError::decode(path.display().to_string(), what);
        // Read as a stream: the text of a million files is larger than what is kept of it.
        let index: Index = serde_json::from_reader(BufReader::with_capacity(1 << 16, file))
            .map_err(|error| fail(format!("not an index: {error}")))?;
        if index.version != VERSION || index.name != name {
            let Index { version, name: found, .. } = index;
            return Err(fail(format!(
                "expected the index of {name}, version {VERSION}; found {found}, version {version}"
            )));
        }
        if !index.files.is_sorted_by(|a, b| a.path < b.path) {
            return Err(fail("files are not in order of their paths".into()));
        }
        if let Some(file) = index.files.iter().find(|file| !is_inside(&file.path)) {
            return Err(fail(format!("path {:?} leaves the data set", file.path)));
        }
        Ok(Some(index))
    }

    /// Puts an index in place of the old one in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), DatasetError> {
        fill_atomic(
            &path_in(folder),
            |error| error,
            |file| {
                let mut writer = BufWriter::with_capacity(1 << 16, file);
                serde_json::to_writer_pretty(&mut writer, self)?;
                writer.flush()
            },
        )?;
        sync_folder(folder)?;
        Ok(())
    }

    /// The file of that path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&IndexedFile> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// Files that were left out as unreadable.
    pub fn unreadable(&self) -> impl Iterator<Item = &IndexedFile> {
        self.files.iter().filter(|file| file.unreadable.is_some())
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("index.json")
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = fs_err::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes renames in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Index::read(folder.path(), "x").expect("readable"), None);
        let mut index = Index::new("x");
        index.images.insert("test".into(), 3);
        index.write(folder.path()).expect("writable");
        assert_eq!(Index::read(folder.path(), "x").expect("readable"), Some(index.clone()));
        assert!(Index::read(folder.path(), "y").is_err());
        let file = IndexedFile {
            path: "../../etc/passwd".into(),
            split: "test".into(),
            role: Role::Images,
            size: 1,
            blake3: Digest::blake3(b"x"),
            sha256: Digest::sha256(b"x"),
            unreadable: None,
        };
        index.files.push(file);
        index.write(folder.path()).expect("writable");
        assert!(Index::read(folder.path(), "x").is_err_and(|error| error.to_string().contains("leaves")));
        fs_err::write(folder.path().join("index.json"), "{").expect("writable");
        assert!(Index::read(folder.path(), "x").is_err());
        assert_eq!(fs_err::read_dir(folder.path()).expect("readable").count(), 1, "no temporary file stays");
    }
}
