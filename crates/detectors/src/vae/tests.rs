use oodlab_base::Cancel;

use super::*;
use crate::testing;

fn small(epochs: usize) -> Value {
    json!({
        "network": {"width": 24, "latent": 3},
        "train": {"epochs": epochs, "batch_size": 16, "learning_rate": 3e-3},
        "beta": 0.02,
    })
}

#[test]
fn it_keeps_what_every_detector_promises() {
    let detector = VaeDetector::new(small(3), &[]).expect("valid");
    assert_eq!(detector.score_names(), ["mse", "mfsim", "mfsim-skip-first", "elbo"]);
    testing::check_contract(&detector, &testing::curve(40, true), &testing::curve(31, false));
}

#[test]
fn outside_scores_higher_than_inside() {
    let detector = VaeDetector::new(small(250), &[]).expect("valid");
    let fitted = testing::fit(&detector, &testing::curve(64, true), 0).expect("fits");
    let inside = testing::mean_scores(fitted.as_ref(), &testing::curve(40, true));
    let outside = testing::mean_scores(fitted.as_ref(), &testing::curve(40, false));
    for (inside, outside) in inside.iter().zip(&outside) {
        assert!(outside > &(inside + 0.05), "inside {inside}, outside {outside}");
    }
}

#[test]
fn the_bound_is_the_error_and_the_weighed_divergence() {
    let specs = |names: &[&str]| names.iter().map(|name| ScoreSpec::plain(name)).collect::<Vec<_>>();
    let train = testing::curve(40, true);
    let bytes = {
        let detector = VaeDetector::new(small(5), &[]).expect("valid");
        testing::fit(&detector, &train, 0).expect("fits").to_bytes().expect("bytes")
    };
    let scores = |beta: f64| {
        let mut config = small(5);
        config["beta"] = json!(beta);
        let detector = VaeDetector::new(config, &specs(&["elbo", "mse"])).expect("valid");
        let fitted = detector.load(&bytes).expect("same network");
        testing::score(fitted.as_ref(), &train, 0, &Cancel::new()).expect("scores")
    };
    let (one, three) = (scores(1.0), scores(3.0));
    for row in 0..train.rows() {
        let half_error = 0.5 * 12.0 * one[1][row];
        let divergence = one[0][row] - half_error;
        assert!(divergence >= 0.0);
        assert!((three[0][row] - half_error - 3.0 * divergence).abs() < 1e-9 * three[0][row].abs().max(1.0));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let told = |config: Value| VaeDetector::new(config, &[]).expect_err("must be refused").to_string();
    assert!(told(json!({"network": {"widht": 3}})).contains("did you mean \"width\"?"));
    assert!(told(json!({"betta": 3})).contains("did you mean \"beta\"?"));
    assert!(told(json!({"beta": "x"})).starts_with("detector.beta: "));
    assert!(told(json!({"beta": -1.0})).starts_with("detector.beta: "));
    assert!(told(json!({"network": {"latent": 0}})).starts_with("detector.network.latent: "));
    assert!(told(json!({"train": {"epochs": 0}})).starts_with("detector.train.epochs: "));
    let other = json!({"network": {"width": 25, "latent": 3}});
    let bytes = testing::fit(&VaeDetector::new(small(1), &[]).expect("valid"), &testing::curve(20, true), 0);
    let bytes = bytes.expect("fits").to_bytes().expect("bytes");
    let found = VaeDetector::new(other, &[]).expect("valid").load(&bytes);
    assert!(matches!(found, Err(DetectorError::Stored { .. })));
}
