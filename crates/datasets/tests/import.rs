//! Importing: what is recognised, what is refused, and that nothing is ever half there.

mod common;

use common::{Bench, folder_manifest, png, records, sha256, tiny_manifest, write, zip};
use oodlab_base::{Cancel, Silent};
use oodlab_datasets::decode::{gzip, idx};
use oodlab_datasets::{DatasetError, ImportOptions, State};

fn tiny() -> (Bench, [Vec<u8>; 3]) {
    let files = [records(0, 3), records(100, 2), records(30, 4)];
    let manifest = tiny_manifest([&files[0], &files[1], &files[2]]);
    (Bench::new(&[("tiny", manifest)]), files)
}

#[test]
fn a_partial_set_is_used_named_counted_and_widened() {
    let (bench, [one, two, test]) = tiny();
    assert!(matches!(bench.library.open_set("tiny", "train", None), Err(DatasetError::Absent { .. })));
    bench.put("anywhere/renamed.dat", &two);
    let report = bench.import("tiny").expect("recognised by its checksum");
    assert_eq!((report.added, report.kept, report.status.state), (1, 0, State::Partial));
    let set = bench.library.open_set("tiny", "train", None).expect("usable");
    assert_eq!((set.len(), set.found(), set.expected(), set.is_partial()), (2, 2, Some(5), true));
    assert_eq!((set.id(1), set.label(1)), ("two.bin#1".into(), Some(1)));
    assert!(matches!(bench.library.open_set("tiny", "test", None), Err(DatasetError::Empty { .. })));

    bench.put("anywhere/one.bin", &one);
    bench.put("anywhere/test.bin", &test);
    let report = bench.import("tiny").expect("three known files");
    assert_eq!((report.added, report.kept, report.status.state), (2, 1, State::Present));
    let set = bench.library.open_set("tiny", "train", None).expect("usable");
    assert_eq!(
        (set.len(), set.id(0), set.id(3)),
        (5, "one.bin#0".into(), "two.bin#0".into()),
        "in the manifest's order"
    );
    assert!(!set.is_partial());
    assert_eq!(set.read(3).expect("readable").pixels[..3], [100, 104, 108], "planes are interleaved");

    let before = std::fs::read(bench.library.folder("tiny").join("index.json")).expect("written");
    let report = bench.import("tiny").expect("the same again");
    assert_eq!((report.added, report.kept, report.bytes), (0, 3, 0));
    assert_eq!(std::fs::read(bench.library.folder("tiny").join("index.json")).expect("written"), before);
    assert_eq!(bench.kept("tiny"), ["files/one.bin", "files/test.bin", "files/two.bin", "index.json"]);
}

#[test]
fn an_md5_is_enough_where_nothing_else_was_published() {
    use md5::Digest;
    let (_, [one, two, test]) = tiny();
    let sum: String = md5::Md5::digest(&two).iter().map(|byte| format!("{byte:02x}")).collect();
    let manifest = tiny_manifest([&one, &two, &test]);
    let with_md5 = manifest.replace(&format!("size: {}, sha256: {}", two.len(), sha256(&two)), &format!("md5: {sum}"));
    assert_ne!(manifest, with_md5);
    let bench = Bench::new(&[("tiny", with_md5)]);
    bench.put("two.bin", &two);
    assert_eq!(bench.import("tiny").map(|report| report.added).expect("known by its MD5"), 1);
    std::fs::remove_dir_all(bench.library.root()).expect("removed");
    bench.put("two.bin", &records(7, 2));
    let message = bench.import("tiny").expect_err("another file").to_string();
    assert!(message.contains(&format!("expected md5 {sum}")), "{message}");
}

#[test]
fn limits_take_the_first_images_and_change_the_list() {
    let (bench, [one, two, _]) = tiny();
    bench.put("one.bin", &one);
    bench.put("two.bin", &two);
    bench.import("tiny").expect("known files");
    let open = |limit| bench.library.open_set("tiny", "train", limit);
    let (all, four) = (open(None).expect("usable"), open(Some(4)).expect("usable"));
    assert_eq!((four.len(), four.found(), four.id(3)), (4, 5, all.id(3)));
    assert_eq!(open(Some(9)).expect("usable").list_key(), all.list_key());
    assert_ne!(four.list_key(), all.list_key());
    assert!(matches!(four.read(4), Err(DatasetError::OutOfRange { index: 4, len: 4, .. })));
    assert!(matches!(open(Some(0)), Err(DatasetError::Empty { .. })));
}

