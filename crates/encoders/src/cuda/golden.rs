//! The encoders on a GPU against the numbers that independent programs wrote, and against the processor's backend.

use oodlab_base::golden::{Findings, GoldenError, GoldenFile, Outcome};
use oodlab_base::tolerance::Tolerance;
use oodlab_datasets::RgbImage;
use oodlab_kernels::cuda::Gpu;

use super::{CudaEncoded, CudaEncoderError, CudaImages, CudaNetwork};
use crate::encoder::{Encoder, EncoderConfig, Pooling};
use crate::formula;
use crate::golden::{FULL, HALF, RESOLUTION, formula_tolerance, rows};
use crate::network::Network;
use crate::weights::Weights;

/// The processor's features and the GPU's, relative to each value or to the largest of its layer.
const AGREEMENT: f64 = 1e-4;

/// A check that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum CudaGoldenError {
    /// The golden file is not of the expected form.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The network could not be built or run.
    #[error(transparent)]
    Encoder(#[from] CudaEncoderError),
}

impl From<crate::EncoderError> for CudaGoldenError {
    fn from(error: crate::EncoderError) -> CudaGoldenError {
        CudaGoldenError::Encoder(error.into())
    }
}

/// Checks one file on a GPU, as [`crate::golden::check`] does on the processor, but for the images of CIFAR: taps, and
/// logits where the file has them. None when its kind is not an encoder's.
pub fn check(
    gpu: &Gpu,
    file: &GoldenFile,
    find_weights: &dyn Fn(&str) -> Option<Weights>,
) -> Option<Result<Outcome, CudaGoldenError>> {
    let named = |stem: &str| Network::named(stem.split('_').next().unwrap_or_default());
    if let Some(network) = file.stem.strip_prefix("formula_").and_then(named) {
        return Some(check_formula(gpu, file, &network));
    }
    let network = named(&file.stem)?;
    Some(match find_weights(network.name) {
        Some(weights) => check_released(gpu, file, &network, &weights),
        None => Ok(Outcome::Skipped { needs: format!("the weights of {}", network.name) }),
    })
}

fn check_formula(gpu: &Gpu, file: &GoldenFile, network: &Network) -> Result<Outcome, CudaGoldenError> {
    let weights = formula::weights(network.name)?;
    let mut findings = Findings::new();
    let resolution = if file.metadata.contains_key("resolution") { file.setting("resolution")? } else { RESOLUTION };
    for (pooling, suffix) in [(Pooling::Average, ""), (Pooling::Released, "_released")] {
        // Only EfficientNet has a released neck.
        if pooling == Pooling::Released && file.tensor("tap1_released").is_err() {
            continue;
        }
        let images = rows(file, &format!("tap1{suffix}"))?;
        let config = config(network, resolution, pooling);
        let encoded = encode(gpu, &config, &weights, images)?;
        compare(file, network, &encoded, images, ("", suffix), &formula_tolerance, &mut findings)?;
        if let Ok(want) = file.tensor("logits") {
            let want = want.f32();
            findings.add(format!("logits{suffix}"), formula_tolerance(&want).compare_f32(&encoded.logits, &want));
        }
    }
    Ok(findings.outcome())
}

fn check_released(
    gpu: &Gpu,
    file: &GoldenFile,
    network: &Network,
    weights: &Weights,
) -> Result<Outcome, CudaGoldenError> {
    let half = weights.metadata().get("dtype").is_some_and(|dtype| dtype.eq_ignore_ascii_case("f16"));
    let tolerance = if half { HALF } else { FULL };
    let mut findings = Findings::new();
    let images = rows(file, "sin_tap1")?;
    let encoded = encode(gpu, &config(network, RESOLUTION, Pooling::Average), weights, images)?;
    compare(file, network, &encoded, images, ("sin_", ""), &|_| tolerance, &mut findings)?;
    if !encoded.logits.is_empty() {
        let want = file.tensor("sin_logits")?.f32();
        findings.add("sin_logits", tolerance.compare_f32(&encoded.logits, &want));
    }
    Ok(findings.outcome())
}

