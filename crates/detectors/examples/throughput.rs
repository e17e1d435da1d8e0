//! How fast detectors fit and score: `cargo run --release -p oodlab-detectors --example throughput -- [--train N] [--query N] [--width N]
//! [--classes N] [--kinds a,b]`. Features are normal numbers around class means, of a fixed seed; with `--save FOLDER` they are written as
//! little-endian f32, for `throughput_peer.py` to read.

use std::time::Instant;

use oodlab_base::{Cancel, Seed, Silent};
use oodlab_detectors::{Detector, FitContext, FittedDetector, Labeled, NoParts, ScoreContext, Unlabeled, build};
use oodlab_diffusion::{Compute, NoCheckpoints};
use oodlab_features::{Features, Head, Labels, Layer, Logits};
use serde_json::{Value, json};

/// Samples scored at once, as an experiment does.
const PART: usize = 1024;

struct Sizes {
    train: usize,
    query: usize,
    width: usize,
    classes: usize,
}

struct Samples {
    features: Features,
    penultimate: Features,
}

fn argument(name: &str) -> Option<String> {
    let all: Vec<String> = std::env::args().collect();
    let place = all.iter().position(|word| word == name)?;
    all.get(place + 1).cloned()
}

fn number(name: &str, default: usize) -> usize {
    argument(name).map_or(default, |text| text.parse().expect("a number"))
}

fn samples(rows: usize, sizes: &Sizes, head: &Head, stream: &str) -> Samples {
    let Sizes { width, classes, .. } = *sizes;
    let mut values = vec![0.0f32; rows * width];
    oodlab_kernels::normal::fill(Seed(1).stream(stream), 0, &mut values);
    let mut means = vec![0.0f32; classes * width];
    oodlab_kernels::normal::fill(Seed(1).stream("means"), 0, &mut means);
    for (row, values) in values.chunks_exact_mut(width).enumerate() {
        let mean = &means[row % classes * width..][..width];
        values.iter_mut().zip(mean).for_each(|(x, m)| *x = (0.7 * *x + 0.5 * m).max(0.0));
    }
    let mut logits = Vec::with_capacity(rows * classes);
    for row in values.chunks_exact(width) {
        for (weight, bias) in head.weight().chunks_exact(width).zip(head.bias()) {
            logits.push(weight.iter().zip(row).map(|(w, x)| w * x).sum::<f32>() + bias);
        }
    }
    let ids: Vec<String> = (0..rows).map(|row| format!("{stream}{row}")).collect();
    let layer = Layer::consecutive([("penultimate", width)]);
    let penultimate = Features::new(layer, ids, values).expect("sizes fit");
    let features = penultimate.clone().with_logits(Logits { classes, values: logits }).expect("sizes fit");
    Samples { features, penultimate }
}

fn save(folder: &str, name: &str, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(format!("{folder}/{name}.f32"), bytes).expect("written");
}

fn given<'a>(samples: &'a Samples, head: &'a Head) -> Unlabeled<'a> {
    Unlabeled::new(&samples.features).with_penultimate(Some(&samples.penultimate)).with_head(Some(head))
}

fn fit(detector: &dyn Detector, train: &Samples, head: &Head, classes: usize) -> Option<Box<dyn FittedDetector>> {
    let labels = Labels((0..train.features.rows()).map(|row| (row % classes) as u32).collect());
    let validation = train.features.slice(0..train.features.rows().min(2000));
    let vectors = train.penultimate.slice(0..validation.rows());
    let held_labels = Labels(labels.0[..validation.rows()].to_vec());
    let id = Unlabeled::new(&validation).with_penultimate(Some(&vectors)).with_head(Some(head));
    let compute = Compute::processor();
    let mut context = FitContext {
        seed: Seed(0),
        progress: &Silent,
        cancel: &Cancel::new(),
        checkpoints: &mut NoCheckpoints,
        checkpoint_every: 0,
        checkpoint_every_steps: 0,
        compute: &compute,
        validation: Some(oodlab_detectors::Validation { id, ood: &[], separation: &|_, _| 0.0 }),
        parts: &mut NoParts,
    };
    let found = match detector.supervised() {
        Some(supervised) => {
            let given = given(train, head);
            let labeled = Labeled { given, labels: &labels, classes, validation: Some(&held_labels), teacher: None };
            supervised.fit_labeled(&labeled, &mut context)
        }
        None => detector.fit(&given(train, head), &mut context),
    };
    found.map_err(|error| eprintln!("{}: {error}", detector.kind())).ok()
}

fn main() {
    let sizes = Sizes {
        train: number("--train", 50_000),
        query: number("--query", 100_000),
        width: number("--width", 512),
        classes: number("--classes", 10),
    };
    let mut weight = vec![0.0f32; sizes.classes * sizes.width];
    oodlab_kernels::normal::fill(Seed(1).stream("head"), 0, &mut weight);
    weight.iter_mut().for_each(|w| *w *= 0.1);
    let head = Head::new(sizes.width, weight, vec![0.1; sizes.classes]).expect("sizes fit");
    let (train, query) = (samples(sizes.train, &sizes, &head, "train"), samples(sizes.query, &sizes, &head, "query"));
    if let Some(folder) = argument("--save") {
        save(&folder, "train", train.penultimate.values());
        save(&folder, "query", query.penultimate.values());
        save(&folder, "weight", head.weight());
        save(&folder, "bias", head.bias());
    }
    // What trains a network has a benchmark of its own.
    let slow = ["autoencoder", "dlsr", "oal", "pixel-ddpm", "pixel-vae", "vae"];
    let kinds = argument("--kinds").map_or_else(
        || oodlab_detectors::kinds().into_iter().filter(|kind| !slow.contains(kind)).map(str::to_owned).collect(),
        |text| text.split(',').map(str::to_owned).collect::<Vec<String>>(),
    );
    println!(
        "{} training, {} scored, width {}, {} threads",
        sizes.train,
        sizes.query,
        sizes.width,
        rayon::current_num_threads()
    );
    println!("{:24} {:>10} {:>14}", "detector", "fit, s", "scores/s");
    for kind in kinds {
        let detector = build(&kind, Value::Null, &[]).expect("a known kind");
        if !detector.probes().is_empty() {
            continue;
        }
        let began = Instant::now();
        let Some(fitted) = fit(detector.as_ref(), &train, &head, sizes.classes) else { continue };
        let took = began.elapsed().as_secs_f64();
        let (began, mut scored) = (Instant::now(), 0);
        for first in (0..sizes.query).step_by(PART) {
            let rows = first..(first + PART).min(sizes.query);
            let part =
                Samples { features: query.features.slice(rows.clone()), penultimate: query.penultimate.slice(rows) };
            let compute = Compute::processor();
            let context =
                ScoreContext { first_index: first as u64, cancel: &Cancel::new(), task: &Silent, compute: &compute };
            fitted.score(&given(&part, &head), &context).expect("scores");
            scored += part.features.rows();
            // A slow one is stopped after a minute: its rate is known.
            if began.elapsed().as_secs() > 60 {
                break;
            }
        }
        let rate = scored as f64 / began.elapsed().as_secs_f64();
        println!("{kind:24} {took:10.2} {rate:14.0}");
        if argument("--json").is_some() {
            println!("{}", json!({ "detector": kind, "fit_seconds": took, "scores_per_second": rate }));
        }
    }
}
