use oodlab_base::Silent;

mod early_stopping;
mod objectives;
mod resume;
mod steps;

use super::*;
use crate::{Checkpoint, KeeperError, Plain, Schedule};

const NETWORK: LfdnConfig = LfdnConfig::new(12, 16, 2);

fn samples(rows: usize) -> Vec<f32> {
    (0..rows * NETWORK.dim).map(|i| ((i * i) as f32 * 0.37).sin() * 1.4).collect()
}

/// Keeps the latest checkpoint, and raises the flag once the given epoch is saved: a kill at that place.
#[derive(Default)]
struct Keeper {
    latest: Option<Vec<u8>>,
    saved: Vec<u64>,
    kill_at: Option<(u64, Cancel)>,
}

impl Checkpoints for Keeper {
    fn latest(&mut self) -> Result<Option<Vec<u8>>, KeeperError> {
        Ok(self.latest.clone())
    }

    fn save(&mut self, steps: u64, bytes: &[u8]) -> Result<(), KeeperError> {
        self.latest = Some(bytes.to_vec());
        self.saved.push(steps);
        if let Some((at, cancel)) = &self.kill_at
            && *at == steps
        {
            cancel.cancel();
        }
        Ok(())
    }
}

fn train(
    z: &[f32],
    config: &TrainConfig,
    keeper: &mut Keeper,
    every: usize,
    cancel: &Cancel,
) -> Result<Trained, DiffusionError> {
    let schedule = Schedule::published();
    let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
    let training = Training { network: NETWORK, config, objective, z, seed: Seed(3) };
    train_by_steps(&training, keeper, [every, 0], cancel)
}

/// Offers checkpoints every so many epochs and steps.
fn train_by_steps(
    training: &Training<'_>,
    keeper: &mut Keeper,
    every: [usize; 2],
    cancel: &Cancel,
) -> Result<Trained, DiffusionError> {
    train_on(&mut Plain::new(), training, keeper, every, cancel)
}

fn train_on(
    engine: &mut dyn LfdnEngine,
    training: &Training<'_>,
    keeper: &mut Keeper,
    [checkpoint_every, checkpoint_every_steps]: [usize; 2],
    cancel: &Cancel,
) -> Result<Trained, DiffusionError> {
    let checkpoints = keeper;
    let mut context = TrainContext { progress: &Silent, cancel, checkpoints, checkpoint_every, checkpoint_every_steps };
    training.run(engine, &mut context)
}

fn plain(z: &[f32], config: &TrainConfig) -> Trained {
    train(z, config, &mut Keeper::default(), 0, &Cancel::new()).expect("trains")
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 5, batch_size: 8, learning_rate: 3e-3, ..TrainConfig::default() }
}

fn same_bits(a: &Trained, b: &Trained) -> bool {
    let bits = |t: &Trained| {
        let models = [&t.parameters, &t.ema, &t.first.parameters, &t.first.ema];
        let values: Vec<u32> = models.iter().flat_map(|m| m.values().iter().map(|x| x.to_bits())).collect();
        let curves = [&t.losses, &t.validation, &t.rates].map(|curve| curve.iter().map(|x| x.to_bits()).collect());
        (values, curves.to_vec() as Vec<Vec<u64>>, t.best_epoch, t.stopped)
    };
    bits(a) == bits(b)
}

#[test]
fn a_killed_and_resumed_training_equals_an_uninterrupted_one() {
    let z = samples(50);
    for drop_last in [true, false] {
        let config = TrainConfig { drop_last, ..config() };
        let whole = train(&z, &config, &mut Keeper::default(), 0, &Cancel::new()).expect("trains");
        let steps_per_epoch = if drop_last { 6 } else { 7 };
        for kill_at in (1..5).map(|epoch| epoch * steps_per_epoch) {
            let cancel = Cancel::new();
            let mut keeper = Keeper { kill_at: Some((kill_at, cancel.clone())), ..Keeper::default() };
            assert!(matches!(train(&z, &config, &mut keeper, 1, &cancel), Err(DiffusionError::Cancelled(_))));
            assert_eq!(keeper.saved.last(), Some(&kill_at));
            keeper.kill_at = None;
            let resumed = train(&z, &config, &mut keeper, 2, &Cancel::new()).expect("resumes");
            assert!(same_bits(&whole, &resumed), "killed after step {kill_at}, drop_last {drop_last}");
        }
    }
}