fn config(network: &Network, resolution: u32, pooling: Pooling) -> EncoderConfig {
    let (network, resolution) = (network.name.to_owned(), Some(resolution));
    EncoderConfig { network, resolution, pooling, ..EncoderConfig::default() }
}

/// The formula images of a network's size, all in one batch.
fn encode(
    gpu: &Gpu,
    config: &EncoderConfig,
    weights: &Weights,
    images: usize,
) -> Result<CudaEncoded, CudaEncoderError> {
    let network = CudaNetwork::new(gpu, config, weights, Some(images))?;
    let planes = formula::images(images, network.resolution());
    Ok(network.encode(CudaImages::Planes(&planes))?)
}

/// Every tap with the tensor of its number.
fn compare(
    file: &GoldenFile,
    network: &Network,
    encoded: &CudaEncoded,
    images: usize,
    (prefix, suffix): (&str, &str),
    tolerance: &dyn Fn(&[f32]) -> Tolerance,
    findings: &mut Findings,
) -> Result<(), GoldenError> {
    let width = encoded.features.len() / images.max(1);
    let mut start = 0;
    for (index, tap) in network.taps().into_iter().enumerate() {
        let name = format!("{prefix}tap{}{suffix}", index + 1);
        let span = start..start + tap.channels;
        let got: Vec<f32> =
            encoded.features.chunks_exact(width.max(1)).flat_map(|row| row[span.clone()].to_vec()).collect();
        let want = file.tensor(&name)?.f32();
        findings.add(name, tolerance(&want).compare_f32(&got, &want));
        start += tap.channels;
    }
    Ok(())
}

/// The GPU's features and logits of formula images against the processor's, for any configuration: what a golden file
/// leaves out (maximum and deviation, other resolutions, batches that are not full, 8-bit images).
///
/// # Errors
/// When the network cannot be built or run on either.
pub fn agreement(
    gpu: &Gpu,
    config: &EncoderConfig,
    weights: &Weights,
    images: usize,
) -> Result<Outcome, CudaGoldenError> {
    let encoder = Encoder::new(config, weights)?;
    // Smaller batches than there are images, the last one not full.
    let network = CudaNetwork::new(gpu, config, weights, Some(images.div_ceil(2)))?;
    let planes = formula::images(images, network.resolution());
    let want = encoder.encode_tensor(&planes, images)?;
    let got = network.encode(CudaImages::Planes(&planes)).map_err(CudaEncoderError::from)?;
    let mut findings = Findings::new();
    for layer in encoder.layers() {
        let part = |features: &[f32]| -> Vec<f32> {
            features.chunks_exact(encoder.width()).flat_map(|row| row[layer.span()].to_vec()).collect()
        };
        let want = part(&want.features);
        findings.add(layer.name.clone(), relative(&want).compare_f32(&part(&got.features), &want));
    }
    let want = want.logits.map(|logits| logits.values).unwrap_or_default();
    findings.add("logits", relative(&want).compare_f32(&got.logits, &want));

    // The same from 8-bit images of another size, which are resized and normalised on the way.
    let pixels = |image: usize| (0..3 * 24 * 20).map(|at| ((at * 31 + image * 57) % 251) as u8).collect::<Vec<u8>>();
    let images: Vec<RgbImage> =
        (0..images).map(|image| RgbImage { width: 24, height: 20, pixels: pixels(image) }).collect();
    let normalisation = config.normalisation.unwrap_or(config.resolve()?.0.normalisation);
    let (want, got) = (encoder.encode(&images)?.features, network.encode_images(&images, normalisation)?.features);
    findings.add("images", relative(&want).compare_f32(&got, &want));
    Ok(findings.outcome())
}

fn relative(want: &[f32]) -> Tolerance {
    let largest = want.iter().fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
    Tolerance::mixed("1e-4 relative", AGREEMENT * largest, AGREEMENT)
}
