//! `calibrate` and `predict`: a detector file judges pictures exactly as the experiment did, and what cannot be used is one clear error.

mod support;

use std::path::PathBuf;

use oodlab_datasets::Library;
use oodlab_evaluation::scores::read_scores_parquet;
use serde_json::Value;
use support::Sandbox;

/// Both protocols: a detector file follows the second, so that every picture is brought to 32 x 32 first.
const EXPERIMENT: &str = "\
benchmark: mini
protocols: [native, matched]
encoder: {network: efficientnet-lite0, weights: embedded, resolution: 64, pooling: average}
limit: {train: 200, id_test: 60, ood: 30}
detector:
  kind: dlsr
  network: {width: 32, blocks: 2}
  train: {epochs: 10, batch_size: 32, learning_rate: 1.0e-3}
scores: [mse, {mfsim: {skip_first: true}}]
controls: [pca]
intervals: {replicates: 100}
figures: []
";

/// The pictures of a set as PNG files, in its order.
fn pictures(sandbox: &Sandbox, set: &str, count: usize) -> Vec<PathBuf> {
    let library = Library::open(&sandbox.path("store/data")).expect("a library");
    let images = library.open_set(set, "test", Some(count)).expect("embedded");
    let name = |at: usize| format!("pictures/{set}/{at:05}.png");
    (0..images.len())
        .map(|at| {
            let path = sandbox.write(&name(at), "");
            let png = images.read(at).expect("decodes").to_png().expect("encodes");
            std::fs::write(&path, png).expect("writes");
            path
        })
        .collect()
}

fn predicted(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let arguments = [&["predict", "--store", "store", "--json"], arguments].concat();
    serde_json::from_str(&sandbox.ok(&arguments)).expect("one line of JSON")
}

fn scores(answer: &Value) -> Vec<f64> {
    let pictures = answer["pictures"].as_array().expect("a list");
    pictures.iter().map(|picture| picture["score"].as_f64().expect("a number")).collect()
}

/// What the experiment gave the samples of a set.
fn evaluated(sandbox: &Sandbox, detector: &str, score: &str, set: &str) -> Vec<f64> {
    let bytes = std::fs::read(sandbox.path("results/x/scores.parquet")).expect("the run wrote it");
    let records = read_scores_parquet(&bytes).expect("its own file");
    let found = records.blocks().into_iter().find(|block| {
        (block.detector, block.score, block.set) == (detector, score, set)
            && (block.protocol == "matched" || !block.is_ood)
    });
    found.expect("scores of the set").values.to_vec()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("x.yaml", EXPERIMENT);
    sandbox
}

fn calibrate(sandbox: &Sandbox, more: &[&str]) -> Value {
    let arguments = [&["calibrate", "x.yaml", "--store", "store", "--json"], more].concat();
    serde_json::from_str(&sandbox.ok(&arguments)).expect("one line of JSON")
}

#[test]
fn predictions_are_the_experiments_scores_to_the_bit() {
    let sandbox = sandbox();
    sandbox.ok(&["run", "x.yaml", "--store", "store", "--results", "results"]);
    for (detector, score) in [("dlsr", "mse"), ("dlsr", "mfsim-skip-first"), ("pca", "mse")] {
        calibrate(&sandbox, &["--detector", detector, "--score", score, "--output", "d.oodlab"]);
        for (set, count) in [("fashion-mnist-mini", 30), ("blobs", 30), ("cifar10-mini", 60)] {
            pictures(&sandbox, set, count);
            let found = predicted(&sandbox, &["d.oodlab", &format!("pictures/{set}")]);
            assert!(scores(&found) == evaluated(&sandbox, detector, score, set), "{detector} {score} {set}");
        }
    }
}

#[test]
fn the_threshold_accepts_the_wanted_share_and_decides() {
    let sandbox = sandbox();
    let told = calibrate(&sandbox, &["--accept", "0.9", "--output", "d.oodlab"]);
    assert_eq!(told["accepted"], 0.9);
    assert_eq!(told["samples"], 60);
    assert_eq!(told["squash"], serde_json::json!([32, 32]));
    assert!(told["notes"][0].as_str().expect("a note").contains("no validation split"), "{told}");
    let interval = told["acceptance_interval"].as_array().expect("two ends");
    assert!(interval[0].as_f64().expect("a share") < 0.9 && interval[1].as_f64().expect("a share") > 0.9);

    pictures(&sandbox, "cifar10-mini", 60);
    let found = predicted(&sandbox, &["d.oodlab", "pictures/cifar10-mini", "--explain"]);
    let list = found["pictures"].as_array().expect("a list");
    assert_eq!(list.iter().filter(|picture| picture["decision"] == "id").count(), 54);
    let layers = list[0]["layers"].as_object().expect("layers");
    assert_eq!(layers.len(), 10, "five layers, two measures: {layers:?}");
    // The whole error is the mean of the layers', weighted by their widths.
    let widths = [("stage1", 16.0), ("stage2", 24.0), ("stage3", 40.0), ("stage4", 112.0), ("stage5", 320.0)];
    let whole: f64 =
        widths.iter().map(|(layer, width)| width * layers[&format!("{layer} mse")].as_f64().expect("a number")).sum();
    assert!((whole / 512.0 - list[0]["score"].as_f64().expect("a score")).abs() < 1e-6);
}

