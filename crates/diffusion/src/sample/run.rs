//! Running the steps over batches of samples.

use std::collections::BTreeMap;

use oodlab_base::{Cancel, Task};
use oodlab_kernels::{ddim_step, forward_noise};

use super::step::{Step, path};
use super::{Noise, Sampler, Stride};
use crate::{DiffusionError, LfdnEngine, Parameters};

/// What one evaluation of the network gave, for some rows under one model. Over a run each row is seen once at every evaluation of each of
/// its trajectories.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The draw's number, from `first_draw`.
    pub draw: usize,
    /// The start step of the trajectory.
    pub start: usize,
    /// The model's place among those given.
    pub model: usize,
    /// The evaluation of the trajectory, from 0.
    pub k: usize,
    /// The step at which the network was asked.
    pub t: u32,
    /// Whether the trajectory ends here: the states are the reconstructions.
    pub last: bool,
    /// The rows of `z` that are seen, n of them, rising; with a fixed stride they follow each other.
    pub rows: &'a [usize],
    /// The states after the step, `[n, dim]`.
    pub state: &'a [f32],
    /// The network's predictions of the clean samples, `[n, dim]`.
    pub prediction: &'a [f32],
}

/// What a run is given.
struct Run<'a> {
    engine: &'a mut dyn LfdnEngine,
    models: &'a [&'a Parameters],
    z: &'a [f32],
    dim: usize,
    batch_size: usize,
    noise: &'a dyn Noise,
    observe: &'a mut dyn FnMut(Observation<'_>) -> Result<(), DiffusionError>,
}

/// Rows that are computed together.
struct Rows<'a> {
    /// Rows of `z`.
    rows: &'a [usize],
    /// The samples, `[room, dim]`: as many as there are rows, or `batch_size` with zeros behind them where the engine wants that.
    z: Vec<f32>,
    /// Their forward noise, likewise.
    forward: Vec<f32>,
}

