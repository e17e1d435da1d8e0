use std::io::{Read, Write};

use oodlab_base::{Cancel, Silent};
use oodlab_fetch::{Fetcher, Proxy, Settings};

use super::*;
use crate::network::Normalisation;
use crate::weights::{ConvertOptions, ImportReport, OwnWeights, convert, sha256_hex};

/// Made-up weights of no network, written to a file.
fn make(path: &Path, value: f32) -> String {
    let data: Vec<u8> = [value, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data).expect("a tensor");
    let bytes = safetensors::serialize([("w", view)], None).expect("a weight file");
    fs_err::write(path, &bytes).expect("writable");
    sha256_hex(&bytes)
}

/// Weights of a real network by formula, with one number changed, written to a file.
fn make_real(path: &Path, value: f32) -> Weights {
    let mut tensors = crate::formula::weights("resnet20").expect("a known network").tensors().clone();
    tensors.get_mut("bn1.bias").expect("the stem's norm").values[0] = value;
    convert(&Weights::from_tensors(tensors), "resnet20", path, ConvertOptions::default()).expect("a file");
    Weights::read(path).expect("a sound file")
}

fn manifest(name: &str, network: &str, file: &str, sha256: &str) -> WeightManifest {
    WeightManifest {
        name: name.to_owned(),
        network: network.to_owned(),
        files: vec![WeightFile {
            file: file.to_owned(),
            sha256: sha256.to_owned(),
            size_bytes: None,
            addresses: Vec::new(),
        }],
        aliases: vec![format!("{name}-alias.pth")],
        licence: "MIT".to_owned(),
        source: "a test".to_owned(),
        trained_on: "nothing".to_owned(),
        preprocessing: "none".to_owned(),
        normalisation: None,
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
    WeightLibrary { root: folder.join("weights"), manifests, own: Vec::new() }
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
        assert_eq!(weights.metadata().get("licence").map(String::as_str), Some("MIT"));
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
    assert!(list.iter().all(|entry| entry.network_in_build && !entry.own));
    let embedded = library.find("efficientnet-lite0").expect("the embedded trunk");
    assert_eq!(embedded.source(), "embedded efficientnet-lite0");
    let error = library.find("efficientnet-b4").expect_err("not here").to_string();
    assert!(
        error.contains("run `oodlab weights fetch efficientnet-b4`, or get efficientnet-b4-6ed6700e.pth"),
        "{error}"
    );
    let error = library.find("densenet100-cifar10").expect_err("not here").to_string();
    assert!(error.contains("are not at hand: get densenet100_cifar10.safetensors"), "{error}");
    assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn own_weights_get_a_name_and_are_known_from_then_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("weights");
    let from = folder.path().join("My Network.safetensors");
    let made = make_real(&from, 0.25);
    let mut library = WeightLibrary::open(&root).expect("sound manifests");
    let own = OwnWeights { name: Some("hall-1"), network: "resnet20", normalisation: Some(Normalisation::HALF) };
    let error = library.import(&from).expect_err("no manifest knows it").to_string();
    assert!(error.contains("--network"), "{error}");
    for (name, reason) in [
        ("", "expected"),
        ("../x", "expected"),
        (".hidden", "expected"),
        ("Upper", "expected"),
        ("a.pth", "taken for a path"),
        ("resnet20", "taken"),
        ("densenet100", "taken"),
        ("embedded", "taken"),
        ("resnet18-f37072fd", "file of this name"),
        ("densenet100_cifar10", "file of this name"),
    ] {
        let error = library.import_own(&from, OwnWeights { name: Some(name), ..own }).expect_err(reason).to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
    let error =
        library.import_own(&from, OwnWeights { name: None, ..own }).expect_err("blank and capitals").to_string();
    assert!(error.contains("--name"), "{error}");
    // A copy of a published file that was trained further, under its old name.
    let tuned = folder.path().join("resnet20-12fca82f.safetensors");
    fs_err::copy(&from, &tuned).expect("copies");
    let error = library.import_own(&tuned, OwnWeights { name: None, ..own }).expect_err("published").to_string();
    assert!(error.contains("file of this name") && error.contains("--name"), "{error}");
    let error = library.import_own(&from, OwnWeights { network: "resnet56", ..own }).expect_err("another network");
    assert!(matches!(&error, WeightError::OtherNetwork { .. }), "{error}");
    assert_eq!(files(&root), Vec::<String>::new());
    let imported = library.import_own(&from, own).expect("an import");
    assert!(imported.copied && imported.name == "hall-1" && Some(imported.sha256.as_str()) == made.sha256());
    assert!(!library.import_own(&from, own).expect("again").copied);
    assert_eq!(files(&root), ["hall-1.safetensors", "hall-1.weights.yaml"]);
    // A new start knows them.
    let mut library = WeightLibrary::open(&root).expect("sound manifests");
    let entry = library.list().into_iter().find(|entry| entry.own).expect("own weights");
    assert_eq!((entry.manifest.name.as_str(), entry.manifest.normalisation), ("hall-1", Some(Normalisation::HALF)));
    assert_eq!(library.find("hall-1").expect("them").tensors(), made.tensors());
    assert_eq!(library.manifest("hall-1").map(|manifest| manifest.network.as_str()), Some("resnet20"));
    // Other weights may take the name; a damaged file is noticed.
    make_real(&from, 0.5);
    assert!(library.import_own(&from, own).expect("a replacement").copied);
    let stem = |library: &WeightLibrary| library.find("hall-1").map(|w| w.get("bn1.bias").expect("the stem").values[0]);
    assert_eq!(stem(&library).expect("the new ones"), 0.5);
    make_real(&root.join("hall-1.safetensors"), 0.75);
    assert!(matches!(stem(&library), Err(WeightError::WrongChecksum { .. })));
    // A description whose name a later version gave to a published file.
    let described = fs_err::read_to_string(root.join("hall-1.weights.yaml")).expect("a description");
    let published = root.join("resnet18-f37072fd.weights.yaml");
    fs_err::write(&published, described.replace("hall-1", "resnet18-f37072fd")).expect("writable");
    assert!(WeightLibrary::open(&root).expect_err("published").to_string().contains("belongs to published weights"));
    fs_err::remove_file(&published).expect("removable");
    // A description that is wrong is said to be.
    fs_err::write(root.join("hall-1.weights.yaml"), "name: other").expect("writable");
    assert!(WeightLibrary::open(&root).expect_err("wrong").to_string().contains("hall-1"));
}

#[test]
fn what_weights_were_trained_with_is_known_however_they_are_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let known = |library: &WeightLibrary, name: &str| {
        let (_, manifest) = library.find_known(name).expect(name);
        manifest.map(|manifest| (manifest.name.clone(), manifest.normalisation))
    };
    let half = |name: &str| Some((name.to_owned(), Some(Normalisation::HALF)));
    // Published weights, in a file of another name.
    let mut published = library(folder.path());
    published.manifests[0].normalisation = Some(Normalisation::HALF);
    let path = folder.path().join("from/whatever.safetensors");
    assert_eq!(known(&published, path.to_str().expect("UTF-8")), half("full"));
    published.import(&path).expect("an import");
    for name in ["full", "toy"] {
        assert_eq!(known(&published, name), half("full"), "{name}");
    }
    // Own weights, the only ones of their network.
    let (network, from) = ("wrn-40-2", folder.path().join("mine.safetensors"));
    let weights = crate::formula::weights(network).expect("a known network");
    convert(&weights, network, &from, ConvertOptions::default()).expect("a file");
    let mut library = WeightLibrary::open(&folder.path().join("own")).expect("sound manifests");
    assert_eq!(known(&library, from.to_str().expect("UTF-8")), None, "nothing is known of them yet");
    let own = OwnWeights { name: Some("mine"), network, normalisation: Some(Normalisation::HALF) };
    let to = library.import_own(&from, own).expect("an import").to;
    for name in ["mine", network, from.to_str().expect("UTF-8"), to.to_str().expect("UTF-8")] {
        assert_eq!(known(&library, name), half("mine"), "{name}");
    }
    let embedded = known(&library, "efficientnet-lite0").expect("the program's own");
    assert_eq!(embedded.1, Some(Normalisation::LITE));
}

#[test]
fn weights_that_do_not_fit_their_network_are_not_imported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut library = library(folder.path());
    library.manifests[0].network = "resnet20".to_owned();
    let error = library.import(&folder.path().join("from/whatever.safetensors")).expect_err("one tensor").to_string();
    assert!(error.contains("conv1.weight"), "{error}");
    assert_eq!(files(library.root()), Vec::<String>::new());
}

