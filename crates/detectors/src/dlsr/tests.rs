use oodlab_base::Cancel;
use oodlab_features::Features;
use serde_json::json;

use super::*;
use crate::testing::{self, curve};

fn small() -> Value {
    json!({
        "network": {"width": 24, "blocks": 1},
        "train": {"epochs": 4, "batch_size": 16, "learning_rate": 2e-3},
    })
}

fn fit(detector: &dyn Detector, train: &Features) -> Result<Box<dyn FittedDetector>, DetectorError> {
    testing::fit(detector, train, 5)
}

fn score(fitted: &dyn FittedDetector, given: &Features, first: u64) -> Vec<Vec<f64>> {
    testing::score(fitted, given, first, &Cancel::new()).expect("scores")
}

fn refused(config: Value, scores: &[ScoreSpec]) -> String {
    Dlsr::new(config, scores).expect_err("must be refused").to_string()
}

#[test]
fn the_defaults_are_the_papers() {
    let detector = Dlsr::new(Value::Null, &[]).expect("the defaults");
    assert_eq!(detector.fit_config()["network"], json!({"width": 1440, "blocks": 16}));
    assert_eq!(detector.fit_config()["train"]["epochs"], json!(150));
    assert_eq!(
        detector.score_config()["sample"],
        json!({"start": 3, "stride": 1, "eta": 1.0, "variant": "paper", "method": "ddim", "draws": 1, "first_draw": 0})
    );
    assert_eq!(detector.score_names(), ["mse", "likelihood_regret", "mfsim", "mfsim-skip-first"]);
}

#[test]
fn sampling_does_not_touch_what_fitting_depends_on() {
    let mut other = small();
    other["sample"] = json!({"start": 10, "variant": "released"});
    other["layer_weights"] = json!([1.0, 2.0]);
    let (a, b) =
        (Dlsr::new(small(), &[]).expect("valid"), Dlsr::new(other, &[ScoreSpec::plain("mse")]).expect("valid"));
    assert_eq!(a.fit_config(), b.fit_config());
    assert_ne!(a.score_config(), b.score_config());
}

