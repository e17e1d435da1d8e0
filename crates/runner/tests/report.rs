//! `oodlab report`: what a run drew, drawn again from its folder alone.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use support::{SMALL, Sandbox};

const FIGURES: &str = "figures:
- {kind: roc, where: {protocol: native}}
- {kind: density, where: {score: mse}}
- {kind: projection, samples: 60}
- {kind: contact-sheet, most: 2, least: 2, where: {score: mse, protocol: native}}
";

/// Everything that is drawn, by name.
fn drawn(sandbox: &Sandbox, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let is_drawn = |name: &str| !name.contains("/runs/") && !name.ends_with("record.json");
    sandbox
        .files(folder)
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("readable")))
        .filter(|(name, _)| is_drawn(name))
        .collect()
}

fn ran(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", text);
    sandbox.ok(&["run", "small.yaml", "--store", "store", "--results", "results", "--threads", "2"]);
    sandbox
}

#[test]
fn a_folder_is_drawn_again_to_the_byte_without_store_or_images() {
    let sandbox = ran(&format!("{SMALL}{FIGURES}"));
    let before = drawn(&sandbox, "results/small");
    for name in ["report.html", "table.md", "roc-native.svg", "roc-native.png", "points.parquet"] {
        assert!(before.keys().any(|path| path.ends_with(name)), "no {name} among {:?}", before.keys());
    }
    std::fs::remove_dir_all(sandbox.path("store")).expect("removed");
    std::fs::remove_dir_all(sandbox.path("results/small/figures")).expect("removed");
    std::fs::remove_file(sandbox.path("results/small/report.html")).expect("removed");
    sandbox.ok(&["report", "results/small", "--store", "nowhere", "--threads", "1"]);
    let after = drawn(&sandbox, "results/small");
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, bytes) in &before {
        assert!(after[name] == *bytes, "{name} has other bytes");
    }
    assert!(!sandbox.path("nowhere").exists());
}

#[test]
fn other_figures_are_drawn_from_the_same_scores() {
    let sandbox = ran(SMALL);
    let has = |name: &str| sandbox.path(&format!("results/small/figures/{name}")).exists();
    assert!(has("roc-native.png") && has("roc-matched.png"));
    sandbox.write(
        "other.yaml",
        &format!("{SMALL}figures: [{{kind: pr, name: precision, where: {{protocol: native}}, positive: ood}}]\n"),
    );
    sandbox.ok(&["report", "results/small", "--with", "other.yaml"]);
    assert!(has("precision.svg") && !has("roc-native.png"), "{:?}", sandbox.files("results/small/figures"));
    // What the run did not keep cannot be drawn; the rest is.
    sandbox.write("points.yaml", &format!("{SMALL}figures: [{{kind: roc}}, {{kind: projection}}]\n"));
    let told = sandbox.fails(1, &["report", "results/small", "--with", "points.yaml"]);
    assert!(told.contains("projection") && has("roc-native.png"), "{told}");
}

#[test]
fn a_folder_that_is_none_gives_one_clear_error() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("empty")).expect("made");
    let told = sandbox.fails(1, &["report", "empty"]);
    assert!(told.contains("no folder of results") && told.contains("oodlab run"), "{told}");
    let told = sandbox.fails(1, &["report", "absent"]);
    assert!(told.contains("absent"), "{told}");
    sandbox.fails(2, &["report"]);
    assert!(!Path::new(&sandbox.path("empty/report.html")).exists());
}

#[test]
fn two_experiments_stand_side_by_side() {
    let sandbox = ran(SMALL);
    let other = SMALL.replace("epochs: 40", "epochs: 41");
    assert_ne!(other, SMALL, "the experiment no longer says for how many epochs it trains");
    sandbox.write("longer.yaml", &other);
    sandbox.ok(&["run", "longer.yaml", "--store", "store", "--results", "results", "--threads", "2"]);
    let told = sandbox.ok(&["report", "results/small", "results/longer", "-o", "both.html"]);
    let line = |start: &str| told.lines().find(|line| line.trim_start().starts_with(start)).map(str::to_owned);
    let epochs = line("detector.train.epochs").unwrap_or_default();
    assert_eq!(epochs.split_whitespace().collect::<Vec<_>>(), ["detector.train.epochs", "40", "41"], "{told}");
    assert!(told.contains("Settings: 1 differ") && told.contains("written: both.html"), "{told}");
    let page = std::fs::read_to_string(sandbox.path("both.html")).expect("written");
    assert!(page.contains("detector.train.epochs") && page.contains("longer against small"));

    let json = sandbox.ok(&["--json", "report", "results/small", "results/longer", "-o", "both.html"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rows = json["comparison"]["rows"].as_array().expect("rows");
    // A control does not train: with the same images it has the same numbers.
    let control: Vec<_> = rows.iter().filter(|row| row["name"]["detector"] == "mean-distance").collect();
    assert!(!control.is_empty() && rows.len() > control.len());
    for row in &control {
        assert_eq!((&row["images"], &row["metrics"][0]["difference"]), (&"same".into(), &0.0.into()), "{row}");
    }
    assert_eq!(json["comparison"]["only_a"], serde_json::json!([]));
    // Two folders are not drawn from another file's sections.
    sandbox.fails(2, &["report", "results/small", "results/longer", "--with", "small.yaml"]);
}
