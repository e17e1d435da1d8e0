//! How fast an encoder is here: images a second, and how that compares with plain matrix products.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::encoder::{Encoder, EncoderConfig, Precision};
use crate::error::EncoderError;
use crate::formula;
use oodlab_datasets::RgbImage;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchConfig {
    /// Name of the network; it gets formula weights, whose values do not change its speed.
    pub network: String,
    /// Images in one batch, at least 1.
    pub batch: usize,
    /// Threads; 0: all.
    pub threads: usize,
    /// Side of the input, in pixels; none: the network's usual one.
    pub resolution: Option<u32>,
    /// Side of the images before they are resized; none: they are given resized and normalised.
    pub image_side: Option<u32>,
    /// Numbers to compute with.
    pub precision: Precision,
    /// How long to measure.
    pub seconds: u64,
}

impl Default for BenchConfig {
    fn default() -> BenchConfig {
        let network = EncoderConfig::default().network;
        BenchConfig {
            network,
            batch: 16,
            threads: 0,
            resolution: None,
            image_side: None,
            precision: Precision::F32,
            seconds: 5,
        }
    }
}

/// What was measured. Rates are taken for each batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Name of the network.
    pub network: String,
    /// Images in one batch.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
    /// Side of the input, in pixels.
    pub resolution: u32,
    /// Device, precision, instruction set.
    pub numerics: String,
    /// Batches measured.
    pub batches: usize,
    /// Median over batches.
    pub images_per_s: f64,
    /// The slowest batch.
    pub images_per_s_min: f64,
    /// The fastest batch.
    pub images_per_s_max: f64,
    /// Operations of one image, 10^9, a multiply-add counted as two.
    pub gflop_per_image: f64,
    /// Rate at the median, 10^9 operations a second.
    pub gflop_per_s: f64,
    /// Rate of independent matrix products of 512 × 512 × 512 on the same threads (best of several), 10^9 operations a second.
    pub peak_gflop_per_s: f64,
    /// `gflop_per_s / peak_gflop_per_s`
    pub share_of_peak: f64,
    /// Largest memory of the process so far, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Measures one network.
///
/// # Errors
/// When the network or resolution is unknown, or threads cannot be started.
pub fn run(config: &BenchConfig) -> Result<BenchReport, EncoderError> {
    let weights = formula::weights(&config.network)?;
    let encoder_config = EncoderConfig {
        network: config.network.clone(),
        resolution: config.resolution,
        precision: config.precision,
        ..EncoderConfig::default()
    };
    let encoder = Encoder::new(&encoder_config, &weights)?;
    let threads = config.threads;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| EncoderError::Threads { threads, source })?;
    pool.install(|| measure(config, &encoder))
}

fn measure(config: &BenchConfig, encoder: &Encoder) -> Result<BenchReport, EncoderError> {
    let batch = config.batch.max(1);
    let resolution = encoder.resolution();
    let tensor = formula::images(batch, resolution as usize);
    let images: Option<Vec<RgbImage>> = config.image_side.map(|side| images(batch, side));
    let encode = || match &images {
        Some(images) => encoder.encode(images).map(drop),
        None => encoder.encode_tensor(&tensor, batch).map(drop),
    };
    // The first batch grows the buffers.
    encode()?;
    let mut rates = Vec::new();
    let end = Instant::now() + Duration::from_secs(config.seconds);
    while rates.len() < 3 || Instant::now() < end {
        let start = Instant::now();
        encode()?;
        rates.push(batch as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let images_per_s = rates[rates.len() / 2];
    let gflop_per_image = encoder.operations_per_image() as f64 / 1e9;
    let peak_gflop_per_s = oodlab_kernels::bench::product_peak();
    let gflop_per_s = images_per_s * gflop_per_image;
    Ok(BenchReport {
        network: config.network.clone(),
        batch,
        threads: rayon::current_num_threads(),
        resolution,
        numerics: encoder.numerics(),
        batches: rates.len(),
        images_per_s,
        images_per_s_min: rates[0],
        images_per_s_max: rates[rates.len() - 1],
        gflop_per_image,
        gflop_per_s,
        peak_gflop_per_s,
        share_of_peak: gflop_per_s / peak_gflop_per_s,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// Square images of a smooth pattern.
fn images(count: usize, side: u32) -> Vec<RgbImage> {
    let pixels =
        |image: usize| (0..3 * side as usize * side as usize).map(|i| ((i * 7 + image * 31) % 256) as u8).collect();
    (0..count).map(|image| RgbImage { width: side, height: side, pixels: pixels(image) }).collect()
}

/// `VmHWM` of Linux.
fn peak_memory_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