/// Serves the files of a folder below an address, until the test's process ends.
fn serve(folder: &Path) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}/below/", listener.local_addr().expect("its address"));
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let read = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = text.split(' ').nth(1).and_then(|path| path.strip_prefix("/below/")).unwrap_or("none");
            let answer = match std::fs::read(folder.join(path)) {
                Ok(bytes) => {
                    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len()).as_bytes(), &bytes].concat()
                }
                Err(_) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            drop(stream.write_all(&answer));
        }
    });
    address
}

#[test]
fn known_weights_are_fetched_checked_and_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut library = library(folder.path());
    let from = folder.path().join("from");
    let mirror = serve(&from);
    let fetcher = Fetcher::with_settings(Settings { proxy: Proxy::Direct, attempts: 1, ..Settings::default() });
    let fetcher = fetcher.expect("a fetcher");
    let fetch = |library: &WeightLibrary, name: &str, mirror: Option<&str>| {
        library.fetch(name, mirror, &fetcher, &Silent, &Cancel::new())
    };
    let error = fetch(&library, "full", None).expect_err("no address").to_string();
    assert!(error.contains("no address is published for the weights `full`: get full.safetensors"), "{error}");
    assert!(matches!(fetch(&library, "ful", None), Err(WeightError::Unknown { .. })));
    let error = fetch(&library, "full", Some(&mirror)).expect_err("not there").to_string();
    assert!(error.contains("404"), "{error}");
    fs_err::rename(from.join("whatever.safetensors"), from.join("full.safetensors")).expect("renames");
    let fetched = fetch(&library, "full", Some(&mirror)).expect("there now");
    assert!(fetched.copied && fetched.from.to_string_lossy().starts_with(&mirror));
    assert_eq!(library.find("full").expect("them").sha256(), Some(fetched.sha256.as_str()));
    assert!(!fetch(&library, "full", None).expect("here already").copied);
    // Wrong bytes, and right bytes of another network.
    fs_err::copy(from.join("full.safetensors"), from.join("prefix.pth")).expect("copies");
    let error = fetch(&library, "prefix", Some(&mirror)).expect_err("wrong bytes").to_string();
    assert!(error.contains("wrong checksum"), "{error}");
    library.manifests[1].network = "resnet20".to_owned();
    library.manifests[1].files[0].sha256 = fetched.sha256;
    let error = fetch(&library, "prefix", Some(&mirror)).expect_err("not of this network").to_string();
    assert!(error.contains("conv1.weight"), "{error}");
    assert_eq!(files(library.root()), ["full.safetensors"]);
}
