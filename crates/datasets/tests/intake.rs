//! Importing what people have: archives, files of other programs, shared folders, large files, links.

mod common;

use std::path::Path;

use common::{Bench, folder_manifest, png, records, sha256, tiny_manifest, zip};
use oodlab_base::{Cancel, Silent};
use oodlab_datasets::decode::cifar::Layout;
use oodlab_datasets::{DatasetError, ImportOptions, State};

/// A tar file, gzipped, of these files.
fn tgz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).expect("into memory");
    }
    oodlab_datasets::decode::gzip::pack(&tar.into_inner().expect("into memory")).expect("into memory")
}

fn md5(bytes: &[u8]) -> String {
    use md5::Digest;
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The set `tiny` as an archive too: three files in a folder.
fn tiny_in_archive() -> (Bench, Vec<u8>, [Vec<u8>; 3]) {
    let files = [records(0, 3), records(100, 2), records(30, 4)];
    let [one, two, test] = [&files[0], &files[1], &files[2]];
    let archive = tgz(&[("tiny-bin/one.bin", one), ("tiny-bin/two.bin", two), ("tiny-bin/test.bin", test)]);
    let manifest = tiny_manifest([one, two, test])
        + &format!(
            "archives:\n  - {{path: tiny.tar.gz, root: tiny-bin, size: {}, md5: {}}}\n",
            archive.len(),
            md5(&archive)
        );
    (Bench::new(&[("tiny", manifest)]), archive, files)
}

#[test]
fn an_archive_is_imported_from_its_folder_by_itself_and_under_another_name() {
    for (place, all) in
        [("down/tiny.tar.gz", false), ("tiny.tar.gz", false), ("renamed.dat", false), ("renamed.dat", true)]
    {
        let (bench, archive, _) = tiny_in_archive();
        bench.put(place, &archive);
        if all {
            let all = bench.import_all();
            assert!(matches!(all.sets.as_slice(), [(name, Ok(_))] if name == "tiny"), "{:?}", all.sets);
            assert_eq!((all.unrecognised, all.damaged.len()), (0, 0));
        } else {
            let from = if place == "tiny.tar.gz" { bench.from().join(place) } else { bench.from() };
            let report =
                bench.library.import("tiny", &from, ImportOptions::default(), &Silent, &Cancel::new()).expect(place);
            assert_eq!((report.added, report.status.state), (3, State::Present), "{place}");
            assert!(report.notes[0].contains("tiny.tar.gz: 3 files unpacked"), "{:?}", report.notes);
        }
        assert_eq!(bench.kept("tiny"), ["files/one.bin", "files/test.bin", "files/two.bin", "index.json"]);
        assert_eq!(bench.import("tiny").map(|report| (report.added, report.kept)).expect("again"), (0, 3));
        assert_eq!(std::fs::read(bench.from().join(place)).expect("still there"), archive);
    }
}

#[test]
fn archives_that_are_damaged_hostile_or_without_their_folder_change_nothing() {
    let (bench, archive, [one, ..]) = tiny_in_archive();
    bench.put("tiny.tar.gz", &archive[..archive.len() - 1]);
    let message = bench.import("tiny").expect_err("truncated").to_string();
    for part in ["tiny.tar.gz", "wrong checksum", &md5(&archive), &format!("{} bytes", archive.len())] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(bench.import_all().damaged[0].contains("tiny.tar.gz"), "told, and nothing imported");
    assert!(!bench.library.folder("tiny").exists());
    // Beside a good file it does no harm.
    bench.put("elsewhere/one.bin", &one);
    let report = bench.import("tiny").expect("a known file");
    assert!(report.added == 1 && report.notes.iter().any(|note| note.contains("passed over")), "{:?}", report.notes);

    for (content, part) in [
        (tgz(&[("other/one.bin", &one)]), "expected a folder \"tiny-bin\""),
        (b"no archive".to_vec(), "damaged or truncated"),
        (
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/parent.tgz")).expect("there"),
            "leaves",
        ),
    ] {
        // Without a checksum the name is what says that it is the archive.
        let manifest = tiny_manifest([&one, &one, &one]) + "archives:\n  - {path: tiny.tar.gz, root: tiny-bin}\n";
        let bench = Bench::new(&[("tiny", manifest)]);
        bench.put("deep/tiny.tar.gz", &content);
        assert!(bench.import_all().sets.is_empty(), "a name alone is nothing where no set was asked for");
        let message = bench.import("tiny").expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
        assert!(!bench.library.folder("tiny").exists());
        assert!(!bench.from().join("../outside.txt").exists());
    }
}

#[test]
fn an_archive_beside_its_own_files_is_not_unpacked() {
    let (bench, archive, [one, two, test]) = tiny_in_archive();
    bench.put("tiny.tar.gz", &archive);
    bench.put("x/one.bin", &one);
    bench.put("x/two.bin", &two);
    let report = bench.import("tiny").expect("one file is in the archive only");
    assert_eq!((report.added, report.status.state), (3, State::Present));
    assert!(report.notes.iter().any(|note| note.contains("3 files unpacked")));
    bench.put("x/test.bin", &test);
    let report = bench.import("tiny").expect("all there");
    assert!(report.notes.iter().any(|note| note.contains("not unpacked")), "{:?}", report.notes);
    assert_eq!((report.added, report.kept), (0, 3));
}

#[test]
fn a_zip_of_pictures_with_what_other_systems_leave_in_it() {
    let manifest = folder_manifest("pictures", "folder", "images") + "archives:\n  - {path: pictures.zip}\n";
    let bench = Bench::new(&[("pictures", manifest)]);
    let archive = zip(&[
        ("some-name-1.0/images/a/1.png", png(3, 2, 1)),
        ("some-name-1.0/images/b/2.png", png(3, 2, 2)),
        ("some-name-1.0/images/.DS_Store", b"x".to_vec()),
        ("some-name-1.0/labels/a.txt", b"1".to_vec()),
        ("__MACOSX/some-name-1.0/images/a/._1.png", b"x".to_vec()),
        ("some-name-1.0/inner.zip", zip(&[("images/c/3.png", png(3, 2, 3))])),
    ]);
    bench.put("pictures.zip", &archive);
    let report = bench.import("pictures").expect("one folder of pictures");
    assert_eq!(report.added, 2);
    assert_eq!(bench.kept("pictures"), ["files/images/a/1.png", "files/images/b/2.png", "index.json"]);
    let report = bench.library.verify("pictures", &Silent, &Cancel::new()).expect("present");
    assert_eq!((report.images, report.problems.len()), (2, 0));
}

/// The layout of DTD: all images in one folder, splits by lists, and all of it as a split too.
#[test]
fn splits_that_share_a_folder_take_each_picture_once() {
    let manifest = "name: shared
title: Shared
licence: none
citation: none
format: {kind: image-folder, classes: folder}
files:
  - {path: labels/train1.txt, role: list}
  - {path: labels/test1.txt, role: list}
splits:
  train: {folders: [images], list: {file: labels/train1.txt}}
  test: {images: 1, folders: [images], list: {file: labels/test1.txt}}
  all: {images: 3, folders: [images]}
archives:
  - {path: shared-r1.tar.gz, root: shared}
";
    let pictures = [("a/1.png", 1), ("a/2.png", 2), ("b/3.png", 3)].map(|(path, value)| (path, png(3, 2, value)));
    let mut files: Vec<(String, Vec<u8>)> =
        pictures.iter().map(|(path, bytes)| (format!("shared/images/{path}"), bytes.clone())).collect();
    files.push(("shared/labels/train1.txt".into(), b"b/3.png\na/1.png\n".to_vec()));
    files.push(("shared/labels/test1.txt".into(), b"a/2.png\n".to_vec()));
    let borrowed: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    for packed in [true, false] {
        let bench = Bench::new(&[("shared", manifest.to_owned())]);
        if packed {
            bench.put("shared-r1.tar.gz", &tgz(&borrowed));
        } else {
            files.iter().for_each(|(name, bytes)| bench.put(&format!("x/{name}"), bytes));
            // Another list of the same name, where it does not belong.
            bench.put("x/a-wrong/test1.txt", b"nothing.png\n");
        }
        let report = bench.import("shared").expect("three pictures and two lists");
        assert_eq!((report.added, report.status.state), (5, State::Present), "{:?}", report.notes);
        let found: Vec<usize> = report.status.splits.values().map(|count| count.found).collect();
        assert_eq!(found, [3, 1, 2], "all, test, train");
        let train = bench.library.open_set("shared", "train", None).expect("listed");
        assert_eq!([train.id(0), train.id(1)], ["images/b/3.png", "images/a/1.png"], "in the list's order");
        let report = bench.library.verify("shared", &Silent, &Cancel::new()).expect("present");
        assert_eq!((report.files, report.images, report.problems.len()), (5, 3, 0), "each file once");
        assert_eq!(bench.import("shared").map(|report| (report.added, report.kept)).expect("again"), (0, 5));
    }
    // Without a list the split has no images, and the import says why.
    let bench = Bench::new(&[("shared", manifest.to_owned())]);
    files[..4].iter().for_each(|(name, bytes)| bench.put(name, bytes));
    let report = bench.import("shared").expect("pictures and a list");
    assert_eq!((report.status.splits["test"].found, report.status.splits["train"].found), (0, 2));
    assert!(report.notes.iter().any(|note| note.contains("labels/test1.txt is missing")), "{:?}", report.notes);
}

#[test]
fn a_file_of_two_splits_is_kept_once() {
    let files = [records(0, 3), records(100, 2), records(30, 4)];
    let manifest = tiny_manifest([&files[0], &files[1], &files[2]])
        .replace("path: two.bin, split: train,", "path: two.bin, splits: [train, extra],")
        + "  extra: {images: 2}\n";
    let bench = Bench::new(&[("tiny", manifest)]);
    bench.put("a.bin", &files[0]);
    bench.put("b.bin", &files[1]);
    let report = bench.import("tiny").expect("two files");
    assert_eq!((report.added, report.status.splits["train"].found, report.status.splits["extra"].found), (2, 5, 2));
    assert_eq!(bench.library.open_set("tiny", "extra", None).expect("shared").id(1), "two.bin#1");
}

#[test]
fn files_of_one_name_in_two_folders_are_told_apart_by_the_folder() {
    let manifest = "name: pair
title: Pair
licence: none
citation: none
format: {kind: cifar-binary, labels: [class], label: class}
image_size: [2, 2]
files:
  - {path: train/data.bin, split: train}
  - {path: test/data.bin, split: test}
splits: {train: {}, test: {}}
";
    let bench = Bench::new(&[("pair", manifest.to_owned())]);
    bench.put("x/test/data.bin", &records(0, 1));
    bench.put("x/train/data.bin", &records(50, 3));
    let status = bench.import("pair").expect("both").status;
    assert_eq!((status.splits["train"].found, status.splits["test"].found), (3, 1));
}

#[test]
fn pickles_of_cifar_become_the_binary_batches() {
    let fixture = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name))
            .expect("a fixture")
    };
    let pickle = fixture("protocol2.pickle");
    let layout = Layout { labels: 1, label: 0, width: 32, height: 32, classes: None };
    let binary = oodlab_datasets::decode::pickle::to_cifar_binary(&pickle, layout).expect("a batch");
    let images = binary.len() / 3073;
    let manifest = |sum: &str| {
        format!(
            "name: small
title: Small
licence: none
citation: none
format: {{kind: cifar-binary, labels: [class], label: class}}
image_size: [32, 32]
files:
  - {{path: test_batch.bin, split: test, md5: {sum}}}
splits: {{test: {{images: {images}}}}}
archives:
  - {{path: small-python.tar.gz, root: small-batches-py}}
conversions:
  - {{kind: cifar-pickle, from: test_batch, to: test_batch.bin, md5: {}}}
",
            md5(&pickle)
        )
    };
    for packed in [true, false] {
        let bench = Bench::new(&[("small", manifest(&md5(&binary)))]);
        if packed {
            bench.put("small-python.tar.gz", &tgz(&[("small-batches-py/test_batch", &pickle)]));
        } else {
            bench.put("x/small-batches-py/test_batch", &pickle);
            let all = bench.import_all();
            assert!(
                matches!(all.sets.as_slice(), [(name, Ok(_))] if name == "small"),
                "known by its MD5: {:?}",
                all.sets
            );
            assert_eq!(all.unrecognised, 0);
        }
        let report = bench.import("small").expect("a pickle");
        assert_eq!(report.status.state, State::Present);
        assert!(
            report.notes.iter().any(|note| note == "test_batch was turned into test_batch.bin"),
            "{:?}",
            report.notes
        );
        assert_eq!(std::fs::read(bench.library.folder("small").join("files/test_batch.bin")).expect("kept"), binary);
        assert_eq!(bench.kept("small"), ["files/test_batch.bin", "index.json"]);
    }
    // What comes out must be the known file.
    let bench = Bench::new(&[("small", manifest(&"0".repeat(32)))]);
    bench.put("x/test_batch", &pickle);
    let message = bench.import("small").expect_err("another file").to_string();
    assert!(message.contains("wrong checksum for test_batch.bin"), "{message}");
}

