//! What a person's own folders and manifests can have wrong with them: nothing is dropped in silence.

mod common;

use std::path::Path;

use common::{Bench, folder_manifest, png, sha256, write};
use oodlab_base::{Cancel, Silent};
use oodlab_datasets::{Benchmark, DatasetError, ImportOptions, Library, Manifest, State};

const ALLOW: ImportOptions = ImportOptions { allow_unreadable: true, link: false };

fn with_sums(sums: String) -> Bench {
    let manifest = folder_manifest("pictures", "none", "images") + "sums: pictures.sha256\n";
    Bench::with(&[("pictures", manifest)], &[("pictures.sha256", sums)])
}

#[test]
fn listed_images_must_have_their_sums() {
    let (a, b) = (png(3, 2, 1), png(3, 2, 2));
    let bench =
        with_sums(format!("# two of three\n{}  images/a.png\n{}  images/b.png\n", sha256(&a), &sha256(&b)[..16]));
    bench.put("images/a.png", &a);
    bench.put("images/b.png", &b);
    bench.put("images/unlisted.png", &png(3, 2, 3));
    let report = bench.import("pictures").expect("as listed");
    assert_eq!(
        (report.added, report.notes.as_slice()),
        (3, &["1 files without a published or known checksum".to_owned()][..])
    );
    // Images that decode well, and are others.
    let before = bench.kept("pictures");
    for (path, good, shown) in [("images/a.png", &a, 64), ("images/b.png", &b, 16)] {
        let wrong = png(2, 3, 1);
        bench.put(path, &wrong);
        for options in [ImportOptions::default(), ALLOW] {
            let message = bench.import_with("pictures", options).expect_err("a wrong sum").to_string();
            for part in [path, "wrong checksum", "pictures.sha256", &sha256(good)[..shown], &sha256(&wrong)[..shown]] {
                assert!(message.contains(part), "{part} in {message}");
            }
        }
        bench.put(path, good);
    }
    assert_eq!(bench.kept("pictures"), before);
    assert_eq!(bench.import("pictures").map(|report| (report.added, report.kept)).expect("good again"), (0, 3));
}

#[test]
fn sums_that_came_after_the_import_are_held_against_it() {
    let (good, wrong) = (png(3, 2, 1), png(2, 3, 1));
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "none", "images"))]);
    bench.put("images/a.png", &wrong);
    bench.import("pictures").expect("nothing known");
    let folder = bench.from().parent().expect("a temporary folder").join("later");
    let manifest = folder_manifest("pictures", "none", "images") + "sums: later.sha256\n";
    write(&folder.join("pictures.yaml"), manifest.as_bytes());
    write(&folder.join("later.sha256"), format!("{}  images/a.png\n", sha256(&good)).as_bytes());
    let mut library = Library::open(bench.library.root()).expect("built-in manifests are valid");
    assert_eq!(library.add_folder(&folder).expect("readable"), 1);
    let verify = || library.verify("pictures", &Silent, &Cancel::new()).expect("present").problems;
    let problems = verify();
    assert!(
        matches!(problems.as_slice(), [one] if one.contains("a.png") && one.contains(&sha256(&good))),
        "{problems:?}"
    );
    // The right file takes its place without further ado: its sum proves it.
    bench.put("images/a.png", &good);
    let import = || library.import("pictures", &bench.from(), ImportOptions::default(), &Silent, &Cancel::new());
    assert_eq!(import().map(|report| (report.added, report.notes.len())).expect("proven"), (1, 0));
    assert_eq!(verify(), Vec::<String>::new());
}

#[test]
fn the_built_in_sums_refuse_another_image_under_a_listed_name() {
    let bench = Bench::new(&[]);
    for (set, path) in
        [("textures", "dtd/images/banded/banded_0002.jpg"), ("tiny-imagenet", "tiny-imagenet/test/test_0.JPEG")]
    {
        bench.put(path, &png(64, 64, 7));
        let message = bench.import(set).expect_err("not that image").to_string();
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(message.contains(name) && message.contains(&format!("{set}.sha256")), "{message}");
    }
    std::fs::remove_dir_all(bench.from()).expect("removed");
    bench.put("dtd/images/woven/woven_0001.jpg", &png(64, 64, 7));
    let report = bench.import("textures").expect("nothing is known of it");
    assert_eq!(report.notes, ["1 files without a published or known checksum"]);
}

