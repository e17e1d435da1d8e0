use oodlab_base::{Cancel, Seed, Silent, Tolerance};
use oodlab_kernels::linear::Numbers;
use oodlab_kernels::simd::InstructionSet;

use super::Fused;
use crate::{
    AdamW, Batch, DiffusionError, Hide, LfdnConfig, LfdnEngine, NoCheckpoints, Objective, Parameters, Plain, Precision,
    Schedule, TrainConfig, TrainContext, TrainState, Training,
};

const SETS: [InstructionSet; 3] = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];

fn fused() -> Fused {
    Fused::with(Numbers::single(InstructionSet::detect()))
}

fn numbers(name: &str, count: usize) -> Vec<f32> {
    let stream = Seed(9).stream(name);
    (0..count as u64).map(|index| stream.normal(index)).collect()
}

/// Parameters that are all different from 0, so that every gradient is.
fn parameters(config: LfdnConfig) -> Parameters {
    let mut parameters = Parameters::initialise(config, Seed(3)).expect("small sizes");
    let other = numbers("parameters", parameters.count());
    parameters.values_mut().iter_mut().zip(other).for_each(|(value, other)| *value += 0.2 * other);
    parameters
}

struct Samples {
    x: Vec<f32>,
    t: Vec<u32>,
    target: Vec<f32>,
}

impl Samples {
    fn new(config: LfdnConfig, rows: usize) -> Samples {
        let t = (0..rows as u32).map(|row| row * 37 % 100).collect();
        Samples { x: numbers("x", rows * config.dim), t, target: numbers("target", rows * config.dim) }
    }

    fn view(&self) -> Batch<'_> {
        Batch { x: &self.x, t: &self.t, target: &self.target }
    }
}

fn configs() -> Vec<(LfdnConfig, usize)> {
    let plain = |dim, width, blocks| LfdnConfig::new(dim, width, blocks);
    let silent = |dim, width, blocks| LfdnConfig { time_embedding: false, ..plain(dim, width, blocks) };
    vec![
        (plain(5, 7, 1), 1),
        (plain(5, 7, 2), 3),
        (plain(16, 32, 2), 17),
        (plain(40, 61, 3), 33),
        (plain(33, 48, 2), 130),
        (silent(5, 7, 2), 3),
        (silent(20, 64, 2), 40),
    ]
}

#[test]
fn predictions_and_gradients_agree_with_the_plain_engine() {
    for (config, rows) in configs() {
        let (parameters, samples) = (parameters(config), Samples::new(config, rows));
        let mut plain = Plain::new();
        let mut want = vec![0.0; samples.x.len()];
        plain.predict(&parameters, &samples.x, &samples.t, &mut want).expect("fits");
        let mut slopes = Parameters::zeros(config).expect("small sizes");
        let loss = plain.gradients(&parameters, &samples.view(), &mut slopes).expect("fits");
        for set in SETS {
            let label = format!("{config:?}, {rows} rows, {}", set.name());
            let mut fused = Fused::with(Numbers::single(set));
            let mut got = vec![0.0; want.len()];
            fused.predict(&parameters, &samples.x, &samples.t, &mut got).expect("fits");
            let largest = want.iter().fold(0.0f32, |most, y| most.max(y.abs()));
            Tolerance::absolute("1e-5 of the largest", 1e-5 * f64::from(largest))
                .compare_f32(&got, &want)
                .assert(&label);
            let mut found = Parameters::zeros(config).expect("small sizes");
            let fused_loss = fused.gradients(&parameters, &samples.view(), &mut found).expect("fits");
            assert!((fused_loss - loss).abs() <= 2e-6 * loss, "{label}: {fused_loss} instead of {loss}");
            for entry in slopes.entries() {
                let (got, want) = (&found.values()[entry.span.clone()], &slopes.values()[entry.span.clone()]);
                let largest = want.iter().fold(1e-6f32, |most, y| most.max(y.abs()));
                let close = Tolerance::absolute("3e-5 of the largest", 3e-5 * f64::from(largest));
                close.compare_f32(got, want).assert(&format!("{}: {label}", entry.name));
            }
        }
    }
}

