use oodlab_base::Cancel;
use oodlab_base::golden::GoldenFile;

use super::*;
use crate::rule::{golden, testing};

#[test]
fn it_keeps_the_contract() {
    for settings in [
        json!({"components": 3}),
        json!({"components": 3, "on": "penultimate", "covariance": "full", "regularisation": 0.01}),
    ] {
        testing::check_contract(crate::build(Mixture::KIND, settings, &[]).expect("valid settings").as_ref());
    }
    let detector = crate::build(Mixture::KIND, json!({"on": "penultimate"}), &[]).expect("valid settings");
    testing::check_distant(detector.as_ref());
    for settings in [json!({"components": 0}), json!({"regularisation": -1.0}), json!({"iterations": 0})] {
        assert!(crate::build(Mixture::KIND, settings, &[]).is_err());
    }
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let train = testing::Samples::new(20, true);
    let detector = crate::build(Mixture::KIND, json!({"components": 21}), &[]).expect("valid settings");
    let message = testing::fit(detector.as_ref(), &train).expect_err("too many").to_string();
    assert!(message.contains("detector.components: found 21"), "{message}");
    let settings = json!({"components": 10, "covariance": "full", "regularisation": 0});
    let detector = crate::build(Mixture::KIND, settings, &[]).expect("valid settings");
    let message = testing::fit(detector.as_ref(), &train).expect_err("two samples a component").to_string();
    assert!(message.contains("detector.regularisation") && message.contains("singular"), "{message}");
}

#[test]
fn from_the_same_start_it_ends_where_scikit_learn_does() {
    let file = GoldenFile::parse("density", golden::DENSITY).expect("a golden file");
    let (train, given) = (golden::samples(&file, "train"), golden::samples(&file, "given"));
    let tensor = |name: &str| &file.tensor(name).expect("a tensor").values;
    let centres: Vec<usize> = tensor("mixture.centres").iter().map(|&row| row as usize).collect();
    for (name, covariance) in [("diagonal", Covariance::Diagonal), ("full", Covariance::Full)] {
        let rule = Mixture { on: Space::Penultimate, covariance, regularisation: 1e-4, ..Mixture::default() };
        let vectors = &train.penultimate;
        let arrays = rule.fit_from(vectors.values(), vectors.width(), &centres, &Cancel::new()).expect("fits");
        let near = |what: &str, found: &[f64]| {
            golden::assert_near(&format!("{name} {what}"), found, tensor(&format!("mixture.{name}.{what}")), 1e-6);
        };
        near("means", arrays.f64("means"));
        near("shares", &arrays.f64("log shares").iter().map(|log| log.exp()).collect::<Vec<_>>());
        near("scores", &rule.score(&arrays, &given.given()).expect("scores"));
    }
}
