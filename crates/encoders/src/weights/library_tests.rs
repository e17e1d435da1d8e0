use std::collections::BTreeMap;

use super::*;
use crate::weights::{ConvertOptions, Tensor, convert, sha256_hex};

/// Made-up weights under the name of a network that is known by name only, written to a file.
fn make(path: &Path, value: f32) -> String {
    let tensor = Tensor { shape: vec![2], values: vec![value, 1.0] };
    let weights = Weights::from_tensors(BTreeMap::from([("w".to_owned(), tensor)]));
    convert(&weights, "resnet20", path, ConvertOptions::default()).expect("a weight file").sha256
}

fn manifest(name: &str, network: &str, file: &str, sha256: &str) -> WeightManifest {
    WeightManifest {
        name: name.to_owned(),
        network: network.to_owned(),
        files: vec![WeightFile { file: file.to_owned(), sha256: sha256.to_owned(), size_bytes: None }],
        aliases: vec![format!("{name}-alias.pth")],
        licence: "MIT".to_owned(),
        source: "a test".to_owned(),
        trained_on: "nothing".to_owned(),
        preprocessing: "none".to_owned(),
        notes: String::new(),
    }
}

/// A library that knows `full` by 64 digits and `prefix` by 8, and a folder with files of both under other names.
fn library(folder: &Path) -> WeightLibrary {
    fs_err::create_dir_all(folder.join("from")).expect("a folder");
    let full = make(&folder.join("from/whatever.safetensors"), 1.0);
    let prefix = make(&folder.join("from/something.pth"), 2.0);
    let manifests = vec![
        manifest("full", "toy", "full.safetensors", &full),
        manifest("prefix", "other", "prefix.pth", &prefix[..8]),
    ];
    WeightLibrary { root: folder.join("weights"), manifests }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn files_are_recognised_by_checksum_whatever_their_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = library(folder.path());
    let error = library.find("full").expect_err("not imported yet").to_string();
    assert!(error.contains("not at hand") && error.contains("full.safetensors") && error.contains("weights import"));
    fs_err::write(folder.path().join("from/notes.txt"), "no weights").expect("a file");
    fs_err::write(folder.path().join("from/stranger.pth"), "unknown").expect("a file");
    let report = library.import_all(&folder.path().join("from")).expect("a folder");
    let names: Vec<(&str, bool)> = report.imported.iter().map(|one| (one.name.as_str(), one.copied)).collect();
    assert_eq!(names, [("prefix", true), ("full", true)]);
    assert_eq!(report.unknown, [folder.path().join("from/stranger.pth")]);
    assert!(report.failed.is_empty());
    assert_eq!(files(library.root()), ["full.safetensors", "prefix.pth"]);
    let again = library.import_all(&folder.path().join("from")).expect("a folder");
    assert!(again.imported.iter().all(|one| !one.copied));
    // By name, by network, by path.
    for (name, value) in [("full", 1.0), ("toy", 1.0), ("prefix", 2.0), ("other", 2.0)] {
        let weights = library.find(name).expect(name);
        assert_eq!(weights.get("w").map(|tensor| tensor.values[0]), Some(value), "{name}");
        assert_eq!(weights.metadata().get("licence").map(String::as_str), Some("unknown"), "the file's own word stays");
    }
    let path = folder.path().join("from/whatever.safetensors");
    assert!(library.find(path.to_str().expect("UTF-8")).is_ok());
}

#[test]
fn a_known_name_with_another_checksum_is_refused_and_copies_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = library(folder.path());
    let wrong = folder.path().join("wrong");
    fs_err::create_dir_all(&wrong).expect("a folder");
    for name in ["full.safetensors", "prefix.pth", "full-alias.pth"] {
        let path = wrong.join(name);
        let found = make(&path, 3.0);
        let error = library.import(&path).expect_err("another file").to_string();
        let expected = if name == "prefix.pth" {
            library.manifests[1].files[0].sha256_shown()
        } else {
            library.manifests[0].files[0].sha256.clone()
        };
        assert!(error.contains(&format!("expected SHA-256 {expected}, found {found}")), "{error}");
        let error = library.find(path.to_str().expect("UTF-8")).expect_err("another file");
        assert!(matches!(error, WeightError::WrongChecksum { .. }), "{error}");
    }
    let counts = |report: ImportReport| (report.imported.len(), report.unknown.len(), report.failed.len());
    assert_eq!(counts(library.import_all(&wrong).expect("a folder")), (0, 0, 3));
    assert_eq!(files(library.root()), Vec::<String>::new());
    // Folders in the folder are searched too.
    assert_eq!(counts(library.import_all(folder.path()).expect("a folder")), (2, 0, 3));
}

#[test]
fn an_imported_file_that_was_damaged_is_noticed_and_importing_mends_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = library(folder.path());
    let from = folder.path().join("from/whatever.safetensors");
    let to = library.import(&from).expect("an import").to;
    let mut bytes = fs_err::read(&to).expect("the file");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs_err::write(&to, &bytes).expect("damaging it");
    let error = library.find("full").expect_err("damaged");
    assert!(matches!(error, WeightError::WrongChecksum { .. }), "{error}");
    assert!(library.import(&from).expect("an import").copied);
    assert_eq!(library.find("full").expect("sound").sha256().map(str::len), Some(64));
}

#[test]
fn a_refused_copy_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = library(folder.path());
    // A folder stands where the file should go.
    fs_err::create_dir_all(library.root().join("full.safetensors/x")).expect("a folder");
    let error = library.import(&folder.path().join("from/whatever.safetensors")).expect_err("a folder is in the way");
    assert!(matches!(error, WeightError::Io { .. }), "{error}");
    assert_eq!(files(library.root()), ["full.safetensors"]);
    let error = library.import(&folder.path().join("from/absent.pth")).expect_err("no such file").to_string();
    assert!(error.contains("absent.pth"), "{error}");
}

#[test]
fn unknown_and_ambiguous_names_are_said_to_be() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut library = library(folder.path());
    let error = library.find("ful").expect_err("unknown").to_string();
    assert!(error.contains("`ful`") && error.contains("full, prefix"), "{error}");
    library.manifests[1].network = "toy".to_owned();
    library.import_all(&folder.path().join("from")).expect("a folder");
    let error = library.find("toy").expect_err("two of them").to_string();
    assert!(error.contains("full, prefix"), "{error}");
    assert!(library.find("prefix").is_ok());
}

#[test]
fn the_programs_own_list_names_presence_and_network() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = WeightLibrary::open(&folder.path().join("none")).expect("sound manifests");
    let list = library.list();
    let find = |name: &str| list.iter().find(|entry| entry.manifest.name == name).expect(name);
    assert_eq!(find("efficientnet-lite0").presence, Presence::Embedded);
    assert!(find("efficientnet-b4").network_in_build);
    assert_eq!(find("efficientnet-b4").presence, Presence::Absent);
    assert!(!find("densenet100-cifar10").network_in_build);
    let embedded = library.find("efficientnet-lite0").expect("the embedded trunk");
    assert_eq!(embedded.source(), "embedded efficientnet-lite0");
    assert!(matches!(library.find("efficientnet-b4"), Err(WeightError::NotAtHand { .. })));
    assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
