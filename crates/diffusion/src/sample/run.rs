//! Running the steps over batches of samples.

use oodlab_base::{Cancel, Seed, Stream, Task};
use oodlab_kernels::{ddim_step, forward_noise, normal};

use super::Sampler;
use crate::{DiffusionError, LfdnEngine, Parameters};

/// Where the noise of a reconstruction comes from.
pub trait Noise {
    /// Fills `out` (`[rows, dim]`) with the noise of step `k` (0: the forward noise; 1, 2, ..: after each DDIM step) for the rows that begin
    /// with row `first` of this call.
    fn fill(&self, k: usize, first: usize, dim: usize, out: &mut [f32]);
}

/// Noise as a function of (seed, sample index, step): a sample's reconstruction does not depend on its batch or shard.
#[derive(Debug, Clone, Copy)]
pub struct StreamNoise {
    stream: Stream,
    first_index: u64,
}

impl StreamNoise {
    /// The noise of samples `first_index ..`.
    #[must_use]
    pub fn new(seed: Seed, first_index: u64) -> StreamNoise {
        StreamNoise { stream: seed.stream("lfdn sampling noise"), first_index }
    }
}

impl Noise for StreamNoise {
    fn fill(&self, k: usize, first: usize, dim: usize, out: &mut [f32]) {
        let sample = self.first_index.wrapping_add(first as u64);
        normal::fill(self.stream.child(k as u64), sample.wrapping_mul(dim as u64), out);
    }
}

impl Sampler {
    /// Reconstructs every row of `z` with each of the models, under the same noise; returns one `[rows, dim]` buffer a model.
    ///
    /// Rows are taken in batches of `batch_size`, the last one padded with zeros, so that products always have the same shape.
    ///
    /// # Errors
    /// When lengths do not agree, or the work is cancelled.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing that the caller owns")]
    pub fn reconstruct(
        &self,
        engine: &mut dyn LfdnEngine,
        models: &[&Parameters],
        z: &[f32],
        batch_size: usize,
        noise: &dyn Noise,
        cancel: &Cancel,
        task: &dyn Task,
    ) -> Result<Vec<Vec<f32>>, DiffusionError> {
        let mut outputs = vec![vec![0.0; z.len()]; models.len()];
        let Some(dim) = models.first().map(|model| model.config().dim) else { return Ok(outputs) };
        if models.iter().any(|model| model.config().dim != dim) || !z.len().is_multiple_of(dim) || batch_size == 0 {
            let expected = z.len() / dim * dim;
            return Err(DiffusionError::Length { what: "samples to reconstruct", expected, found: z.len() });
        }
        let mut padded = vec![0.0; batch_size * dim];
        for (batch, rows) in z.chunks(batch_size * dim).enumerate() {
            cancel.check()?;
            padded[..rows.len()].copy_from_slice(rows);
            padded[rows.len()..].fill(0.0);
            let first = batch * batch_size;
            let states = self.batch(engine, models, &padded, |k, out| noise.fill(k, first, dim, out), |_, _, _| {})?;
            for (output, state) in outputs.iter_mut().zip(states) {
                output[first * dim..first * dim + rows.len()].copy_from_slice(&state[..rows.len()]);
            }
            task.advance((rows.len() / dim) as u64);
        }
        Ok(outputs)
    }

    /// One batch. `noise(k, out)` draws; `observe(model, k, state)` sees the noised sample (k = 0) and the state after each step.
    pub(crate) fn batch(
        &self,
        engine: &mut dyn LfdnEngine,
        models: &[&Parameters],
        z: &[f32],
        mut noise: impl FnMut(usize, &mut [f32]),
        mut observe: impl FnMut(usize, usize, &[f32]),
    ) -> Result<Vec<Vec<f32>>, DiffusionError> {
        let Some(dim) = models.first().map(|model| model.config().dim) else { return Ok(Vec::new()) };
        let rows = z.len() / dim;
        let mut drawn = vec![0.0; z.len()];
        let mut start = vec![0.0; z.len()];
        noise(0, &mut drawn);
        forward_noise::run(z, &drawn, &vec![self.start; rows], &mut start)?;
        let mut states = vec![start; models.len()];
        for (model, state) in states.iter().enumerate() {
            observe(model, 0, state);
        }
        let mut prediction = vec![0.0; z.len()];
        for (step, k) in self.steps.iter().zip(1..) {
            if step.coefficients.noise == 0.0 {
                drawn.fill(0.0);
            } else {
                noise(k, &mut drawn);
            }
            let t = vec![step.t; rows];
            for (model, (parameters, state)) in models.iter().zip(&mut states).enumerate() {
                engine.predict(parameters, state, &t, &mut prediction)?;
                ddim_step::run(step.coefficients, state, &prediction, &drawn)?;
                observe(model, k, state);
            }
        }
        Ok(states)
    }
}
