//! The encoders against numbers that independent programs wrote.

use oodlab_base::golden::{Findings, GoldenError, GoldenFile, Outcome};
use oodlab_base::tolerance::Tolerance;
use oodlab_datasets::{DatasetError, RgbImage, resize};

use crate::encoder::{Encoder, EncoderConfig, PENULTIMATE, Pooling};
use crate::error::EncoderError;
use crate::formula;
use crate::network::Network;
use crate::weights::Weights;

/// f32 weights: near to exact.
pub(crate) const FULL: Tolerance = Tolerance::absolute("2e-4", 2e-4);
/// The embedded f16 trunk against f32 weights.
pub(crate) const HALF: Tolerance = Tolerance::absolute("1e-1 (f16 weights)", 1e-1);
/// Formula weights: relative to each value, or to the tap's largest where a value is near to zero.
const FORMULA_RELATIVE: f64 = 2e-4;

pub(crate) const RESOLUTION: u32 = 224;
const CIFAR_RECORD: usize = 1 + 3 * 32 * 32;
const CIFAR_IMAGES: &[u8] = include_bytes!("../golden/cifar10_test_first8.bin");

/// A check that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum EncoderGoldenError {
    /// The golden file is not of the expected form.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The encoder could not be built or run.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// An image could not be read or resized.
    #[error(transparent)]
    Image(#[from] Box<DatasetError>),
}

/// The golden files of this crate: stem and bytes.
#[must_use]
pub fn embedded() -> Vec<(&'static str, &'static [u8])> {
    macro_rules! files {
        ($($stem:literal),* $(,)?) => {
            vec![$(($stem, include_bytes!(concat!("../golden/", $stem, ".safetensors")).as_slice())),*]
        };
    }
    files![
        "efficientnet-lite0",
        "formula_densenet100",
        "formula_efficientnet-b0",
        "formula_efficientnet-b0-symmetric",
        "formula_efficientnet-b2",
        "formula_efficientnet-b4-symmetric",
        "formula_efficientnet-b5-symmetric",
        "formula_resnet101",
        "formula_resnet18",
        "formula_resnet18-32",
        "formula_resnet18_released",
        "formula_resnet20",
        "formula_resnet34",
        "formula_resnet50",
        "formula_resnet56",
        "formula_vit-b16",
        "formula_wrn-40-2",
    ]
}

/// Checks one file; none when its kind is not an encoder's, or its network is not known here.
///
/// A stem `formula_NETWORK` or `formula_NETWORK_..` is checked with formula weights; a stem `NETWORK` with the weights that `find_weights` gives
/// for it: its taps, and its logits when the weights have a head; weights that say they are f16 get the wider tolerance.
pub fn check(
    file: &GoldenFile,
    find_weights: &dyn Fn(&str) -> Option<Weights>,
) -> Option<Result<Outcome, EncoderGoldenError>> {
    let named = |stem: &str| Network::named(stem.split('_').next().unwrap_or_default());
    if let Some(network) = file.stem.strip_prefix("formula_").and_then(named) {
        return Some(check_formula(file, &network));
    }
    let network = named(&file.stem)?;
    Some(match find_weights(network.name) {
        Some(weights) => check_released(file, &network, &weights),
        None => Ok(Outcome::Skipped { needs: format!("the weights of {}", network.name) }),
    })
}

fn check_formula(file: &GoldenFile, network: &Network) -> Result<Outcome, EncoderGoldenError> {
    let weights = formula::weights(network.name)?;
    let mut findings = Findings::new();
    let resolution = if file.metadata.contains_key("resolution") { file.setting("resolution")? } else { RESOLUTION };
    for (pooling, suffix) in [(Pooling::Average, ""), (Pooling::Released, "_released")] {
        // Not every program wrote taps behind the released neck.
        if pooling == Pooling::Released && file.tensor("tap1_released").is_err() {
            continue;
        }
        let encoder = encoder(network, pooling, resolution, &weights)?;
        let images = rows(file, &format!("tap1{suffix}"))?;
        let encoded = encoder.encode_tensor(&formula::images(images, resolution as usize), images)?;
        compare_taps(file, &encoder, &encoded.features, "", suffix, None, &mut findings)?;
        if let (Some(logits), Ok(want)) = (&encoded.logits, file.tensor("logits")) {
            let want = want.f32();
            findings.add(format!("logits{suffix}"), formula_tolerance(&want).compare_f32(&logits.values, &want));
        }
    }
    Ok(findings.outcome())
}

