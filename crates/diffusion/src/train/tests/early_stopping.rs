//! The held-out split, the validation loss, and when training stops.

use super::*;

#[test]
fn the_best_epochs_weights_are_the_result() {
    let z = samples(40);
    // A rate at which the validation loss soon rises.
    let config = TrainConfig { epochs: 30, holdout: 0.25, patience: Some(2), learning_rate: 0.05, ..config() };
    let found = plain(&z, &config);
    let (best, stopped) = (found.best_epoch.expect("measured"), found.stopped.expect("stops"));
    assert_eq!((stopped, found.losses.len(), found.validation.len()), (best + 2, stopped, stopped));
    let lowest = found.validation.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(found.validation[best - 1], lowest);
    let until_best = plain(&z, &TrainConfig { epochs: best, patience: None, ..config });
    assert_eq!((&found.parameters, &found.ema), (&until_best.parameters, &until_best.ema));
    // Without patience the validation loss is measured all the same, and nothing else changes.
    let all = plain(&z, &TrainConfig { epochs: stopped, patience: None, ..config });
    assert_eq!((&all.losses, &all.validation, all.stopped), (&found.losses, &found.validation, None));
    assert_ne!(all.parameters, found.parameters);
    // With patience the best weights also come of a training that ran to its end.
    let patient = plain(&z, &TrainConfig { epochs: stopped, patience: Some(100), ..config });
    assert_eq!((patient.stopped, &patient.parameters), (None, &found.parameters));
}

#[test]
fn held_out_samples_are_never_trained_on() {
    let rows = 40;
    let config = TrainConfig { holdout: 0.2, epochs: 3, drop_last: false, ..config() };
    let z = samples(rows);
    let found = plain(&z, &config);
    let mut unseen = 0;
    for row in 0..rows {
        let mut other = z.clone();
        other[row * NETWORK.dim..(row + 1) * NETWORK.dim].iter_mut().for_each(|x| *x += 1.0);
        let changed = plain(&other, &config);
        if changed.parameters == found.parameters {
            assert!(changed.losses == found.losses && changed.validation != found.validation, "row {row}");
            unseen += 1;
        }
    }
    assert_eq!(unseen, 8);
}

#[test]
fn the_validation_loss_is_measured_under_the_same_noise_in_every_epoch() {
    // A rate that leaves f32 weights where they are.
    let still = TrainConfig { learning_rate: 1e-30, weight_decay: 0.0, holdout: 0.3, ..config() };
    let found = plain(&samples(40), &still);
    assert!(found.validation.iter().all(|loss| loss.to_bits() == found.validation[0].to_bits()));
    assert!(found.losses.iter().any(|loss| loss != &found.losses[0]), "other samples in other order");
    // The published start predicts zero, so that its loss is the samples' mean square.
    assert!((0.5..1.5).contains(&found.validation[0]), "{}", found.validation[0]);
    assert_eq!(found.best_epoch, Some(1));
}

#[test]
fn without_averaging_the_last_weights_score() {
    let z = samples(40);
    let with = TrainConfig { holdout: 0.2, ..config() };
    let without = TrainConfig { ema: false, ..with };
    let (with, without) = (plain(&z, &with), plain(&z, &without));
    assert_eq!((&without.ema, &without.first.ema), (&without.parameters, &without.first.parameters));
    assert_eq!(with.parameters, without.parameters);
    assert_ne!(with.ema, with.parameters);
    assert_ne!(with.validation, without.validation);
}

#[test]
fn a_held_out_sample_that_is_not_finite_is_named() {
    let config = TrainConfig { holdout: 0.2, epochs: 1, ..config() };
    let found = (0..20).find_map(|row| {
        let mut z = samples(20);
        z[row * NETWORK.dim] = f32::INFINITY;
        match train(&z, &config, &mut Keeper::default(), 0, &Cancel::new()) {
            Err(DiffusionError::NonFiniteValidation { rows, named: 1, epoch: 1, .. }) => Some((row, rows)),
            _ => None,
        }
    });
    let (row, rows) = found.expect("some row is held out");
    assert_eq!(rows, [row]);
}

#[test]
fn a_single_sample_cannot_be_held_out() {
    let config = TrainConfig { holdout: 0.5, drop_last: false, ..config() };
    let message = train(&samples(1), &config, &mut Keeper::default(), 0, &Cancel::new()).expect_err("one").to_string();
    assert!(message.starts_with("train.holdout"), "{message}");
    assert_eq!(plain(&samples(2), &config).validation.len(), config.epochs);
}
