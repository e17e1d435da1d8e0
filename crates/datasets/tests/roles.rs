//! Roles and subsets: no image that is scored can be learned from, and which images a benchmark means is a rule.

mod common;

use common::{Bench, records, tiny_manifest};
use oodlab_datasets::{Benchmark, DatasetError};

const BENCHMARK: &str = "name: b
title: B
id: {set: tiny, train_split: train, test_split: test}
groups: {far: [{set: other, subset: {rule: rows, from: 1, to: 3}}]}
validation: {id: {set: tiny, split: val}, ood: [{set: other, split: train}]}
";

fn bench() -> Bench {
    let [one, two, test] = [records(0, 2), records(50, 3), records(100, 4)];
    let tiny = tiny_manifest([&one, &two, &test]);
    let with_val = tiny.replace("splits:\n", "  - {path: val.bin, split: val}\nsplits:\n  val: {images: 2}\n");
    // Another set whose test images hold a copy of the first training image.
    let others = [records(200, 2), records(150, 3), [records(0, 1), records(120, 3)].concat()];
    let other = tiny_manifest([&others[0], &others[1], &others[2]]).replace("name: tiny", "name: other");
    let bench = Bench::new(&[("tiny", with_val), ("other", other)]);
    for (path, bytes) in [("one", &one), ("two", &two), ("test", &test), ("val", &records(30, 2))] {
        bench.put(&format!("tiny/{path}.bin"), bytes);
    }
    for (path, bytes) in ["one", "two", "test"].into_iter().zip(&others) {
        bench.put(&format!("other/{path}.bin"), bytes);
    }
    for name in ["tiny", "other"] {
        let report = bench.import(name).expect("good files");
        assert_eq!(report.status.state, oodlab_datasets::State::Present, "{report:?}");
    }
    bench
}

fn benchmark(bench: &Bench, text: &str) -> Result<Benchmark, DatasetError> {
    Benchmark::parse("b.yaml", text)?.resolve(&bench.library)
}

#[test]
fn images_are_opened_by_their_role() {
    let bench = bench();
    let benchmark = benchmark(&bench, BENCHMARK).expect("valid");
    let training = bench.library.open_training(&benchmark.training(), Some(4)).expect("at hand");
    assert_eq!((training.images().len(), training.images().split()), (4, "train"));
    let test = bench.library.open_scored(&benchmark.scored_id(), None).expect("at hand");
    assert_eq!((test.len(), test.split()), (4, "test"));
    let (id, ood) = benchmark.tuning().expect("it has a validation");
    assert_eq!(bench.library.open_tuning(&id, None).expect("at hand").split(), "val");
    assert_eq!(bench.library.open_tuning(&ood[0], None).expect("at hand").name(), "other");
    let scored = benchmark.scored().next().expect("one set");
    assert_eq!((scored.group, scored.member.set.as_str(), scored.name.as_str()), ("far", "other", "other"));
    let split = scored.split;
    let far = bench.library.open_scored(&split, None).expect("at hand");
    assert_eq!((far.len(), far.id(0).as_str(), far.id(1).as_str()), (2, "test.bin#1", "test.bin#2"));
    assert_eq!((far.rule(), far.found(), far.expected()), (Some("rows 1 to 3"), 2, Some(2)));
    assert_eq!(bench.library.open_scored(&split, Some(1)).expect("at hand").len(), 1);
}

