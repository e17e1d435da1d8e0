//! How fast the network is here: features a second in training and in scoring, and how that compares with plain matrix products.

use std::time::{Duration, Instant};

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_kernels::cuda::{Gpu, Product};
use oodlab_kernels::{normal, reconstruction};
use serde::Serialize;

use crate::{
    AdamW, Compute, DiffusionError, Hide, LfdnConfig, LfdnEngine, Objective, Plain, Precision, SampleConfig, Sampler,
    Schedule, StreamNoise, TrainConfig, TrainState, Training,
};

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchConfig {
    /// Sizes of the network.
    pub network: LfdnConfig,
    /// Samples of a step, and of a batch in scoring; at least 1.
    pub batch: usize,
    /// Threads; 0: all.
    pub threads: usize,
    /// Numbers to compute with.
    pub precision: Precision,
    /// Whether the plain engine is to be measured, the readable specification, instead of the device's fastest.
    pub plain: bool,
    /// How long to measure, in all; each is measured three times at least.
    pub seconds: u64,
}

/// What was measured: medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Name of the engine.
    pub engine: &'static str,
    /// Numbers that products are computed with.
    pub precision: Precision,
    /// Threads.
    pub threads: usize,
    /// Parameters of the network, 10^6.
    pub params_m: f64,
    /// Samples of a step.
    pub batch: usize,
    /// Seconds of one training step: noise, forward, backward, AdamW and average.
    pub train_step_s: f64,
    /// Samples a second in training.
    pub train_features_per_s: f64,
    /// Samples a second in scoring: noise, three DDIM steps, squared error and cosine.
    pub score_features_per_s: f64,
    /// Repeats of both.
    pub repeats: usize,
    /// Operations of a sample in training, 10^9, a multiply-add counted as two; what depends on the step alone is left out.
    pub train_gflop_per_feature: f64,
    /// The same in scoring.
    pub score_gflop_per_feature: f64,
    /// Rate of independent matrix products of 512 × 512 × 512 in f32 on the same threads (best of several), 10^9 operations a second;
    /// on a GPU of one of 4096 × 4096 × 4096 by cuBLAS.
    pub peak_gflop_per_s: f64,
    /// Training's operations a second as a share of that.
    pub train_share_of_peak: f64,
    /// Scoring's.
    pub score_share_of_peak: f64,
}

/// Measures one network with random weights on random samples. On a GPU a batch is drawn on the processor and uploaded, as in
/// a training, and that counts.
///
/// # Errors
/// When sizes are out of range, the precision is not to be had, or threads cannot be started.
pub fn run(config: &BenchConfig, compute: &Compute) -> Result<BenchReport, DiffusionError> {
    let network = config.network.validate()?;
    let batch = config.batch;
    TrainConfig { batch_size: batch, ..TrainConfig::default() }.validate()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(config.threads).build()?;
    pool.install(|| measure(network, batch, config, compute))
}