#[test]
fn databases_of_lsun_become_tar_files() {
    let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lmdb/single.mdb");
    let manifest = "name: rooms
title: Rooms
licence: none
citation: none
format: {kind: tar-images}
files:
  - {path: bedroom_val.tar, split: test}
splits: {test: {images: 80}}
conversions:
  - {kind: lmdb, from: bedroom_val_lmdb, to: bedroom_val.tar}
";
    let bench = Bench::new(&[("rooms", manifest.to_owned())]);
    bench.put("x/bedroom_val_lmdb/data.mdb", &std::fs::read(database).expect("a fixture"));
    bench.put("x/bedroom_val_lmdb/lock.mdb", b"");
    let report = bench.import("rooms").expect("a database");
    let found = report.status.splits["test"].found;
    assert!((79..=80).contains(&found), "{found}");
    let set = bench.library.open_set("rooms", "test", None).expect("usable");
    assert!(set.read(0).is_ok());
    let again = bench.import("rooms").expect("there already");
    assert_eq!((again.added, again.kept), (0, 1));
    assert!(again.notes[0].contains("not read again"), "{:?}", again.notes);
    bench.put("x/bedroom_val_lmdb/data.mdb", &[7; 5000]);
    std::fs::remove_dir_all(bench.library.folder("rooms")).expect("removed");
    assert!(bench.import("rooms").expect_err("damaged").to_string().contains("data.mdb"));
    assert!(!bench.library.folder("rooms").exists());
}

