//! `oodlab weights accuracy`: how many images of a labelled set a classifier gets right.
//!
//! The first thing to look at when a table looks wrong: weights, preprocessing and images belong together only if the
//! published accuracy comes out.

use anyhow::{Context, Result};
use clap::Args;
use oodlab_base::Progress;
use oodlab_encoders::{Encoder, EncoderConfig, Precision};
use rayon::prelude::*;
use serde::Serialize;

use super::{print, print_json};
use crate::failure::settings;
use crate::lab::Lab;

/// Images between two looks at Ctrl-C.
const BATCH: usize = 256;

/// What to measure.
#[derive(Debug, Args)]
pub struct AccuracyArguments {
    /// Weights with a classifier, as `oodlab weights list` names them
    pub name: String,
    /// A labelled set with the classifier's classes
    #[arg(long)]
    pub set: String,
    /// Its split
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Only the first images
    #[arg(long, value_name = "IMAGES")]
    pub limit: Option<usize>,
    /// Input size in pixels; 224, or 32 for networks of 32 px, when absent
    #[arg(long, value_name = "PIXELS")]
    pub resolution: Option<u32>,
    /// Numbers to compute with: f32, or bf16 where the processor has fast products of it
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    pub precision: String,
}

#[derive(Serialize)]
struct Report {
    weights: String,
    network: String,
    set: String,
    split: String,
    resolution: u32,
    images: usize,
    correct: usize,
    accuracy: f64,
}

/// Encodes the set and counts.
pub fn run(lab: &Lab, arguments: &AccuracyArguments, json: bool) -> Result<()> {
    let AccuracyArguments { name, set, split, limit, resolution, precision } = arguments;
    let precision = if precision == "bf16" { Precision::Bf16 } else { Precision::F32 };
    let library = lab.weights()?;
    let (weights, known) = library.find_known(name)?;
    let network = known.map_or_else(|| name.clone(), |manifest| manifest.network.clone());
    let normalisation = known.and_then(|manifest| manifest.normalisation);
    let config =
        EncoderConfig { network, resolution: *resolution, normalisation, precision, ..EncoderConfig::default() };
    let encoder = Encoder::new(&config, &weights)?;
    if encoder.classes() == 0 {
        return Err(settings(format!("{name}: these weights have no classifier, so they have no accuracy")));
    }
    let images = lab.library()?.open_set(set, split, *limit)?;
    let classes = images.class_names().len();
    if classes != 0 && classes != encoder.classes() {
        let own = encoder.classes();
        return Err(settings(format!("{set} has {classes} classes, the classifier of {name} has {own}")));
    }
    let task = lab.bars.task(&format!("{name} on {set} {split}"), "images", images.len() as u64, 0);
    let mut correct = 0;
    for first in (0..images.len()).step_by(BATCH) {
        lab.cancel.check()?;
        let rows = first..(first + BATCH).min(images.len());
        let count = rows.len() as u64;
        let right = |at: usize| -> Result<bool> {
            let label = images.label(at).with_context(|| format!("{set} {split}: image {at} has no label"))?;
            let (mut features, mut logits) = (vec![0.0; encoder.width()], vec![0.0; encoder.classes()]);
            encoder.encode_image(&images.read(at)?, &mut features, &mut logits)?;
            Ok(first_largest(&logits) == Some(label as usize))
        };
        let rights = rows.into_par_iter().map(right).collect::<Result<Vec<bool>>>()?;
        correct += rights.into_iter().filter(|right| *right).count();
        task.advance(count);
    }
    drop(task);
    let report = Report {
        weights: weights.source().to_owned(),
        network: config.network,
        set: set.clone(),
        split: split.clone(),
        resolution: encoder.resolution(),
        images: images.len(),
        correct,
        accuracy: correct as f64 / images.len().max(1) as f64,
    };
    if json {
        return print_json(&report);
    }
    print(&format!(
        "{name} on {set} {split} at {} px: {:.2} % ({} of {} images)\n",
        report.resolution,
        100.0 * report.accuracy,
        report.correct,
        report.images
    ))
}

/// Position of the largest value, the first of equal ones; none where all are NaN.
fn first_largest(values: &[f32]) -> Option<usize> {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().position(|value| *value == largest)
}
