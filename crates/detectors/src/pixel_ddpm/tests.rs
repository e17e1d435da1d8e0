use super::*;
use crate::testing;

fn small(epochs: usize) -> Value {
    json!({
        "network": {"channels": 8},
        "train": {"epochs": epochs, "batch_size": 8, "learning_rate": 3e-3, "ema_decay": 0.9},
        "sample": {"start": 200, "steps": 3},
    })
}

#[test]
fn it_keeps_what_every_detector_promises() {
    let detector = PixelDdpm::new(small(1), &[]).expect("valid");
    assert_eq!(detector.score_names(), ["mse"]);
    testing::check_contract(&detector, &testing::stripes(9, true), &testing::stripes(6, false));
}

#[test]
fn outside_scores_higher_than_inside() {
    let detector = PixelDdpm::new(small(40), &[]).expect("valid");
    let fitted = testing::fit(&detector, &testing::stripes(48, true), 0).expect("fits");
    let inside = testing::mean_scores(fitted.as_ref(), &testing::stripes(16, true))[0];
    let outside = testing::mean_scores(fitted.as_ref(), &testing::stripes(16, false))[0];
    assert!(outside > 1.5 * inside, "inside {inside}, outside {outside}");
}

#[test]
fn sampling_trains_nothing_again_and_settings_are_named() {
    let mut other = small(1);
    other["sample"] = json!({"start": 100, "steps": 2});
    let (a, b) = (PixelDdpm::new(small(1), &[]).expect("valid"), PixelDdpm::new(other, &[]).expect("valid"));
    assert_eq!(a.fit_config(), b.fit_config());
    assert_ne!(a.score_config(), b.score_config());
    let told = |config: Value| PixelDdpm::new(config, &[]).expect_err("must be refused").to_string();
    assert!(told(json!({"sample": {"step": 3}})).contains("did you mean \"steps\"?"));
    assert!(told(json!({"sample": {"start": 1000}})).starts_with("detector.sample.start: "));
    assert!(told(json!({"network": {"channels": 12}})).starts_with("detector.network.channels: "));
    assert!(told(json!({"train": {"ema_decay": 1.0}})).starts_with("detector.train.ema_decay: "));
    let found = testing::fit(&PixelDdpm::new(Value::Null, &[]).expect("the defaults"), &testing::curve(8, true), 0);
    assert!(found.expect_err("features of a network").to_string().contains("network: pixels"));
}
