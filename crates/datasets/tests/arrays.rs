//! Sets whose images lie in arrays, from files that numpy and scipy wrote (`fixtures/arrays/make.py`), to the bit.

mod common;

use std::path::Path;

use common::{Bench, sha256};
use oodlab_datasets::ImageSet;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A manifest of one split; each file is a name and, for labels, their role.
fn manifest(format: &str, size: (u32, u32), classes: Option<u32>, files: &[(&str, bool)]) -> String {
    let file = |&(name, labels): &(&str, bool)| {
        let bytes = fixture(name);
        let role = if labels { ", role: labels" } else { "" };
        format!("  - {{path: {name}, split: test, size: {}, sha256: {}{role}}}\n", bytes.len(), sha256(&bytes))
    };
    let files: String = files.iter().map(file).collect();
    let classes = classes.map_or(String::new(), |classes| format!("classes: {classes}\n"));
    format!(
        "name: set\ntitle: Set\nlicence: none\ncitation: none\nformat: {format}\nimage_size: [{}, {}]\n{classes}files:\n{files}splits:\n  \
         test: {{}}\n",
        size.0, size.1
    )
}

fn open(format: &str, size: (u32, u32), classes: Option<u32>, files: &[(&str, bool)]) -> Result<ImageSet, String> {
    let bench = Bench::new(&[("set", manifest(format, size, classes, files))]);
    for (name, _) in files {
        bench.put(name, &fixture(name));
    }
    bench.import("set").map_err(|error| error.to_string())?;
    bench.library.open_set("set", "test", None).map_err(|error| error.to_string())
}

fn check(set: &ImageSet, expected: &str, size: (u32, u32), labels: Option<&[u32]>) {
    let expected = fixture(expected);
    let image = 3 * size.0 as usize * size.1 as usize;
    assert_eq!(set.len() * image, expected.len());
    for (index, pixels) in expected.chunks_exact(image).enumerate() {
        let found = set.read(index).expect("readable");
        assert_eq!((found.width, found.height), size);
        assert!(found.pixels == pixels, "image {index} of {:?}", set.id(index));
    }
    let found: Vec<Option<u32>> = (0..set.len()).map(|index| set.label(index)).collect();
    let expected: Vec<Option<u32>> = match labels {
        Some(labels) => labels.iter().copied().map(Some).collect(),
        None => vec![None; set.len()],
    };
    assert_eq!(found, expected);
}

const SVHN: &str = "{kind: mat, images: X, labels: y, relabel: {10: 0}}";
const OBLONG: &str = "{kind: mat, images: pictures, labels: labels}";

#[test]
fn svhn_as_scipy_writes_it() {
    for file in ["svhn_packed.mat", "svhn_plain.mat"] {
        let set = open(SVHN, (32, 32), Some(10), &[(file, false)]).expect("valid");
        check(&set, "svhn.rgb", (32, 32), Some(&[1, 0, 3, 4, 9, 0, 7]));
        assert_eq!(set.id(6), format!("{file}#6"));
    }
    let without = open("{kind: mat, images: X}", (32, 32), None, &[("svhn_packed.mat", false)]).expect("valid");
    check(&without, "svhn.rgb", (32, 32), None);
    let single = open(SVHN, (32, 32), Some(10), &[("single.mat", false)]).expect("valid");
    assert_eq!((single.len(), single.label(0)), (1, Some(0)));
    assert!(single.read(0).expect("readable").pixels == fixture("svhn.rgb")[..3 * 32 * 32]);
}

#[test]
fn mat_files_of_both_byte_orders_and_narrow_values() {
    for file in ["oblong.mat", "oblong_big.mat", "oblong_small.mat"] {
        let set = open(OBLONG, (4, 5), Some(3), &[(file, false)]).expect("valid");
        check(&set, "oblong.rgb", (4, 5), Some(&[2, 0, 1]));
    }
    let several = open(OBLONG, (4, 5), None, &[("oblong_big.mat", false), ("oblong.mat", false)]).expect("valid");
    assert_eq!((several.len(), several.id(3), several.label(3)), (6, "oblong.mat#0".into(), Some(2)));
    assert_eq!(several.read(4).ok(), several.read(1).ok());
}

