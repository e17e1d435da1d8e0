use serde_json::{Value, json};

use crate::rule::testing::{self, Samples};
use crate::{Detector, Unlabeled, Validation, build};

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

/// Settings that change what is read off the network: each candidate sees its own probe, and what was chosen is given that alone.
#[test]
fn a_probe_can_be_chosen() {
    let (train, id, ood) = (Samples::new(30, true), Samples::new(30, true), Samples::new(30, false));
    let tuned = build("odin", json!({"temperature": 1.0, "tune": {"noise": [0.0, 0.5]}}), &[]).expect("valid");
    assert_eq!(tuned.probes().len(), 2);
    // The first noise makes in- and out-of-distribution samples equal, the second tells them apart.
    let probed = |own: &Samples| vec![id.probed.clone(), own.probed.clone()];
    let (of_id, of_ood) = (probed(&id), probed(&ood));
    let given = |samples, probed| Unlabeled::new(samples).with_probed(probed);
    let separation = |id: &[f64], ood: &[f64]| f64::from(u8::from(id != ood));
    let others = [given(&ood.features, &of_ood)];
    let validation = Validation { id: given(&id.features, &of_id), ood: &others, separation: &separation };
    // Training samples without a probe: there is nothing to learn from them.
    let fitted = testing::fit_given(tuned.as_ref(), &given(&train.features, &[]), Some(validation)).expect("fits");
    assert_eq!(fitted.notes()[0].1, "noise = 0.5");
    let loaded = tuned.load(&fitted.to_bytes().expect("bytes")).expect("its own bytes");
    assert_eq!((fitted.probe(), loaded.probe()), (1, 1));
    let single = build("odin", json!({"temperature": 1.0, "noise": 0.5}), &[]).expect("valid");
    let single = testing::fit_given(single.as_ref(), &given(&train.features, &[]), None).expect("fits");
    let score = |fitted: &dyn crate::FittedDetector| testing::score(fitted, &ood, 0).expect("scores");
    assert_eq!(score(loaded.as_ref()), score(single.as_ref()));
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