#[cfg(unix)]
#[test]
fn links_take_no_space_and_changes_are_noticed() {
    use std::os::unix::fs::MetadataExt;
    let files = [records(0, 3), records(100, 2), records(30, 4)];
    let bench = Bench::new(&[("tiny", tiny_manifest([&files[0], &files[1], &files[2]]))]);
    bench.put("one.bin", &files[0]);
    bench.put("copied/test.bin", &files[2]);
    let linked = ImportOptions { link: true, ..ImportOptions::default() };
    bench.import_with("tiny", linked).expect("two files");
    let inode = |path: &Path| std::fs::metadata(path).expect("there").ino();
    let kept = bench.library.folder("tiny").join("files");
    assert_eq!(inode(&bench.from().join("one.bin")), inode(&kept.join("one.bin")));
    bench.put("two.bin", &files[1]);
    bench.import("tiny").expect("one more");
    assert_ne!(inode(&bench.from().join("two.bin")), inode(&kept.join("two.bin")));
    // Whoever writes into the file writes into both.
    std::fs::write(bench.from().join("one.bin"), records(1, 3)).expect("writable");
    assert!(matches!(bench.library.open_set("tiny", "train", None), Err(DatasetError::Changed { .. })));
    assert!(!bench.library.verify("tiny", &Silent, &Cancel::new()).expect("present").problems.is_empty());
}

