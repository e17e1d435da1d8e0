//! Small networks on candle that stand beside the latent feature diffusion network: the ablation's variational autoencoder, and baselines
//! on pixels.
//!
//! A [`SmallNetwork`] is a list of parameters and a loss; [`SmallTraining`] trains any of them with AdamW, checkpoints and the same
//! promise as the large one: equal bits for any number of threads, and after any kill and resume.

pub mod conditional;
mod layers;
mod optimiser;
mod parameters;
mod train;
pub mod vae;

pub use conditional::{ConditionalLfdn, Guided};
pub(crate) use layers::{LayoutBuilder, Taken};
pub use parameters::SmallParameters;
pub use train::{SmallNetwork, SmallTrainConfig, SmallTrained, SmallTraining};
pub use vae::{Vae, VaeBody, VaeOutput};

use candle_core::{Device, Tensor};
use oodlab_base::{Cancel, Task};

use crate::DiffusionError;

/// Computes `work` on batches of exactly `batch` rows (the last one filled up with zeros), so that a sample's result does not depend on how
/// many others come with it. `work` is given the batch and the position of its first row, and returns one row of `width` numbers a sample.
///
/// # Errors
/// When `values` are no whole rows, the work fails or is cancelled.
pub(crate) fn in_batches(
    values: &[f32],
    dim: usize,
    batch: usize,
    (cancel, task): (&Cancel, &dyn Task),
    mut work: impl FnMut(&Tensor, usize) -> Result<Vec<Vec<f32>>, DiffusionError>,
) -> Result<Vec<Vec<f32>>, DiffusionError> {
    let (dim, batch) = (dim.max(1), batch.max(1));
    let rows = values.len() / dim;
    if rows * dim != values.len() {
        return Err(DiffusionError::Length { what: "samples", expected: rows * dim, found: values.len() });
    }
    let mut all: Vec<Vec<f32>> = Vec::new();
    for (number, part) in values.chunks(batch * dim).enumerate() {
        cancel.check()?;
        let mut padded = part.to_vec();
        padded.resize(batch * dim, 0.0);
        let x = Tensor::from_vec(padded, (batch, dim), &Device::Cpu)?;
        let found = work(&x, number * batch)?;
        let given = part.len() / dim;
        all.resize_with(found.len(), Vec::new);
        for (all, found) in all.iter_mut().zip(found) {
            all.extend_from_slice(&found[..found.len() / batch * given]);
        }
        task.advance(given as u64);
    }
    Ok(all)
}

#[cfg(test)]
pub(crate) mod tests;
