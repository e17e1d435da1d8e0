//! The inverted residual block in strips of rows.

use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::depthwise_conv::DepthwiseConv;
use oodlab_kernels::pointwise_conv::{Pixels, Placement, PointwiseConv};
use oodlab_kernels::simd::{AlignedBuffer, InstructionSet, SizeError, padded_channels};
use oodlab_kernels::squeeze_excitation::{SqueezeExcitation, scale_channels};

use super::{Scratch, Size};

/// The padded, expanded rows of one strip stay below this, so that they and the weights fit the second cache.
const STRIP_BYTES: usize = 384 << 10;

/// One block with packed weights.
pub(crate) struct FusedBlock {
    pub expand: Option<PointwiseConv>,
    pub depthwise: DepthwiseConv,
    pub padding: Padding,
    pub gate: Option<SqueezeExcitation>,
    pub project: PointwiseConv,
    pub residual: bool,
}

impl FusedBlock {
    /// Rows and columns of the output; none where the kernel does not fit.
    pub fn output_size(&self, size: Size) -> Option<Size> {
        self.padding.output_size(size.0, size.1, self.depthwise.size(), self.depthwise.stride())
    }

    /// Floating-point operations of one image whose map has this size and comes out with `output`.
    pub fn operations(&self, size: Size, output: Size) -> u64 {
        let pixels = |size: Size| size.0 as u64 * size.1 as u64;
        let expand = self.expand.as_ref().map_or(0, PointwiseConv::operations_per_pixel);
        let gate = self.gate.as_ref().map_or(0, SqueezeExcitation::operations);
        let after = self.depthwise.operations_per_pixel() + self.project.operations_per_pixel();
        pixels(size) * expand + gate + pixels(output) * after
    }

    /// Reads the map `input` of this size, writes `output` and gives its size.
    pub fn run(
        &self,
        set: InstructionSet,
        input: &[f32],
        size: Size,
        output: &mut AlignedBuffer,
        scratch: &mut Scratch,
    ) -> Result<Size, SizeError> {
        let kernel = "inverted residual block";
        let Some((rows, columns)) = self.output_size(size) else {
            let found = size.0.min(size.1);
            return Err(SizeError { kernel, what: "size of the map", found, expected: self.depthwise.size() });
        };
        let (size_k, stride) = (self.depthwise.size(), self.depthwise.stride());
        let channels = padded_channels(self.depthwise.channels());
        let outputs = padded_channels(self.project.outputs());
        let frame_width = size.1 + self.padding.left + self.padding.right;

        // How many output rows a strip has: as many as keep its input below the bound.
        let fitting = STRIP_BYTES / (4 * frame_width * channels);
        let strip_rows = (fitting.saturating_sub(size_k) / stride + 1).clamp(1, rows);
        let input_rows = (strip_rows - 1) * stride + size_k;
        scratch.strip.reserve(input_rows * frame_width * channels);
        let filtered_rows = if self.gate.is_some() { rows } else { strip_rows };
        scratch.filtered.reserve(filtered_rows * columns * channels);
        output.reserve(rows * columns * outputs);
        scratch.sums.reserve(channels);
        scratch.sums[..channels].fill(0.0);
        self.clear_sides(&mut scratch.strip, input_rows, frame_width, size.1, channels);

        let mut held = 0..0;
        for first in (0..rows).step_by(strip_rows) {
            let count = strip_rows.min(rows - first);
            let needed = first * stride..(first + count - 1) * stride + size_k;
            self.fill_strip(set, input, &mut scratch.strip, size, needed.clone(), held, frame_width, channels)?;
            held = needed;

            let filtered_first = if self.gate.is_some() { first } else { 0 };
            let filtered = &mut scratch.filtered[filtered_first * columns * channels..];
            let sums = self.gate.is_some().then_some(&mut scratch.sums[..]);
            self.depthwise.run(set, &scratch.strip, frame_width, filtered, (count, columns), sums)?;
            if self.gate.is_none() {
                let residual = self.residual.then_some(&input[first * columns * outputs..]);
                let placement = Placement::dense(first * columns);
                let pixels = Pixels { values: &scratch.filtered, stride: channels, count: count * columns };
                self.project.run(set, pixels, output, placement, residual)?;
            }
        }
        if let Some(gate) = &self.gate {
            self.gated_projection(set, gate, input, output, scratch, rows * columns)?;
        }
        Ok((rows, columns))
    }

