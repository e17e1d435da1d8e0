use oodlab_base::Cancel;
use oodlab_features::Features;

use super::*;
use crate::testing;

/// What `golden/recipe.py` makes.
fn raw(rows: usize, shift: f64, power: i32) -> Features {
    let value = |i: usize| {
        let (row, column) = ((i / 12) as f64, (i % 12) as f64);
        let value = (row * 0.7 + column * 0.9 + shift).sin() + 0.3 * (row * 1.3 * (column + 1.0)).cos() + 0.1 * column;
        (value as f32).powi(power)
    };
    let ids = (0..rows).map(|row| format!("sample{row}")).collect();
    let values = (0..rows * 12).map(value).collect();
    Features::new(Layer::consecutive([("one", 5), ("two", 7)]), ids, values).expect("valid features")
}

#[test]
fn scores_are_those_of_numpy() {
    let expected: Value = serde_json::from_str(include_str!("golden/expected.json")).expect("the golden file");
    let numbers =
        |value: &Value| value.as_array().expect("a list").iter().filter_map(Value::as_f64).collect::<Vec<f64>>();
    assert_eq!(expected["kept_for_0.9"], 2);
    for (config, name) in [(json!({"components": 3}), "three"), (Value::Null, "default")] {
        let detector = Pca::new(config, &[]).expect("valid");
        let fitted = testing::fit(&detector, &raw(40, 0.0, 1), 0).expect("fits");
        let scores = testing::score(fitted.as_ref(), &raw(12, 2.0, 3), 0, &Cancel::new()).expect("scores");
        for (score, found) in detector.score_names().iter().zip(scores) {
            let wanted = numbers(&expected[name][score]);
            assert_eq!(wanted.len(), 12);
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-5, "{name} {score}: {found} instead of {wanted}");
            }
        }
        let share = &fitted.curves()[0].points;
        for ((_, found), wanted) in share.iter().zip(numbers(&expected["share"])) {
            assert!((found - wanted).abs() < 1e-6, "{found} instead of {wanted}");
        }
    }
}

#[test]
fn it_keeps_what_every_detector_promises() {
    let detector = Pca::new(Value::Null, &[]).expect("valid");
    testing::check_contract(&detector, &testing::curve(60, true), &testing::curve(31, false));
}

#[test]
fn outside_scores_higher_than_inside() {
    let detector = Pca::new(json!({"variance": 0.95}), &[]).expect("valid");
    let fitted = testing::fit(&detector, &testing::curve(64, true), 0).expect("fits");
    let inside = testing::mean_scores(fitted.as_ref(), &testing::curve(40, true));
    let outside = testing::mean_scores(fitted.as_ref(), &testing::curve(40, false));
    for (inside, outside) in inside.iter().zip(&outside) {
        assert!(outside > &(inside + 0.05), "inside {inside}, outside {outside}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let told = |config: Value| Pca::new(config, &[]).expect_err("must be refused").to_string();
    assert!(told(json!({"component": 3})).contains("did you mean \"components\"?"));
    assert!(told(json!({"components": 0})).starts_with("detector.components: "));
    assert!(told(json!({"variance": 1.0})).starts_with("detector.variance: "));
    assert!(told(json!({"variance": 0.5, "components": 3})).contains("keep one of them"));
    let told = Pca::new(Value::Null, &[ScoreSpec::plain("elbo")]).expect_err("no posterior").to_string();
    assert!(told.contains("known scores: mse, mfsim, {mfsim: {skip_first: true}}"), "{told}");
    let many = Pca::new(json!({"components": 12}), &[]).expect("not known before the features");
    let told = testing::fit(&many, &testing::curve(9, true), 0).expect_err("9 samples").to_string();
    assert!(told.contains("expected at most 8"), "{told}");
    let one = testing::curve(9, true).select(&[1]).expect("a layer");
    let found = testing::fit(&Pca::new(Value::Null, &[]).expect("valid"), &one, 0);
    assert!(matches!(found, Err(DetectorError::TooFewLayers { .. })));
}
