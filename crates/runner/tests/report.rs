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
