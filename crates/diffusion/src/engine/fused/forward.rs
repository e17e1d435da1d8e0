//! The network forward.

use oodlab_kernels::group_norm::{Norm, panels};
use oodlab_kernels::linear::{self, Begin, Numbers, Shape, layout};
use oodlab_kernels::silu;

use super::buffers::{Buffers, Time};
use super::net::{Linear, Net, Scale};
use super::steps::Steps;
use crate::{DiffusionError, time_embedding};

/// What the rows are told of their steps.
#[derive(Clone, Copy)]
pub(super) enum Told<'a> {
    /// Nothing, or it is in the biases of the blocks' first layers already: `[blocks, width]`.
    Bias(Option<&'a [f32]>),
    /// Each row its own step.
    Steps(&'a Steps),
}

/// A pass over the network with some parameters.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub net: &'a Net,
    pub values: &'a [f32],
    pub numbers: Numbers,
    pub rows: usize,
}

impl Pass<'_> {
    fn product(
        &self,
        layer: &Linear,
        rows: usize,
        x: &[f32],
        begin: Begin<'_>,
        out: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let bias = &self.values[layer.bias.clone()];
        self.product_with(layer, rows, bias, x, begin, out)
    }

    fn product_with(
        &self,
        layer: &Linear,
        rows: usize,
        bias: &[f32],
        x: &[f32],
        begin: Begin<'_>,
        out: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let shape = Shape { inputs: layer.inputs, outputs: layer.outputs, rows };
        Ok(linear::forward(self.numbers, shape, &self.values[layer.weight.clone()], bias, x, begin, out)?)
    }

    fn norm(&self, scale: &Scale, x: &[f32], out: &mut [f32], statistics: &mut [f32]) -> Result<(), DiffusionError> {
        let norm = Norm { weight: &self.values[scale.weight.clone()], bias: &self.values[scale.bias.clone()] };
        let statistics = &mut statistics[..panels::statistics_len(self.rows)];
        Ok(panels::forward(self.numbers.set(), self.rows, norm, x, out, statistics)?)
    }

    /// The time MLP for the distinct steps.
    pub(super) fn time(
        &self,
        [first, second]: &[Linear; 2],
        steps: &[u32],
        time: &mut Time,
    ) -> Result<(), DiffusionError> {
        let (width, count) = (first.inputs, steps.len());
        time.rows = time_embedding::table(steps, width);
        layout::from_rows(count, width, &time.rows, &mut time.table)?;
        let filled = layout::panels_len(count, first.outputs);
        self.product(first, count, &time.table, Begin::Nothing, &mut time.first)?;
        silu::forward(self.numbers.set(), &time.first[..filled], &mut time.first_active[..filled])?;
        self.product(second, count, &time.first_active, Begin::Nothing, &mut time.second)?;
        Ok(silu::forward(self.numbers.set(), &time.second[..filled], &mut time.second_active[..filled])?)
    }

    /// A block's projection of the steps, into `time.shift`.
    pub(super) fn shift(&self, told: &Linear, steps: usize, time: &mut Time) -> Result<(), DiffusionError> {
        let Time { second_active, shift, .. } = time;
        self.product(told, steps, second_active, Begin::Nothing, shift)
    }

    /// The network's prediction, in panels in `buffers.output`; `buffers.input` holds SiLU of the input, and `buffers.time`
    /// the time MLP's output where there are steps. `keep`: what the gradients need stays.
    pub(super) fn run(&self, told: Told<'_>, keep: bool, buffers: &mut Buffers) -> Result<(), DiffusionError> {
        let Buffers { input, streams, middles, statistics, normed, output, time } = buffers;
        let (net, rows) = (self.net, self.rows);
        self.product(&net.input, rows, input, Begin::Nothing, &mut streams[0])?;
        for (number, block) in net.blocks.iter().enumerate() {
            // In scoring, streams take turns and the rest is overwritten.
            let (from, to) = if keep { (number, number + 1) } else { (number % 2, (number + 1) % 2) };
            let middle = &mut middles[if keep { number } else { 0 }];
            let at = if keep { [2 * number, 2 * number + 1] } else { [0, 0] };
            self.norm(&block.first_norm, &streams[from], normed, &mut statistics[at[0]])?;
            match (told, &block.told) {
                (Told::Steps(Steps { distinct, row }), Some(projection)) => {
                    self.shift(projection, distinct.len(), time)?;
                    let begin = Begin::Shift { table: &time.shift, steps: distinct.len(), row };
                    self.product(&block.first, rows, normed, begin, middle)?;
                }
                (Told::Bias(Some(biases)), _) => {
                    let bias = &biases[number * net.config.width..][..net.config.width];
                    self.product_with(&block.first, rows, bias, normed, Begin::Nothing, middle)?;
                }
                _ => self.product(&block.first, rows, normed, Begin::Nothing, middle)?,
            }
            self.norm(&block.second_norm, middle, normed, &mut statistics[at[1]])?;
            let [from, to] = match streams.get_disjoint_mut([from, to]) {
                Ok(both) => both,
                Err(_) => continue,
            };
            self.product(&block.second, rows, normed, Begin::Residual(from), to)?;
        }
        let (last, at) = if keep { (net.blocks.len(), 2 * net.blocks.len()) } else { (net.blocks.len() % 2, 0) };
        self.norm(&net.norm, &streams[last], normed, &mut statistics[at])?;
        self.product(&net.output, rows, normed, Begin::Nothing, output)
    }
}
