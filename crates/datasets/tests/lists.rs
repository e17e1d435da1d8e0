//! Lists of images, in the layouts in which data sets publish them.

mod common;

use common::{Bench, png};
use oodlab_base::{Cancel, Silent};
use oodlab_datasets::{DatasetError, ImageSet};

/// A bench with one set: how its folders make classes, its lists, its splits, and more of the manifest.
fn bench(classes: &str, lists: &[&str], splits: &str, more: &str) -> Bench {
    let lists: Vec<String> = lists.iter().map(|list| format!("{{path: {list}, role: list}}")).collect();
    let manifest = format!(
        "name: set\ntitle: Set\nlicence: none\ncitation: none\nformat: {{kind: image-folder, classes: {classes}}}\n\
         files: [{}]\nsplits: {splits}\n{more}\n",
        lists.join(", ")
    );
    Bench::new(&[("set", manifest)])
}

fn open(bench: &Bench, split: &str) -> ImageSet {
    bench.library.open_set("set", split, None).unwrap_or_else(|error| panic!("{split}: {error}"))
}

/// Ids and labels in order; every image is decoded.
fn samples(set: &ImageSet) -> Vec<(String, Option<u32>)> {
    (0..set.len())
        .map(|index| {
            set.read(index).expect("a picture");
            (set.id(index), set.label(index))
        })
        .collect()
}

fn pairs(expected: &[(&str, Option<u32>)]) -> Vec<(String, Option<u32>)> {
    expected.iter().map(|&(id, label)| (id.to_owned(), label)).collect()
}

fn fails(bench: &Bench) -> String {
    bench.import("set").expect_err("the list is wrong").to_string()
}

#[test]
fn tiny_imagenet_validation_by_its_annotations() {
    let list = "{file: val/val_annotations.txt, form: tabs, label: 1}";
    let splits = format!("{{val: {{folders: [val/images], list: {list}}}}}");
    let bench = bench("none", &["val/val_annotations.txt"], &splits, "class_names: [n01443537, n03444034]");
    bench.put(
        "set/val/val_annotations.txt",
        b"val_1.JPEG\tn03444034\t0\t32\t44\t62\nval_0.JPEG\tn01443537\t52\t55\t57\t59\nval_10.JPEG\tn03444034\t4\t0\t60\t55\n",
    );
    for number in [0, 1, 10, 99] {
        bench.put(&format!("set/val/images/val_{number}.JPEG"), &png(4, 4, number));
    }
    let status = bench.import("set").expect("as published").status;
    assert_eq!(status.splits["val"].found, 3);
    let set = open(&bench, "val");
    let expected =
        [("val/images/val_1.JPEG", Some(1)), ("val/images/val_0.JPEG", Some(0)), ("val/images/val_10.JPEG", Some(1))];
    assert_eq!(samples(&set), pairs(&expected));
    assert_eq!((set.found(), set.expected(), set.is_partial()), (3, Some(3), false));
    let report = bench.library.verify("set", &Silent, &Cancel::new()).expect("present");
    assert_eq!((report.problems, report.images), (Vec::new(), 4));
}

#[test]
fn textures_have_their_classes_from_folders() {
    let list = |split: &str| format!("{split}: {{folders: [images], list: {{file: labels/{split}.txt}}}}");
    let splits = format!("{{{}, {}, all: {{folders: [images]}}}}", list("train1"), list("test1"));
    let bench = bench("folder", &["labels/train1.txt", "labels/test1.txt"], &splits, "");
    bench.put("set/labels/test1.txt", b"woven/woven_0001.jpg\nbanded/banded_0002.jpg\n");
    bench.put("set/labels/train1.txt", b"banded/banded_0002.jpg\n");
    for (path, value) in [("banded/banded_0002", 1), ("banded/banded_0003", 2), ("woven/woven_0001", 3)] {
        bench.put(&format!("set/images/{path}.jpg"), &png(4, 4, value));
    }
    bench.import("set").expect("as published");
    let expected = [("images/woven/woven_0001.jpg", Some(1)), ("images/banded/banded_0002.jpg", Some(0))];
    assert_eq!(samples(&open(&bench, "test1")), pairs(&expected));
    // The same image in another split, with the same label though the list names one class only.
    assert_eq!(samples(&open(&bench, "train1")), pairs(&expected[1..]));
    assert_eq!(open(&bench, "all").len(), 3);
    assert_ne!(open(&bench, "test1").list_key(), open(&bench, "all").list_key());
}

