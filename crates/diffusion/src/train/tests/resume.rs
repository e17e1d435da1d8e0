//! A training that is killed after any step and goes on from its checkpoint.

use super::*;
use crate::{Fused, Precision};

/// The settings whose state a checkpoint must hold.
fn cases() -> Vec<(&'static str, TrainConfig)> {
    let config = TrainConfig { epochs: 4, drop_last: false, ..config() };
    let cosine = TrainConfig { rate: Rate::Cosine, warmup_steps: 3, final_rate: 0.1, ..config };
    vec![
        ("constant", config),
        ("cosine", cosine),
        ("accumulation", TrainConfig { accumulate: 2, clip_norm: Some(0.5), batch_size: 4, ..cosine }),
        ("early stopping", TrainConfig { holdout: 0.3, patience: Some(1), epochs: 9, learning_rate: 0.1, ..config }),
        ("no average", TrainConfig { ema: false, holdout: 0.2, patience: Some(9), ..config }),
    ]
}

#[test]
fn at_any_step_it_equals_an_uninterrupted_one() {
    at_any_step(|| Box::new(Plain::new()));
}

#[test]
fn so_it_does_on_the_fused_engine() {
    at_any_step(|| Box::new(Fused::new(Precision::F32).expect("single precision")));
}

#[test]
fn so_it_does_in_bf16() {
    if oodlab_kernels::simd::has_bf16() {
        at_any_step(|| Box::new(Fused::new(Precision::Bf16).expect("the processor has it")));
    }
}

fn at_any_step(engine: fn() -> Box<dyn LfdnEngine>) {
    let train = |training: &Training<'_>, keeper: &mut Keeper, every, cancel: &Cancel| {
        // A killed process begins with a new engine.
        train_on(engine().as_mut(), training, keeper, every, cancel)
    };
    let z = samples(27);
    let schedule = Schedule::published();
    let spans = [0..4, 4..12];
    for (name, config) in cases() {
        for hide in [Hide::Nothing, Hide::OneLayer(&spans)] {
            let objective = Objective::Denoise { schedule: &schedule, hide };
            let training = Training { network: NETWORK, config: &config, objective, z: &z, seed: Seed(3) };
            let mut all = Keeper::default();
            let whole = train(&training, &mut all, [0, 1], &Cancel::new()).expect("trains");
            let untold = train(&training, &mut Keeper::default(), [0, 0], &Cancel::new()).expect("trains");
            assert!(same_bits(&whole, &untold), "{name}: checkpoints change nothing");
            if name == "early stopping" {
                assert!(whole.stopped.is_some(), "the case must stop early: {:?}", whole.validation);
            }
            assert!(all.saved.len() > 5 && all.saved.is_sorted(), "{name}: {:?}", all.saved);
            for &kill_at in &all.saved {
                let cancel = Cancel::new();
                let mut keeper = Keeper { kill_at: Some((kill_at, cancel.clone())), ..Keeper::default() };
                let killed = train(&training, &mut keeper, [0, 1], &cancel);
                assert!(matches!(killed, Err(DiffusionError::Cancelled(_))), "{name}, step {kill_at}");
                assert_eq!(keeper.saved.last(), Some(&kill_at));
                keeper.kill_at = None;
                let resumed = train(&training, &mut keeper, [1, 3], &Cancel::new()).expect("resumes");
                assert!(same_bits(&whole, &resumed), "{name}, {hide:?}: killed after step {kill_at}");
            }
        }
    }
}

#[test]
fn steps_within_epochs_are_offered_in_their_rhythm() {
    let z = samples(48);
    let schedule = Schedule::published();
    let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
    let config = TrainConfig { epochs: 2, ..config() };
    let training = Training { network: NETWORK, config: &config, objective, z: &z, seed: Seed(3) };
    for (every, saved) in [([0, 4], vec![4, 8]), ([1, 4], vec![4, 6, 8]), ([1, 0], vec![6]), ([0, 0], vec![])] {
        let mut keeper = Keeper::default();
        train_by_steps(&training, &mut keeper, every, &Cancel::new()).expect("trains");
        assert_eq!(keeper.saved, saved, "every {every:?}");
    }
}

#[test]
fn a_keeper_that_fails_ends_the_training() {
    struct Full;
    impl Checkpoints for Full {
        fn latest(&mut self) -> Result<Option<Vec<u8>>, KeeperError> {
            Ok(None)
        }

        fn save(&mut self, _steps: u64, _bytes: &[u8]) -> Result<(), KeeperError> {
            Err("the disk is full".into())
        }
    }
    let (z, schedule, config) = (samples(16), Schedule::published(), config());
    let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
    let training = Training { network: NETWORK, config: &config, objective, z: &z, seed: Seed(3) };
    let mut context = TrainContext {
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut Full,
        checkpoint_every: 0,
        checkpoint_every_steps: 1,
    };
    let message = training.run(&mut Plain::new(), &mut context).expect_err("no room").to_string();
    assert_eq!(message, "checkpoint could not be saved: the disk is full");
}

#[test]
fn under_a_cosine_a_longer_training_begins_anew() {
    let z = samples(32);
    let short = TrainConfig { epochs: 3, rate: Rate::Cosine, ..config() };
    let long = TrainConfig { epochs: 5, ..short };
    let mut keeper = Keeper::default();
    train(&z, &short, &mut keeper, 1, &Cancel::new()).expect("trains");
    let found = train(&z, &long, &mut keeper, 1, &Cancel::new()).expect("trains");
    assert!(same_bits(&found, &plain(&z, &long)));
}

#[test]
fn a_checkpoint_comes_back_whole_and_a_damaged_one_does_no_harm() {
    let z = samples(27);
    let config = TrainConfig { holdout: 0.3, patience: Some(3), ..config() };
    let mut keeper = Keeper::default();
    train(&z, &config, &mut keeper, 1, &Cancel::new()).expect("trains");
    let bytes = keeper.latest.expect("saved");
    let whole = Checkpoint::from_bytes(&bytes).expect("its own file");
    assert!(whole.best.is_some() && whole.validation.len() == whole.losses.len());
    assert!(Checkpoint::from_bytes(&whole.to_bytes().expect("a file")).expect("its own file") == whole);
    // Bytes of the header changed one by one, in a way that keeps it JSON as often as not.
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let (mut refused, mut tried) = (0, 0);
    for at in (0..header).step_by(11) {
        tried += 1;
        let mut other = bytes.clone();
        other[at] = if other[at] == b'9' { b'0' } else { b'9' };
        refused += usize::from(Checkpoint::from_bytes(&other).is_err());
    }
    assert!(refused > tried / 2, "{refused} of {tried}");
}