#[test]
fn bad_settings_name_place_and_nearest_key() {
    let message = refused(json!({"train": {"epoch": 3}}), &[]);
    assert!(message.starts_with("detector.train: unknown key `epoch`; did you mean \"epochs\"?"), "{message}");
    let message = refused(json!({"netwrk": {}}), &[]);
    assert!(message.contains("did you mean \"network\"?"), "{message}");
    assert!(refused(json!({"network": {"width": "wide"}}), &[]).starts_with("detector.network.width: "));
    assert!(refused(json!({"sample": {"start": 100}}), &[]).contains("step 100 does not exist"));
    assert!(refused(json!({"sample": {"variant": "both"}}), &[]).contains("paper"));
    assert!(refused(json!({"train": {"batch_size": 0}}), &[]).contains("train.batch_size is 0"));
    assert!(refused(json!({"layer_weights": [0.0, 0.0]}), &[]).starts_with("detector.layer_weights: "));
    assert!(refused(json!([1]), &[]).contains("expected a section"));
    assert!(refused(small(), &[ScoreSpec::plain("mfsin")]).contains("did you mean \"mfsim\"?"));
    assert!(refused(small(), &[ScoreSpec::plain("mse"), ScoreSpec::plain("mse")]).contains("twice"));
    let option = ScoreSpec::parse(&json!({"mfsim": {"skip_frist": true}})).expect("a score");
    assert!(refused(small(), &[option]).contains("\"skip_first\""));
    for bad in [json!(3), json!({}), json!({"a": {}, "b": {}}), json!({"mse": true})] {
        assert!(ScoreSpec::parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn it_keeps_the_contract() {
    let detector = Dlsr::new(small(), &[]).expect("valid");
    testing::check_contract(&detector, &curve(40, true), &curve(31, false));
}

#[test]
fn scores_agree_with_their_definitions_and_with_parts() {
    let detector = Dlsr::new(small(), &[]).expect("valid");
    let fitted = fit(&detector, &curve(64, true)).expect("fits");
    let given = curve(40, false);
    let whole = score(fitted.as_ref(), &given, 0);
    assert_eq!(whole.iter().map(Vec::len).collect::<Vec<_>>(), [40; 4]);
    let mut parts = score(fitted.as_ref(), &given.slice(0..9), 0);
    for (part, more) in parts.iter_mut().zip(score(fitted.as_ref(), &given.slice(9..40), 9)) {
        part.extend(more);
    }
    assert_eq!(whole, parts, "scores must not depend on the cut");
    assert!(whole[0].iter().all(|mse| *mse > 0.0));
    assert!(whole[2].iter().all(|similarity| (-1.0..=1.0).contains(similarity)));

    // With all the weight on one layer, mfsim is that layer's cosine; skipping the first leaves the second.
    let weighted = |weights: Value| {
        let mut config = small();
        config["layer_weights"] = weights;
        let detector = Dlsr::new(config, &[ScoreSpec::plain("mfsim")]).expect("valid");
        score(detector.load(&fitted.to_bytes().expect("bytes")).expect("same network").as_ref(), &given, 0).remove(0)
    };
    assert!(weighted(json!([0.0, 1.0])) == whole[3]);
    let first = weighted(json!([1.0, 0.0]));
    for (row, mean) in whole[2].iter().enumerate() {
        assert!((mean - (first[row] + whole[3][row]) / 2.0).abs() < 1e-12);
    }
}

#[test]
fn a_stored_detector_scores_the_same_and_sampling_may_change() {
    let detector = Dlsr::new(small(), &[]).expect("valid");
    let train = curve(64, true);
    let fitted = fit(&detector, &train).expect("fits");
    let bytes = fitted.to_bytes().expect("bytes");
    assert!(bytes == fit(&detector, &train).expect("fits").to_bytes().expect("bytes"), "equal fits, equal bytes");
    let loaded = detector.load(&bytes).expect("its own bytes");
    let given = curve(10, false);
    assert_eq!(score(loaded.as_ref(), &given, 3), score(fitted.as_ref(), &given, 3));
    assert_ne!(score(loaded.as_ref(), &given, 3), score(loaded.as_ref(), &given, 4), "noise follows the index");
    assert_eq!(loaded.curves(), fitted.curves());
    assert_eq!(loaded.curves()[0].points.len(), 4);

    let mut config = small();
    config["sample"] = json!({"start": 8, "stride": 2, "eta": 0.0});
    let other = Dlsr::new(config, &[]).expect("valid").load(&bytes).expect("same network");
    assert_ne!(score(other.as_ref(), &given, 3), score(loaded.as_ref(), &given, 3));

    let mut config = small();
    config["network"]["width"] = json!(30);
    assert!(matches!(Dlsr::new(config, &[]).expect("valid").load(&bytes), Err(DetectorError::Stored { .. })));
    for cut in [0, 8, 200, bytes.len() - 1] {
        assert!(detector.load(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn training_tells_inside_from_outside() {
    let mut config = small();
    config["train"]["epochs"] = json!(120);
    let detector = Dlsr::new(config, &[ScoreSpec::plain("mse")]).expect("valid");
    let fitted = fit(&detector, &curve(64, true)).expect("fits");
    let mean = |given: &Features| score(fitted.as_ref(), given, 0)[0].iter().sum::<f64>() / given.rows() as f64;
    let (inside, outside) = (mean(&curve(40, true)), mean(&curve(40, false)));
    assert!(outside > 1.5 * inside, "inside {inside}, outside {outside}");
}

#[test]
fn features_that_cannot_be_used_are_refused() {
    let detector = Dlsr::new(small(), &[]).expect("valid");
    assert!(matches!(fit(&detector, &curve(0, true)), Err(DetectorError::NoSamples(_))));
    let message = fit(&detector, &curve(15, true)).expect_err("less than a batch").to_string();
    assert!(message.contains("do not fill one batch of 16"), "{message}");
    let train = curve(32, true);
    let one = train.select(&[1]).expect("a layer");
    assert!(matches!(fit(&detector, &one), Err(DetectorError::TooFewLayers { needed: 2, found: 1, .. })));
    let mut values = train.values().to_vec();
    values[12 * 3 + 5] = f32::NAN;
    let bad = Features::new(train.layers().to_vec(), train.ids().to_vec(), values).expect("valid features");
    let message = fit(&detector, &bad).expect_err("a NaN").to_string();
    assert!(message.contains("\"sample3\"") && message.contains("\"two\""), "{message}");
    let fitted = fit(&detector, &train).expect("fits");
    let found = testing::score(fitted.as_ref(), &bad, 0, &Cancel::new());
    assert!(matches!(found, Err(DetectorError::Features(_))));
    let cancel = Cancel::new();
    cancel.cancel();
    let found = testing::score(fitted.as_ref(), &train, 0, &cancel);
    assert!(matches!(found, Err(DetectorError::Cancelled(_))));
    let mut config = small();
    config["layer_weights"] = json!([1.0]);
    let found = fit(&Dlsr::new(config, &[]).expect("valid"), &train);
    assert!(found.expect_err("one weight").to_string().contains("expected 2"));
}
