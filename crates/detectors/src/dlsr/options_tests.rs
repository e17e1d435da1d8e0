//! What goes beyond the paper's defaults: single layers and steps, sums, levels, draws, statistics, hidden layers.

use oodlab_base::Cancel;
use oodlab_features::Features;
use serde_json::json;

use super::*;
use crate::testing::{self, curve};

fn detector(changes: &Value, scores: &[Value]) -> Result<Dlsr, DetectorError> {
    let mut config = json!({
        "network": {"width": 24, "blocks": 1},
        "train": {"epochs": 4, "batch_size": 16, "learning_rate": 2e-3},
    });
    for (key, value) in changes.as_object().expect("a map") {
        config[key] = value.clone();
    }
    let scores = scores.iter().map(ScoreSpec::parse).collect::<Result<Vec<_>, _>>()?;
    Dlsr::new(config, &scores)
}

/// Names and columns of 40 samples from the outside, after fitting on 64 from the inside.
fn run(changes: &Value, scores: &[Value]) -> (Vec<String>, Vec<Vec<f64>>) {
    let detector = detector(changes, scores).expect("valid settings");
    let fitted = testing::fit(&detector, &curve(64, true), 5).expect("fits");
    let loaded = detector.load(&fitted.to_bytes().expect("bytes")).expect("its own bytes");
    let given = curve(40, false);
    let columns = testing::score(fitted.as_ref(), &given, 0, &Cancel::new()).expect("scores");
    let again = testing::score(loaded.as_ref(), &given, 0, &Cancel::new()).expect("scores");
    assert_eq!(columns, again, "a stored detector scores the same");
    let mut parts = testing::score(fitted.as_ref(), &given.slice(0..9), 0, &Cancel::new()).expect("scores");
    let rest = testing::score(fitted.as_ref(), &given.slice(9..40), 9, &Cancel::new()).expect("scores");
    parts.iter_mut().zip(rest).for_each(|(part, rest)| part.extend(rest));
    assert_eq!(columns, parts, "scores must not depend on the cut");
    (fitted.score_names(), columns)
}

fn refused(changes: &Value, scores: &[Value]) -> String {
    detector(changes, scores).expect_err("must be refused").to_string()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

#[test]
fn layers_make_up_the_whole() {
    let scores = [
        json!("mse"),
        json!({"mse": {"reduce": "sum"}}),
        json!({"mse": {"layers": [1, 2]}}),
        json!({"mse": {"reduce": "layer"}}),
        json!("mfsim"),
        json!({"mfsim": {"layers": [1, 2]}}),
        json!({"mse": {"skip_first": true}}),
    ];
    let (names, columns) = run(&json!({}), &scores);
    let want = [
        "mse",
        "mse-sum",
        "mse-layer1",
        "mse-layer2",
        "mse-by-layer",
        "mfsim",
        "mfsim-layer1",
        "mfsim-layer2",
        "mse-skip-first",
    ];
    assert_eq!(names, want);
    for (row, _) in columns[0].iter().enumerate() {
        let at = |column: usize| columns[column][row];
        assert!(close(at(1), 12.0 * at(0)));
        assert!(close(at(1), 4.0 * at(2) + 8.0 * at(3)));
        assert!(close(at(4), (at(2) + at(3)) / 2.0));
        assert!(close(at(5), (at(6) + at(7)) / 2.0));
        assert!(at(8) == at(3), "the second layer alone is all but the first of two");
    }
}

#[test]
fn the_last_prediction_is_the_papers_reconstruction() {
    let (names, columns) =
        run(&json!({}), &[json!("mse"), json!({"mse": {"steps": "all"}}), json!({"mfsim": {"step": 2}})]);
    assert_eq!(names, ["mse", "mse-t3", "mse-t2", "mse-t1", "mfsim-t2"]);
    for (end, last) in columns[0].iter().zip(&columns[3]) {
        assert!((end - last).abs() < 1e-5, "the paper's last step ends at what the network predicts");
    }
    assert_ne!(columns[1], columns[3]);
}

#[test]
fn a_sum_of_one_ranks_as_that_one_and_weights_count() {
    let of = json!({"zsum": {"of": ["mse"]}});
    let scores = [json!("mse"), of, json!({"zsum": {"of": ["mse", "mfsim"], "weights": [2, 0], "name": "twice"}})];
    let (names, columns) = run(&json!({}), &scores);
    assert_eq!(names, ["mse", "zsum-mse", "twice"]);
    for (a, b) in (0..40).flat_map(|a| (0..40).map(move |b| (a, b))) {
        assert_eq!(columns[0][a] < columns[0][b], columns[1][a] < columns[1][b]);
    }
    for (one, twice) in columns[1].iter().zip(&columns[2]) {
        assert!(close(2.0 * one, *twice));
    }
    // Training samples have the mean 0 and the deviation 1: samples from elsewhere lie above.
    assert!(columns[1].iter().sum::<f64>() > 0.0);
}

/// The numbers by which a sum is scaled are those of the training samples (all of them, since they are few), noised as if they stood at
/// 2^40: scored there again, each number has mean 0 and deviation 1, and a sum of two is the weighted sum of both.
#[test]
fn the_samples_that_a_sum_is_scaled_by_have_mean_0_and_deviation_1() {
    let scores = [
        json!("mse"),
        json!("mfsim"),
        json!({"zsum": {"of": ["mse"]}}),
        json!({"zsum": {"of": ["mfsim"]}}),
        json!({"zsum": {"of": ["mse", "mfsim"], "weights": [2, -0.5], "name": "both"}}),
    ];
    let detector = detector(&json!({}), &scores).expect("valid settings");
    let train = curve(64, true);
    let fitted = testing::fit(&detector, &train, 5).expect("fits");
    let columns = testing::score(fitted.as_ref(), &train, 1 << 40, &Cancel::new()).expect("scores");
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
    };
    for (plain, scaled) in [(0, 2), (1, 3)] {
        let (mean, deviation) = moments(&columns[plain]);
        assert!(deviation > 0.0);
        let found = moments(&columns[scaled]);
        assert!(found.0.abs() < 1e-9 && (found.1 - 1.0).abs() < 1e-9, "{found:?}");
        for (value, scaled) in columns[plain].iter().zip(&columns[scaled]) {
            assert!(((value - mean) / deviation - scaled).abs() < 1e-9);
        }
    }
    for ((a, b), both) in columns[2].iter().zip(&columns[3]).zip(&columns[4]) {
        assert!((2.0 * a - 0.5 * b - both).abs() < 1e-9, "{both}");
    }
}

