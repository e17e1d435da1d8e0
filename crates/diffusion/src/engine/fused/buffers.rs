//! All memory of the engine, kept from call to call.

use oodlab_kernels::group_norm::panels;
use oodlab_kernels::linear::layout::{by_features_len, panels_len};
use oodlab_kernels::simd::AlignedBuffer;

use crate::LfdnConfig;

/// What the network makes of a batch. Everything is in panels (`oodlab_kernels::linear`) unless said otherwise.
#[derive(Default)]
pub(super) struct Buffers {
    /// SiLU of the input, `dim` features.
    pub input: AlignedBuffer,
    /// What enters each block, and what leaves the last one; scoring uses the first two in turn.
    pub streams: Vec<AlignedBuffer>,
    /// What each block's first layer gives, with the shift of the step; scoring uses the first one.
    pub middles: Vec<AlignedBuffer>,
    /// Of each norm, in order.
    pub statistics: Vec<AlignedBuffer>,
    /// What a norm gives.
    pub normed: AlignedBuffer,
    /// The prediction, then its gradient.
    pub output: AlignedBuffer,
    pub time: Time,
}

/// What the steps of a batch are turned into, one row for each distinct step.
#[derive(Default)]
pub(super) struct Time {
    /// Sinusoids, row-major; then in panels, `width` features.
    pub rows: Vec<f32>,
    pub table: AlignedBuffer,
    /// The MLP's first layer, and SiLU of it.
    pub first: AlignedBuffer,
    pub first_active: AlignedBuffer,
    /// The second layer, and SiLU of it: what every block projects.
    pub second: AlignedBuffer,
    pub second_active: AlignedBuffer,
    /// A block's projection.
    pub shift: AlignedBuffer,
}

/// What the gradients need besides.
#[derive(Default)]
pub(super) struct Gradients {
    /// Of what enters a block.
    pub stream: AlignedBuffer,
    /// Of what a block's first layer gives.
    pub middle: AlignedBuffer,
    /// Of what a norm gives.
    pub normed: AlignedBuffer,
    /// A layer's input by features.
    pub turned: AlignedBuffer,
    /// What every block projects, by features.
    pub told: AlignedBuffer,
    /// Of a block's projection, and of what every block projects; then of the MLP's layers.
    pub shift: AlignedBuffer,
    pub told_sum: AlignedBuffer,
    pub time: AlignedBuffer,
    /// A norm's sums of each line of rows.
    pub scratch: AlignedBuffer,
    /// Of a weight and a bias, `[2, width or dim]`.
    pub small: Vec<f32>,
}

fn reserve_each(buffers: &mut Vec<AlignedBuffer>, count: usize, len: usize) {
    buffers.resize_with(buffers.len().max(count), AlignedBuffer::default);
    buffers[..count].iter_mut().for_each(|buffer| buffer.reserve(len));
}

impl Buffers {
    /// Makes room for a batch; `keep`: what the gradients need stays.
    pub(super) fn reserve(&mut self, config: LfdnConfig, rows: usize, steps: usize, keep: bool) {
        let LfdnConfig { dim, width, blocks, time_embedding } = config;
        let wide = panels_len(rows, width);
        self.input.reserve(panels_len(rows, dim));
        reserve_each(&mut self.streams, if keep { blocks + 1 } else { 2 }, wide);
        reserve_each(&mut self.middles, if keep { blocks } else { 1 }, wide);
        reserve_each(&mut self.statistics, if keep { 2 * blocks + 1 } else { 1 }, panels::statistics_len(rows));
        self.normed.reserve(wide);
        self.output.reserve(panels_len(rows, dim));
        if time_embedding {
            let Time { rows: _, table, first, first_active, second, second_active, shift } = &mut self.time;
            table.reserve(panels_len(steps, width));
            shift.reserve(panels_len(steps, width));
            for buffer in [first, first_active, second, second_active] {
                buffer.reserve(panels_len(steps, dim));
            }
        }
    }
}

impl Gradients {
    /// Makes room for a batch.
    pub(super) fn reserve(&mut self, config: LfdnConfig, rows: usize, steps: usize) {
        let LfdnConfig { dim, width, time_embedding, .. } = config;
        let wide = panels_len(rows, width);
        for buffer in [&mut self.stream, &mut self.middle, &mut self.normed] {
            buffer.reserve(wide);
        }
        self.turned.reserve(by_features_len(rows.max(steps), width.max(dim)));
        self.scratch.reserve(panels::scratch_len(rows, width));
        self.small.resize(2 * width.max(dim), 0.0);
        if time_embedding {
            self.told.reserve(by_features_len(steps, dim));
            self.shift.reserve(panels_len(steps, width));
            self.told_sum.reserve(panels_len(steps, dim));
            self.time.reserve(panels_len(steps, dim));
        }
    }
}