#[test]
fn pictures_of_other_formats_are_counted_and_named() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "none", "images"))]);
    bench.put("images/a.png", &png(2, 2, 1));
    for ending in ["tif", "tiff", "avif", "heic", "jxl", "jp2", "TGA", "ico"] {
        bench.put(&format!("images/x.{ending}"), b"some picture");
    }
    bench.put("images/.hidden.tif", b"some picture");
    bench.put("images/notes.txt", b"no picture");
    bench.put("elsewhere/y.tif", b"some picture");
    let message = bench.import("pictures").expect_err("eight cannot be read").to_string();
    for part in ["8 of 9", "x.TGA (a tga file, expected JPEG, PNG, WebP", "--allow-unreadable"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let report = bench.import_with("pictures", ALLOW).expect("allowed");
    assert_eq!((report.added, report.unreadable.len(), report.status.unreadable), (1, 8, 8));
    std::fs::remove_file(bench.from().join("images/a.png")).expect("removed");
    assert!(bench.import("pictures").expect_err("still eight").to_string().contains("8 of 8"));
}

#[test]
fn images_beside_the_class_folders_are_refused_or_left_out_by_name() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "folder", "images"))]);
    for (path, value) in [("stray.png", 1), ("a/1.png", 2), ("b/1.png", 3)] {
        bench.put(&format!("images/{path}"), &png(2, 2, value));
    }
    let message = bench.import("pictures").expect_err("one has no class").to_string();
    for part in ["1 of 3", "images/stray.png", "no folder of a class", "`classes: none`"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let report = bench.import_with("pictures", ALLOW).expect("allowed");
    assert_eq!((report.added, report.unreadable.len(), report.notes.len()), (2, 1, 1));
    assert!(report.notes[0].starts_with("1 images below images lie in no folder of a class"), "{:?}", report.notes);
    assert_eq!(bench.library.open_set("pictures", "test", None).expect("usable").len(), 2);
    // Without any class the layout is another one.
    for class in ["a", "b"] {
        std::fs::remove_dir_all(bench.from().join("images").join(class)).expect("removed");
    }
    for options in [ImportOptions::default(), ALLOW] {
        let error = bench.import_with("pictures", options).expect_err("flat");
        assert!(matches!(error, DatasetError::NothingFound { .. }));
        assert!(error.to_string().contains("or set `classes: none`"), "{error}");
    }
}

#[test]
fn a_broken_file_concerns_its_own_name_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let put = |path: &str, text: &[u8]| write(&folder.path().join(path), text);
    put("good.yaml", folder_manifest("good", "none", ".").as_bytes());
    put("bad.yaml", b"name: bad\ntitel: Bad\n");
    put("binary.yaml", &[0xff, 0xfe, 0]);
    put("renamed.yaml", folder_manifest("other", "none", ".").as_bytes());
    put("sumless.yaml", (folder_manifest("sumless", "none", ".") + "sums: gone.sha256\n").as_bytes());
    put("mnist.yaml", b"name: mnist\n");
    put("benchmarks/bad.yaml", b"name: bad\n");
    put("benchmarks/mini.yaml", b"[");
    let mut library = Library::open(Path::new("no-such-root")).expect("built-in manifests are valid");
    assert_eq!(library.add_folder(folder.path()).expect("a readable folder"), 1);
    let broken: Vec<&str> = library.broken().keys().map(String::as_str).collect();
    assert_eq!(broken, ["bad", "benchmarks/bad", "benchmarks/mini", "binary", "mnist", "renamed", "sumless"]);
    for (name, part) in [
        ("bad", "titel"),
        ("binary", "UTF-8"),
        ("renamed", "\"other\""),
        ("sumless", "gone.sha256"),
        ("mnist", "title"),
    ] {
        let message = library.manifest(name).expect_err("broken").to_string();
        assert!(message.contains(&format!("{name}.yaml")), "{message}");
        assert!(message.starts_with(&format!("{name} cannot be used: ")) && message.contains(part), "{message}");
    }
    assert!(library.benchmark("mini").is_err_and(|error| error.to_string().contains("mini.yaml")));
    assert!(library.benchmark("cifar10-far").is_err_and(|error| error.to_string().contains("mnist.yaml")));
    // Everything else goes on, also where all sets are looked at.
    assert!(library.manifest("good").is_ok() && library.open_set("cifar10-mini", "test", Some(1)).is_ok());
    assert!(library.list().expect("others are well").iter().all(|status| status.name != "mnist"));
    assert!(matches!(library.manifest("nothing"), Err(DatasetError::UnknownSet { .. })));
    // A repaired file is used again.
    put("bad.yaml", folder_manifest("bad", "none", ".").as_bytes());
    library.add_folder(folder.path()).expect("a readable folder");
    assert!(library.manifest("bad").is_ok() && !library.broken().contains_key("bad"));
}