#[test]
fn levels_and_draws_are_averaged() {
    let mse = [json!("mse"), json!("mfsim")];
    let start = |start: usize| run(&json!({"sample": {"start": start}}), &mse).1;
    assert_eq!(run(&json!({"levels": [3]}), &mse).1, start(3));
    let (three, eight, both) = (start(3), start(8), run(&json!({"levels": [3, 8]}), &mse).1);
    for row in 0..40 {
        assert!(close(both[0][row], (three[0][row] + eight[0][row]) / 2.0));
        assert!(close(both[1][row], (three[1][row] + eight[1][row]) / 2.0));
    }
    let draws = run(&json!({"sample": {"draws": 2}}), &mse).1;
    let second = run(&json!({"sample": {"first_draw": 1}}), &mse).1;
    assert_ne!(second, three);
    for row in 0..40 {
        assert!(close(draws[0][row], (three[0][row] + second[0][row]) / 2.0));
    }
}

#[test]
fn the_regret_of_either_measure_is_known() {
    let scores = [json!("likelihood_regret"), json!({"likelihood_regret": {"of": "mfsim"}})];
    let (names, columns) = run(&json!({}), &scores);
    assert_eq!(names, ["likelihood_regret", "likelihood_regret-mfsim"]);
    assert_ne!(columns[0], columns[1]);
}

#[test]
fn statistics_of_the_training_samples_take_out_scale_and_place() {
    let mse = [json!("mse")];
    for normalise in ["id", "sample-then-id"] {
        let (_, columns) = run(&json!({"normalise": normalise}), &mse);
        assert_ne!(columns, run(&json!({}), &mse).1, "{normalise}");
    }
    // Each channel in other units: nothing changes but roundings.
    let detector = detector(&json!({"normalise": "id"}), &mse).expect("valid");
    let scaled = |features: Features| {
        let scale = |(at, x): (usize, &f32)| 3.0 + x * (1 << (at % 12 % 3)) as f32;
        let values = features.values().iter().enumerate().map(scale).collect();
        Features::new(features.layers().to_vec(), features.ids().to_vec(), values).expect("valid features")
    };
    let score = |train: &Features, given: &Features| {
        let fitted = testing::fit(&detector, train, 5).expect("fits");
        testing::score(fitted.as_ref(), given, 0, &Cancel::new()).expect("scores").remove(0)
    };
    let plain = score(&curve(64, true), &curve(40, false));
    let other = score(&scaled(curve(64, true)), &scaled(curve(40, false)));
    for (a, b) in plain.iter().zip(&other) {
        assert!((a - b).abs() < 0.02 * (1.0 + a), "{a} and {b}");
    }
}

