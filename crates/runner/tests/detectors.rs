//! Detectors that read more than features, in an experiment: class scores, the classifier, labels, gradients, validation images, a teacher.

mod support;

use std::fmt::Write as _;

use oodlab_datasets::Library;
use oodlab_encoders::formula;
use oodlab_encoders::weights::{ConvertOptions, convert};
use oodlab_evaluation::scores::read_scores_parquet;
use serde_json::Value;
use support::Sandbox;

const BENCHMARK: &str = "\
name: own
title: A tenth of the embedded images, with a validation split
id: {set: mine, train_split: train, test_split: test}
groups:
  far: [fashion-mnist-mini]
validation: {id: {set: mine, split: val}, ood: [blobs]}
";

const MANIFEST: &str = "\
name: mine
title: Embedded images in folders
licence: none
citation: none
format: {kind: image-folder, classes: folder}
folder_names: [mine]
splits:
  train: {images: 60, folders: [train]}
  val: {images: 20, folders: [val]}
  test: {images: 20, folders: [test]}
";

/// Every detector of a classifier with settings for few samples; the last is outlier-aware learning with a teacher.
const DETECTORS: &str = "
  - entropy
  - energy
  - max-logit
  - {kind: gen, tune: true}
  - temperature-scaling
  - kl-matching
  - react
  - {kind: react, name: tuned-react, tune: {percentile: [80, 95], from: [train, validation]}}
  - {kind: vra, from: train}
  - dice
  - ash
  - {kind: ash, name: ash-s, variant: s}
  - scale
  - gradnorm
  - she
  - {kind: nnguide, alpha: 1.0, K: 5}
  - fdbd
  - {kind: knn, tune: {k: [1, 5]}}
  - mahalanobis
  - {kind: mahalanobis, name: layers, on: layers, layers: sum}
  - {kind: mahalanobis, name: weighed, on: layers, layers: weighed}
  - relative-mahalanobis
  - vim
  - residual
  - openmax
  - odin
  - {kind: odin, name: tuned-odin, tune: {noise: [0.0014, 0.05]}}
  - rankfeat
  - gram
  - nac
  - {kind: gaussian, on: penultimate, shrinkage: 0.1}
  - {kind: mixture, components: 2}
  - {kind: one-class-svm, components: 16}
  - {kind: isolation-forest, trees: 10}
  - kind: oal
    student: {hidden: 16}
    teacher: {network: resnet20, weights: mine.safetensors}
    boundary: {neighbour: 2, border: 2, candidates: 10, repetitions: 1}
    diffusion: {source: latent, rows: 20, latent: {steps: 3, network: {width: 8, blocks: 1}, train: {epochs: 1}}}
    train: {epochs: 2, batch_size: 16, keep: best}
    scores: [energy, msp, {knn: {k: 2}}]
";

fn experiment(controls: &str) -> String {
    format!(
        "benchmark: own\nencoder: {{network: resnet20, weights: mine.safetensors}}\nlimit: {{ood: 20}}\n\
         detector: {{kind: msp}}\ncontrols:{controls}intervals: {{replicates: 0}}\nfigures: []\n"
    )
}

/// A folder with the set, the benchmark and the weights of a classifier that has learned nothing.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let weights = formula::weights("resnet20").expect("a known network");
    convert(&weights, "resnet20", &sandbox.path("mine.safetensors"), ConvertOptions::default()).expect("a file");
    let library = Library::open(&sandbox.path("store/data")).expect("a library");
    for (split, of, first, count) in [("train", "train", 0, 60), ("val", "train", 60, 20), ("test", "test", 0, 20)] {
        let images = library.open_set("cifar10-mini", of, None).expect("embedded");
        for at in first..first + count {
            // Ten images of each class in turn, whatever they show.
            let path = sandbox.write(&format!("mine/{split}/class{}/{at:05}.png", at % 10), "");
            std::fs::write(&path, images.read(at).expect("decodes").to_png().expect("encodes")).expect("writes");
        }
    }
    sandbox.write("datasets/mine.yaml", MANIFEST);
    sandbox.write("datasets/benchmarks/own.yaml", BENCHMARK);
    sandbox.ok(&["data", "import", "mine", "--from", "mine", "--store", "store"]);
    sandbox
}

