//! Learning rates and accumulated batches.

use proptest::prelude::*;

use super::*;
use crate::{AdamW, Batch, Fused, Parameters, Precision, TrainState};

proptest! {
    #[test]
    fn a_warm_up_rises_and_a_cosine_falls_to_its_end(
        warmup_steps in 0usize..50, after in 1u64..200, final_rate in 0.0f64..=1.0, rate in 1e-6f64..1.0,
    ) {
        let config = TrainConfig { learning_rate: rate, rate: Rate::Cosine, warmup_steps, final_rate, ..config() };
        let steps = warmup_steps as u64 + after;
        let rates: Vec<f64> = (0..steps).map(|step| config.rate_at(step, steps)).collect();
        let (up, down) = rates.split_at(warmup_steps);
        prop_assert!(rates.iter().all(|x| *x >= 0.0 && *x <= rate * (1.0 + 1e-12)));
        prop_assert!(up.is_sorted_by(|a, b| a < b));
        prop_assert!(down.is_sorted_by(|a, b| a >= b));
        prop_assert!(up.last().is_none_or(|last| *last == rate));
        prop_assert!(after == 1 || down[0] == rate);
        prop_assert!((down[down.len() - 1] - rate * final_rate).abs() <= 1e-15 * rate);
        let constant = TrainConfig { rate: Rate::Constant, ..config };
        prop_assert!((warmup_steps as u64..steps).all(|step| constant.rate_at(step, steps) == rate));
    }
}

#[test]
fn the_rates_are_told() {
    let config = TrainConfig { rate: Rate::Cosine, warmup_steps: 4, epochs: 3, ..config() };
    let found = plain(&samples(32), &config);
    assert_eq!(found.rates, [3, 7, 11].map(|step| config.rate_at(step, 12)));
    assert_eq!((found.rates[0], found.rates[2]), (config.learning_rate, 0.0));
    assert!(plain(&samples(32), &super::config()).rates.iter().all(|rate| *rate == config.learning_rate));
}

#[test]
fn a_warm_up_longer_than_the_training_is_refused() {
    let config = TrainConfig { warmup_steps: 20, ..config() };
    let message =
        train(&samples(32), &config, &mut Keeper::default(), 0, &Cancel::new()).expect_err("long").to_string();
    assert_eq!(message, "train.warmup_steps is 20, expected fewer than the 20 steps of the whole training");
}

#[test]
fn accumulated_batches_are_one_step() {
    // 7 batches, the last of 2 samples: steps of 3, 3 and 1 batches.
    let z = samples(50);
    let steps = TrainConfig { drop_last: false, epochs: 3, ..config() };
    let accumulated = TrainConfig { accumulate: 3, ..steps };
    let updates = |config: &TrainConfig| {
        let mut keeper = Keeper::default();
        train(&z, config, &mut keeper, 1, &Cancel::new()).expect("trains");
        keeper.saved
    };
    assert_eq!((updates(&steps), updates(&accumulated)), (vec![7, 14], vec![3, 6]));
    assert_ne!(plain(&z, &steps).parameters, plain(&z, &accumulated).parameters);
    // Where the weights stand still, the loss of all samples is the same however they are put together.
    let still = |config: TrainConfig| TrainConfig { learning_rate: 1e-30, weight_decay: 0.0, ..config };
    for (a, b) in plain(&z, &still(steps)).losses.iter().zip(plain(&z, &still(accumulated)).losses) {
        assert!((a - b).abs() < 1e-7 * a, "{a} and {b}");
    }
}

#[test]
fn clipping_holds_a_step_back() {
    let z = samples(32);
    let clipped = TrainConfig { clip_norm: Some(1e-3), ..config() };
    assert_ne!(plain(&z, &clipped).parameters, plain(&z, &config()).parameters);
    let wide = TrainConfig { clip_norm: Some(1e9), ..config() };
    assert_eq!(plain(&z, &wide).parameters, plain(&z, &config()).parameters);
}

/// Parts of unequal sizes weigh by their rows: a step of 5, 2 and 1 rows is the step of one batch of all 8.
#[test]
fn unequal_parts_are_one_large_batch() {
    let engines: [fn() -> Box<dyn LfdnEngine>; 2] =
        [|| Box::new(Plain::new()), || Box::new(Fused::new(Precision::F32).expect("single precision"))];
    let (x, target) = (samples(8), samples(16)[8 * NETWORK.dim..].to_vec());
    let t: Vec<u32> = (0..8).map(|row| row * 13 % 100).collect();
    let part = |from: usize, to: usize| {
        let span = from * NETWORK.dim..to * NETWORK.dim;
        Batch { x: &x[span.clone()], t: &t[from..to], target: &target[span] }
    };
    // A large epsilon: a step follows the gradient's size, not only its sign.
    let optimiser = AdamW::new(&TrainConfig { epsilon: 1e-2, ..config() });
    for engine in engines {
        let step = |parts: &[Batch<'_>]| {
            let mut parameters = Parameters::initialise(NETWORK, Seed(3)).expect("small sizes");
            let stream = Seed(4).stream("none is zero");
            for (at, value) in parameters.values_mut().iter_mut().enumerate() {
                *value += 0.2 * stream.normal(at as u64);
            }
            let (mut state, mut engine) = (TrainState::new(parameters), engine());
            let loss = engine.train_step(&mut state, &optimiser, 1e-2, parts).expect("lengths agree");
            engine.synchronise(&mut state).expect("on the processor");
            (state, loss)
        };
        let (one, loss) = step(&[part(0, 8)]);
        let (parts, of_parts) = step(&[part(0, 5), part(5, 7), part(7, 8)]);
        assert!((loss - of_parts).abs() < 1e-6 * loss, "{of_parts} instead of {loss}");
        let farthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let moments = farthest(&parts.first_moment, &one.first_moment);
        assert!(farthest(parts.parameters.values(), one.parameters.values()) < 1e-6);
        assert!(moments < 1e-6, "{moments}");
        // Rows that weigh otherwise give another gradient: the same rows in other company.
        let (other, _) = step(&[part(0, 5), part(7, 8)]);
        assert!(farthest(&other.first_moment, &one.first_moment) > 1e-3);
    }
}
