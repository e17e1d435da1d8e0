//! The processor's backend: an encoder as a list of fused operations on one NHWC image.
//!
//! A block expands, filters and (without squeeze-excitation) projects a strip of rows at a time, so that the expanded
//! tensor, six times as wide as what goes in and out, never leaves the second cache.

mod block;
mod build;
mod workspace;

use oodlab_kernels::dense_conv::DenseConv;
use oodlab_kernels::pointwise_conv::{Pixels, Placement, PointwiseConv};
use oodlab_kernels::pooling;
use oodlab_kernels::simd::{InstructionSet, SizeError, padded_channels};

pub(crate) use block::FusedBlock;
pub(crate) use build::build;
pub(crate) use workspace::Workspace;

/// Rows, columns of a map.
type Size = (usize, usize);

/// One step of the network. Each reads the map that the one before wrote.
pub(crate) enum Operation {
    /// The first convolution, of the image.
    Stem(DenseConv),
    /// An inverted residual block.
    Block(Box<FusedBlock>),
    /// The current map, pooled into columns of the feature vector.
    Tap(Tap),
}

/// Where a pooled map goes, and its separable pooling weights.
pub(crate) struct Tap {
    pub start: usize,
    pub channels: usize,
    pub rows: Vec<f32>,
    pub columns: Vec<f32>,
}

/// The classifier: 1×1 convolution, average, linear.
pub(crate) struct Head {
    pub conv: PointwiseConv,
    pub linear: PointwiseConv,
}

/// A network ready to run at one resolution.
pub(crate) struct Program {
    pub set: InstructionSet,
    pub resolution: usize,
    pub operations: Vec<Operation>,
    pub head: Option<Head>,
    /// Length of the feature vector.
    pub width: usize,
    /// Floating-point operations of one image through the trunk.
    pub operations_per_image: u64,
}

impl Program {
    /// Classes of the head, 0 without one.
    pub fn classes(&self) -> usize {
        self.head.as_ref().map_or(0, |head| head.linear.outputs())
    }

    /// Encodes the image in `workspace.image` (HWC, normalised) into `features`; `logits`, when wanted, has the head's
    /// number of classes.
    pub fn run(
        &self,
        workspace: &mut Workspace,
        features: &mut [f32],
        logits: Option<&mut [f32]>,
    ) -> Result<(), SizeError> {
        let mut size: Size = (self.resolution, self.resolution);
        for operation in &self.operations {
            match operation {
                Operation::Stem(conv) => {
                    let output = conv.output_size(size.0, size.1).unwrap_or((0, 0));
                    workspace.next.reserve(output.0 * output.1 * padded_channels(conv.outputs()));
                    conv.run(self.set, &workspace.image, size, &mut workspace.next, &mut workspace.strip)?;
                    size = output;
                    workspace.advance();
                }
                Operation::Block(block) => {
                    size = block.run(self.set, workspace, size)?;
                    workspace.advance();
                }
                Operation::Tap(tap) => {
                    let channels = padded_channels(tap.channels);
                    workspace.pooled.reserve(channels);
                    let (rows, columns) = (&tap.rows, &tap.columns);
                    pooling::pool(self.set, &workspace.current, rows, columns, channels, &mut workspace.pooled)?;
                    features[tap.start..tap.start + tap.channels].copy_from_slice(&workspace.pooled[..tap.channels]);
                }
            }
        }
        if let (Some(head), Some(logits)) = (&self.head, logits) {
            self.run_head(head, workspace, size, logits)?;
        }
        Ok(())
    }

    fn run_head(
        &self,
        head: &Head,
        workspace: &mut Workspace,
        size: Size,
        logits: &mut [f32],
    ) -> Result<(), SizeError> {
        let channels = padded_channels(head.conv.outputs());
        let stride = padded_channels(head.conv.inputs());
        let pixels = size.0 * size.1;
        workspace.next.reserve(pixels * channels);
        let dense = Placement::dense(0);
        let input = Pixels { values: &workspace.current, stride, count: pixels };
        head.conv.run(self.set, input, &mut workspace.next, dense, None)?;
        workspace.pooled.reserve(channels);
        let (rows, columns) = (pooling::average(size.0), pooling::average(size.1));
        pooling::pool(self.set, &workspace.next, &rows, &columns, channels, &mut workspace.pooled)?;
        workspace.strip.reserve(padded_channels(logits.len()));
        let input = Pixels { values: &workspace.pooled, stride: channels, count: 1 };
        head.linear.run(self.set, input, &mut workspace.strip, dense, None)?;
        logits.copy_from_slice(&workspace.strip[..logits.len()]);
        Ok(())
    }
}
