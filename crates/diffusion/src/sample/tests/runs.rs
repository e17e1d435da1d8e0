//! Whole runs: what is seen, how often the network is asked, and what a result depends on.

use std::collections::BTreeMap;

use super::*;
use crate::LfdnEngine;

const DIM: usize = 24;

/// The published start predicts zero everywhere; give the network something to say.
fn model() -> Parameters {
    let mut model = Parameters::initialise(LfdnConfig::new(DIM, 32, 2), Seed(2)).expect("small sizes");
    model.values_mut().iter_mut().enumerate().for_each(|(i, x)| *x += 0.05 * (i as f32).sin());
    model
}

fn samples(rows: usize) -> Vec<f32> {
    (0..rows * DIM).map(|i| (i as f32 * 0.37).sin()).collect()
}

/// States and predictions of every (draw, start, row, evaluation).
type Seen = BTreeMap<(usize, usize, usize, usize), (u32, bool, Vec<f32>, Vec<f32>)>;

fn run(sampler: &Sampler, z: &[f32], batch_size: usize, noise: &StreamNoise) -> Seen {
    run_with(&mut Plain::new(), sampler, z, batch_size, noise)
}

fn run_with(engine: &mut dyn LfdnEngine, sampler: &Sampler, z: &[f32], batch_size: usize, noise: &StreamNoise) -> Seen {
    let mut all = Seen::new();
    let model = model();
    sampler
        .run(engine, &[&model], z, batch_size, noise, &Cancel::new(), &Silent, &mut |seen| {
            for (at, &row) in seen.rows.iter().enumerate() {
                let of = |values: &[f32]| values[at * DIM..(at + 1) * DIM].to_vec();
                let value = (seen.t, seen.last, of(seen.state), of(seen.prediction));
                assert!(all.insert((seen.draw, seen.start, row, seen.k), value).is_none(), "seen twice");
            }
            Ok(())
        })
        .expect("valid input");
    all
}

/// Counts the rows that it is asked for.
struct Counting(Plain, usize);

impl LfdnEngine for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn predict(&mut self, p: &Parameters, x: &[f32], t: &[u32], out: &mut [f32]) -> Result<(), DiffusionError> {
        self.1 += t.len();
        self.0.predict(p, x, t, out)
    }

    fn gradients(&mut self, p: &Parameters, b: &crate::Batch<'_>, g: &mut Parameters) -> Result<f64, DiffusionError> {
        self.0.gradients(p, b, g)
    }
}

#[test]
fn the_network_is_asked_as_often_as_planned() {
    let (schedule, noise, z) = (Schedule::published(), StreamNoise::new(Seed(9), 0), samples(32));
    for (starts, stride, draws, wanted) in [(vec![3], 1, 1, 3), (vec![10, 3], 3, 2, 10), (vec![1, 5, 9], 99, 4, 12)] {
        let config = SampleConfig { stride: Stride::Every(stride), draws, ..SampleConfig::default() };
        let sampler = Sampler::with_starts(&config, &starts, &schedule).expect("valid");
        assert_eq!(sampler.evaluations(), f64::from(wanted));
        let mut engine = Counting(Plain::new(), 0);
        let seen = run_with(&mut engine, &sampler, &z, 16, &noise);
        assert_eq!((engine.1, seen.len()), (32 * wanted as usize, 32 * wanted as usize));
        assert_eq!(seen.values().filter(|seen| seen.1).count(), 32 * draws * starts.len());
    }
}

#[test]
fn random_strides_are_drawn_evenly_and_asked_for_once() {
    let config = SampleConfig { start: 10, stride: Stride::Random, ..SampleConfig::default() };
    let sampler = Sampler::new(&config, &Schedule::published()).expect("valid");
    // Strides 1 to 10 take 10, 5, 4, 3, 2, 2, 2, 2, 2 and 1 evaluations.
    assert!((sampler.evaluations() - 3.3).abs() < 1e-12);
    let rows = 2000;
    let seen = run(&sampler, &samples(rows), 64, &StreamNoise::new(Seed(9), 0));
    let mut ways: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for ((.., row, _), (t, ..)) in &seen {
        ways.entry(*row).or_default().push(*t);
    }
    let mut times: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    ways.into_values().for_each(|way| *times.entry(way).or_default() += 1);
    // The strides 1 to 10 lead over ten different sets of steps.
    assert_eq!(times.len(), 10, "{times:?}");
    assert!(times.values().all(|&times| (140..260).contains(&times)), "{times:?}");
    assert!((seen.len() as f64 / rows as f64 - 3.3).abs() < 0.2);
}

#[test]
fn everything_seen_depends_on_neither_batch_nor_shard() {
    let rows = 50;
    let z = samples(rows);
    for (stride, method, variant) in [
        (Stride::Random, Method::Ddim, Variant::Paper),
        (Stride::Random, Method::Ddpm, Variant::Released),
        (Stride::Every(2), Method::Ddpm, Variant::Paper),
    ] {
        let config = SampleConfig { stride, method, variant, draws: 3, ..SampleConfig::default() };
        let sampler = Sampler::with_starts(&config, &[6, 2], &Schedule::published()).expect("valid");
        let whole = run(&sampler, &z, 16, &StreamNoise::new(Seed(9), 0));
        let mut parts = Seen::new();
        for (from, to) in [(0, 7), (7, 33), (33, rows)] {
            let part = run(&sampler, &z[from * DIM..to * DIM], 16, &StreamNoise::new(Seed(9), from as u64));
            parts.extend(part.into_iter().map(|((draw, start, row, k), seen)| ((draw, start, row + from, k), seen)));
        }
        assert!(whole == parts, "{stride:?}");
    }
}

