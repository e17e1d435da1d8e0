//! Every kernel on a GPU against the processor's, on numbers that look random: `oodlab verify --device cuda:0` runs them.

mod convolutions;
mod diffusion;
mod layers;
mod memory;
mod pools;
mod training;

use oodlab_base::golden::{Findings, Outcome};
use oodlab_base::{Seed, Tolerance};

use super::{CudaError, Gpu};
use crate::simd::padded_channels;

/// Sums of at most about a thousand products of numbers in -1 .. 1, in another order and with other roundings.
const TOLERANCE: Tolerance = Tolerance::mixed("1e-5", 1e-5, 1e-5);

/// What a check found, or why it could not run.
pub type Checked = Result<Outcome, CudaError>;

/// A check: what it collects its comparisons in, and the GPU.
type Check = fn(&Gpu, &mut Findings) -> Result<(), CudaError>;

/// All checks by name.
const CHECKS: [(&str, Check); 26] = [
    ("memory", memory::memory),
    ("products", memory::products),
    ("random numbers", memory::random_numbers),
    ("images", memory::images),
    ("moved channels", memory::moved_channels),
    ("tokens", memory::tokens),
    ("activations", layers::activations),
    ("affine", layers::affine),
    ("layer norm", layers::layer_norm),
    ("attention", layers::attention),
    ("pointwise convolution", convolutions::pointwise),
    ("dense convolution", convolutions::dense),
    ("depthwise convolution", convolutions::depthwise),
    ("squeeze-excitation", convolutions::squeeze_excitation),
    ("pooling", pools::pooling),
    ("window pooling", pools::windows),
    ("forward noise", diffusion::forward_noise),
    ("DDIM step", diffusion::ddim_step),
    ("z-score", diffusion::zscore),
    ("reconstruction", diffusion::reconstruction),
    ("DDIM step with errors", training::scored_ddim_step),
    ("dense layer", training::dense_layer),
    ("rows of a step", training::step_rows),
    ("squared loss", training::loss),
    ("group norm and SiLU", training::group_norm),
    ("AdamW", training::adamw),
];

/// Runs every kernel on the GPU and compares it with the processor's; (name, outcome), none left out.
#[must_use]
pub fn run(gpu: &Gpu) -> Vec<(String, Checked)> {
    CHECKS
        .iter()
        .map(|(name, check)| {
            let mut findings = Findings::new();
            let outcome = check(gpu, &mut findings).map(|()| findings.outcome());
            (format!("cuda kernel: {name}"), outcome)
        })
        .collect()
}

/// `count` numbers in -1 .. 1.
fn numbers(name: &str, count: usize) -> Vec<f32> {
    let stream = Seed(11).stream(name);
    (0..count as u64).map(|index| 2.0 * stream.uniform(index) - 1.0).collect()
}

/// Pixels of `channels` dense channels spread to a stride; the gaps hold NaN, which no result may depend on.
fn spread(dense: &[f32], channels: usize, stride: usize) -> Vec<f32> {
    let mut values = vec![f32::NAN; dense.len() / channels * stride];
    for (to, from) in values.chunks_exact_mut(stride).zip(dense.chunks_exact(channels)) {
        to[..channels].copy_from_slice(from);
    }
    values
}

/// The first `channels` of every pixel.
fn gather(values: &[f32], channels: usize, stride: usize) -> Vec<f32> {
    values.chunks_exact(stride).flat_map(|pixel| pixel[..channels].iter().copied()).collect()
}

/// [`gather`] of padded channels.
fn gather_padded(values: &[f32], channels: usize) -> Vec<f32> {
    gather(values, channels, padded_channels(channels))
}