/// Files beyond 64 MiB are never held in memory: they take another way, which must do the same.
#[test]
fn a_large_file_is_copied_linked_kept_and_repaired() {
    let images = 22_000;
    let large: Vec<u8> =
        (0..images * 3073).map(|at| if at % 3073 == 0 { 0 } else { (at * 7 + at / 3073) as u8 }).collect();
    let manifest = format!(
        "name: large
title: Large
licence: none
citation: none
format: {{kind: cifar-binary, labels: [class], label: class}}
image_size: [32, 32]
files:
  - {{path: data.bin, split: test, sha256: {}}}
splits: {{test: {{images: {images}}}}}
",
        sha256(&large)
    );
    let bench = Bench::new(&[("large", manifest)]);
    bench.put("data.bin", &large);
    for link in [false, true] {
        let report =
            bench.import_with("large", ImportOptions { link, ..ImportOptions::default() }).expect("a known file");
        assert_eq!((report.added, report.bytes, report.status.state), (1, large.len() as u64, State::Present));
        assert_eq!(bench.kept("large"), ["files/data.bin", "index.json"]);
        assert_eq!(bench.import("large").map(|report| (report.added, report.kept)).expect("again"), (0, 1));
        if !link {
            let place = bench.library.folder("large").join("files/data.bin");
            std::fs::write(&place, &large[..5000]).expect("writable");
            assert!(matches!(bench.library.open_set("large", "test", None), Err(DatasetError::Changed { .. })));
            assert_eq!(bench.import("large").map(|report| (report.added, report.kept)).expect("repaired"), (1, 0));
            assert_eq!(bench.library.open_set("large", "test", Some(2)).expect("usable").len(), 2);
        }
        std::fs::remove_dir_all(bench.library.root()).expect("removed");
    }
    // Large and of no use: nothing stays.
    let cut = &large[..large.len() - 1];
    let unknown = Bench::new(&[(
        "large",
        "name: large
title: Large
licence: none
citation: none
format: {kind: cifar-binary, labels: [class], label: class}
image_size: [32, 32]
files: [{path: data.bin, split: test}]
splits: {test: {}}
"
        .to_owned(),
    )]);
    unknown.put("data.bin", cut);
    assert!(unknown.import("large").expect_err("a byte is missing").to_string().contains("data.bin"));
    assert!(!unknown.library.folder("large").exists());
}
