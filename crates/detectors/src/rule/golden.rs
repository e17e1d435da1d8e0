//! Detectors against scores that independent programs in Python wrote: `golden/*.py` beside their results.

use oodlab_base::golden::GoldenFile;
use oodlab_features::{Features, Head, Labels, Layer, Logits};
use serde::Deserialize;
use serde_json::Value;

use super::testing::{self, Samples};

/// One detector with its settings, and the tensor of its scores.
#[derive(Deserialize)]
struct Case {
    kind: String,
    settings: Value,
    scores: String,
    /// What its probe read: tensors `train.NAME`, `validation.NAME`, `given.NAME`.
    #[serde(default)]
    probed: Option<Probed>,
}

#[derive(Deserialize)]
struct Probed {
    name: String,
    /// Names and widths.
    layers: Vec<(String, usize)>,
}

/// Relative, and absolute below 1.
pub(crate) const TOLERANCE: f64 = 1e-6;

/// What `golden/density.py` wrote.
pub(crate) const DENSITY: &[u8] = include_bytes!("../../golden/density.safetensors");

/// Fits every detector of the file on its training samples (and validation samples) and compares its scores.
pub(crate) fn check(stem: &str, bytes: &[u8]) -> usize {
    let file = GoldenFile::parse(stem, bytes).expect("a golden file");
    let cases: Vec<Case> = file.setting("cases").expect("a list of cases");
    for case in &cases {
        let [train, validation, given] =
            ["train", "validation", "given"].map(|part| probed_samples(&file, part, case.probed.as_ref()));
        let detector = crate::build(&case.kind, case.settings.clone(), &[]).expect("valid settings");
        let fitted = testing::fit_with(detector.as_ref(), &train, &validation, &given).expect("fits");
        let found = testing::score(fitted.as_ref(), &given, 0).expect("scores");
        let expected = &file.tensor(&case.scores).expect("the scores").values;
        assert_near(&format!("{} {}", case.kind, case.settings), &found, expected, TOLERANCE);
    }
    cases.len()
}

/// Compares numbers, relative to those expected, absolutely below 1.
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error < tolerance, "{what}, sample {row}: found {found}, expected {expected}");
    }
}

/// The samples of a part of the file: `train`, `validation`, `given`.
pub(crate) fn samples(file: &GoldenFile, part: &str) -> Samples {
    probed_samples(file, part, None)
}

fn probed_samples(file: &GoldenFile, part: &str, probed: Option<&Probed>) -> Samples {
    let tensor = |name: &str| file.tensor(name).expect("a tensor");
    let head = Head::new(tensor("weight").shape[1], tensor("weight").f32(), tensor("bias").f32()).expect("a head");
    let (vectors, logits) = (tensor(&format!("{part}.penultimate")), tensor(&format!("{part}.logits")));
    let (rows, width, classes) = (vectors.shape[0], vectors.shape[1], logits.shape[1]);
    let ids: Vec<String> = (0..rows).map(|row| format!("sample{row}")).collect();
    let layers = Layer::consecutive([("penultimate", width)]);
    let probed = probed.map(|probed| {
        let layers = Layer::consecutive(probed.layers.iter().map(|(name, width)| (name.as_str(), *width)));
        let values = tensor(&format!("{part}.{}", probed.name)).f32();
        Features::new(layers, Vec::clone(&ids), values).expect("valid features")
    });
    let penultimate = Features::new(layers, ids, vectors.f32()).expect("valid features");
    let features = penultimate.clone().with_logits(Logits { classes, values: logits.f32() }).expect("one row a sample");
    // Samples that are only scored have no labels.
    let labels = file.tensor(&format!("{part}.labels")).map(|found| found.values.clone()).unwrap_or_default();
    let labels = Labels(labels.into_iter().map(|label| label as u32).collect());
    Samples { probed: probed.unwrap_or_else(|| penultimate.clone()), features, penultimate, head, labels }
}

#[test]
fn scores_are_those_of_numpy() {
    assert_eq!(check("logits", include_bytes!("../../golden/logits.safetensors")), 37);
}

#[test]
fn scores_are_those_of_scikit_learn() {
    assert_eq!(check("density", DENSITY), 16);
}

#[test]
fn scores_of_what_probes_read_are_those_of_numpy() {
    assert_eq!(check("probe", include_bytes!("../../golden/probe.safetensors")), 7);
}
