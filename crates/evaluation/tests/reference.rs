//! Against scikit-learn and NumPy: `tests/reference/metrics.json`, written by the script beside it.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_base::Tolerance;
use oodlab_evaluation::metrics::classification::{Predictions, oscr};
use oodlab_evaluation::metrics::compare::{Scored, delong};
use oodlab_evaluation::{Counts, FprRule, Positive, Recall};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    recalls: Vec<Recall>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    id: Vec<f64>,
    ood: Vec<f64>,
    auroc: f64,
    autc: f64,
    delong_variance: f64,
    other_id: Vec<f64>,
    other_ood: Vec<f64>,
    paired: Paired,
    classifier: Classifier,
    id_positive: Direction,
    ood_positive: Direction,
}

#[derive(Deserialize)]
struct Paired {
    difference: f64,
    variance: f64,
    p: Option<f64>,
}

#[derive(Deserialize)]
struct Classifier {
    labels: Vec<u32>,
    logits: Vec<f64>,
    accuracy: f64,
    calibration_error: f64,
    oscr: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Direction {
    aupr: f64,
    #[serde(rename = "average_precision")]
    average_precision: f64,
    first_at_least: f64,
    first_at_least_sklearn_drop: f64,
    nearest: f64,
    percentile95_strict: f64,
    order_stat_strict: f64,
    /// `first_at_least` at the recalls of the file.
    #[serde(rename = "at_recalls")]
    at_recalls: Vec<f64>,
}

/// Sums in another order, over at most 800 terms below 1.
const NEAR: Tolerance = Tolerance::absolute("2e-14", 2e-14);

fn reference() -> Reference {
    let reference: Reference = serde_json::from_str(include_str!("reference/metrics.json")).unwrap();
    assert_eq!((reference.cases.len(), reference.recalls.len()), (11, 5));
    reference
}

#[test]
fn scores_agree_with_scikit_learn_and_numpy() {
    let Reference { recalls, cases } = reference();
    for case in cases {
        let counts = Counts::new(&case.id, &case.ood).unwrap();
        let name = &case.name;
        NEAR.compare([counts.auroc()], [case.auroc]).assert(&format!("{name}: AUROC"));
        NEAR.compare([counts.autc()], [case.autc]).assert(&format!("{name}: AUTC"));
        NEAR.compare([counts.auroc_variance().unwrap()], [case.delong_variance]).assert(&format!("{name}: variance"));
        for (positive, want) in [(Positive::Id, case.id_positive), (Positive::Ood, case.ood_positive)] {
            let name = format!("{name}, {positive} positive");
            NEAR.compare([counts.aupr(positive)], [want.aupr]).assert(&format!("{name}: AUPR"));
            NEAR.compare([counts.average_precision(positive)], [want.average_precision]).assert(&format!("{name}: AP"));
            for (rule, value) in [
                (FprRule::FirstAtLeast, want.first_at_least),
                (FprRule::FirstAtLeastSklearnDrop, want.first_at_least_sklearn_drop),
                (FprRule::Nearest, want.nearest),
                (FprRule::Percentile95Strict, want.percentile95_strict),
                (FprRule::OrderStatStrict, want.order_stat_strict),
            ] {
                Tolerance::EXACT.compare([counts.fpr95(positive, rule)], [value]).assert(&format!("{name}: {rule}"));
            }
            let found = recalls.iter().map(|&recall| counts.fpr_at(positive, recall, FprRule::FirstAtLeast));
            Tolerance::EXACT.compare(found, want.at_recalls).assert(&format!("{name}: other recalls"));
        }
    }
}

#[test]
fn paired_delong_agrees_with_its_definition() {
    for case in reference().cases {
        let (a, b) = (Scored { id: &case.id, ood: &case.ood }, Scored { id: &case.other_id, ood: &case.other_ood });
        let (test, name) = (delong(a, b).unwrap(), &case.name);
        NEAR.compare([test.difference], [case.paired.difference]).assert(&format!("{name}: difference"));
        let half_width = 1.959_963_984_540_054 * case.paired.variance.sqrt();
        if let Some(p) = case.paired.p {
            let ends =
                [(case.paired.difference - half_width).max(-1.0), (case.paired.difference + half_width).min(1.0)];
            let near = Tolerance::absolute("1e-12", 1e-12);
            near.compare([test.low, test.high], ends).assert(&format!("{name}: interval"));
            near.compare([test.p.unwrap()], [p]).assert(&format!("{name}: p"));
        } else {
            assert_eq!((test.low, test.high), (test.difference, test.difference), "{name}");
        }
    }
}

#[test]
fn classification_agrees_with_its_definitions() {
    for case in reference().cases {
        let (want, name) = (case.classifier, &case.name);
        let predictions = Predictions::from_logits(&want.labels, &want.logits, 5).unwrap();
        NEAR.compare([predictions.accuracy().unwrap()], [want.accuracy]).assert(&format!("{name}: accuracy"));
        let error = predictions.calibration_error().unwrap();
        NEAR.compare([error], [want.calibration_error]).assert(&format!("{name}: calibration error"));
        let area = oscr(&predictions.correct, &case.id, &case.ood).unwrap();
        NEAR.compare([area], [want.oscr]).assert(&format!("{name}: OSCR"));
    }
}
