use super::*;
use crate::testing;

fn small(epochs: usize) -> Value {
    json!({
        "network": {"channels": 4, "latent": 4},
        "train": {"epochs": epochs, "batch_size": 8, "learning_rate": 3e-3},
        "beta": 0.02,
    })
}

#[test]
fn it_keeps_what_every_detector_promises() {
    let detector = PixelVae::new(small(2), &[]).expect("valid");
    assert_eq!(detector.score_names(), ["mse", "elbo"]);
    testing::check_contract(&detector, &testing::stripes(12, true), &testing::stripes(10, false));
}

#[test]
fn outside_scores_higher_than_inside() {
    let detector = PixelVae::new(small(40), &[]).expect("valid");
    let fitted = testing::fit(&detector, &testing::stripes(48, true), 0).expect("fits");
    let inside = testing::mean_scores(fitted.as_ref(), &testing::stripes(16, true));
    let outside = testing::mean_scores(fitted.as_ref(), &testing::stripes(16, false));
    for (inside, outside) in inside.iter().zip(&outside) {
        assert!(outside > &(1.5 * inside), "inside {inside}, outside {outside}");
    }
}

#[test]
fn features_and_settings_that_do_not_fit_are_refused() {
    let told = |config: Value| PixelVae::new(config, &[]).expect_err("must be refused").to_string();
    assert!(told(json!({"network": {"chanels": 3}})).contains("did you mean \"channels\"?"));
    assert!(told(json!({"train": {"epoch": 3}})).contains("did you mean \"epochs\"?"));
    assert!(told(json!({"beta": 0})).starts_with("detector.beta: "));
    assert!(told(json!({"network": {"channels": 0}})).starts_with("detector.network.channels: "));
    let detector = PixelVae::new(Value::Null, &[]).expect("the defaults");
    assert_eq!(detector.fit_config()["train"]["epochs"], 20);
    let found = testing::fit(&detector, &testing::curve(8, true), 0);
    let told = found.expect_err("features of a network").to_string();
    assert!(told.contains("network: pixels"), "{told}");
    let told = PixelVae::new(Value::Null, &[ScoreSpec::plain("mfsim")]).expect_err("one layer").to_string();
    assert!(told.contains("known scores: mse, elbo"), "{told}");
}