#[test]
fn the_loss_falls_and_the_first_epoch_is_kept() {
    let z = samples(64);
    let config = TrainConfig { epochs: 30, ..config() };
    let found = train(&z, &config, &mut Keeper::default(), 0, &Cancel::new()).expect("trains");
    assert_eq!(found.losses.len(), 30);
    assert!(found.losses[29] < 0.7 * found.losses[0], "{:?}", found.losses);
    assert_ne!(found.first.ema, found.ema);
    let one = TrainConfig { epochs: 1, ..config };
    let one = train(&z, &one, &mut Keeper::default(), 0, &Cancel::new()).expect("trains");
    assert_eq!(one.first.ema, one.ema);
    assert_eq!(one.first, found.first);
}

#[test]
fn checkpoints_come_as_often_as_asked_for() {
    let mut keeper = Keeper::default();
    train(&samples(16), &config(), &mut keeper, 2, &Cancel::new()).expect("trains");
    assert_eq!(keeper.saved, [4, 8]);
    let checkpoint = Checkpoint::from_bytes(&keeper.latest.expect("saved")).expect("its own file");
    assert_eq!((checkpoint.state.updates, checkpoint.losses.len()), (8, 4));
}

#[test]
fn a_damaged_checkpoint_or_one_of_another_training_is_passed_over() {
    let fresh =
        |z: &[f32], config: &TrainConfig| train(z, config, &mut Keeper::default(), 0, &Cancel::new()).expect("trains");
    let mut keeper = Keeper::default();
    train(&samples(16), &config(), &mut keeper, 2, &Cancel::new()).expect("trains");
    let kept = keeper.latest.clone().expect("saved");
    let other = TrainConfig { learning_rate: 1e-3, ..config() };
    let shorter = TrainConfig { epochs: 3, ..config() };
    let cases = [(samples(16), other), (samples(24), config()), (samples(16), shorter)];
    for (z, config) in cases {
        let mut keeper = Keeper { latest: Some(kept.clone()), ..Keeper::default() };
        let found = train(&z, &config, &mut keeper, 0, &Cancel::new()).expect("trains anew");
        assert!(same_bits(&found, &fresh(&z, &config)));
    }
    for cut in [0, 9, 500, kept.len() - 3] {
        let mut keeper = Keeper { latest: Some(kept[..cut].to_vec()), ..Keeper::default() };
        let found = train(&samples(16), &config(), &mut keeper, 0, &Cancel::new()).expect("trains anew");
        assert!(same_bits(&found, &fresh(&samples(16), &config())), "cut at {cut}");
    }
}

#[test]
fn fewer_samples_than_a_batch_are_refused_unless_they_may_stay() {
    let found = train(&samples(7), &config(), &mut Keeper::default(), 0, &Cancel::new());
    assert!(matches!(found, Err(DiffusionError::FewerThanABatch { rows: 7, batch_size: 8 })));
    let keep = TrainConfig { drop_last: false, ..config() };
    assert!(train(&samples(7), &keep, &mut Keeper::default(), 0, &Cancel::new()).is_ok());
    assert!(matches!(train(&[], &keep, &mut Keeper::default(), 0, &Cancel::new()), Err(DiffusionError::NoSamples)));
    assert!(matches!(
        train(&[0.0; 13], &keep, &mut Keeper::default(), 0, &Cancel::new()),
        Err(DiffusionError::Length { .. })
    ));
}

#[test]
fn a_loss_that_is_not_finite_names_epoch_step_and_samples() {
    let mut z = samples(32);
    z[5] = f32::NAN;
    let message = train(&z, &config(), &mut Keeper::default(), 0, &Cancel::new()).expect_err("a NaN").to_string();
    assert!(message.contains("NaN") && message.contains("epoch 1, step"), "{message}");
    // Channel 5 of row 0: that sample alone is named.
    assert!(message.contains("training samples 0 (counted from 0)"), "{message}");
    z.fill(f32::NAN);
    let found = train(&z, &config(), &mut Keeper::default(), 0, &Cancel::new());
    assert!(matches!(found, Err(DiffusionError::NonFiniteLoss { named: 8, rows, .. }) if rows.len() == 8));
}

#[test]
fn a_longer_training_goes_on_from_a_shorter_ones_checkpoint() {
    let z = samples(32);
    let mut keeper = Keeper::default();
    let short = TrainConfig { epochs: 3, ..config() };
    train(&z, &short, &mut keeper, 1, &Cancel::new()).expect("trains");
    let resumed = train(&z, &config(), &mut keeper, 1, &Cancel::new()).expect("resumes");
    let whole = train(&z, &config(), &mut Keeper::default(), 0, &Cancel::new()).expect("trains");
    assert!(same_bits(&whole, &resumed));
}