#[test]
fn more_draws_and_starts_leave_the_first_as_it_was() {
    let (schedule, noise, z) = (Schedule::published(), StreamNoise::new(Seed(9), 0), samples(20));
    for stride in [Stride::Every(1), Stride::Random] {
        let one = SampleConfig { start: 4, stride, ..SampleConfig::default() };
        let more = SampleConfig { draws: 3, ..one };
        let alone = run(&Sampler::new(&one, &schedule).expect("valid"), &z, 16, &noise);
        let sampler = Sampler::with_starts(&more, &[7, 4], &schedule).expect("valid");
        let together = run(&sampler, &z, 16, &noise);
        let of = |draw, start| -> Seen {
            let chosen = together.iter().filter(|((d, s, ..), _)| (*d, *s) == (draw, start));
            chosen.map(|((_, s, row, k), seen)| ((0, *s, *row, *k), seen.clone())).collect()
        };
        assert!(of(0, 4) == alone, "{stride:?}");
        assert!(of(1, 4) != alone && of(1, 4) != of(2, 4), "{stride:?}");
        let model = model();
        let mut engine = Plain::new();
        let first = sampler.reconstruct(&mut engine, &[&model], &z, 16, &noise, &Cancel::new(), &Silent);
        for (row, found) in first.expect("valid")[0].chunks(DIM).enumerate() {
            let last = of(0, 7).into_iter().rfind(|((.., r, _), seen)| *r == row && seen.1).expect("arrives");
            assert!(found == last.1.2);
        }
    }
}

#[test]
fn the_first_prediction_is_the_reconstruction_of_the_longest_stride() {
    let (schedule, noise, z) = (Schedule::published(), StreamNoise::new(Seed(9), 0), samples(20));
    let every = |stride| SampleConfig { start: 8, stride: Stride::Every(stride), ..SampleConfig::default() };
    let short = run(&Sampler::new(&every(1), &schedule).expect("valid"), &z, 16, &noise);
    let long = run(&Sampler::new(&every(8), &schedule).expect("valid"), &z, 16, &noise);
    for row in 0..20 {
        let (prediction, state) = (&short[&(0, 8, row, 0)].3, &long[&(0, 8, row, 0)].2);
        assert!(prediction.iter().zip(state).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn what_is_hidden_does_not_reach_the_network() {
    let (schedule, noise, z) = (Schedule::published(), StreamNoise::new(Seed(9), 0), samples(20));
    let config = SampleConfig { start: 5, ..SampleConfig::default() };
    let open = Sampler::new(&config, &schedule).expect("valid");
    let hiding = open.clone().hiding(4..9, DIM).expect("channels of a sample");
    let mut other = z.clone();
    other.chunks_mut(DIM).for_each(|row| row[4..9].fill(3.0));
    let predictions = |sampler: &Sampler, z: &[f32]| -> Vec<Vec<f32>> {
        run(sampler, z, 16, &noise).into_values().map(|seen| seen.3).collect()
    };
    assert!(predictions(&hiding, &z) == predictions(&hiding, &other));
    assert!(predictions(&open, &z) != predictions(&open, &other));
    for span in [3..3, 20..25] {
        assert!(matches!(open.clone().hiding(span, DIM), Err(DiffusionError::Hidden { .. })));
    }
}

#[test]
fn the_mean_over_draws_varies_less() {
    // The error of one sample under many seeds: alone, and as the mean of eight draws.
    let (schedule, z) = (Schedule::published(), samples(1));
    let deviation = |draws: usize| {
        let config = SampleConfig { start: 10, draws, ..SampleConfig::default() };
        let sampler = Sampler::new(&config, &schedule).expect("valid");
        let scores: Vec<f64> = (0..60)
            .map(|seed| {
                let seen = run(&sampler, &z, 1, &StreamNoise::new(Seed(seed), 0));
                let ends = seen.values().filter(|seen| seen.1);
                let error = |state: &[f32]| state.iter().zip(&z).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                ends.map(|seen| error(&seen.2)).sum::<f64>() / draws as f64
            })
            .collect();
        let mean = scores.iter().sum::<f64>() / 60.0;
        (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 59.0).sqrt()
    };
    let ratio = deviation(1) / deviation(8);
    assert!((2.0..4.0).contains(&ratio), "sqrt(8) = 2.83 was expected, found {ratio}");
}

#[test]
fn an_observer_may_fail() {
    let sampler = Sampler::new(&SampleConfig::default(), &Schedule::published()).expect("the default");
    let (model, noise) = (model(), StreamNoise::new(Seed(0), 0));
    let mut fail = |_: Observation<'_>| Err(DiffusionError::NoSamples);
    let found = sampler.run(&mut Plain::new(), &[&model], &samples(3), 2, &noise, &Cancel::new(), &Silent, &mut fail);
    assert!(matches!(found, Err(DiffusionError::NoSamples)));
}
