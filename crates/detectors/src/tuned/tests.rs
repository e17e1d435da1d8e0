use serde_json::{Value, json};

use crate::rule::testing::{self, Samples};
use crate::{Detector, build};

fn react(tune: Value) -> Box<dyn Detector> {
    build("react", json!({"from": "train", "tune": tune}), &[]).expect("valid settings")
}

#[test]
fn it_keeps_the_contract() {
    testing::check_contract(react(json!(true)).as_ref());
    testing::check_contract(
        build("gen", json!({"tune": {"M": [1, 2], "gamma": [0.1, 1.0]}}), &[]).expect("valid").as_ref(),
    );
    testing::check_contract(build("mahalanobis", json!({"tune": {"on": ["layers"]}}), &[]).expect("valid").as_ref());
}

/// The same scores as the best single setting, by the validation samples and no others.
#[test]
fn the_best_setting_is_taken_and_told() {
    let train = Samples::new(90, true);
    let (id, ood) = (Samples::new(30, true), Samples::new(30, false));
    let auroc = |settings: Value| {
        let fitted = testing::fit(build("knn", settings, &[]).expect("valid").as_ref(), &train).expect("fits");
        let score = |samples: &Samples| testing::score(fitted.as_ref(), samples, 0).expect("scores");
        let (id, ood) = (score(&id), score(&ood));
        id.iter().map(|a| ood.iter().filter(|b| *b > a).count()).sum::<usize>() as f64 / 900.0
    };
    let values = [1, 5, 60, 89];
    let each: Vec<f64> = values.iter().map(|k| auroc(json!({ "k": k }))).collect();
    let best = (0..4).rev().max_by(|&a, &b| each[a].total_cmp(&each[b])).expect("one of them");
    assert!(each.iter().any(|value| *value != each[best]), "the values must differ for the test to say anything");

    let tuned = build("knn", json!({"tune": {"k": values}}), &[]).expect("valid");
    let fitted = testing::fit(tuned.as_ref(), &train).expect("fits");
    let single = testing::fit(build("knn", json!({"k": values[best]}), &[]).expect("valid").as_ref(), &train);
    let test = Samples::new(40, false);
    let score = |fitted: &dyn crate::FittedDetector| testing::score(fitted, &test, 0).expect("scores");
    assert_eq!(score(fitted.as_ref()), score(single.expect("fits").as_ref()));
    let notes = fitted.notes();
    assert_eq!(notes[0], ("tuned".to_owned(), format!("k = {}", values[best])));
    assert!(notes[1].1.contains("k = 89"), "{notes:?}");
}

/// ViM's own values are for wide networks: what does not fit is told, and the rest still tried.
#[test]
fn values_that_cannot_be_fitted_are_passed_over() {
    let tuned = build("vim", json!({"tune": {"dim": [1000, 4]}}), &[]).expect("valid");
    let fitted = testing::fit(tuned.as_ref(), &Samples::new(40, true)).expect("fits");
    let notes = fitted.notes();
    assert_eq!(notes[0].1, "dim = 4");
    assert!(notes[1].1.contains("dim = 1000: ") && notes[1].1.contains("less than the width"), "{notes:?}");
    let none = build("vim", json!({"tune": {"dim": [1000, 800]}}), &[]).expect("valid");
    let error = testing::fit(none.as_ref(), &Samples::new(40, true)).expect_err("none fits");
    assert!(error.to_string().contains("less than the width"), "{error}");
}

#[test]
fn what_cannot_be_tuned_is_refused() {
    let cases = [
        ("msp", json!(true), "msp has no values of its own to try"),
        ("react", json!({"percentil": [90]}), "percentile"),
        ("react", json!({"percentile": [190]}), "found 190"),
        ("react", json!({"percentile": 90}), "expected a list of values"),
        ("react", json!({"percentile": []}), "expected a list of values"),
        ("react", json!("yes"), "expected true"),
        ("gen", json!({"M": (1..=40).collect::<Vec<_>>(), "gamma": (1..=40).collect::<Vec<_>>()}), "more combinations"),
        ("dlsr", json!({"scores": ["mse"]}), "not a setting to choose"),
    ];
    for (kind, tune, expected) in cases {
        let error = build(kind, json!({ "tune": tune }), &[]).expect_err("cannot be tuned").to_string();
        assert!(error.contains(expected), "{kind}: {error}");
    }
    // Off is off.
    assert_eq!(build("react", json!({"tune": false}), &[]).expect("valid").fit_config().get("tune"), None);
    let needs = react(json!(true)).needs();
    assert!(needs.id_validation && needs.ood_validation);
}