/// Gradients against differences of the loss along a few directions, which no autograd had a hand in.
#[test]
fn gradients_agree_with_finite_differences() {
    for (config, rows) in [(LfdnConfig::new(5, 7, 2), 3), (LfdnConfig::new(16, 32, 2), 17)] {
        let (start, samples) = (parameters(config), Samples::new(config, rows));
        let mut engine = fused();
        let mut slopes = Parameters::zeros(config).expect("small sizes");
        engine.gradients(&start, &samples.view(), &mut slopes).expect("fits");
        let mut unused = Parameters::zeros(config).expect("small sizes");
        for entry in start.entries() {
            let span = entry.span.clone();
            let direction = numbers(&entry.name, span.len());
            let mut loss_at = |distance: f32| {
                let mut moved = start.clone();
                for (value, along) in moved.values_mut()[span.clone()].iter_mut().zip(&direction) {
                    *value += distance * along;
                }
                engine.gradients(&moved, &samples.view(), &mut unused).expect("fits")
            };
            let found = (loss_at(2e-3) - loss_at(-2e-3)) / 4e-3;
            let want: f64 =
                slopes.values()[span.clone()].iter().zip(&direction).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
            assert!((found - want).abs() < 1e-3 + 1e-2 * want.abs(), "{}: {found} instead of {want}", entry.name);
        }
    }
}

