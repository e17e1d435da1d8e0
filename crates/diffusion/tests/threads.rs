//! The same bits for any number of threads. candle reads its thread count once, from the environment, so each count is a process of its own:
//! this very test, started again with the variable set and a file to write to.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use oodlab_base::{Cancel, Key, Seed, Silent};
use oodlab_diffusion::{
    Fused, Hide, LfdnConfig, LfdnEngine, NoCheckpoints, Objective, Plain, Precision, SampleConfig, Sampler, Schedule,
    StreamNoise, TrainConfig, TrainContext, Training,
};
use oodlab_kernels::simd::has_bf16;

const WRITE_TO: &str = "OODLAB_TEST_WRITE_TO";

/// Trains (with an incomplete last batch) and reconstructs; writes the hash of all bits.
fn work(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut report = String::new();
    // Odd sizes, sizes whose products are large enough to be split over threads, and the paper's width; the plain engine is slow.
    let (plain, full, half) = (None, Some(Precision::F32), Some(Precision::Bf16));
    let mut cases = vec![
        (plain, 37, 51, 2, 24, 100),
        (plain, 256, 320, 2, 128, 300),
        (full, 37, 51, 2, 24, 100),
        (full, 256, 320, 2, 128, 300),
        (full, 720, 1440, 1, 128, 150),
    ];
    if has_bf16() {
        cases.extend([(half, 37, 51, 2, 24, 100), (half, 256, 320, 2, 128, 300), (half, 720, 1440, 1, 128, 150)]);
    }
    for (precision, dim, width, blocks, batch, rows) in cases {
        let z: Vec<f32> = (0..rows * dim).map(|i| (i as f32 * 0.61).sin() * 1.3).collect();
        let config = TrainConfig {
            epochs: 2,
            batch_size: batch,
            learning_rate: 1e-3,
            drop_last: false,
            ..TrainConfig::default()
        };
        let schedule = Schedule::published();
        let network = LfdnConfig::new(dim, width, blocks);
        let objective = Objective::Denoise { schedule: &schedule, hide: Hide::Nothing };
        let training = Training { network, config: &config, objective, z: &z, seed: Seed(1) };
        let mut engine: Box<dyn LfdnEngine> = match precision {
            None => Box::new(Plain::new()),
            Some(precision) => Box::new(Fused::new(precision)?),
        };
        let engine = engine.as_mut();
        let trained = training.run(
            engine,
            &mut TrainContext {
                progress: &Silent,
                cancel: &Cancel::new(),
                checkpoints: &mut NoCheckpoints,
                checkpoint_every: 0,
                checkpoint_every_steps: 0,
            },
        )?;
        let sampler = Sampler::new(&SampleConfig::default(), &schedule)?;
        let noise = StreamNoise::new(Seed(1), 0);
        let models = [&trained.ema, &trained.first.ema];
        let found = sampler.reconstruct(engine, &models, &z, batch, &noise, &Cancel::new(), &Silent)?;
        // Cut into parts, every sample stands at another row of its batch, and must come out the same.
        let mut parts = Vec::new();
        for (from, to) in [(0, 19), (19, 90), (90, rows)] {
            let noise = StreamNoise::new(Seed(1), from as u64);
            let part = &z[from * dim..to * dim];
            parts.extend(
                sampler.reconstruct(engine, &models[..1], part, batch, &noise, &Cancel::new(), &Silent)?.remove(0),
            );
        }
        assert!(parts == found[0], "a reconstruction depends on where the set was cut");
        for values in [trained.parameters.values(), trained.ema.values(), &found[0], &found[1]] {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            report += &format!("{} {}\n", Key::of_bytes(&bytes), values[values.len() / 2]);
        }
        report += &format!("{:?}\n", trained.losses);
    }
    Ok(std::fs::write(out, report)?)
}

#[test]
fn one_two_and_three_threads_give_the_same_bits() -> Result<(), Box<dyn Error>> {
    if let Some(out) = std::env::var_os(WRITE_TO) {
        return work(Path::new(&out));
    }
    let folder = tempfile::tempdir()?;
    let mut reports = Vec::new();
    // Threads of the products, and of candle's elementwise operations.
    for (threads, elementwise) in [("1", "1"), ("2", "2"), ("3", "3"), ("2", "1")] {
        let out = folder.path().join(format!("{threads}-{elementwise}"));
        let status = Command::new(std::env::current_exe()?)
            .args(["--exact", "one_two_and_three_threads_give_the_same_bits", "--test-threads=1"])
            .env("RAYON_NUM_THREADS", threads)
            .env("CANDLE_NUM_THREADS", elementwise)
            .env(WRITE_TO, &out)
            .output()?;
        assert!(status.status.success(), "{threads} threads: {}", String::from_utf8_lossy(&status.stdout));
        reports.push(std::fs::read_to_string(&out)?);
    }
    assert_eq!(reports[0].lines().count(), if has_bf16() { 40 } else { 25 });
    assert_eq!(reports[0], reports[1], "one against two threads");
    assert_eq!(reports[0], reports[2], "one against three threads");
    assert_eq!(reports[0], reports[3], "one against two threads in products only");
    Ok(())
}