#[test]
fn hidden_layers_are_rebuilt_from_the_others() {
    let (_, columns) = run(&json!({"hide_layers": true}), &[json!("mse"), json!({"mse": {"layers": [1, 2]}})]);
    for (row, whole) in columns[0].iter().enumerate() {
        assert!(close(12.0 * whole, 4.0 * columns[1][row] + 8.0 * columns[2][row]));
    }
    assert_ne!(columns, run(&json!({}), &[json!("mse"), json!({"mse": {"layers": [1, 2]}})]).1);
}

#[test]
fn held_out_samples_give_a_second_curve() {
    let train = json!({"epochs": 4, "batch_size": 16, "learning_rate": 2e-3, "holdout": 0.25});
    let detector = detector(&json!({"train": train}), &[json!("mse")]).expect("valid");
    let fitted = testing::fit(&detector, &curve(64, true), 5).expect("fits");
    let curves = fitted.curves();
    assert_eq!(curves.iter().map(|curve| curve.name.as_str()).collect::<Vec<_>>(), ["loss", "validation"]);
    assert!(curves.iter().all(|curve| curve.points.len() == 4));
}

#[test]
fn a_batch_whose_loss_is_no_number_is_told_by_its_samples() {
    let train = json!({"epochs": 4, "batch_size": 16, "learning_rate": 1e30});
    let detector = detector(&json!({"train": train}), &[json!("mse")]).expect("valid");
    let error = testing::fit(&detector, &curve(64, true), 5).expect_err("must break");
    let message = error.to_string();
    assert!(matches!(error, DetectorError::BrokenBatch { .. }), "{message}");
    assert!(message.contains("epoch 1") && message.contains("the samples are sample"), "{message}");
}

#[test]
fn impossible_scores_are_refused_with_what_is_possible() {
    let none = json!({});
    assert!(refused(&none, &[json!({"mse": {"step": 7}})]).contains("it is at [3, 2, 1]"));
    assert!(refused(&json!({"levels": [3, 8]}), &[json!({"mse": {"step": 3}})]).contains("several levels"));
    assert!(refused(&json!({"levels": [3], "sample": {"start": 3}}), &[]).contains("keep one of them"));
    assert!(refused(&json!({"levels": []}), &[]).contains("different start steps"));
    assert!(refused(&json!({"levels": [3, 3]}), &[]).contains("different start steps"));
    assert!(refused(&json!({"levels": [100]}), &[]).starts_with("detector.levels: "));
    assert!(refused(&json!({"normalise": "batch"}), &[]).contains("sample-then-id"));
    assert!(refused(&json!({"precision": "f16"}), &[]).starts_with("detector.precision: "));
    assert!(refused(&none, &[json!({"mse": {"layer": 0}})]).contains("counted from 1"));
    assert!(refused(&none, &[json!({"mse": {"layer": 1, "skip_first": true}})]).contains("one of"));
    assert!(refused(&none, &[json!({"mfsim": {"reduce": "sum"}})]).contains("unknown key `reduce`"));
    assert!(refused(&none, &[json!({"zsum": {"of": []}})]).contains("at least one score"));
    assert!(refused(&none, &[json!({"zsum": {"of": ["mse"], "weights": [1, 2]}})]).contains("one weight each"));
    assert!(refused(&none, &[json!({"zsum": {"of": ["mse"], "name": "../x"}})]).contains("letters"));
    let long = json!({"zsum": {"of": [{"mfsim": {"steps": "all"}}]}});
    assert!(refused(&json!({"sample": {"start": 30}}), &[long]).contains("give it a `name`"));
    assert!(refused(&none, &[json!({"zsum": {"of": ["mze"]}})]).contains("did you mean \"mse\"?"));
    let third = detector(&none, &[json!({"mse": {"layer": 3}})]).expect("known when the layers are");
    assert!(matches!(third.check_layers(2), Err(DetectorError::TooFewLayers { needed: 3, found: 2, .. })));
}
