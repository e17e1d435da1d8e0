//! What an import does to a file, on arbitrary bytes.

use std::sync::LazyLock;

use super::inspect;
use crate::blob::Blob;
use crate::manifest::{Manifest, Role};

/// Formats, and what else their manifests need to be read far into.
const FORMATS: [&str; 14] = [
    "format: {kind: cifar-binary, labels: [label], label: label}, image_size: [32, 32], classes: 10",
    "format: {kind: cifar-binary, labels: [coarse, fine], label: fine}, image_size: [2, 1]",
    "format: {kind: idx}",
    "format: {kind: idx, transposed: true, first_label: 1}, classes: 26",
    "format: {kind: mat, images: pictures, labels: labels, relabel: {2: 0}}",
    "format: {kind: planes, first_label: 1}, image_size: [2, 1]",
    "format: {kind: numpy}",
    "format: {kind: numpy, axes: nchw, images: data}",
    "format: {kind: numpy, images: data, labels: targets}",
    "format: {kind: numpy, axes: nhw, labels: targets}",
    "format: {kind: zip-images, equal_images: once}",
    "format: {kind: tar-images}",
    "format: {kind: tar-images, label: cls}, classes: 3",
    "format: {kind: parquet-images, image: image, label: label}, classes: 2",
];

/// Picture files, and the lists of their splits.
const FOLDERS: [&str; 3] = [
    "{folders: [f]}",
    "{folders: [f], list: {file: x, label: 1}}",
    "{folders: [f], list: {file: x, form: parquet, header: true, path: path, label: label}}",
];

static MANIFESTS: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    let manifest = |text: String| {
        let text = format!("{{name: x, title: x, licence: x, citation: x, {text}}}");
        Manifest::parse("x.yaml", &text).ok()
    };
    let file = |format: &str| format!("{format}, files: [{{path: x, split: test}}], splits: {{test: {{}}}}");
    let folder = |split: &str| {
        let list = "files: [{path: x, role: list}]";
        format!("format: {{kind: image-folder, classes: none}}, {list}, splits: {{test: {split}}}")
    };
    FORMATS.into_iter().map(file).chain(FOLDERS.into_iter().map(folder)).filter_map(manifest).collect()
});

/// Looks at arbitrary bytes as at a file that is imported, as images, as labels and as a list, of every format.
pub fn fuzz_inspect(bytes: &[u8]) {
    let blob = Blob::memory(bytes.to_vec());
    for manifest in MANIFESTS.iter() {
        for role in [Role::Images, Role::Labels, Role::List] {
            for path in ["x", "x.gz"] {
                let _ = inspect(manifest, role, path, &blob);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Format;

    fn fixture(name: &str) -> Blob {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        Blob::memory(fs_err::read(path).expect("a fixture"))
    }

    /// Were one of the manifests not understood, or none to fit its fixture, nothing would be tried.
    #[test]
    fn every_manifest_is_understood_and_fixtures_are_taken() {
        assert_eq!(MANIFESTS.len(), FORMATS.len() + FOLDERS.len());
        for (text, good) in [("a.png 0\nb.png 1\n", 2), ("a.png 0\na.png 0\n", 1), ("a.png\n", 1)] {
            let blob = Blob::memory(text.as_bytes().to_vec());
            let taken = |manifest: &&Manifest| inspect(manifest, Role::List, "x", &blob).is_ok();
            let lists = MANIFESTS.iter().filter(|manifest| matches!(manifest.format, Format::ImageFolder { .. }));
            assert_eq!(lists.filter(taken).count(), good, "{text:?}: the one without a list takes anything");
        }
        for name in [
            "arrays/emnist_images.gz",
            "arrays/oblong.mat",
            "arrays/stl_X.bin",
            "arrays/nhwc.npy",
            "arrays/nchw.npy",
            "arrays/nhw.npy",
            "arrays/both.npz",
            "arrays/both_packed.npz",
            "pictures/exif1.jpg",
            "tar/packed.tar.gz",
            "parquet/pictures.parquet",
        ] {
            let blob = fixture(name);
            let taken = |manifest: &&Manifest| inspect(manifest, Role::Images, "x", &blob).is_ok();
            // Bare planes have no header: bytes of any length that divides are some.
            let formats = MANIFESTS.iter().filter(taken).map(|manifest| format!("{:?}", manifest.format));
            let expected = match name.rsplit('.').next() {
                Some("gz") if name.starts_with("tar") => "TarImages",
                Some("gz") => "Idx",
                Some("mat") => "Mat",
                Some("bin") => "Planes",
                Some("npy" | "npz") => "Numpy",
                Some("jpg") => "ImageFolder",
                _ => "ParquetImages",
            };
            let formats: Vec<String> = formats.collect();
            assert!(formats.iter().any(|format| format.starts_with(expected)), "{name}: {formats:?}");
        }
    }
}