#[test]
fn an_image_with_two_roles_is_refused() {
    let bench = bench();
    for (from, to, part) in [
        ("test_split: test", "test_split: train", "trained on and scored"),
        ("far: [", "far: [{set: tiny, split: train}, ", "trained on and scored"),
        ("far: [", "far: [{set: tiny, split: test}, ", "appears twice"),
        ("far: [", "far: [{set: other, subset: {rule: rows, from: 2, to: 4}}, ", "appears twice"),
        ("far: [", "far: [other, ", "appears twice"),
        ("split: val", "split: test", "tuned with and scored"),
        ("split: val", "split: train", "learned from and tuned with"),
        ("split: train}]}", "split: test}]}", "tuned with and scored"),
        ("split: train}]}", "split: test, subset: {rule: random, images: 1, seed: 0}}]}", "tuned with and scored"),
        ("test_split: test}", "test_split: test, shifted: [{set: tiny, split: train}]}", "trained on and scored"),
        ("from: 1, to: 3", "from: 3, to: 3", "leaves no image"),
        ("rule: rows", "rule: rowz", "rowz"),
    ] {
        assert!(BENCHMARK.contains(from), "{from}");
        let message = benchmark(&bench, &BENCHMARK.replacen(from, to, 1)).err().map(|error| error.to_string());
        assert!(message.as_ref().is_some_and(|message| message.contains(part)), "{to}: {message:?}");
    }
    // Rows that cannot overlap may have different roles.
    let apart = "far: [{set: other, subset: {rule: rows, from: 3, to: 4}}, ";
    assert!(benchmark(&bench, &BENCHMARK.replacen("far: [", apart, 1)).is_ok());
    let twice = benchmark(&bench, &BENCHMARK.replacen("far: [", apart, 1)).expect("rows apart");
    let names: Vec<String> = twice.scored().map(|scored| scored.name).collect();
    assert_eq!(names, ["other/test (rows 3 to 4)", "other/test (rows 1 to 3)"], "columns of their own");
    let tuned = "split: test, subset: {rule: first, images: 1}}]}";
    assert!(benchmark(&bench, &BENCHMARK.replacen("split: train}]}", tuned, 1)).is_ok());
}

#[test]
fn training_images_among_the_scored_ones_are_found() {
    let bench = bench();
    let benchmark = benchmark(&bench, BENCHMARK).expect("valid");
    let training = bench.library.open_training(&benchmark.training(), None).expect("at hand");
    let shared = |set: &str, split: &str| {
        let shared = training.shared_with(&bench.library.open_set(set, split, None).expect("at hand"));
        (shared.same, shared.equal)
    };
    assert_eq!(shared("tiny", "test"), (0, 0));
    assert_eq!(shared("tiny", "train"), (5, 0));
    assert_eq!(shared("other", "test"), (0, 1), "a copy in another set");
}

#[test]
fn a_subset_has_a_hash_of_its_own_and_knows_what_is_missing() {
    let bench = bench();
    let open = || bench.library.open_set("tiny", "test", None).expect("at hand");
    let rows = |from, to| open().subset(&oodlab_datasets::Subset::Rows { from, to }, None);
    let (whole, all, part) = (open(), rows(0, 4).expect("rows"), rows(1, 3).expect("rows"));
    assert_eq!(whole.list_key(), all.list_key(), "the same images are the same list, however chosen");
    assert_ne!(whole.list_key(), part.list_key());
    assert_eq!(part.read(0).expect("readable"), whole.read(1).expect("readable"));
    assert_eq!(part.label(1), whole.label(2));
    let long = rows(2, 12).expect("some rows");
    assert_eq!((long.len(), long.expected(), long.is_partial()), (2, Some(10), true));
    assert_eq!(long.rule(), Some("rows 2 to 12"));
    assert!(rows(4, 9).is_err_and(|error| error.to_string().contains("holds no image")));
    let nested = part.subset(&oodlab_datasets::Subset::Rows { from: 1, to: 2 }, None).expect("a row");
    assert_eq!(nested.id(0), "test.bin#2");
}

/// A rule that chooses among a part of a split chooses other images than it means: that must be told.
#[test]
fn a_rule_over_a_partial_set_says_so() {
    let [one, two, test] = [records(0, 2), records(50, 3), records(100, 4)];
    let bench = Bench::new(&[("tiny", tiny_manifest([&one, &two, &test]))]);
    bench.put("tiny/one.bin", &one);
    bench.import("tiny").expect("one of two files");
    let train = bench.library.open_set("tiny", "train", None).expect("two of five images");
    let rule = oodlab_datasets::Subset::Random { images: 1, seed: 0 };
    let chosen = train.subset(&rule, None).expect("one image");
    let told = "1 at random, seed 0 of the 2 images at hand; it means the 5 of the whole split";
    assert_eq!(chosen.rule(), Some(told));
}