#[test]
fn a_damaged_known_file_is_an_error_that_leaves_everything_as_it_was() {
    let (bench, [one, two, _]) = tiny();
    bench.put("tiny/one.bin", &one);
    bench.import("tiny").expect("a known file");
    let before = bench.kept("tiny");
    for damaged in [two[..two.len() - 1].to_vec(), two.iter().map(|byte| byte ^ 1).collect(), Vec::new()] {
        bench.put("tiny/two.bin", &damaged);
        let message = bench.import("tiny").expect_err("a wrong checksum").to_string();
        for part in ["two.bin", "wrong checksum", &sha256(&two), &sha256(&damaged), &format!("{} bytes", damaged.len())]
        {
            assert!(message.contains(part), "{part} in {message}");
        }
        let all = bench.import_all();
        assert!(matches!(all.sets.as_slice(), [(name, Err(DatasetError::Checksum { .. }))] if name == "tiny"));
        assert_eq!(bench.kept("tiny"), before);
        assert_eq!(bench.library.open_set("tiny", "train", None).expect("as before").len(), 3);
    }
}

#[test]
fn files_of_the_same_name_are_told_apart_by_content_or_folder_only() {
    let image = |value: u8| gzip::pack(&idx::write(&[2, 1, 1], &[value, value + 1])).expect("into memory");
    let manifest = |name: &str, bytes: &[u8]| {
        let plain = gzip::unpack(bytes, 1000).expect("packed above");
        format!(
            "name: {name}
title: {name}
licence: none
citation: none
format: {{kind: idx}}
image_size: [1, 1]
files:
  - {{path: images.gz, split: test, size: {}, sha256: {}, unpacked_size: {}, unpacked_sha256: {}}}
splits: {{test: {{images: 2}}}}
",
            bytes.len(),
            sha256(bytes),
            plain.len(),
            sha256(&plain)
        )
    };
    let (a, b) = (image(10), image(20));
    let bench = Bench::new(&[("digits", manifest("digits", &a)), ("letters", manifest("letters", &b))]);
    // Letters in a folder that is named for digits; content decides.
    bench.put("digits/images.gz", &b);
    let all = bench.import_all();
    assert!(matches!(all.sets.as_slice(), [(name, Ok(_))] if name == "letters"));
    let message = bench.import("digits").expect_err("not its file").to_string();
    assert!(message.contains("digits/images.gz is a file of letters"), "{message}");
    // An unknown content: an error where the folder names the set, nobody's elsewhere.
    bench.put("digits/images.gz", &image(30));
    assert!(
        matches!(bench.import_all().sets.as_slice(), [(name, Err(DatasetError::Checksum { .. }))] if name == "digits")
    );
    std::fs::rename(bench.from().join("digits"), bench.from().join("other")).expect("renamed");
    let all = bench.import_all();
    assert!(all.sets.is_empty());
    assert_eq!(all.unrecognised_first, ["other/images.gz"]);
    // The unpacked file is the same set with the same list of images.
    let set = bench.library.open_set("letters", "test", None).expect("imported above");
    let packed = set.list_key();
    std::fs::remove_dir_all(bench.library.root()).expect("removed");
    bench.put("other/images", &gzip::unpack(&b, 1000).expect("packed above"));
    bench.import("letters").expect("recognised unpacked");
    let set = bench.library.open_set("letters", "test", None).expect("usable");
    assert_eq!((set.list_key(), set.id(1)), (packed, "images.gz#1".into()));
    assert_eq!(set.read(1).expect("readable").pixels, [21; 3]);
    bench.put("other/packed.gz", &b);
    assert_eq!(bench.import("letters").map(|report| (report.added, report.kept)).expect("there already"), (0, 1));
}

#[test]
fn folders_are_read_in_byte_order_with_their_classes() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "folder", "images"))]);
    for (path, value) in [("b/2.png", 1), ("b/10.png", 2), ("a/z.PNG", 3), ("a/.hidden.png", 4), (".x/1.png", 5)] {
        bench.put(&format!("deep/pictures/images/{path}"), &png(3, 2, value));
    }
    bench.put("deep/pictures/images/readme.txt", b"not an image");
    let report = bench.import("pictures").expect("a folder of that name");
    assert_eq!((report.added, report.notes.len()), (3, 0));
    assert_eq!(report.status.state, State::Partial);
    let set = bench.library.open_set("pictures", "test", None).expect("usable");
    let ids: Vec<String> = (0..3).map(|index| set.id(index)).collect();
    assert_eq!(ids, ["images/a/z.PNG", "images/b/10.png", "images/b/2.png"]);
    assert_eq!((0..3).map(|index| set.label(index)).collect::<Vec<_>>(), [Some(0), Some(1), Some(1)]);
    assert_eq!(set.read(1).expect("readable").pixels[..3], [2, 1, 253]);
    let report = bench.library.verify("pictures", &Silent, &Cancel::new()).expect("present");
    assert_eq!((report.files, report.images, report.problems.len()), (3, 3, 0));
}

