//! Features a second of the plain engine, in training and in scoring (3 steps): `speed [dim width blocks batch repeats]`.

use std::error::Error;
use std::time::Instant;

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_diffusion::{
    AdamW, Batch, LfdnConfig, LfdnEngine, Plain, SampleConfig, Sampler, Schedule, StreamNoise, TrainConfig, TrainState,
};

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let at = |i: usize, default: usize| given.get(i).copied().unwrap_or(default);
    let (config, rows, repeats) = (LfdnConfig::new(at(0, 512), at(1, 512), at(2, 4)), at(3, 128), at(4, 9));
    let mut state = TrainState::initialise(config, Seed(0))?;
    let mut engine = Plain::new();
    let optimiser = AdamW::new(&TrainConfig::default());
    let z: Vec<f32> = (0..rows * config.dim).map(|i| (i as f32 * 0.37).sin()).collect();
    let t: Vec<u32> = (0..rows as u32).map(|i| i * 37 % 100).collect();
    let batch = Batch { x: &z, t: &t, target: &z };
    let train = median(repeats, || engine.train_step(&mut state, &optimiser, 1e-4, &[batch]).map(|_| ()))?;
    let sampler = Sampler::new(&SampleConfig::default(), &Schedule::published())?;
    let noise = StreamNoise::new(Seed(0), 0);
    let score = median(repeats, || {
        sampler.reconstruct(&mut engine, &[&state.ema], &z, rows, &noise, &Cancel::new(), &Silent).map(|_| ())
    })?;
    println!("train {:.0} features/s, score {:.0} features/s", rows as f64 / train, rows as f64 / score);
    Ok(())
}

fn median<E>(repeats: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    work()?;
    let mut seconds = Vec::new();
    for _ in 0..repeats.max(1) {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}
