use oodlab_base::Cancel;
use oodlab_diffusion::{LfdnEngine, Plain, models};

use super::*;
use crate::testing;

fn small(epochs: usize) -> Value {
    json!({
        "network": {"width": 24, "blocks": 1},
        "train": {"epochs": epochs, "batch_size": 16, "learning_rate": 2e-3},
    })
}

#[test]
fn it_keeps_what_every_detector_promises() {
    let detector = Autoencoder::new(small(3), &[]).expect("valid");
    assert_eq!(detector.score_names(), ["mse", "mfsim", "mfsim-skip-first"]);
    testing::check_contract(&detector, &testing::curve(40, true), &testing::curve(31, false));
}

/// The scores by hand from the plain network's predictions of the stored parameters.
#[test]
fn scores_are_those_of_the_plain_network() {
    let detector = Autoencoder::new(small(20), &[]).expect("valid");
    let fitted = testing::fit(&detector, &testing::curve(64, true), 0).expect("fits");
    let given = testing::curve(16, false);
    let scores = testing::score(fitted.as_ref(), &given, 9, &Cancel::new()).expect("scores");
    let (_, found, _) = models::read(&fitted.to_bytes().expect("bytes"), &["model"], &[]).expect("its own bytes");
    assert!(!found[0].config().time_embedding);
    assert!(found[0].entries().iter().all(|entry| !entry.name.contains("emb")));
    let z = Unlabeled::new(&given).z_scored("test").expect("finite");
    let mut made = vec![0.0; z.len()];
    Plain::new().predict(&found[0], &z, &[0; 16], &mut made).expect("predicts");
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    for (row, (z, made)) in z.chunks(12).zip(made.chunks(12)).enumerate() {
        let mse = z.iter().zip(made).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / 12.0;
        let (one, two) = (cosine(&z[..4], &made[..4]), cosine(&z[4..], &made[4..]));
        for (found, wanted) in scores.iter().zip([mse, -(one + two) / 2.0, -two]) {
            assert!((found[row] - wanted).abs() < 1e-4, "{} instead of {wanted}", found[row]);
        }
    }
}

#[test]
fn outside_scores_higher_than_inside() {
    let detector = Autoencoder::new(small(150), &[]).expect("valid");
    let fitted = testing::fit(&detector, &testing::curve(64, true), 0).expect("fits");
    let inside = testing::mean_scores(fitted.as_ref(), &testing::curve(40, true));
    let outside = testing::mean_scores(fitted.as_ref(), &testing::curve(40, false));
    assert!(outside.iter().zip(&inside).all(|(outside, inside)| outside > inside), "{inside:?} {outside:?}");
}

#[test]
fn settings_out_of_range_are_named_and_another_network_is_refused() {
    let told = |config: Value| Autoencoder::new(config, &[]).expect_err("must be refused").to_string();
    assert!(told(json!({"sample": {}})).contains("unknown key `sample`"));
    assert!(told(json!({"network": {"with": 3}})).contains("did you mean \"width\"?"));
    assert!(told(json!({"train": {"batch_size": 0}})).starts_with("detector.train.batch_size: "));
    let usual = Autoencoder::new(Value::Null, &[]).expect("the defaults");
    assert_eq!(usual.fit_config()["network"], json!({"width": 1440, "blocks": 16}));
    let fitted = testing::fit(&Autoencoder::new(small(1), &[]).expect("valid"), &testing::curve(20, true), 0);
    let bytes = fitted.expect("fits").to_bytes().expect("bytes");
    assert!(matches!(usual.load(&bytes), Err(DetectorError::Stored { .. })));
    // DLSR's own bytes have a time embedding, and two models.
    let dlsr = crate::build("dlsr", small(1), &[]).expect("valid");
    let bytes = testing::fit(dlsr.as_ref(), &testing::curve(20, true), 0).expect("fits").to_bytes().expect("bytes");
    let found = Autoencoder::new(small(1), &[]).expect("valid").load(&bytes);
    assert!(matches!(found, Err(DetectorError::Stored { .. })));
}
