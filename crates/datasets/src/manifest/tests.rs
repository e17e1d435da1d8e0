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