#[test]
fn every_detector_runs_and_any_number_of_threads_gives_the_same_bits() {
    let sandbox = sandbox();
    sandbox.write("x.yaml", &experiment(DETECTORS));
    sandbox.ok(&["run", "x.yaml", "--store", "store", "--results", "a"]);
    sandbox.ok(&["data", "import", "mine", "--from", "mine", "--store", "fresh"]);
    sandbox.ok(&["run", "x.yaml", "--store", "fresh", "--results", "b", "--threads", "1", "--workers", "1"]);
    let read = |name: &str| std::fs::read(sandbox.path(name)).expect("the run wrote it");
    for file in ["table.csv", "scores.parquet"] {
        assert!(read(&format!("a/x/{file}")) == read(&format!("b/x/{file}")), "{file}");
    }
    let table = String::from_utf8(read("a/x/table.csv")).expect("text");
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let scored = |detector: &str, score: &str| rows.iter().filter(|row| row[3] == detector && row[4] == score).count();
    // One set under two protocols.
    for (detector, score) in [("msp", "msp"), ("tuned-react", "react"), ("layers", "mahalanobis"), ("oal", "knn")] {
        assert_eq!(scored(detector, score), 2, "{detector} {score}");
    }
    let detectors: std::collections::BTreeSet<&str> = rows.iter().map(|row| row[3]).collect();
    assert_eq!(detectors.len(), 37, "{detectors:?}");

    // What tuning chose stands in the record, and so does everything that it tried.
    let record: Value = serde_json::from_slice(&read("a/x/record.json")).expect("JSON");
    let text = record.to_string();
    for told in [
        "\"tuned\":\"from = ",
        "percentile = ",
        "tried (AUROC on validation sets)",
        "\"tuned\":\"k = ",
        "\"tuned\":\"noise = ",
    ] {
        assert!(text.contains(told), "{told}");
    }
}

/// Of a detector that chose what to read off the network, the file reads that and nothing else.
#[test]
fn a_chosen_probe_predicts_what_was_evaluated() {
    let sandbox = sandbox();
    let odin = "\n  - {kind: odin, name: tuned-odin, tune: {temperature: [1, 1000], noise: [0.05, 0.0014]}}\n";
    sandbox.write("x.yaml", &experiment(odin));
    sandbox.ok(&["run", "x.yaml", "--store", "store", "--results", "results"]);
    sandbox.ok(&["calibrate", "x.yaml", "--store", "store", "--detector", "tuned-odin", "--output", "d.oodlab"]);
    let told = sandbox.ok(&["predict", "d.oodlab", "mine/test", "--store", "store", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("one line of JSON");
    let pictures = told["pictures"].as_array().expect("a list");
    let mut predicted: Vec<f64> = pictures.iter().map(|one| one["score"].as_f64().expect("a number")).collect();
    let bytes = std::fs::read(sandbox.path("results/x/scores.parquet")).expect("the run wrote it");
    let records = read_scores_parquet(&bytes).expect("its own file");
    let blocks = records.blocks();
    let mine = blocks.iter().find(|block| (block.detector, block.is_ood) == ("tuned-odin", false)).expect("scores");
    let mut evaluated = mine.values.to_vec();
    // The folder and the set count their pictures in orders of their own.
    predicted.sort_by(f64::total_cmp);
    evaluated.sort_by(f64::total_cmp);
    assert_eq!((predicted.len(), predicted), (20, evaluated));
}

/// A student has classes of its own, whatever the encoder's classifier says.
#[test]
fn a_student_is_judged_by_its_own_classes() {
    let sandbox = sandbox();
    let oal = DETECTORS.split("  - kind: oal").nth(1).expect("the last detector");
    sandbox.write("x.yaml", &experiment(&format!("\n  - kind: oal{oal}")));
    sandbox.ok(&["run", "x.yaml", "--store", "store", "--results", "results"]);
    let table = std::fs::read_to_string(sandbox.path("results/x/table.csv")).expect("the run wrote it");
    let header: Vec<&str> = table.lines().next().expect("a header").split(',').collect();
    let accuracy = header.iter().position(|name| *name == "accuracy").expect("a column");
    let of = |detector: &str| {
        let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
        rows.find(|row| row[3] == detector).expect("a row")[accuracy].to_owned()
    };
    assert!(!of("oal").is_empty() && of("oal") != of("msp"), "{} and {}", of("oal"), of("msp"));
}

#[test]
fn what_a_detector_needs_and_cannot_have_is_told_before_any_work() {
    let sandbox = Sandbox::new();
    let told = |detector: &str, encoder: &str| {
        let text = format!("benchmark: mini\nencoder: {{{encoder}}}\ndetector: {{{detector}}}\n");
        sandbox.write("x.yaml", &text);
        sandbox.fails(2, &["plan", "x.yaml", "--store", "store"])
    };
    let embedded = "network: efficientnet-lite0, weights: embedded, resolution: 32, pooling: average";
    let mut all = String::new();
    for (detector, encoder) in [
        ("kind: react", "network: resnet20, weights: mine.safetensors"),
        ("kind: react, from: train", embedded),
        ("kind: odin", embedded),
        ("kind: gen, tune: true", embedded),
        ("kind: mahalanobis", embedded),
        ("kind: react, percentil: 3", embedded),
    ] {
        if encoder.contains("mine") {
            let weights = formula::weights("resnet20").expect("a known network");
            convert(&weights, "resnet20", &sandbox.path("mine.safetensors"), ConvertOptions::default())
                .expect("a file");
        }
        writeln!(all, "{detector}: {}", told(detector, encoder).trim()).expect("text");
    }
    insta::assert_snapshot!(all);
}
