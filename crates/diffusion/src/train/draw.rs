//! What the network is shown: samples, their steps, their noise.

use oodlab_base::Stream;
use oodlab_kernels::{forward_noise, normal, reconstruction};

use super::{Hide, Objective, Training};
use crate::{Batch, DiffusionError, LfdnEngine, Parameters};

/// A batch as it is shown.
pub(crate) struct Drawn {
    x: Vec<f32>,
    t: Vec<u32>,
    target: Vec<f32>,
}

impl Drawn {
    pub(crate) fn view(&self) -> Batch<'_> {
        Batch { x: &self.x, t: &self.t, target: &self.target }
    }

    pub(super) fn rows(&self) -> usize {
        self.t.len()
    }

    /// Squared error of each row, summed over its channels.
    pub(super) fn squared_errors(
        &self,
        engine: &mut dyn LfdnEngine,
        parameters: &Parameters,
    ) -> Result<Vec<f64>, DiffusionError> {
        let mut prediction = vec![0.0; self.x.len()];
        engine.predict(parameters, &self.x, &self.t, &mut prediction)?;
        let mut errors = vec![0.0; self.rows()];
        reconstruction::squared_errors(&self.target, &prediction, &mut errors)?;
        Ok(errors)
    }
}

/// The streams of steps, noise and hidden layers, and the position in them of a batch's first row.
pub(super) struct Streams {
    pub(super) steps: Stream,
    pub(super) noise: Stream,
    pub(super) hidden: Stream,
    pub(super) first: u64,
}

impl Training<'_> {
    /// A batch of an epoch: its samples in the epoch's order, their steps t and their noise.
    pub(crate) fn draw(&self, epoch: usize, batch: usize, rows: &[usize]) -> Result<Drawn, DiffusionError> {
        let child = |name| self.seed.stream(name).child(epoch as u64).child(batch as u64);
        let [steps, noise, hidden] =
            ["lfdn training steps", "lfdn training noise", "lfdn training hidden layer"].map(child);
        self.show(rows, &Streams { steps, noise, hidden, first: 0 })
    }

    /// These samples as the network is shown them.
    pub(super) fn show(&self, rows: &[usize], streams: &Streams) -> Result<Drawn, DiffusionError> {
        let dim = self.network.dim;
        let mut target = Vec::with_capacity(rows.len() * dim);
        for &row in rows {
            target.extend_from_slice(&self.z[row * dim..(row + 1) * dim]);
        }
        let Objective::Denoise { schedule, hide } = self.objective else {
            return Ok(Drawn { x: target.clone(), t: vec![0; rows.len()], target });
        };
        let below = |stream: Stream, bound: usize, at: usize| stream.below(bound as u64, streams.first + at as u64);
        let t: Vec<u32> = (0..rows.len()).map(|at| below(streams.steps, schedule.steps(), at) as u32).collect();
        let coefficients = t.iter().map(|&t| schedule.forward(t)).collect::<Result<Vec<_>, _>>()?;
        let mut noise = vec![0.0; target.len()];
        normal::fill(streams.noise, streams.first * dim as u64, &mut noise);
        let mut x = vec![0.0; target.len()];
        forward_noise::run(&target, &noise, &coefficients, &mut x)?;
        if let Hide::OneLayer(spans) = hide {
            for (at, row) in x.chunks_mut(dim).enumerate() {
                row[spans[below(streams.hidden, spans.len(), at) as usize].clone()].fill(0.0);
            }
        }
        Ok(Drawn { x, t, target })
    }
}