#[test]
fn celeba_joins_partition_and_attributes() {
    let attributes = "{file: Anno/list_attr_celeba.txt, skip_lines: 1, header: true, label: Smiling, \
                      label_values: {'-1': 0, '1': 1}}";
    let split = |name: &str, number: u32| {
        format!(
            "{name}: {{folders: [img_align_celeba], list: {{file: Eval/list_eval_partition.txt, \
             where: {{column: 1, is: '{number}'}}, labels_from: {attributes}}}}}"
        )
    };
    let lists = ["Eval/list_eval_partition.txt", "Anno/list_attr_celeba.txt"];
    let splits = format!("{{{}, {}}}", split("train", 0), split("test", 2));
    let set = || bench("none", &lists, &splits, "classes: 2");
    let bench = set();
    let header = "4\n5_o_Clock_Shadow Arched_Eyebrows Smiling Young \n";
    let rows = "000001.jpg -1  1  1  1\n000002.jpg -1 -1 -1  1\n000003.jpg  1 -1 -1 -1\n000004.jpg  1 -1  1 -1\n";
    bench.put("set/Eval/list_eval_partition.txt", b"000001.jpg 0\n000002.jpg 0\n000003.jpg 2\n000004.jpg 2\n");
    bench.put("set/Anno/list_attr_celeba.txt", format!("{header}{rows}").as_bytes());
    for number in 1..=4 {
        bench.put(&format!("set/img_align_celeba/00000{number}.jpg"), &png(4, 5, number));
    }
    bench.import("set").expect("as published");
    let expected = [("img_align_celeba/000003.jpg", Some(0)), ("img_align_celeba/000004.jpg", Some(1))];
    assert_eq!(samples(&open(&bench, "test")), pairs(&expected));
    assert_eq!(open(&bench, "train").label(0), Some(1));
    // Every listed image needs its label.
    let bench = set();
    bench.put("Eval/list_eval_partition.txt", b"000001.jpg 0\n000002.jpg 0\n000003.jpg 2\n000004.jpg 2\n");
    bench.put("Anno/list_attr_celeba.txt", format!("{header}{}", &rows[..46]).as_bytes());
    (1..=4).for_each(|number| bench.put(&format!("img_align_celeba/00000{number}.jpg"), &png(4, 5, number)));
    let message = fails(&bench);
    assert!(message.contains("no label for \"000003.jpg\", line 3 of Eval/list_eval_partition.txt"), "{message}");
}

#[test]
fn places365_and_openood_lists_may_hold_the_folder_or_not() {
    let list =
        |split: &str, folder: &str| format!("{split}: {{folders: [{folder}], list: {{file: {split}.txt, label: 1}}}}");
    let splits =
        format!("{{{}, {}, {}}}", list("val", "val_256"), list("train", "data_256"), list("openood", "data_256"));
    let bench = bench("none", &["val.txt", "train.txt", "openood.txt"], &splits, "classes: 365");
    bench.put("set/val.txt", b"Places365_val_00000001.jpg 165\nPlaces365_val_00000002.jpg 358\n");
    bench.put("set/train.txt", b"/a/airfield/00000001.jpg 0\n/z/zen_garden/00000002.jpg 364\n");
    bench.put("set/openood.txt", b"data_256/z/zen_garden/00000002.jpg -1\na/airfield/00000001.jpg -1\n");
    bench.put("set/val_256/Places365_val_00000002.jpg", &png(4, 4, 2));
    bench.put("set/data_256/a/airfield/00000001.jpg", &png(4, 4, 3));
    bench.put("set/data_256/z/zen_garden/00000002.jpg", &png(4, 4, 4));
    bench.import("set").expect("partial");
    let val = open(&bench, "val");
    assert_eq!(samples(&val), pairs(&[("val_256/Places365_val_00000002.jpg", Some(358))]));
    assert_eq!((val.found(), val.expected(), val.is_partial()), (1, Some(2), true));
    let (airfield, garden) = ("data_256/a/airfield/00000001.jpg", "data_256/z/zen_garden/00000002.jpg");
    assert_eq!(samples(&open(&bench, "train")), pairs(&[(airfield, Some(0)), (garden, Some(364))]));
    assert_eq!(samples(&open(&bench, "openood")), pairs(&[(garden, None), (airfield, None)]));
}

#[test]
fn tables_of_ones_own_give_one_split_by_csv_and_by_parquet() {
    let csv = "{file: list.csv, form: csv, header: true, path: path, label: label, where: {column: split, is: test}}";
    let parquet = "{file: list.parquet, form: parquet, path: path, label: label, where: {column: split, is: test}}";
    let splits = format!("{{csv: {{folders: [.], list: {csv}}}, parquet: {{folders: [.], list: {parquet}}}}}");
    let bench = bench("none", &["list.csv", "list.parquet"], &splits, "class_names: [cat, dog]");
    bench.put(
        "list.csv",
        b"label,split,path\r\ncat,train,a/1.png\r\n\"cat\",test,\"a/2.png\"\r\ndog,test,b/1.png\r\ndog,test,b/2.png\r\n",
    );
    bench.put("list.parquet", include_bytes!("fixtures/parquet/list.parquet"));
    for (value, path) in (1..).zip(["a/1.png", "a/2.png", "b/1.png", "b/2.png"]) {
        bench.put(path, &png(2, 2, value));
    }
    bench.import("set").expect("valid");
    let expected = pairs(&[("a/2.png", Some(0)), ("b/1.png", Some(1)), ("b/2.png", Some(1))]);
    assert_eq!(samples(&open(&bench, "csv")), expected);
    assert_eq!(samples(&open(&bench, "parquet")), expected);
}

