//! The network backward. Every layer's input gradient is computed before its weights may change.

use oodlab_kernels::group_norm::{Norm, panels};
use oodlab_kernels::linear::{self, Numbers, PANEL, Shape, layout};
use oodlab_kernels::silu;
use oodlab_kernels::simd::AlignedBuffer;
use rayon::prelude::*;

use super::buffers::{Buffers, Gradients, Time};
use super::net::{Linear, Net, Scale};
use super::sink::Sink;
use super::steps::Steps;
use crate::DiffusionError;

/// The loss (mean squared error), and its gradient in place of the prediction. `prediction` in panels, `target` row-major.
pub(super) fn loss(rows: usize, dim: usize, prediction: &mut [f32], target: &[f32]) -> f64 {
    let count = (rows * dim) as f64;
    let factor = (2.0 / count) as f32;
    let panels = prediction.par_chunks_mut(dim * PANEL).zip(target.par_chunks(dim * PANEL));
    let sums: Vec<f64> = panels
        .map(|(prediction, target)| {
            let filled = target.len() / dim;
            let mut sums = [0.0f64; PANEL];
            for (feature, lanes) in prediction.chunks_exact_mut(PANEL).enumerate() {
                for (row, (lane, sum)) in lanes.iter_mut().zip(&mut sums).enumerate() {
                    let difference = if row < filled { *lane - target[row * dim + feature] } else { 0.0 };
                    *sum += f64::from(difference) * f64::from(difference);
                    *lane = factor * difference;
                }
            }
            sums.iter().sum()
        })
        .collect();
    sums.iter().sum::<f64>() / count
}

/// A way back through the network.
pub(super) struct Back<'a, 'b> {
    pub net: &'a Net,
    pub numbers: Numbers,
    pub rows: usize,
    pub steps: Option<&'a Steps>,
    pub sink: Sink<'b>,
}

impl Back<'_, '_> {
    /// Gives every gradient to the sink. `buffers` as the forward pass left them, with the loss's gradient in `output`.
    pub(super) fn run(&mut self, buffers: &mut Buffers, gradients: &mut Gradients) -> Result<(), DiffusionError> {
        let Buffers { input, streams, middles, statistics, normed, output, time } = buffers;
        let (net, rows) = (self.net, self.rows);
        let g = gradients;
        let blocks = net.blocks.len();

        self.input_gradient(&net.output, rows, output, false, &mut g.normed)?;
        self.norm(&net.norm, &streams[blocks], &statistics[2 * blocks], false, normed, g, Into::Stream)?;
        self.take(&net.output, rows, output, normed, &mut g.turned, &mut g.small)?;

        let mut told = self.steps.map(|steps| steps.distinct.len());
        if let (Some(count), true) = (told, net.time.is_some()) {
            let filled = layout::by_features_len(count, net.config.dim);
            layout::by_features(count, net.config.dim, &time.second_active, &mut g.told[..filled])?;
            g.told_sum[..layout::panels_len(count, net.config.dim)].fill(0.0);
        } else {
            told = None;
        }
        for (number, block) in net.blocks.iter().enumerate().rev() {
            self.input_gradient(&block.second, rows, &g.stream, false, &mut g.normed)?;
            let middle = &middles[number];
            self.norm(&block.second_norm, middle, &statistics[2 * number + 1], false, normed, g, Into::Middle)?;
            self.take(&block.second, rows, &g.stream, normed, &mut g.turned, &mut g.small)?;
            if let (Some(projection), Some(steps), Some(count)) = (&block.told, self.steps, told) {
                panels::shift_gradient(&steps.row, count, net.config.width, &g.middle, &mut g.shift)?;
                self.input_gradient(projection, count, &g.shift, true, &mut g.told_sum)?;
                self.sink.linear(self.numbers, projection, count, &g.shift, &g.told, &mut g.small)?;
            }
            self.input_gradient(&block.first, rows, &g.middle, false, &mut g.normed)?;
            self.norm(&block.first_norm, &streams[number], &statistics[2 * number], true, normed, g, Into::Stream)?;
            self.take(&block.first, rows, &g.middle, normed, &mut g.turned, &mut g.small)?;
        }
        self.take(&net.input, rows, &g.stream, input, &mut g.turned, &mut g.small)?;
        match (&net.time, told) {
            (Some(layers), Some(count)) => self.time(layers, count, time, g),
            _ => Ok(()),
        }
    }

    /// The gradients of the time MLP, from that of what every block projects.
    fn time(
        &mut self,
        [first, second]: &[Linear; 2],
        count: usize,
        time: &Time,
        g: &mut Gradients,
    ) -> Result<(), DiffusionError> {
        let filled = layout::panels_len(count, second.outputs);
        silu::backward(self.numbers.set(), &time.second[..filled], &g.told_sum[..filled], &mut g.time[..filled])?;
        self.input_gradient(second, count, &g.time, false, &mut g.told_sum)?;
        self.take(second, count, &g.time, &time.first_active, &mut g.turned, &mut g.small)?;
        silu::backward(self.numbers.set(), &time.first[..filled], &g.told_sum[..filled], &mut g.time[..filled])?;
        self.take(first, count, &g.time, &time.table, &mut g.turned, &mut g.small)
    }

    fn input_gradient(
        &self,
        layer: &Linear,
        rows: usize,
        out_gradient: &[f32],
        add: bool,
        x_gradient: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let shape = Shape { inputs: layer.inputs, outputs: layer.outputs, rows };
        let weight = &self.sink.parameters()[layer.weight.clone()];
        Ok(linear::input_gradient(self.numbers, shape, weight, out_gradient, add, x_gradient)?)
    }

    /// Gives the gradients of a layer whose input was `x` to the sink.
    fn take(
        &mut self,
        layer: &Linear,
        rows: usize,
        out_gradient: &[f32],
        x: &[f32],
        turned: &mut AlignedBuffer,
        small: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let turned = &mut turned[..layout::by_features_len(rows, layer.inputs)];
        layout::by_features(rows, layer.inputs, x, turned)?;
        self.sink.linear(self.numbers, layer, rows, out_gradient, turned, small)
    }

    /// A norm's gradients, from that of its output in `g.normed`; its output comes out once more.
    #[expect(clippy::too_many_arguments, reason = "a norm's input, statistics and output, and where its gradient goes")]
    fn norm(
        &mut self,
        scale: &Scale,
        x: &[f32],
        statistics: &[f32],
        add: bool,
        out: &mut [f32],
        g: &mut Gradients,
        to: Into,
    ) -> Result<(), DiffusionError> {
        let width = scale.weight.len();
        let x_gradient = match to {
            Into::Stream => &mut g.stream,
            Into::Middle => &mut g.middle,
        };
        let (weight, bias) = g.small.split_at_mut(width);
        let values = self.sink.parameters();
        let norm = Norm { weight: &values[scale.weight.clone()], bias: &values[scale.bias.clone()] };
        let statistics = &statistics[..panels::statistics_len(self.rows)];
        let scratch = &mut g.scratch[..panels::scratch_len(self.rows, width)];
        let found = panels::NormGradient { weight, bias: &mut bias[..width] };
        panels::backward(
            self.numbers.set(),
            self.rows,
            norm,
            x,
            statistics,
            &mut g.normed,
            add,
            x_gradient,
            out,
            scratch,
            found,
        )?;
        self.sink.small(self.numbers.set(), &scale.weight, weight)?;
        self.sink.small(self.numbers.set(), &scale.bias, &bias[..width])
    }
}

/// Where a norm's gradient goes.
#[derive(Clone, Copy)]
enum Into {
    Stream,
    Middle,
}
