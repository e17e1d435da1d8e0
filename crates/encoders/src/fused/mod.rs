//! The processor's backend: a network's steps with packed weights, on one NHWC image.
//!
//! Channels of a map are padded to whole vectors. An inverted residual block expands, filters and (without
//! squeeze-excitation) projects a strip of rows at a time, so that the expanded tensor, six times as wide as what goes in
//! and out, never leaves the second cache.

mod block;
mod build;
mod operation;
mod tap;
#[cfg(test)]
mod tests;
mod transformer;
mod workspace;

use oodlab_kernels::pointwise_conv::{Pixels, Placement, PointwiseConv};
use oodlab_kernels::simd::{InstructionSet, SizeError, padded_channels};

pub(crate) use build::build;
pub(crate) use workspace::{Scratch, Workspace};

use crate::network::Slot;
use operation::Operation;
use tap::PooledMap;

/// Rows, columns of a map.
type Size = (usize, usize);

/// What a map holds at one point of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Shape {
    size: Size,
    channels: usize,
    /// From one pixel to the next; at least the padded number of channels (3 for the image).
    stride: usize,
}

impl Shape {
    fn pixels(&self) -> usize {
        self.size.0 * self.size.1
    }

    fn length(&self) -> usize {
        self.pixels() * self.stride
    }
}

/// The operation of one step: reads maps, writes another.
struct Placed {
    operation: Operation,
    from: Slot,
    residual: Option<Slot>,
    to: Slot,
    input: Shape,
    output: Shape,
}

/// A network ready to run at one resolution.
pub(crate) struct Program {
    pub set: InstructionSet,
    pub resolution: usize,
    maps: usize,
    steps: Vec<Placed>,
    /// The vector that the classifier reads, where the weights reach that far; the last columns of the features.
    penultimate: Option<PooledMap>,
    classifier: Option<PointwiseConv>,
    /// Length of the feature vector, the penultimate vector included.
    pub width: usize,
    /// Columns of the penultimate vector; 0 without one.
    pub penultimate_width: usize,
    /// Floating-point operations of one image.
    pub operations_per_image: u64,
}

impl Program {
    /// Classes of the head, 0 without one.
    pub fn classes(&self) -> usize {
        self.classifier.as_ref().map_or(0, PointwiseConv::outputs)
    }

    /// Encodes the image in map 0 (HWC, normalised) into `features`, of which every column is written; `logits` has the
    /// classifier's number of classes.
    pub fn run(&self, workspace: &mut Workspace, features: &mut [f32], logits: &mut [f32]) -> Result<(), SizeError> {
        let Workspace { maps, scratch } = workspace;
        if maps.len() < self.maps {
            maps.resize_with(self.maps, Default::default);
        }
        for step in &self.steps {
            if let Operation::Tap(tap) = &step.operation {
                tap.run(self.set, &maps[step.from], &mut scratch.pooled, features)?;
                continue;
            }
            // Taken out, so that the others can be read; an error leaves an empty buffer, which grows again.
            let mut output = std::mem::take(&mut maps[step.to]);
            output.reserve(step.output.length());
            let residual = step.residual.map(|slot| &maps[slot][..]);
            step.operation.run(
                self.set,
                (&maps[step.from], step.input),
                residual,
                &mut output,
                step.output,
                scratch,
            )?;
            maps[step.to] = output;
        }
        if let Some(penultimate) = &self.penultimate {
            penultimate.run(self.set, &maps[penultimate.map], &mut scratch.pooled, features)?;
            if let Some(classifier) = &self.classifier {
                scratch.strip.reserve(padded_channels(logits.len()));
                let input = Pixels { values: &scratch.pooled, stride: scratch.pooled.len(), count: 1 };
                classifier.run(self.set, input, &mut scratch.strip, Placement::dense(0), None)?;
                logits.copy_from_slice(&scratch.strip[..logits.len()]);
            }
        }
        Ok(())
    }
}