/// What a list names and nobody has is told at import, and the set is partial.
#[test]
fn a_listed_picture_that_is_not_there_makes_the_set_partial() {
    let manifest = folder_manifest("few", "none", "images")
        .replace("images: 4, folders: [images]", "folders: [images], list: {file: l.txt}");
    let bench = Bench::new(&[("few", manifest.replace("splits:", "files: [{path: l.txt, role: list}]\nsplits:"))]);
    bench.put("l.txt", b"a.png\nb.png\n");
    bench.put("images/a.png", &png(2, 2, 3));
    let report = bench.import("few").expect("one of two");
    assert!(report.notes.iter().any(|note| note == "split test: 1 of 2 listed images are there"), "{report:?}");
    assert_eq!((report.status.state, report.status.splits["test"].expected), (State::Partial, Some(2)));
    bench.put("images/b.png", &png(2, 2, 4));
    assert_eq!(bench.import("few").expect("both").status.state, State::Present);
}

/// The examples of the guide are files that a person copies.
#[test]
fn the_examples_of_the_guide_work_as_they_stand() {
    let guide = include_str!("../../../docs/adding.md");
    let examples: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).take(3).collect();
    let [set, listed, benchmark] = examples.as_slice() else {
        panic!("expected three examples, found {}", examples.len())
    };
    let table = guide.split("```csv\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a table");
    assert_eq!(Manifest::parse("guide", set).expect("a manifest").name, "my-textures");
    let bench = Bench::new(&[("my-textures", (*set).to_owned()), ("hall", (*listed).to_owned())]);
    bench.put("my-textures/images/1.png", &png(2, 2, 1));
    bench.put("my-textures/images/2.jpg", &png(2, 2, 2));
    assert_eq!(bench.import("my-textures").map(|report| report.added).expect("pictures directly in images/"), 2);
    bench.put("hall/pictures.csv", table.as_bytes());
    bench.put("hall/images/0001.jpg", &png(2, 2, 3));
    bench.put("hall/images/0002.jpg", &png(2, 2, 4));
    assert_eq!(bench.import("hall").map(|report| report.added).expect("a list and two pictures"), 3);
    assert_eq!(bench.library.status("hall").expect("imported").state, State::Present);
    for (split, id, label) in [("train", "images/0001.jpg", 1), ("test", "images/0002.jpg", 0)] {
        let set = bench.library.open_set("hall", split, None).expect("one picture each");
        assert_eq!((set.len(), set.id(0).as_str(), set.label(0)), (1, id, Some(label)), "{split}");
    }
    let benchmark = Benchmark::parse("guide", benchmark).and_then(|benchmark| benchmark.resolve(&bench.library));
    assert_eq!(benchmark.expect("a benchmark").members().count(), 3);
}

#[test]
fn a_truncated_file_whose_name_several_sets_share_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, from) = (folder.path().join("root"), folder.path().join("from"));
    // The name of four sets' test images, the bytes of none of them.
    common::write(&from.join("t10k-images-idx3-ubyte.gz"), &[0x1f, 0x8b, 8, 0, 0, 0]);
    let library = Library::open(&root).expect("a library");
    let all = library.import_all(&from, ImportOptions::default(), &Silent, &Cancel::new()).expect("searched");
    assert_eq!(all.damaged.len(), 1, "{all:?}");
    assert!(all.damaged[0].contains("mnist") && all.damaged[0].contains("t10k-images"), "{all:?}");
}

#[test]
fn leaving_out_every_image_is_no_import() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "none", "images"))]);
    bench.put("images/x.png", b"not a picture");
    assert!(matches!(bench.import_with("pictures", ALLOW), Err(DatasetError::Unreadable { count: 1, total: 1, .. })));
    assert!(bench.kept("pictures").is_empty());
    bench.put("images/y.png", &png(3, 2, 1));
    assert_eq!(bench.import_with("pictures", ALLOW).expect("one is left").added, 1);
}