#[test]
fn wrong_lists_are_named_with_their_line() {
    for (text, part) in [
        ("a.png 0\nb.png 1\na.png 1\n", "list.txt: line 3: \"a.png\" is in line 1 already"),
        ("a.png 0\nimages/a.png 1\n", "list.txt: line 2: \"images/a.png\" is in line 1 already"),
        ("a.png 0\n../images/b.png 1\n", "list.txt: line 2: path \"../images/b.png\" leaves the folder"),
        ("a.png 0\nb.png 7\n", "list.txt: line 2: label \"7\" is not below the number of classes, 2"),
        ("a.png 0\nb.png\n", "list.txt: line 2: no column 1"),
    ] {
        let bench =
            bench("none", &["list.txt"], "{test: {folders: [images], list: {file: list.txt, label: 1}}}", "classes: 2");
        bench.put("images/a.png", &png(2, 2, 1));
        bench.put("images/b.png", &png(2, 2, 2));
        bench.put("list.txt", text.as_bytes());
        let message = fails(&bench);
        assert!(message.contains(part), "{part}: {message}");
        assert!(!bench.library.folder("set").exists(), "nothing was taken in");
        // Nor is a list left out like an image that nothing reads.
        let options = oodlab_datasets::ImportOptions { allow_unreadable: true, link: false };
        let message = bench.import_with("set", options).expect_err("the list is wrong").to_string();
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_wrong_list_changes_nothing_of_what_was_imported_before() {
    let splits = "{all: {folders: [images]}, test: {folders: [images], list: {file: list.csv, form: csv, label: 1, \
                  labels_from: {file: labels.csv, form: csv, label: 1}}}}";
    let bench = bench("none", &["list.csv", "labels.csv"], splits, "class_names: [cat, dog]");
    bench.put("images/a.png", &png(2, 2, 1));
    bench.import("set").expect("one image");
    let before = bench.kept("set");
    let index = std::fs::read(bench.library.folder("set").join("index.json")).expect("written");
    bench.put("images/b.png", &png(2, 2, 2));
    bench.put("labels.csv", b"a.png,cat\nb.png,dog\n");
    for (list, labels, part) in [
        ("a.png,0\nb.png,0\na.png,0\n", "a.png,cat\nb.png,dog\n", "/list.csv: line 3: \"a.png\" is in line 1 already"),
        ("a.png,0\nb.png,0\n", "a.png,cat\nb.png,cow\n", "/labels.csv: line 2: label \"cow\" is none of the class"),
        // What only both lists, or a list and the images, can tell.
        ("a.png,0\nb.png,0\n", "a.png,cat\n", "labels.csv: no label for \"b.png\", line 2 of list.csv"),
        (
            "a.png,0\nimages/a.png,0\n",
            "a.png,cat\nimages/a.png,cat\n",
            "list.csv: line 2: \"images/a.png\" is in line 1",
        ),
    ] {
        bench.put("list.csv", list.as_bytes());
        bench.put("labels.csv", labels.as_bytes());
        let message = fails(&bench);
        assert!(message.contains(part) && !message.contains(".staging"), "{part}: {message}");
        assert_eq!(bench.kept("set"), before, "{part}");
        assert_eq!(std::fs::read(bench.library.folder("set").join("index.json")).expect("kept"), index);
        assert_eq!(open(&bench, "all").len(), 1);
    }
    bench.put("list.csv", b"b.png,0\na.png,0\n");
    bench.put("labels.csv", b"a.png,cat\nb.png,dog\n");
    assert_eq!(bench.import("set").expect("right").added, 3);
    assert_eq!(samples(&open(&bench, "test")), pairs(&[("images/b.png", Some(1)), ("images/a.png", Some(0))]));
}

#[test]
fn without_its_list_a_split_is_empty_and_says_why() {
    let bench = bench(
        "none",
        &["list.txt"],
        "{all: {folders: [images]}, test: {folders: [images], list: {file: list.txt}}}",
        "",
    );
    bench.put("images/a.png", &png(2, 2, 1));
    let status = bench.import("set").expect("the images alone").status;
    assert_eq!((status.splits["all"].found, status.splits["test"].found), (1, 0));
    let error = bench.library.open_set("set", "test", None).expect_err("no list");
    assert!(matches!(&error, DatasetError::Decode { path, .. } if path == "list.txt"), "{error}");
    assert!(error.to_string().contains("was not imported"), "{error}");
    // The list may come later.
    bench.put("list.txt", b"a.png\n");
    bench.import("set").expect("the list");
    assert_eq!(open(&bench, "test").len(), 1);
}