#[test]
fn lists_and_standard_input_and_csv_say_the_same() {
    let sandbox = sandbox();
    calibrate(&sandbox, &["--detector", "pca", "--output", "d.oodlab"]);
    let files = pictures(&sandbox, "blobs", 5);
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    sandbox.write("list.txt", &(names.join("\n") + "\n"));
    let of_folder = predicted(&sandbox, &["d.oodlab", "pictures/blobs"]);
    let of_list = predicted(&sandbox, &["d.oodlab", "--list", "list.txt"]);
    assert!(scores(&of_folder) == scores(&of_list));
    let mut piped = sandbox.command(&["predict", "d.oodlab", "-", "--store", "store", "--output", "out.csv"]);
    piped.stdin(std::fs::File::open(sandbox.path("list.txt")).expect("opens"));
    assert!(piped.status().expect("runs").success());
    let text = std::fs::read_to_string(sandbox.path("out.csv")).expect("written");
    let (header, lines) = text.split_once('\n').expect("lines");
    assert_eq!(header, "path,mse,threshold,decision,class,probability,error");
    let column: Vec<f64> =
        lines.lines().map(|line| line.split(',').nth(1).expect("a cell").parse().expect("a number")).collect();
    assert!(column == scores(&of_folder));
}

#[test]
fn what_cannot_be_used_is_one_clear_error() {
    let sandbox = sandbox();
    calibrate(&sandbox, &["--detector", "pca", "--output", "d.oodlab"]);
    pictures(&sandbox, "blobs", 3);
    sandbox.write("pictures/blobs/00001.png", "no picture");
    let wrong = sandbox.fails(1, &["predict", "d.oodlab", "pictures/blobs", "--store", "store"]);
    assert!(wrong.contains("00001.png") && wrong.contains("no picture") && wrong.contains("--keep-going"), "{wrong}");
    let output = sandbox.run(&["predict", "d.oodlab", "pictures/blobs", "--store", "store", "--keep-going"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.lines().nth(2).expect("three pictures").contains("no picture"), "{text}");

    let bytes = std::fs::read(sandbox.path("d.oodlab")).expect("readable");
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    for broken in [&bytes[..bytes.len() / 2], &damaged, b"", b"{}"] {
        std::fs::write(sandbox.path("broken.oodlab"), broken).expect("writes");
        let wrong = sandbox.fails(1, &["predict", "broken.oodlab", "pictures/blobs", "--store", "store"]);
        assert!(wrong.contains("broken.oodlab is no detector file"), "{wrong}");
    }
    // The header's text, one byte at a time: refused, or harmless.
    for at in (8..1500.min(bytes.len())).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x15;
        std::fs::write(sandbox.path("broken.oodlab"), damaged).expect("writes");
        let output = sandbox.run(&["predict", "broken.oodlab", "pictures/blobs/00000.png", "--store", "store"]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "byte {at}");
    }

    for (wrong, needle) in [
        (&["--accept", "1.5"][..], "expected a share"),
        (&["--detector", "nearest"], "it has dlsr, pca, mean-distance"),
        (&["--score", "msse"], "it has mse"),
        (&["--on", "validation"], "the benchmark names no validation images"),
        (&["seeds=[0,1]"], "2 seeds"),
    ] {
        let arguments = [&["calibrate", "x.yaml", "--store", "store", "--output", "e.oodlab"], wrong].concat();
        let told = sandbox.fails(2, &arguments);
        assert!(told.contains(needle), "{told}");
    }
    assert!(!sandbox.path("e.oodlab").exists());
    let told = sandbox.fails(2, &["predict", "d.oodlab", "--store", "store", "--list", "/dev/null"]);
    assert!(told.contains("there are no pictures"), "{told}");
}