#[test]
fn labels_are_not_numbered_over_folders_of_which_one_is_missing() {
    let manifest = format!("{}classes: 3\n", folder_manifest("pictures", "folder", "images"));
    let bench = Bench::new(&[("pictures", manifest)]);
    for (path, value) in [("a/1.png", 1), ("c/1.png", 2), ("1.png", 3)] {
        bench.put(&format!("pictures/images/{path}"), &png(3, 2, value));
    }
    let labels = || {
        let set = bench.library.open_set("pictures", "test", None).expect("usable");
        (0..set.len()).map(|index| set.label(index)).collect::<Vec<_>>()
    };
    let options = ImportOptions { allow_unreadable: true, link: false };
    let notes = bench.import_with("pictures", options).expect("two of three classes").notes;
    assert!(notes.iter().any(|note| note.contains("split test has images of 2 classes, 3 expected")), "{notes:?}");
    assert_eq!(labels(), [None, None]);
    bench.put("pictures/images/b/1.png", &png(3, 2, 4));
    let notes = bench.import_with("pictures", options).expect("all classes").notes;
    assert!(!notes.iter().any(|note| note.contains("expected")), "{notes:?}");
    assert_eq!(labels(), [Some(0), Some(1), Some(2)]);
}

#[test]
fn files_that_are_known_to_be_broken_are_not_counted_among_the_unreadable() {
    let manifest = format!("{}broken: [a.png]\n", folder_manifest("pictures", "none", "."));
    let bench = Bench::new(&[("pictures", manifest)]);
    for path in ["a.png", "b.png"] {
        bench.put(path, b"not an image at all");
    }
    bench.put("c.png", &png(3, 2, 4));
    let message = bench.import("pictures").expect_err("b.png").to_string();
    assert!(
        message.contains("1 of 3 images") && message.contains("b.png (") && !message.contains("a.png"),
        "{message}"
    );
}

#[test]
fn unreadable_images_are_named_counted_and_refused_unless_allowed() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "none", "."))]);
    let whole = png(9, 9, 1);
    bench.put("a.png", &whole);
    bench.put("b.png", &whole[..whole.len() - 20]);
    bench.put("c.jpg", b"not an image at all");
    let message = bench.import("pictures").expect_err("two cannot be read").to_string();
    for part in ["pictures", "2 of 3", "b.png", "c.jpg", "--allow-unreadable"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!bench.library.folder("pictures").exists(), "a failed import leaves nothing");
    let options = ImportOptions { allow_unreadable: true, link: false };
    let report = bench.import_with("pictures", options).expect("allowed");
    assert_eq!((report.added, report.unreadable.len(), report.status.unreadable), (1, 2, 2));
    assert_eq!(bench.library.open_set("pictures", "test", None).expect("usable").len(), 1);
    assert_eq!(bench.kept("pictures"), ["files/a.png", "index.json"]);
    // A repaired file takes the place of the record.
    bench.put("b.png", &png(9, 9, 2));
    let report = bench.import_with("pictures", options).expect("allowed");
    assert_eq!((report.added, report.kept, report.status.unreadable), (1, 1, 1));
}

#[test]
fn damage_after_the_import_is_found_and_repaired_by_another() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "none", "."))]);
    bench.put("a.png", &png(2, 2, 1));
    bench.put("b.png", &png(2, 2, 2));
    bench.import("pictures").expect("two images");
    let set = bench.library.open_set("pictures", "test", None).expect("usable");
    let file = bench.library.folder("pictures").join("files/b.png");
    // Another image that decodes well: only the hash can tell.
    write(&file, &png(2, 2, 3));
    let message = set.read(1).expect_err("changed").to_string();
    assert!(message.contains("b.png") && message.contains("expected blake3"), "{message}");
    assert!(set.read(0).is_ok());
    let report = bench.library.verify("pictures", &Silent, &Cancel::new()).expect("present");
    assert_eq!((report.images, report.problems.len()), (1, 1));
    std::fs::remove_file(&file).expect("removed");
    assert!(set.read(1).expect_err("gone").to_string().contains("b.png"));
    assert_eq!(bench.import("pictures").map(|report| (report.added, report.kept)).expect("repaired"), (1, 1));
    assert!(set.read(1).is_ok());
    // A new content under an old name is not taken in silence.
    bench.put("b.png", &png(2, 2, 4));
    assert!(matches!(bench.import("pictures"), Err(DatasetError::Conflict { .. })));
    assert!(set.read(1).is_ok());
}

