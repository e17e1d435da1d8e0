//! Running the steps over batches of samples.

use oodlab_base::{Cancel, Task};
use oodlab_kernels::{ddim_step, forward_noise};

use super::{Noise, Sampler, Stride};
use crate::{DiffusionError, LfdnEngine, Parameters};

/// What one evaluation of the network gave, for some rows under one model.
///
/// Each row of a trajectory is seen once at every evaluation. With a fixed stride all rows of an observation are at one step t and end
/// together; with a random one the rows with the longest way come first, and those that have arrived are left out.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The draw, from 0.
    pub draw: usize,
    /// The start step of the trajectory.
    pub start: usize,
    /// The model's place among those given.
    pub model: usize,
    /// The evaluation of the trajectory, from 0.
    pub k: usize,
    /// The rows of `z` that are seen, n of them; with a fixed stride they follow each other.
    pub rows: &'a [usize],
    /// The step of each row at which the network was asked, `[n]`, falling.
    pub t: &'a [u32],
    /// How many of the rows, from the end, have arrived: their state is the reconstruction.
    pub arrived: usize,
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

/// Rows that are computed together, those with the longest way first.
struct Rows {
    /// Rows of `z`.
    rows: Vec<usize>,
    /// The noised samples' forward noise, `[batch_size, dim]`, zero behind the rows.
    forward: Vec<f32>,
    /// The samples, likewise.
    z: Vec<f32>,
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
            let first = seen.rows.len() - seen.arrived;
            for (row, state) in seen.rows[first..].iter().zip(seen.state[first * dim..].chunks(dim)) {
                outputs[seen.model][row * dim..(row + 1) * dim].copy_from_slice(state);
            }
            Ok(())
        })?;
        Ok(outputs)
    }

    /// Reconstructs every row of `z` with each of the models, under the same noise, as often as there are draws and start steps;
    /// `observe` sees every evaluation of the network, [`Sampler::evaluations`] of them for a row and model.
    ///
    /// Rows are taken in batches of `batch_size`, the last one padded with zeros, so that products always have the same shape. With a
    /// random stride, rows of like length of way share a batch. `task` advances by the number of rows in all.
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
        let (count, draws) = (z.len() / dim, self.config.draws);
        let mut run = Run { engine, models, z, dim, batch_size, noise, observe };
        let mut done = 0;
        for draw in 0..draws {
            let order = self.order(draw, count, noise);
            let mut seen = 0;
            for rows in order.chunks(batch_size) {
                let rows = run.rows(draw, rows);
                for &start in &self.starts {
                    cancel.check()?;
                    self.trajectory(&mut run, draw, start, &rows)?;
                }
                seen += rows.rows.len();
                let all = (draw * count + seen) / draws;
                task.advance((all - done) as u64);
                done = all;
            }
        }
        Ok(())
    }

    /// The rows in the order in which they are computed: from the longest way to the shortest, whatever the start step.
    fn order(&self, draw: usize, count: usize, noise: &dyn Noise) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        if self.config.stride == Stride::Random {
            // One bound for all: with the true ones, rows of one start could change places for another.
            order.sort_by_cached_key(|&row| noise.below(draw, row, u64::MAX));
        }
        order
    }

    /// The stride of a row.
    fn stride(&self, draw: usize, start: usize, row: usize, noise: &dyn Noise) -> usize {
        match self.config.stride {
            Stride::Every(stride) => stride,
            Stride::Random => noise.below(draw, row, start as u64) as usize + 1,
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
    fn trajectory(&self, run: &mut Run<'_>, draw: usize, start: usize, rows: &Rows) -> Result<(), DiffusionError> {
        let dim = run.dim;
        let strides: Vec<usize> = rows.rows.iter().map(|&row| self.stride(draw, start, row, run.noise)).collect();
        let ways: Vec<usize> = strides.iter().map(|&stride| start.div_ceil(stride)).collect();
        let mut states = vec![self.noised(start, &rows.z, &rows.forward, dim)?; run.models.len()];
        let mut prediction = vec![0.0; rows.z.len()];
        let mut fresh = vec![0.0; rows.z.len()];
        let mut shown = Vec::new();
        let mut t = vec![start as u32; run.batch_size];
        for k in 0..ways.first().copied().unwrap_or(0) {
            let under_way = ways.partition_point(|&way| way > k);
            let arrived = under_way - ways.partition_point(|&way| way > k + 1);
            let now = &rows.rows[..under_way];
            let at = |row: usize| self.step(start - k * strides[row], strides[row]);
            for (row, t) in t[..under_way].iter_mut().enumerate() {
                *t = at(row).t;
            }
            // Rows with one stride stand together; where all have it, there is one group.
            let groups: Vec<&[usize]> = strides[..under_way].chunk_by(|a, b| a == b).collect();
            let mut first = 0;
            for group in &groups {
                let span = first * dim..(first + group.len()) * dim;
                if at(first).coefficients.noise == 0.0 {
                    fresh[span].fill(0.0);
                } else {
                    run.fill(draw, k + 1, &now[first..first + group.len()], &mut fresh[span]);
                }
                first += group.len();
            }
            for (model, state) in states.iter_mut().enumerate() {
                let input = self.shown(state, dim, &mut shown);
                run.engine.predict(run.models[model], input, &t, &mut prediction)?;
                let mut first = 0;
                for group in &groups {
                    let span = first * dim..(first + group.len()) * dim;
                    let (x0, noise) = (&prediction[span.clone()], &fresh[span.clone()]);
                    ddim_step::run(at(first).coefficients, &mut state[span], x0, noise)?;
                    first += group.len();
                }
                let seen = under_way * dim;
                let (state, prediction) = (&state[..seen], &prediction[..seen]);
                let t = &t[..under_way];
                (run.observe)(Observation { draw, start, model, k, rows: now, t, arrived, state, prediction })?;
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
    fn rows(&self, draw: usize, rows: &[usize]) -> Rows {
        let dim = self.dim;
        let [mut z, mut forward] = [0, 1].map(|_| vec![0.0; self.batch_size * dim]);
        for (to, &row) in z.chunks_mut(dim).zip(rows) {
            to.copy_from_slice(&self.z[row * dim..(row + 1) * dim]);
        }
        self.fill(draw, 0, rows, &mut forward[..rows.len() * dim]);
        Rows { rows: rows.to_vec(), forward, z }
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