fn measure(
    network: LfdnConfig,
    batch: usize,
    config: &BenchConfig,
    compute: &Compute,
) -> Result<BenchReport, DiffusionError> {
    let mut engine: Box<dyn LfdnEngine> = match (config.plain, config.precision) {
        (false, precision) => compute.engine(precision)?,
        (true, Precision::F32) => Box::new(Plain::new()),
        (true, other) => {
            let (found, expected) = (other.name().to_owned(), "f32 with the plain engine".to_owned());
            return Err(DiffusionError::Setting { name: "precision", found, expected });
        }
    };
    let seed = Seed(0);
    let mut z = vec![0.0; batch * network.dim];
    normal::fill(seed.stream("lfdn bench samples"), 0, &mut z);
    let settings = TrainConfig { batch_size: batch, ..TrainConfig::default() };
    let schedule = Schedule::published();
    let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
    let training = Training { network, config: &settings, objective, z: &z, seed };
    let (mut state, optimiser) = (TrainState::initialise(network, seed)?, AdamW::new(&settings));
    let order: Vec<usize> = (0..batch).collect();
    let mut step = 0;
    let mut train = |engine: &mut dyn LfdnEngine, state: &mut TrainState| {
        let drawn = training.draw(0, step, &order)?;
        step += 1;
        engine.train_step(state, &optimiser, settings.learning_rate, &[drawn.view()]).map(drop)
    };
    let sampler = Sampler::new(&SampleConfig::default(), &schedule)?;
    let mut scores = (vec![0.0; batch], vec![0.0; batch]);
    let whole = 0..network.dim;
    let mut score = |engine: &mut dyn LfdnEngine, state: &TrainState| {
        let noise = StreamNoise::new(seed, 0);
        let models = [&state.ema];
        let found = sampler.reconstruct(engine, &models, &z, batch, &noise, &Cancel::new(), &Silent)?;
        reconstruction::squared_errors(&z, &found[0], &mut scores.0)?;
        reconstruction::layer_cosines(&z, &found[0], network.dim, std::slice::from_ref(&whole), &mut scores.1)?;
        Ok::<(), DiffusionError>(())
    };
    // The first ones grow the buffers. Scoring goes on with one model, as it does after a training.
    train(engine.as_mut(), &mut state)?;
    score(engine.as_mut(), &state)?;
    let (mut train_s, mut score_s) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    let half = Duration::from_millis(500 * config.seconds);
    while train_s.len() < 3 || begin.elapsed() < half {
        train_s.push(timed(|| train(engine.as_mut(), &mut state))?);
    }
    engine.synchronise(&mut state)?;
    score(engine.as_mut(), &state)?;
    while score_s.len() < train_s.len().min(3) || begin.elapsed() < 2 * half {
        score_s.push(timed(|| score(engine.as_mut(), &state))?);
    }
    let repeats = train_s.len().min(score_s.len());
    let (train_s, score_s) = (median(train_s), median(score_s));
    let forward = operations(network) as f64 / 1e9;
    let peak_gflop_per_s = match compute.device() {
        Some(gpu) => gpu_product_peak(gpu, config.seconds)?,
        None => oodlab_kernels::bench::product_peak(),
    };
    let rate = |seconds: f64| batch as f64 / seconds;
    let (train_gflop, score_gflop) = (3.0 * forward, sampler.steps().len() as f64 * forward);
    Ok(BenchReport {
        engine: engine.name(),
        precision: config.precision,
        threads: rayon::current_num_threads(),
        params_m: network.parameter_count().unwrap_or(0) as f64 / 1e6,
        batch,
        train_step_s: train_s,
        train_features_per_s: rate(train_s),
        score_features_per_s: rate(score_s),
        repeats,
        train_gflop_per_feature: train_gflop,
        score_gflop_per_feature: score_gflop,
        peak_gflop_per_s,
        train_share_of_peak: rate(train_s) * train_gflop / peak_gflop_per_s,
        score_share_of_peak: rate(score_s) * score_gflop / peak_gflop_per_s,
    })
}

/// Operations of one sample forward.
fn operations(network: LfdnConfig) -> u64 {
    let LfdnConfig { dim, width, blocks, .. } = network;
    let [dim, width, blocks] = [dim, width, blocks].map(|size| size as u64);
    2 * (2 * dim * width + 2 * blocks * width * width)
}

fn timed(work: impl FnOnce() -> Result<(), DiffusionError>) -> Result<f64, DiffusionError> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One product in full f32 by cuBLAS; the best of several rounds. Small where nothing is to be measured but that it runs.
fn gpu_product_peak(gpu: &Gpu, seconds: u64) -> Result<f64, DiffusionError> {
    let side = if seconds == 0 { 64 } else { 4096 };
    let (left, right) = (gpu.copy(&vec![0.5; side * side])?, gpu.copy(&vec![0.25; side * side])?);
    let (mut out, mut best) = (gpu.zeros(side * side)?, 0.0f64);
    for _ in 0..6 {
        let start = Instant::now();
        for _ in 0..4 {
            gpu.product(&Product::with_weight(side, (&left, side), (&right, side, side)), &mut out, (0, side))?;
        }
        gpu.wait()?;
        best = best.max((8 * side * side * side) as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::{BenchConfig, run};
    use crate::{Compute, LfdnConfig, Precision};

    #[test]
    fn figures_belong_together() {
        let network = LfdnConfig::new(24, 32, 2);
        let config = BenchConfig { network, batch: 5, threads: 2, precision: Precision::F32, plain: false, seconds: 0 };
        let cpu = Compute::processor();
        let report = run(&config, &cpu).expect("small sizes");
        assert_eq!((report.engine, report.threads, report.batch), ("fused", 2, 5));
        assert!((report.train_features_per_s * report.train_step_s - 5.0).abs() < 1e-9);
        assert!(report.score_features_per_s > 0.0 && report.peak_gflop_per_s > 0.0);
        // Two layers of 24 x 32 and four of 32 x 32, a multiply-add counted as two.
        let operations = f64::from(2 * (2 * 24 * 32 + 4 * 32 * 32));
        assert!((report.train_gflop_per_feature * 1e9 - 3.0 * operations).abs() < 1e-3);
        assert!((report.params_m * 1e6 - network.parameter_count().expect("small") as f64).abs() < 1e-3);
        let plain = run(&BenchConfig { plain: true, ..config.clone() }, &cpu).expect("small sizes");
        assert_eq!(plain.engine, "plain");
        assert!(run(&BenchConfig { batch: 0, ..config.clone() }, &cpu).is_err());
        assert!(run(&BenchConfig { plain: true, precision: Precision::Bf16, ..config }, &cpu).is_err());
    }
}
