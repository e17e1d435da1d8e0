//! What a benchmark file decides: subsets, covariate-shifted images, roles, and what a table says of all that.

mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use support::Sandbox;

/// No training: the controls alone, on few images.
const QUICK: &str = "\
benchmark: own
protocols: [native]
encoder: {network: efficientnet-lite0, weights: embedded, resolution: 64}
limit: {train: 40, id_test: 30}
detector: {kind: mean-distance}
";

const PLAIN: &str = "\
name: own
title: Own
id: {set: cifar10-mini, train_split: train, test_split: test}
groups:
  far:
    - {set: gaussian-noise, subset: {rule: random, images: 15, seed: 3}, images: 300}
    - {set: blobs, limit: 10}
";

fn run(sandbox: &Sandbox, benchmark: &str) -> (Vec<Value>, String) {
    sandbox.write("datasets/benchmarks/own.yaml", benchmark);
    sandbox.write("x.yaml", QUICK);
    let out = sandbox.ok(&["run", "x.yaml", "--store", "store", "--results", "results", "--json"]);
    let summary: Value = serde_json::from_str(&out).expect("one line of JSON");
    let folder = summary["folder"].as_str().expect("a folder");
    let table = std::fs::read_to_string(sandbox.path(folder).join("table.md")).expect("a table");
    (summary["rows"].as_array().expect("rows").clone(), table)
}

/// The rows of single sets, by the set's name.
fn by_set(rows: &[Value]) -> BTreeMap<&str, &Value> {
    let name = |row: &'_ Value| row["ood_set"].as_str().is_some_and(|name| !name.starts_with("mean"));
    rows.iter().filter(|row| name(row)).map(|row| (row["ood_set"].as_str().unwrap_or_default(), row)).collect()
}

#[test]
fn a_subset_is_chosen_by_its_rule_and_the_table_says_so() {
    let sandbox = Sandbox::new();
    let (rows, table) = run(&sandbox, PLAIN);
    let first = by_set(&rows);
    assert_eq!((&first["gaussian-noise"]["n_ood"], &first["blobs"]["n_ood"]), (&15.into(), &10.into()));
    assert!(table.contains("subset: gaussian-noise test: 15 at random, seed 3"), "{table}");
    assert!(table.contains("gaussian-noise test: 15 images scored, 300 in the publication"), "{table}");
    let (other, _) = run(&sandbox, &PLAIN.replace("seed: 3", "seed: 4"));
    let other = by_set(&other);
    assert_ne!(first["gaussian-noise"]["ood_list"], other["gaussian-noise"]["ood_list"]);
    assert_eq!(first["blobs"]["ood_list"], other["blobs"]["ood_list"]);
}

#[test]
fn shifted_images_count_as_in_distribution() {
    let sandbox = Sandbox::new();
    let (plain, _) = run(&sandbox, PLAIN);
    let full = PLAIN.replace("test_split: test}", "test_split: test, shifted: [{set: stripes, limit: 20}]}");
    let (shifted, _) = run(&sandbox, &full);
    let (plain, shifted) = (by_set(&plain), by_set(&shifted));
    for set in ["gaussian-noise", "blobs"] {
        let (plain, shifted) = (plain[set], shifted[set]);
        assert_eq!((&plain["n_id"], &shifted["n_id"]), (&30.into(), &50.into()));
        assert_eq!((&plain["id_set"], &shifted["id_set"]), (&"cifar10-mini".into(), &"cifar10-mini+stripes".into()));
        assert_ne!(plain["id_list"], shifted["id_list"]);
        assert_ne!(plain["run"], shifted["run"]);
        // Stripes lie further from the mean than photographs: more in-distribution images look like outliers.
        assert!(shifted["auroc"].as_f64() < plain["auroc"].as_f64(), "{plain} {shifted}");
    }
    // The shifted images of the full-spectrum run are an artifact of their own; nothing else was encoded again.
    let out = sandbox.ok(&["plan", "x.yaml", "--store", "store"]);
    assert!(out.contains("encode stripes test") && !out.contains("left  "), "{out}");
}

#[test]
fn missing_sets_are_named_with_what_to_do_and_no_mean_hides_them() {
    let sandbox = Sandbox::new();
    let (rows, table) = run(
        &sandbox,
        &PLAIN
            .replace("  far:\n", "  far:\n    - omniglot\n    - mnist\n")
            .replace("- omniglot", "- {set: omniglot, split: background-small}"),
    );
    assert!(rows.iter().any(|row| row["ood_set"] == "mean of 2"));
    assert!(table.contains("far: 2 of the 4 sets of own; a mean is over those, not over all"), "{table}");
    for set in ["mnist", "omniglot"] {
        assert!(table.contains(&format!("missing: {set}, in no mean above; ")), "{table}");
        assert!(table.contains(&format!("data import {set} --from DIR")), "{table}");
    }
}

#[test]
fn copies_of_training_images_are_told_and_training_images_refused() {
    let sandbox = Sandbox::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/sample/cifar10_train.bin.gz");
    std::fs::create_dir_all(sandbox.path("have")).expect("a folder");
    std::fs::copy(sample, sandbox.path("have/copy.bin.gz")).expect("the sample");
    sandbox.write(
        "datasets/copy.yaml",
        "name: copy\ntitle: Copy\nlicence: none\ncitation: none\nimage_size: [32, 32]\n\
         format: {kind: cifar-binary, labels: [class], label: class}\n\
         files: [{path: copy.bin.gz, split: test}]\nsplits: {test: {images: 1500}}\n",
    );
    sandbox.ok(&["data", "import", "copy", "--from", "have", "--store", "store"]);
    let (rows, table) = run(&sandbox, &PLAIN.replace("    - {set: blobs, limit: 10}", "    - {set: copy, limit: 50}"));
    assert!(by_set(&rows).contains_key("copy"));
    // 40 images were learned from; all of them are among the first 50 of the copy.
    assert!(table.contains("copies: 40 of 50 images of copy test are equal to the byte to training images"), "{table}");

    let twice = PLAIN.replace("- {set: blobs, limit: 10}", "- {set: cifar10-mini, split: train}");
    sandbox.write("datasets/benchmarks/own.yaml", &twice);
    let errors = sandbox.fails(2, &["run", "x.yaml", "--store", "store", "--results", "results"]);
    assert!(errors.contains("split \"train\" of cifar10-mini would be trained on and scored"), "{errors}");
}

#[test]
fn a_control_may_be_a_section_with_a_name_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("datasets/benchmarks/own.yaml", PLAIN);
    let more = "controls: [{kind: mean-distance, name: again}]\n";
    sandbox.write("x.yaml", &format!("{QUICK}{more}"));
    let out = sandbox.ok(&["run", "x.yaml", "--store", "store", "--results", "results", "--json"]);
    let summary: Value = serde_json::from_str(&out).expect("one line of JSON");
    let rows = summary["rows"].as_array().expect("rows");
    let of = |detector: &str| -> Vec<&Value> {
        rows.iter().filter(|row| row["detector"] == detector).map(|row| &row["auroc"]).collect()
    };
    assert!(!of("again").is_empty());
    assert_eq!(of("again"), of("mean-distance"), "one kind under two names");
    let figures = sandbox.path("results/x/figures");
    for name in ["histogram-mean-distance-mean-distance-native.png", "histogram-again-mean-distance-native.png"] {
        assert!(figures.join(name).exists(), "{name}");
    }
}
