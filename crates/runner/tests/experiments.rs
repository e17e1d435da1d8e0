//! The experiment files of the project: described, valid without data, and one of them run at the smallest scale.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::Sandbox;

/// Every table and figure with results of the DLSR paper.
const OF_THE_PAPER: [&str; 17] = [
    "table1", "table2", "table3", "table4", "table5", "table6", "table7", "table8", "table9", "table10", "table11",
    "table12", "fig3", "fig4", "fig5", "fig6", "fig7",
];

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project's folder")
}

/// Every experiment file, by its path from the project's folder. Presets are sections, not experiments.
fn experiments() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("experiments")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root()).expect("below the project").to_string_lossy().into_owned();
            if path.is_dir() && name != "experiments/presets" {
                folders.push(path);
            } else if name.ends_with(".yaml") {
                found.push(name);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{found:?}");
    found
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).expect("an experiment file")
}

/// The comment that opens a file.
fn header(file: &str) -> String {
    text(file).lines().take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_table_and_figure_of_the_paper_has_a_file_that_says_so() {
    for name in OF_THE_PAPER {
        let header = header(&format!("experiments/dlsr/{name}.yaml"));
        let (kind, number) = name.split_at(name.find(|c: char| c.is_ascii_digit()).expect("a number"));
        let kind = if kind == "fig" { "Figure" } else { "Table" };
        assert!(header.starts_with(&format!("# DLSR, {kind} {number}:")), "{name}: {header}");
        assert!(header.contains("Needs:"), "{name} does not say which data and weights it needs");
    }
}

#[test]
fn every_header_names_its_command() {
    for file in experiments() {
        let header = header(&file);
        let commands: Vec<&str> = header.lines().filter(|line| line.contains("oodlab run experiments/")).collect();
        let own = commands.iter().any(|line| line.split_whitespace().any(|word| word == file));
        assert!(own, "{file} does not name its own command; found {commands:?}");
    }
}

#[test]
fn every_file_that_is_named_exists() {
    let published: BTreeSet<String> = names_in("datasets/published");
    let benchmarks: BTreeSet<String> = names_in("datasets/benchmarks");
    for file in experiments() {
        let text = text(&file);
        let folder = Path::new(&file).parent().expect("a folder").to_path_buf();
        let words = text.split(|c: char| c.is_whitespace() || "`(),:{}[]".contains(c));
        for word in words.clone().filter(|word| word.starts_with("dlsr-table") || word.starts_with("dlsr-figure")) {
            assert!(published.contains(word) || benchmarks.contains(word), "{file}: there is no {word}");
        }
        // Paths stand from the project's folder, from the file's own, or from the folder above as in `../table1.yaml`.
        let committed = |word: &&str| {
            word.ends_with(".yaml") || word.starts_with("docs/") || word.starts_with("results/baselines/")
        };
        for word in words.map(|word| word.trim_end_matches(['.', ',', ';'])).filter(committed) {
            let at_hand = [root().join(word), root().join(&folder).join(word)].iter().any(|path| path.exists());
            assert!(at_hand, "{file} names {word}, which is not there");
        }
    }
}

/// The stems of the files of a folder.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.expect("an entry").path())).collect()
}

#[test]
fn every_file_is_valid_without_data() {
    let sandbox = Sandbox::new();
    let store = sandbox.path("store");
    for file in experiments() {
        let path = root().join(&file);
        let out = sandbox.ok(&["config", &path.to_string_lossy(), "--store", &store.to_string_lossy()]);
        assert!(out.contains("benchmark: "), "{file}: {out}");
    }
}

#[test]
fn every_file_plans_at_the_smallest_scale() {
    let sandbox = Sandbox::new();
    let store = sandbox.path("store");
    for file in experiments() {
        let path = root().join(&file);
        let arguments = ["plan", &path.to_string_lossy(), "--smoke", "--json", "--store", &store.to_string_lossy()];
        let plan: Value = serde_json::from_str(&sandbox.ok(&arguments)).expect("one line of JSON");
        assert!(plan["runs"].as_u64().is_some_and(|runs| runs > 0), "{file}: {plan}");
        assert_eq!(plan["missing"], serde_json::json!({}), "{file}");
    }
}

#[test]
fn a_table_of_the_paper_runs_at_the_smallest_scale() {
    let sandbox = Sandbox::new();
    let path = root().join("experiments/dlsr/table11.yaml");
    let arguments = ["run", &path.to_string_lossy(), "--smoke", "--json", "--store", "store", "--results", "results"];
    let summary: Value = serde_json::from_str(&sandbox.ok(&arguments)).expect("one line of JSON");
    let detectors: BTreeSet<&str> =
        summary["rows"].as_array().expect("rows").iter().filter_map(|row| row["detector"].as_str()).collect();
    assert_eq!(detectors, BTreeSet::from(["autoencoder", "dlsr", "mean-distance", "pca", "vae"]));
    let folder = sandbox.path(summary["folder"].as_str().expect("a folder"));
    assert!(folder.ends_with("dlsr/table11-smoke"), "{}", folder.display());
    let table = std::fs::read_to_string(folder.join("tables/table11.md")).expect("the table");
    assert!(table.contains("| OOD set | PCA | AutoEncoder | VAE | diffusion |"), "{table}");
    assert!(table.contains("| fashion-mnist-mini |"), "{table}");
}