#[test]
fn equal_images_of_zips_count_once_in_the_order_of_the_archives() {
    let small = |names: [(&str, u8); 2]| zip(&names.map(|(name, value)| (name, png(1, 1, value))));
    let (one, two) = (small([("b/1.png", 1), ("a/2.png", 2)]), small([("x.png", 2), ("y.png", 3)]));
    let manifest = format!(
        "name: zips
title: Zips
licence: none
citation: none
format: {{kind: zip-images, equal_images: once}}
files:
  - {{path: one.zip, split: all, sha256: {}}}
  - {{path: two.zip, split: all, sha256: {}}}
splits: {{all: {{images: 3}}}}
",
        sha256(&one),
        sha256(&two)
    );
    let bench = Bench::new(&[("zips", manifest)]);
    bench.put("two.zip", &two);
    bench.put("one.zip", &one);
    assert_eq!(bench.import("zips").expect("known files").status.state, State::Present);
    let set = bench.library.open_set("zips", "all", None).expect("usable");
    let ids: Vec<String> = (0..set.len()).map(|index| set.id(index)).collect();
    assert_eq!(ids, ["one.zip#b/1.png", "one.zip#a/2.png", "two.zip#y.png"]);
    assert_eq!(set.read(2).expect("readable").pixels, [3, 1, 252]);
}

#[test]
fn cancelled_and_killed_imports_leave_nothing_visible() {
    let (bench, [one, ..]) = tiny();
    bench.put("one.bin", &one);
    let cancel = Cancel::new();
    cancel.cancel();
    let result = bench.library.import("tiny", &bench.from(), ImportOptions::default(), &Silent, &cancel);
    assert!(matches!(result, Err(DatasetError::Cancelled(_))));
    assert!(!bench.library.folder("tiny").exists());
    // What a killed process leaves: a stage, and files that no index names. No process has this number.
    let folder = bench.library.folder("tiny");
    write(&folder.join(".staging-4194999-0/one.bin"), &one[..5]);
    write(&folder.join("files/two.bin"), b"half");
    assert_eq!(bench.library.status("tiny").expect("no index").state, State::Absent);
    assert!(matches!(bench.library.open_set("tiny", "train", None), Err(DatasetError::Absent { .. })));
    bench.import("tiny").expect("a known file");
    assert_eq!(bench.library.open_set("tiny", "train", None).expect("usable").len(), 3);
    if std::path::Path::new("/proc/self").exists() {
        assert!(!folder.join(".staging-4194999-0").exists(), "an abandoned stage is removed");
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_not_followed() {
    let bench = Bench::new(&[("pictures", folder_manifest("pictures", "none", "."))]);
    bench.put("inside/a.png", &png(2, 2, 1));
    let outside = bench.from().parent().expect("a temporary folder").join("outside");
    write(&outside.join("b.png"), &png(2, 2, 2));
    std::os::unix::fs::symlink(outside.join("b.png"), bench.from().join("b.png")).expect("a link");
    std::os::unix::fs::symlink(&outside, bench.from().join("folder")).expect("a link");
    std::os::unix::fs::symlink(bench.from(), bench.from().join("circle")).expect("a link");
    std::os::unix::fs::symlink(bench.from().join("inside/a.png"), bench.from().join("c.png")).expect("a link");
    let report = bench.import("pictures").expect("two images");
    assert_eq!((report.added, report.notes.len()), (2, 3));
    assert_eq!(bench.kept("pictures"), ["files/c.png", "files/inside/a.png", "index.json"]);
}

#[test]
fn what_cannot_be_imported_says_why() {
    let (bench, _) = tiny();
    std::fs::create_dir_all(bench.from()).expect("a writable folder");
    let message = bench.import("tiny").expect_err("nothing there").to_string();
    assert!(message.contains("nothing of data set tiny") && message.contains("one.bin, two.bin"), "{message}");
    let message = bench.import("tinny").expect_err("unknown").to_string();
    assert!(message.contains("\"tinny\" (nearest: \"tiny\")"), "{message}");
    assert!(matches!(bench.import("stripes"), Err(DatasetError::BuiltIn { kind: "generated", .. })));
    let gone =
        bench.library.import("tiny", "no/such/folder".as_ref(), ImportOptions::default(), &Silent, &Cancel::new());
    assert!(gone.is_err_and(|error| error.to_string().contains("no/such/folder")));
}

#[test]
fn a_wrong_image_size_or_label_is_refused() {
    let bytes = [5; 13];
    let manifest = tiny_manifest([&bytes, &records(0, 1), &records(9, 1)]);
    let bench = Bench::new(&[("tiny", manifest)]);
    bench.put("one.bin", &bytes);
    let message = bench.import("tiny").expect_err("label 5 of 3 classes").to_string();
    assert!(message.contains("one.bin") && message.contains("record 0 has label 5"), "{message}");
    let sized = folder_manifest("pictures", "none", ".") + "image_size: [2, 2]\n";
    let bench = Bench::new(&[("pictures", sized)]);
    bench.put("a.png", &png(2, 3, 1));
    let message = bench.import("pictures").expect_err("not 2 x 2").to_string();
    assert!(message.contains("expected 2 x 2, found 2 x 3"), "{message}");
}