impl Sampler {
    /// Reconstructs every row of `z` with each of the models, under the same noise; returns one `[rows, dim]` buffer a model: the last
    /// states of the first draw from the first start.
    ///
    /// # Errors
    /// As [`Sampler::run`].
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
        let mut one = self.clone();
        one.config.draws = 1;
        one.starts.truncate(1);
        let mut outputs = vec![vec![0.0; z.len()]; models.len()];
        let dim = models.first().map_or(1, |model| model.config().dim);
        one.run(engine, models, z, batch_size, noise, cancel, task, &mut |seen| {
            if seen.last {
                for (row, state) in seen.rows.iter().zip(seen.state.chunks(dim)) {
                    outputs[seen.model][row * dim..(row + 1) * dim].copy_from_slice(state);
                }
            }
            Ok(())
        })?;
        Ok(outputs)
    }

    /// Reconstructs every row of `z` with each of the models, under the same noise, as often as there are draws and start steps;
    /// `observe` sees every evaluation of the network, [`Sampler::evaluations`] of them for a row and model.
    ///
    /// Rows are taken in batches of `batch_size`; for an engine whose rows depend on their number, shorter ones are padded with zeros. With a
    /// random stride, only rows that drew the same one share a batch. `task` advances by the number of rows in all.
    ///
    /// # Errors
    /// When lengths do not agree, the observer fails, or the work is cancelled.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing that the caller owns")]
    pub fn run(
        &self,
        engine: &mut dyn LfdnEngine,
        models: &[&Parameters],
        z: &[f32],
        batch_size: usize,
        noise: &dyn Noise,
        cancel: &Cancel,
        task: &dyn Task,
        observe: &mut dyn FnMut(Observation<'_>) -> Result<(), DiffusionError>,
    ) -> Result<(), DiffusionError> {
        let Some(dim) = models.first().map(|model| model.config().dim) else { return Ok(()) };
        let reaches = self.hidden.as_ref().is_some_and(|span| span.end > dim);
        if models.iter().any(|model| model.config().dim != dim)
            || !z.len().is_multiple_of(dim)
            || batch_size == 0
            || reaches
        {
            let expected = z.len() / dim * dim;
            return Err(DiffusionError::Length { what: "samples to reconstruct", expected, found: z.len() });
        }
        // With a fixed stride all starts take the same rows together, and share their forward noise.
        let together: Vec<&[usize]> = match self.config.stride {
            Stride::Every(_) => vec![&self.starts],
            Stride::Random => self.starts.chunks(1).collect(),
        };
        let (count, passes) = (z.len() / dim, self.config.draws * together.len());
        let mut run = Run { engine, models, z, dim, batch_size, noise, observe };
        let (mut seen, mut shown) = (0, 0);
        for draw in (self.config.first_draw..).take(self.config.draws) {
            for starts in &together {
                for (stride, rows) in self.strides(draw, starts[0], count, noise) {
                    for rows in rows.chunks(batch_size) {
                        let rows = run.rows(draw, rows);
                        for &start in *starts {
                            cancel.check()?;
                            self.trajectory(&mut run, draw, start, stride, &rows)?;
                        }
                        seen += rows.rows.len();
                        task.advance((seen / passes - shown) as u64);
                        shown = seen / passes;
                    }
                }
            }
        }
        Ok(())
    }

    /// The rows of each stride.
    fn strides(&self, draw: usize, start: usize, count: usize, noise: &dyn Noise) -> BTreeMap<usize, Vec<usize>> {
        match self.config.stride {
            Stride::Every(stride) => BTreeMap::from([(stride, (0..count).collect())]),
            Stride::Random => {
                let mut strides = BTreeMap::<usize, Vec<usize>>::new();
                for row in 0..count {
                    let stride = noise.below(draw, row, start as u64) as usize + 1;
                    strides.entry(stride).or_default().push(row);
                }
                strides
            }
        }
    }

    /// The samples, noised to a start step.
    pub(crate) fn noised(
        &self,
        start: usize,
        z: &[f32],
        noise: &[f32],
        dim: usize,
    ) -> Result<Vec<f32>, DiffusionError> {
        let mut x = vec![0.0; z.len()];
        let coefficients = vec![self.schedule.forward(start as u32)?; z.len() / dim];
        forward_noise::run(z, noise, &coefficients, &mut x)?;
        Ok(x)
    }

    /// One trajectory of some rows under each model.
    fn trajectory(
        &self,
        run: &mut Run<'_>,
        draw: usize,
        start: usize,
        stride: usize,
        batch: &Rows<'_>,
    ) -> Result<(), DiffusionError> {
        let (dim, rows, used) = (run.dim, batch.rows, batch.rows.len() * run.dim);
        let mut states = vec![self.noised(start, &batch.z, &batch.forward, dim)?; run.models.len()];
        let mut prediction = vec![0.0; batch.z.len()];
        let mut fresh = vec![0.0; batch.z.len()];
        let mut copy = Vec::new();
        let last = start.div_ceil(stride) - 1;
        for (k, t) in path(start, stride).enumerate() {
            let Step { t, coefficients } = self.step(t, stride);
            if coefficients.noise == 0.0 {
                fresh.fill(0.0);
            } else {
                run.fill(draw, k + 1, rows, &mut fresh[..used]);
            }
            // Padding has the step of the rows: an engine may compute what belongs to a step once for all rows.
            let steps = vec![t; prediction.len() / dim];
            for (model, state) in states.iter_mut().enumerate() {
                let input = self.shown(state, dim, &mut copy);
                run.engine.predict(run.models[model], input, &steps, &mut prediction)?;
                ddim_step::run(coefficients, state, &prediction, &fresh)?;
                let (state, prediction, last) = (&state[..used], &prediction[..used], k == last);
                (run.observe)(Observation { draw, start, model, k, t, last, rows, state, prediction })?;
            }
        }
        Ok(())
    }

    /// What the network is shown of a state.
    fn shown<'a>(&self, state: &'a [f32], dim: usize, copy: &'a mut Vec<f32>) -> &'a [f32] {
        let Some(span) = &self.hidden else { return state };
        copy.clear();
        copy.extend_from_slice(state);
        copy.chunks_mut(dim).for_each(|row| row[span.clone()].fill(0.0));
        copy
    }
}

impl Run<'_> {
    /// The samples and the forward noise of some rows.
    fn rows<'b>(&self, draw: usize, rows: &'b [usize]) -> Rows<'b> {
        let dim = self.dim;
        let room = if self.engine.rows_depend_on_their_number() { self.batch_size } else { rows.len() };
        let [mut z, mut forward] = [0, 1].map(|_| vec![0.0; room * dim]);
        for (to, &row) in z.chunks_mut(dim).zip(rows) {
            to.copy_from_slice(&self.z[row * dim..(row + 1) * dim]);
        }
        self.fill(draw, 0, rows, &mut forward[..rows.len() * dim]);
        Rows { rows, z, forward }
    }

    /// The noise of some rows: at once where they follow each other.
    fn fill(&self, draw: usize, k: usize, rows: &[usize], out: &mut [f32]) {
        let mut out = out;
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            let (now, rest) = out.split_at_mut(run.len() * self.dim);
            self.noise.fill(draw, k, run[0], self.dim, now);
            out = rest;
        }
    }
}
