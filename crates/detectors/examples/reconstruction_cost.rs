//! What reconstruction costs: training and scoring rates of every reconstructing detector on this machine, all cores.
//!
//! ```sh
//! cargo run --release -p oodlab-detectors --example reconstruction_cost            # [rounds, default 3] [kinds ..]
//! ```
//! Samples are made up: rates do not depend on what is in them. Features have the five layers of EfficientNet-B4 (720 columns), images
//! 32 × 32 pixels. One epoch is trained; the median of the rounds is printed, in samples a second. Feature detectors need an encoder
//! besides (`oodlab bench encoder`).

use std::time::Instant;

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_detectors::{FitContext, NoParts, ScoreContext, ScoreSpec, Unlabeled, build};
use oodlab_diffusion::{Compute, NoCheckpoints};
use oodlab_features::{Features, Layer};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

/// A detector, its settings, the scores asked for, and how many samples are trained and scored in a round.
struct Case {
    label: &'static str,
    kind: &'static str,
    section: Value,
    scores: &'static [&'static str],
    pixels: bool,
    train: usize,
    score: usize,
}

fn cases() -> Vec<Case> {
    let one = |batch: usize| json!({"epochs": 1, "batch_size": batch});
    let case = |label, kind, section, scores, pixels, train, score| Case {
        label,
        kind,
        section,
        scores,
        pixels,
        train,
        score,
    };
    let mfsim = &["mfsim"][..];
    let lfdn = |width: usize, blocks: usize| json!({"network": {"width": width, "blocks": blocks}, "train": one(128)});
    let ddpm = |channels: usize, steps: usize| json!({"network": {"channels": channels}, "train": one(64), "sample": {"start": 250, "steps": steps}});
    vec![
        case("dlsr, 16 blocks of 1440, 3 steps", "dlsr", lfdn(1440, 16), mfsim, false, 512, 512),
        case("dlsr, 4 blocks of 512, 3 steps", "dlsr", lfdn(512, 4), mfsim, false, 4096, 8192),
        case("autoencoder, 16 blocks of 1440", "autoencoder", lfdn(1440, 16), mfsim, false, 512, 1024),
        case("autoencoder, 4 blocks of 512", "autoencoder", lfdn(512, 4), mfsim, false, 4096, 16384),
        case("vae, width 512, latent 64", "vae", json!({"train": one(128)}), mfsim, false, 8192, 32768),
        case("pca, 0.9 of the variance", "pca", Value::Null, mfsim, false, 8192, 16384),
        case("pixel-vae, 32 channels", "pixel-vae", json!({"train": one(64)}), &["mse"][..], true, 1024, 2048),
        case("pixel-ddpm, 16 channels, 10 steps", "pixel-ddpm", ddpm(16, 10), &["mse"][..], true, 256, 128),
        case("pixel-ddpm, 32 channels, 10 steps", "pixel-ddpm", ddpm(32, 10), &["mse"][..], true, 128, 64),
    ]
}

/// Made-up samples that are not independent, so that few components hold most of the variance.
fn samples(rows: usize, pixels: bool) -> Result<Features, Failure> {
    let layers: &[(&str, usize)] = if pixels {
        &[("pixels", 3072)]
    } else {
        &[("stage1", 24), ("stage2", 32), ("stage3", 56), ("stage4", 160), ("stage5", 448)]
    };
    let layers = Layer::consecutive(layers.iter().copied());
    let width = layers.last().map_or(0, |layer| layer.end);
    let mut noise = vec![0.0f32; rows * width];
    oodlab_kernels::normal::fill(Seed(1).stream("samples"), 0, &mut noise);
    let smooth = |i: usize| ((i % width) as f32 * 0.05 + (i / width) as f32 * 0.7).sin();
    let values = noise.iter().enumerate().map(|(i, n)| (0.7 * smooth(i) + 0.1 * n).clamp(-1.0, 1.0)).collect();
    Ok(Features::new(layers, (0..rows).map(|row| format!("sample{row}")).collect(), values)?)
}

/// Rates of one fit and of scoring.
struct Rates {
    /// Samples a second, as the clock on the wall has it.
    training: f64,
    scoring: f64,
    /// The same a second of one processor: what other work on the machine changes least. None where the system does not tell.
    training_processor: Option<f64>,
    scoring_processor: Option<f64>,
}

/// Seconds of processors that this process has used (Linux, in hundredths).
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name in parentheses: user and system time are the 12th and 13th fields.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// Does the work; samples a second of the clock, and of one processor.
fn timed<T>(samples: usize, work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, f64, Option<f64>), Failure> {
    let (clock, processor) = (Instant::now(), processor_seconds());
    let done = work()?;
    let samples = samples as f64;
    let used = processor_seconds().zip(processor).map(|(end, begin)| end - begin).filter(|used| *used > 0.0);
    Ok((done, samples / clock.elapsed().as_secs_f64(), used.map(|used| samples / used)))
}

fn measure(case: &Case) -> Result<Rates, Failure> {
    let scores: Vec<ScoreSpec> = case.scores.iter().map(|name| ScoreSpec::plain(name)).collect();
    let detector = build(case.kind, case.section.clone(), &scores)?;
    let (train, given) = (samples(case.train, case.pixels)?, samples(case.score, case.pixels)?);
    let (cancel, compute) = (Cancel::new(), Compute::processor());
    let mut context = FitContext {
        seed: Seed(0),
        progress: &Silent,
        cancel: &cancel,
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
        compute: &compute,
        validation: None,
        parts: &mut NoParts,
    };
    let fit = || Ok(detector.fit(&Unlabeled::new(&train), &mut context)?);
    let (fitted, training, training_processor) = timed(case.train, fit)?;
    let context = ScoreContext { first_index: 0, cancel: &cancel, task: &Silent, compute: &compute };
    let score = || Ok(fitted.score(&Unlabeled::new(&given), &context)?);
    let (_, scoring, scoring_processor) = timed(case.score, score)?;
    Ok(Rates { training, scoring, training_processor, scoring_processor })
}

/// The median as a table's cell.
fn median(rates: &[Rates], rate: impl Fn(&Rates) -> Option<f64>) -> String {
    let mut values: Vec<f64> = rates.iter().filter_map(rate).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or("-".to_owned(), |value| format!("{value:.0}"))
}

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = match arguments.first().map(|first| first.parse::<usize>()) {
        Some(Ok(rounds)) => {
            arguments.remove(0);
            rounds.max(1)
        }
        _ => 3,
    };
    println!("| detector | training, samples/s | a processor second | scoring, samples/s | a processor second |");
    println!("|---|---:|---:|---:|---:|");
    for case in cases() {
        if !arguments.is_empty() && !arguments.iter().any(|kind| kind == case.kind) {
            continue;
        }
        let rates = (0..rounds).map(|_| measure(&case)).collect::<Result<Vec<Rates>, Failure>>()?;
        println!(
            "| {} | {} | {} | {} | {} |",
            case.label,
            median(&rates, |rates| Some(rates.training)),
            median(&rates, |rates| rates.training_processor),
            median(&rates, |rates| Some(rates.scoring)),
            median(&rates, |rates| rates.scoring_processor),
        );
    }
    Ok(())
}
