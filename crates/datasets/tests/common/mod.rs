//! Small data sets in official formats, made on the spot.
#![allow(dead_code, reason = "each test binary uses some of these")]

use std::io::Write;
use std::path::{Path, PathBuf};

use oodlab_base::{Cancel, Silent};
use oodlab_datasets::{DatasetError, ImportAll, ImportOptions, ImportReport, Library, RgbImage};
use sha2::Digest;

/// A data root, a folder to import from and one for manifests, all temporary.
pub struct Bench {
    folder: tempfile::TempDir,
    pub library: Library,
}

impl Bench {
    /// A library with these manifests beside the built-in ones.
    pub fn new(manifests: &[(&str, String)]) -> Bench {
        Bench::with(manifests, &[])
    }

    /// As [`Bench::new`], with other files beside the manifests.
    pub fn with(manifests: &[(&str, String)], others: &[(&str, String)]) -> Bench {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut library = Library::open(&folder.path().join("root")).expect("built-in manifests are valid");
        for (name, text) in manifests {
            write(&folder.path().join("manifests").join(format!("{name}.yaml")), text.as_bytes());
        }
        for (path, text) in others {
            write(&folder.path().join("manifests").join(path), text.as_bytes());
        }
        let added = library.add_folder(&folder.path().join("manifests")).expect("valid manifests");
        assert_eq!(added, manifests.len());
        Bench { folder, library }
    }

    pub fn from(&self) -> PathBuf {
        self.folder.path().join("from")
    }

    /// Puts a file into the folder to import from.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        write(&self.from().join(path), bytes);
    }

    pub fn import(&self, name: &str) -> Result<ImportReport, DatasetError> {
        self.import_with(name, ImportOptions::default())
    }

    pub fn import_with(&self, name: &str, options: ImportOptions) -> Result<ImportReport, DatasetError> {
        self.library.import(name, &self.from(), options, &Silent, &Cancel::new())
    }

    pub fn import_all(&self) -> ImportAll {
        self.library
            .import_all(&self.from(), ImportOptions::default(), &Silent, &Cancel::new())
            .expect("a readable folder")
    }

    /// Every file below a set's folder in the data root, in order.
    pub fn kept(&self, name: &str) -> Vec<String> {
        let folder = self.library.folder(name);
        let mut files = Vec::new();
        list(&folder, &folder, &mut files);
        files.sort();
        files
    }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).expect("listed below it").to_string_lossy().into_owned());
        }
    }
}

pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a path with a folder")).expect("a writable folder");
    std::fs::write(path, bytes).expect("a writable folder");
}

pub fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `count` CIFAR records of 2 x 2 pixels; their first bytes begin at `first`.
pub fn records(first: u8, count: u8) -> Vec<u8> {
    (0..count).flat_map(|i| std::iter::once(i % 3).chain((0..12).map(move |k| first + i * 12 + k))).collect()
}

/// A manifest of `cifar-binary` with two train files and a test file.
pub fn tiny_manifest(files: [&[u8]; 3]) -> String {
    let [one, two, test] = files.map(|bytes| format!("size: {}, sha256: {}", bytes.len(), sha256(bytes)));
    format!(
        "name: tiny
title: Tiny
licence: none
citation: none
format: {{kind: cifar-binary, labels: [class], label: class}}
image_size: [2, 2]
classes: 3
files:
  - {{path: one.bin, split: train, {one}}}
  - {{path: two.bin, split: train, {two}}}
  - {{path: test.bin, split: test, {test}}}
splits:
  train: {{images: 5}}
  test: {{images: 4}}
"
    )
}

/// A manifest of an image folder, with or without classes.
pub fn folder_manifest(name: &str, classes: &str, folder: &str) -> String {
    format!(
        "name: {name}
title: Pictures
licence: none
citation: none
format: {{kind: image-folder, classes: {classes}}}
splits:
  test: {{images: 4, folders: [{folder}]}}
"
    )
}

pub fn png(width: u32, height: u32, value: u8) -> Vec<u8> {
    RgbImage::filled(width, height, [value, value / 2, 255 - value])
        .expect("well formed")
        .to_png()
        .expect("into memory")
}

pub fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("into memory");
        writer.write_all(bytes).expect("into memory");
    }
    writer.finish().expect("into memory").into_inner()
}