/// Factors of 8 bits: the prediction within 3 % of the largest number, gradients pointing the same way.
#[test]
fn in_bf16_predictions_and_gradients_stay_near() {
    let Some(half) = Numbers::half() else {
        assert!(matches!(Fused::new(Precision::Bf16), Err(DiffusionError::NoBf16)));
        return;
    };
    for (config, rows) in configs() {
        let (parameters, samples) = (parameters(config), Samples::new(config, rows));
        let run = |mut engine: Fused| {
            let mut out = vec![0.0; samples.x.len()];
            engine.predict(&parameters, &samples.x, &samples.t, &mut out).expect("fits");
            let mut gradients = Parameters::zeros(config).expect("small sizes");
            let loss = engine.gradients(&parameters, &samples.view(), &mut gradients).expect("fits");
            (out, loss, gradients)
        };
        let ((want, loss, exact), (got, half_loss, near)) = (run(fused()), run(Fused::with(half)));
        let label = format!("{config:?}, {rows} rows");
        let largest = want.iter().fold(0.0f32, |most, y| most.max(y.abs()));
        Tolerance::absolute("3 % of the largest", 0.03 * f64::from(largest)).compare_f32(&got, &want).assert(&label);
        assert_ne!(got, want, "{label}: nothing was rounded");
        assert!((half_loss - loss).abs() < 0.01 * loss, "{label}: {half_loss} instead of {loss}");
        let dot = |a: &Parameters, b: &Parameters| -> f64 {
            a.values().iter().zip(b.values()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let cosine = dot(&exact, &near) / (dot(&exact, &exact) * dot(&near, &near)).sqrt();
        assert!(cosine > 0.999, "{label}: {cosine}");
    }
}

#[test]
fn a_step_at_once_equals_gradients_then_a_step_to_the_bit() {
    for (config, rows) in configs() {
        let samples = Samples::new(config, rows);
        let settings = TrainConfig::default();
        let unbounded = TrainConfig { clip_norm: Some(1e30), ..settings };
        let (mut at_once, mut apart) = (TrainState::new(parameters(config)), TrainState::new(parameters(config)));
        for _ in 0..3 {
            let a = fused().train_step(&mut at_once, &AdamW::new(&settings), 1e-3, &[samples.view()]);
            let b = fused().train_step(&mut apart, &AdamW::new(&unbounded), 1e-3, &[samples.view()]);
            assert_eq!(a.expect("fits"), b.expect("fits"));
        }
        assert_eq!(at_once.parameters, apart.parameters);
        assert_eq!(at_once.ema, apart.ema);
        assert_eq!(at_once.second_moment, apart.second_moment);
        assert_eq!(at_once.updates, 3);
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    let config = LfdnConfig::new(5, 7, 2);
    let mut samples = Samples::new(config, 3);
    samples.target[4] = f32::INFINITY;
    let mut state = TrainState::new(parameters(config));
    let before = state.clone();
    let loss = fused().train_step(&mut state, &AdamW::new(&TrainConfig::default()), 1e-3, &[samples.view()]);
    assert!(!loss.expect("fits").is_finite());
    assert_eq!(state, before);
}

/// One row at one step, whatever stands beside it and whatever the engine did before.
#[test]
fn a_row_does_not_depend_on_its_batch_or_the_engines_past() {
    let config = LfdnConfig::new(20, 33, 2);
    let (first, second) = (parameters(config), Parameters::initialise(config, Seed(8)).expect("small sizes"));
    let samples = Samples::new(config, 70);
    let mut used = fused();
    let mut gradients = Parameters::zeros(config).expect("small sizes");
    used.gradients(&first, &samples.view(), &mut gradients).expect("fits");
    for (model, step) in [(&first, 3), (&second, 3), (&first, 2), (&first, 3)] {
        let mut all = vec![0.0; samples.x.len()];
        used.predict(model, &samples.x, &[step; 70], &mut all).expect("fits");
        for row in [0, 31, 32, 69] {
            let mut one = [0.0; 20];
            fused().predict(model, &samples.x[row * 20..][..20], &[step], &mut one).expect("fits");
            assert_eq!(one, all[row * 20..][..20]);
            // The same among other steps.
            let mut t = samples.t.clone();
            t[row] = step;
            let mut mixed = vec![0.0; samples.x.len()];
            used.predict(model, &samples.x, &t, &mut mixed).expect("fits");
            assert_eq!(one, mixed[row * 20..][..20]);
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_errors() {
    let config = LfdnConfig::new(5, 7, 1);
    let parameters = parameters(config);
    let mut engine = fused();
    assert!(engine.predict(&parameters, &[0.0; 9], &[0, 1], &mut [0.0; 10]).is_err());
    assert!(engine.predict(&parameters, &[0.0; 10], &[0, 1], &mut [0.0; 9]).is_err());
    assert!(engine.predict(&parameters, &[], &[], &mut []).is_err());
    let mut other = Parameters::zeros(LfdnConfig::new(5, 8, 1)).expect("small sizes");
    let batch = Batch { x: &[0.0; 5], t: &[0], target: &[0.0; 5] };
    assert!(engine.gradients(&parameters, &batch, &mut other).is_err());
    let short = Batch { target: &[0.0; 4], ..batch };
    let mut right = Parameters::zeros(config).expect("small sizes");
    assert!(engine.gradients(&parameters, &short, &mut right).is_err());
    assert!(engine.gradients(&parameters, &batch, &mut right).is_ok());
}

/// Two engines in training on the same batches. Roundings differ and Adam makes much of small gradients, so weights drift apart,
/// but the loss must fall on the same curve.
#[test]
fn losses_of_a_whole_training_agree_with_the_plain_engine() {
    let config = LfdnConfig::new(24, 40, 2);
    let schedule = Schedule::published();
    let z = numbers("samples", 256 * config.dim);
    let settings = TrainConfig { epochs: 60, batch_size: 64, learning_rate: 1e-3, ..TrainConfig::default() };
    let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
    let training = Training { network: config, config: &settings, objective, z: &z, seed: Seed(4) };
    let train = |engine: &mut dyn LfdnEngine| {
        let mut context = TrainContext {
            progress: &Silent,
            cancel: &Cancel::new(),
            checkpoints: &mut NoCheckpoints,
            checkpoint_every: 0,
            checkpoint_every_steps: 0,
        };
        training.run(engine, &mut context).expect("good settings")
    };
    let (fused, plain) = (train(&mut fused()), train(&mut Plain::new()));
    assert!(fused.losses[59] < 0.8 * fused.losses[0], "nothing was learned: {:?}", fused.losses);
    let largest = fused.losses.iter().zip(&plain.losses).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
    println!("losses of 240 steps differ by at most {largest:.1e}");
    assert!(largest < 1e-4, "{largest}");
}