fn check_released(file: &GoldenFile, network: &Network, weights: &Weights) -> Result<Outcome, EncoderGoldenError> {
    let encoder = encoder(network, Pooling::Average, RESOLUTION, weights)?;
    let half = weights.metadata().get("dtype").is_some_and(|dtype| dtype.eq_ignore_ascii_case("f16"));
    let tolerance = if half { HALF } else { FULL };
    let mut findings = Findings::new();
    for (prefix, tensor) in [("sin_", true), ("cifar_", false)] {
        let images = rows(file, &format!("{prefix}tap1"))?;
        let input = if tensor { formula::images(images, RESOLUTION as usize) } else { cifar(network, images)? };
        let encoded = encoder.encode_tensor(&input, input.len() / (3 * (RESOLUTION * RESOLUTION) as usize))?;
        compare_taps(file, &encoder, &encoded.features, prefix, "", Some(tolerance), &mut findings)?;
        if let Some(logits) = encoded.logits {
            let want = file.tensor(&format!("{prefix}logits"))?.f32();
            findings.add(format!("{prefix}logits"), tolerance.compare_f32(&logits.values, &want));
        }
    }
    Ok(findings.outcome())
}

fn encoder(network: &Network, pooling: Pooling, resolution: u32, weights: &Weights) -> Result<Encoder, EncoderError> {
    let (network, resolution) = (network.name.to_owned(), Some(resolution));
    Encoder::new(&EncoderConfig { network, resolution, pooling, ..EncoderConfig::default() }, weights)
}

pub(crate) fn rows(file: &GoldenFile, name: &str) -> Result<usize, GoldenError> {
    // A file cannot ask for more images than it has numbers.
    let tensor = file.tensor(name)?;
    Ok(tensor.shape.first().copied().unwrap_or(0).min(tensor.values.len()))
}

/// Every tap of the encoder with the tensor of its number.
fn compare_taps(
    file: &GoldenFile,
    encoder: &Encoder,
    features: &[f32],
    prefix: &str,
    suffix: &str,
    tolerance: Option<Tolerance>,
    findings: &mut Findings,
) -> Result<(), GoldenError> {
    for (index, layer) in encoder.layers().iter().enumerate() {
        let tap = index < encoder.taps();
        let name = if tap { format!("{prefix}tap{}{suffix}", index + 1) } else { format!("{prefix}{PENULTIMATE}") };
        // Not every program wrote the penultimate vector, and what it is does not depend on the taps' pooling.
        let want = match file.tensor(&name) {
            Ok(want) => want.f32(),
            Err(error) if tap => return Err(error),
            Err(_) => continue,
        };
        let got: Vec<f32> = features.chunks_exact(encoder.width()).flat_map(|row| row[layer.span()].to_vec()).collect();
        findings.add(name, tolerance.unwrap_or_else(|| formula_tolerance(&want)).compare_f32(&got, &want));
    }
    Ok(())
}

pub(crate) fn formula_tolerance(want: &[f32]) -> Tolerance {
    let largest = want.iter().fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
    Tolerance::mixed("2e-4 relative", 0.1 * FORMULA_RELATIVE * largest, FORMULA_RELATIVE)
}

/// The first CIFAR-10 test images at 224, normalised, CHW.
fn cifar(network: &Network, images: usize) -> Result<Vec<f32>, Box<DatasetError>> {
    let normalisation = network.normalisation.factors();
    let mut values = Vec::new();
    for record in CIFAR_IMAGES.chunks_exact(CIFAR_RECORD).take(images) {
        let image = resize::bilinear(&RgbImage::from_planes(32, 32, &record[1..])?, RESOLUTION, RESOLUTION)?;
        for (channel, (factor, shift)) in normalisation.into_iter().enumerate() {
            values.extend(image.pixels.iter().skip(channel).step_by(3).map(|&x| f32::from(x) * factor + shift));
        }
    }
    Ok(values)
}