    /// The columns left and right of the map are zero in every row of the strip; nothing writes there later.
    fn clear_sides(&self, strip: &mut [f32], rows: usize, frame_width: usize, width: usize, channels: usize) {
        let (left, right) = (self.padding.left * channels, (self.padding.left + width) * channels);
        for row in strip[..rows * frame_width * channels].chunks_exact_mut(frame_width * channels) {
            row[..left].fill(0.0);
            row[right..].fill(0.0);
        }
    }

    /// Brings the padded input rows `needed` into the strip: those that it holds already move to the front, the others
    /// are expanded from the map or are zero.
    #[allow(clippy::too_many_arguments, reason = "private; the geometry of one strip")]
    fn fill_strip(
        &self,
        set: InstructionSet,
        input: &[f32],
        strip: &mut [f32],
        (height, width): Size,
        needed: std::ops::Range<usize>,
        held: std::ops::Range<usize>,
        frame_width: usize,
        channels: usize,
    ) -> Result<(), SizeError> {
        let line = frame_width * channels;
        let kept = held.end.saturating_sub(needed.start);
        if kept > 0 {
            strip.copy_within((needed.start - held.start) * line..(held.end - held.start) * line, 0);
        }
        let inside = |row: usize| (self.padding.top..self.padding.top + height).contains(&row);
        let mut row = needed.start + kept;
        while row < needed.end {
            let at = row - needed.start;
            if !inside(row) {
                strip[at * line..(at + 1) * line].fill(0.0);
                row += 1;
                continue;
            }
            let end = needed.end.min(self.padding.top + height);
            let (from, count) = (row - self.padding.top, end - row);
            match &self.expand {
                Some(expand) => {
                    let inputs = padded_channels(expand.inputs());
                    let placement =
                        Placement { first: at * frame_width + self.padding.left, width, row_stride: frame_width };
                    let values = &input[from * width * inputs..];
                    let pixels = Pixels { values, stride: inputs, count: count * width };
                    expand.run(set, pixels, strip, placement, None)?;
                }
                None => {
                    let source =
                        input[from * width * channels..][..count * width * channels].chunks_exact(width * channels);
                    for (copy, source) in source.enumerate() {
                        let to = (at + copy) * line + self.padding.left * channels;
                        strip[to..to + source.len()].copy_from_slice(source);
                    }
                }
            }
            row = end;
        }
        Ok(())
    }

    /// Squeeze-excitation, then the projection of the whole map with the gate applied where that is less work: to the
    /// weights for large maps, to the map for small ones.
    fn gated_projection(
        &self,
        set: InstructionSet,
        gate: &SqueezeExcitation,
        input: &[f32],
        output: &mut [f32],
        scratch: &mut Scratch,
        pixels: usize,
    ) -> Result<(), SizeError> {
        let channels = padded_channels(self.depthwise.channels());
        let Scratch { filtered, sums, squeezed, gate: factors, gated_weights, .. } = scratch;
        factors.reserve(channels);
        gate.run(set, &mut sums[..channels], pixels, factors, squeezed)?;
        let residual = self.residual.then_some(input);
        let dense = Placement::dense(0);
        if pixels > self.project.outputs() {
            let filtered_pixels = Pixels { values: filtered, stride: channels, count: pixels };
            self.project.run_scaled(factors, gated_weights, set, filtered_pixels, output, dense, residual)
        } else {
            scale_channels(set, &mut filtered[..pixels * channels], factors, channels)?;
            let filtered_pixels = Pixels { values: filtered, stride: channels, count: pixels };
            self.project.run(set, filtered_pixels, output, dense, residual)
        }
    }
}
