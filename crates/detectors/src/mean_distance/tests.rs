use oodlab_base::Cancel;
use oodlab_features::Features;

use super::*;
use crate::testing;

fn features(values: Vec<f32>) -> Features {
    let ids = (0..values.len() / 5).map(|i| format!("sample{i}")).collect();
    Features::new(Layer::consecutive([("a", 2), ("b", 3)]), ids, values).expect("valid features")
}

fn fit(train: &Features) -> Result<Box<dyn FittedDetector>, DetectorError> {
    testing::fit(&MeanDistance, train, 0)
}

#[test]
fn the_distance_by_hand_survives_storing() {
    // z-scores: layer a is (-r, r) with r = sqrt(1/2), layer b (-1, 0, 1); the second sample is the first mirrored.
    let train = features(vec![1., 2., 0., 1., 2., 2., 1., 2., 1., 0.]);
    let fitted = fit(&train).expect("fits");
    let scores = testing::score(fitted.as_ref(), &train, 0, &Cancel::new()).expect("scores");
    // The mean is zero: the distance is 2 * 1/2 + 2.
    assert!(scores[0].iter().all(|score| (score - 3.0).abs() < 1e-3), "{scores:?}");
    let loaded = MeanDistance.load(&fitted.to_bytes().expect("bytes")).expect("its own bytes");
    assert_eq!(testing::score(loaded.as_ref(), &train, 7, &Cancel::new()).expect("scores"), scores);
    assert_eq!(loaded.score_names(), ["mean-distance"]);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let message = fit(&features(vec![])).expect_err("no samples").to_string();
    assert!(message.contains("no samples"), "{message}");
    let message = fit(&features(vec![1., 2., 3., f32::INFINITY, 5.])).expect_err("infinite").to_string();
    assert!(message.contains("\"sample0\"") && message.contains("\"b\""), "{message}");
    let narrow = Features::new(Layer::consecutive([("thin", 1)]), vec!["x".into()], vec![1.0]).expect("valid features");
    let message = fit(&narrow).expect_err("one channel").to_string();
    assert!(message.contains("\"thin\""), "{message}");

    let train = features(vec![1., 2., 0., 1., 2.]);
    let fitted = fit(&train).expect("fits");
    let other = train.select(&[2]).expect("a layer");
    let found = testing::score(fitted.as_ref(), &other, 0, &Cancel::new());
    assert!(matches!(found, Err(DetectorError::OtherLayers { .. })));
    let bytes = fitted.to_bytes().expect("bytes");
    assert!(MeanDistance.load(&bytes[..bytes.len() - 2]).is_err() && MeanDistance.load(b"{}").is_err());
    assert!(build(serde_json::json!({"width": 3}), &[]).is_err());
    assert!(build(Value::Null, &[ScoreSpec::plain("mse")]).is_err());
}
