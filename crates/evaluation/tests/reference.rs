//! Against scikit-learn and NumPy: `tests/reference/metrics.json`, written by the script beside it.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_base::Tolerance;
use oodlab_evaluation::{Counts, FprRule, Positive};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    id: Vec<f64>,
    ood: Vec<f64>,
    auroc: f64,
    delong_variance: f64,
    id_positive: Direction,
    ood_positive: Direction,
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
}

#[test]
fn agrees_with_scikit_learn_and_numpy() {
    // Sums in another order, over at most 114 terms below 1.
    let near = Tolerance::absolute("4e-15", 4e-15);
    let reference: Reference = serde_json::from_str(include_str!("reference/metrics.json")).unwrap();
    assert_eq!(reference.cases.len(), 8);
    for case in reference.cases {
        let counts = Counts::new(&case.id, &case.ood).unwrap();
        let name = &case.name;
        near.compare([counts.auroc()], [case.auroc]).assert(&format!("{name}: AUROC"));
        near.compare([counts.auroc_variance().unwrap()], [case.delong_variance]).assert(&format!("{name}: variance"));
        for (positive, want) in [(Positive::Id, case.id_positive), (Positive::Ood, case.ood_positive)] {
            let name = format!("{name}, {positive} positive");
            near.compare([counts.aupr(positive)], [want.aupr]).assert(&format!("{name}: AUPR"));
            near.compare([counts.average_precision(positive)], [want.average_precision]).assert(&format!("{name}: AP"));
            for (rule, value) in [
                (FprRule::FirstAtLeast, want.first_at_least),
                (FprRule::FirstAtLeastSklearnDrop, want.first_at_least_sklearn_drop),
                (FprRule::Nearest, want.nearest),
                (FprRule::Percentile95Strict, want.percentile95_strict),
                (FprRule::OrderStatStrict, want.order_stat_strict),
            ] {
                Tolerance::EXACT.compare([counts.fpr95(positive, rule)], [value]).assert(&format!("{name}: {rule}"));
            }
        }
    }
}