#[test]
fn mat_files_that_do_not_fit_are_refused_with_a_reason() {
    for (format, size, classes, file, what) in [
        (SVHN, (32, 32), Some(10), "v73.mat", "-v7"),
        (SVHN, (28, 32), Some(10), "svhn_plain.mat", "expected images of 28 x 32, found 7 of 32 x 32"),
        (SVHN, (32, 32), Some(9), "svhn_plain.mat", "array \"y\": label 4 is 9, expected 0 to 8"),
        (OBLONG, (32, 32), None, "svhn_packed.mat", "no array \"pictures\""),
        ("{kind: mat, images: X, labels: z}", (32, 32), None, "svhn_packed.mat", "no array \"z\""),
        ("{kind: mat, images: y}", (32, 32), None, "svhn_packed.mat", "expected a shape of [height, width, 3, n]"),
        ("{kind: mat, images: X, labels: X}", (32, 32), None, "svhn_plain.mat", "array \"X\""),
        ("{kind: mat, images: note}", (4, 5), None, "oblong.mat", "expected numbers"),
        ("{kind: mat, images: pictures, labels: empty}", (4, 5), None, "oblong.mat", "array \"empty\""),
        (SVHN, (32, 32), None, "svhn.rgb", "not a MAT-file"),
    ] {
        let error = open(format, size, classes, &[(file, false)]).expect_err(what);
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn stl10_planes_lie_column_by_column() {
    let format = "{kind: planes, first_label: 1}";
    let set = open(format, (5, 6), Some(10), &[("stl_X.bin", false), ("stl_y.bin", true)]).expect("valid");
    check(&set, "stl.rgb", (5, 6), Some(&[0, 9, 1, 4]));
    let unlabelled = open(format, (5, 6), Some(10), &[("stl_X.bin", false)]).expect("valid");
    check(&unlabelled, "stl.rgb", (5, 6), None);
    for (size, classes, what) in [((7, 6), 10, "whole number of images"), ((5, 6), 9, "label 1 is 10, expected 1 to 9")]
    {
        let error = open(format, size, Some(classes), &[("stl_X.bin", false), ("stl_y.bin", true)]).expect_err(what);
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn emnist_is_turned_upright() {
    let files = [("emnist_images.gz", false), ("emnist_labels", true)];
    let set = open("{kind: idx, transposed: true, first_label: 1}", (6, 4), Some(26), &files).expect("valid");
    check(&set, "emnist.rgb", (6, 4), Some(&[0, 25, 1, 12, 0]));
    let error = open("{kind: idx}", (6, 4), None, &files).expect_err("on its side");
    assert!(error.contains("expected images of 6 x 4, found 5 of 4 x 6"), "{error}");
    let error = open("{kind: idx, transposed: true, first_label: 2}", (6, 4), None, &files).expect_err("labels");
    assert!(error.contains("label 0 is 1, expected 2 or more"), "{error}");
}

/// What is kept of a set is its bytes; a manifest that reads them otherwise makes other images, and nothing made of the old ones
/// may pass for theirs.
#[test]
fn another_order_of_the_same_bytes_is_another_list_of_images() {
    let files = [("emnist_images.gz", false)];
    let upright = open("{kind: idx, transposed: true}", (6, 4), None, &files).expect("valid");
    let lying = open("{kind: idx}", (4, 6), None, &files).expect("valid");
    assert_ne!(upright.list_key(), lying.list_key());
}

const NUMPY: &str = "{kind: numpy}";

#[test]
fn numpy_arrays_of_every_order() {
    for (format, file, expected) in [
        (NUMPY, "nhwc.npy", "numpy.rgb"),
        (NUMPY, "version2.npy", "numpy.rgb"),
        (NUMPY, "nhwc_columns.npy", "numpy.rgb"),
        ("{kind: numpy, axes: nchw}", "nchw.npy", "numpy.rgb"),
        ("{kind: numpy, axes: nhw}", "nhw.npy", "nhw.rgb"),
        ("{kind: numpy, images: data}", "both.npz", "numpy.rgb"),
        ("{kind: numpy, images: data}", "both_packed.npz", "numpy.rgb"),
    ] {
        let set = open(format, (4, 5), None, &[(file, false)]).expect(file);
        check(&set, expected, (4, 5), None);
        assert_eq!(set.id(2), format!("{file}#2"));
    }
}

#[test]
fn labels_of_numpy_lie_beside_the_images_or_apart() {
    let labels = [0, 9, 3, 3, 300, 1];
    for file in ["both.npz", "both_packed.npz"] {
        let format = "{kind: numpy, images: data, labels: targets}";
        check(&open(format, (4, 5), Some(301), &[(file, false)]).expect(file), "numpy.rgb", (4, 5), Some(&labels));
    }
    for file in ["labels_i64.npy", "labels_big.npy"] {
        let set = open(NUMPY, (4, 5), None, &[("nhwc.npy", false), (file, true)]).expect(file);
        check(&set, "numpy.rgb", (4, 5), Some(&labels));
    }
    // One file of labels for every file of images (CIFAR-10-C).
    let files = [("nhwc.npy", false), ("nhwc_columns.npy", false), ("labels_u8.npy", true)];
    let set = open(NUMPY, (4, 5), None, &files).expect("valid");
    let found: Vec<Option<u32>> = (0..set.len()).map(|index| set.label(index)).collect();
    assert_eq!(found, [0, 9, 3, 3, 44, 1].repeat(2).into_iter().map(Some).collect::<Vec<_>>());
}

#[test]
fn numpy_arrays_that_do_not_fit_are_refused_with_a_reason() {
    for (format, files, what) in [
        (NUMPY, &[("floats.npy", false)][..], "type \"<f4\", expected u8"),
        (NUMPY, &[("nchw.npy", false)], "expected a shape of [n, height, width, 3], found [6, 3, 5, 4]"),
        (NUMPY, &[("both.npz", false)], "a name is needed; the arrays of the file: data, targets"),
        ("{kind: numpy, images: x}", &[("both.npz", false)], "no array \"x\"; the arrays of the file: data, targets"),
        ("{kind: numpy, images: targets}", &[("both.npz", false)], "found [6]"),
        (NUMPY, &[("nhwc.npy", false), ("floats.npy", true)], "labels of type \"<f4\", expected whole numbers"),
        (NUMPY, &[("nhwc.npy", false), ("nhw.npy", true)], "labels of shape [6, 5, 4], expected [n]"),
        ("{kind: numpy, axes: nhw}", &[("nhw.npy", false), ("stl_y.bin", true)], "not a numpy array"),
    ] {
        let error = open(format, (4, 5), None, files).expect_err(what);
        assert!(error.contains(what), "{error}");
    }
    let error = open(NUMPY, (4, 5), Some(300), &[("nhwc.npy", false), ("labels_i64.npy", true)]).expect_err("a class");
    assert!(error.contains("label 4 is 300, expected 0 to 299"), "{error}");
}
