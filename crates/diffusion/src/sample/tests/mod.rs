mod runs;
mod steps;

use oodlab_base::{Cancel, Seed, Silent};

use super::*;
use crate::{LfdnConfig, Parameters, Plain};

fn visited(start: usize, stride: usize) -> Vec<u32> {
    let config = SampleConfig { start, stride: Stride::Every(stride), ..SampleConfig::default() };
    let sampler = Sampler::new(&config, &Schedule::published()).expect("a valid setting");
    sampler.steps().iter().map(|step| step.t).collect()
}

#[test]
fn a_stride_skips_steps_and_never_asks_for_step_zero() {
    assert_eq!(visited(3, 1), [3, 2, 1]);
    assert_eq!(visited(10, 3), [10, 7, 4, 1]);
    assert_eq!(visited(9, 3), [9, 6, 3]);
    assert_eq!(visited(5, 99), [5]);
    assert_eq!(visited(99, usize::MAX), [99]);
}

#[test]
fn in_the_papers_reading_the_last_step_gives_the_prediction() {
    for stride in [1, 2, 3, 50] {
        let config = SampleConfig { start: 10, stride: Stride::Every(stride), ..SampleConfig::default() };
        let sampler = Sampler::new(&config, &Schedule::published()).expect("a valid setting");
        let c = sampler.steps().last().expect("at least one step").coefficients;
        assert!(c.state.abs() < 1e-6 && (c.prediction - 1.0).abs() < 1e-6 && c.noise == 0.0, "{c:?}");
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let schedule = Schedule::published();
    let good = SampleConfig::default();
    for start in [0, 100, usize::MAX] {
        let message = Sampler::new(&SampleConfig { start, ..good }, &schedule).expect_err("no such step").to_string();
        assert!(message.contains("expected 1 to 99") && message.contains("step 100 does not exist"), "{message}");
    }
    assert!(Sampler::new(&SampleConfig { stride: Stride::Every(0), ..good }, &schedule).is_err());
    assert!(Sampler::new(&SampleConfig { draws: 0, ..good }, &schedule).is_err());
    assert!(Sampler::with_starts(&good, &[], &schedule).is_err());
    assert!(Sampler::with_starts(&good, &[3, 100], &schedule).is_err());
    let ddpm = SampleConfig { method: Method::Ddpm, ..good };
    assert!(Sampler::new(&ddpm, &schedule).is_ok());
    assert!(Sampler::new(&SampleConfig { eta: 0.5, ..ddpm }, &schedule).is_err());
    for eta in [-0.1, 1.1, f64::NAN] {
        assert!(Sampler::new(&SampleConfig { eta, ..good }, &schedule).is_err());
    }
}

#[test]
fn a_reconstruction_depends_on_neither_batch_nor_shard() {
    let config = LfdnConfig::new(24, 32, 2);
    let mut model = Parameters::initialise(config, Seed(2)).expect("small sizes");
    // The published initialisation predicts zero everywhere; give the network something to say.
    model.values_mut().iter_mut().enumerate().for_each(|(i, x)| *x += 0.05 * (i as f32).sin());
    let rows = 50;
    let z: Vec<f32> = (0..rows * 24).map(|i| (i as f32 * 0.37).sin()).collect();
    let settings = SampleConfig { start: 4, ..SampleConfig::default() };
    let sampler = Sampler::new(&settings, &Schedule::published()).expect("a valid setting");
    let run = |from: usize, to: usize| {
        let noise = StreamNoise::new(Seed(9), from as u64);
        let z = &z[from * 24..to * 24];
        let mut engine = Plain::new();
        let out = sampler.reconstruct(&mut engine, &[&model], z, 16, &noise, &Cancel::new(), &Silent);
        out.expect("valid input").remove(0)
    };
    let whole = run(0, rows);
    let mut parts = run(0, 7);
    parts.extend(run(7, 33));
    parts.extend(run(33, rows));
    assert!(whole.iter().zip(&parts).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert!(whole.iter().zip(&z).any(|(a, b)| (a - b).abs() > 0.1));
}

#[test]
fn cancelling_stops_it() {
    let model = Parameters::zeros(LfdnConfig::new(4, 4, 1)).expect("small sizes");
    let sampler = Sampler::new(&SampleConfig::default(), &Schedule::published()).expect("the default");
    let cancel = Cancel::new();
    cancel.cancel();
    let noise = StreamNoise::new(Seed(0), 0);
    let found = sampler.reconstruct(&mut Plain::new(), &[&model], &[0.0; 8], 2, &noise, &cancel, &Silent);
    assert!(matches!(found, Err(DiffusionError::Cancelled(_))));
}
