//! The GPU's backend: a network's steps with weights in the memory of a GPU, on batches of NHWC images.
//!
//! The same list of steps as the processor's backend (`fused`), whose results it must agree with; a whole batch goes
//! through each step. Batches always have one size, the last one filled up, so that an image's features do not depend on
//! how many come with it: libraries choose their way of summing by the number of rows.

mod block;
mod build;
pub mod golden;
mod images;
mod operation;
mod tap;
mod transformer;

use std::sync::{Mutex, PoisonError};

use oodlab_kernels::cuda::{Buffer, CudaError, Gpu, rearrange};
use oodlab_kernels::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use oodlab_kernels::simd::{SizeError, padded_channels};

use crate::encoder::{EncoderConfig, Precision};
use crate::error::EncoderError;
use crate::fold::{HeadPolicy, fold_tensors};
use crate::network::Slot;
use crate::weights::Weights;
use operation::Operation;
use tap::PooledMap;

/// Images that go through the GPU together, at most; fewer where maps are large.
pub const LARGEST_BATCH: usize = 64;
/// The largest map of a batch stays below this many values (1 GiB).
const LARGEST_MAP: usize = 1 << 28;

/// Rows, columns of a map.
type Size = (usize, usize);

/// Why no GPU encodes.
#[derive(Debug, thiserror::Error)]
pub enum CudaEncoderError {
    /// The GPU or its libraries.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// The configuration or the weights.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
}

/// What a map holds at one point of the program, for each image.
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
#[derive(Debug)]
struct Placed {
    operation: Operation,
    from: Slot,
    residual: Option<Slot>,
    to: Slot,
    input: Shape,
    output: Shape,
}

/// Images as they come.
#[derive(Debug, Clone, Copy)]
pub enum CudaImages<'a> {
    /// Resized images of 8 bits, `[images, resolution, resolution, 3]`, with the (factor, shift) of each channel:
    /// normalised = pixel · factor + shift.
    Pixels(&'a [u8], [(f32, f32); 3]),
    /// Resized and normalised, `[images, 3, resolution, resolution]`.
    Planes(&'a [f32]),
}

/// Features and logits of a batch, as on the processor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CudaEncoded {
    /// `[images, width]`
    pub features: Vec<f32>,
    /// `[images, classes]`; empty without a classifier.
    pub logits: Vec<f32>,
}

/// A network ready to encode on a GPU.
#[derive(Debug)]
pub struct CudaNetwork {
    gpu: Gpu,
    resolution: usize,
    batch: usize,
    maps: usize,
    steps: Vec<Placed>,
    /// The vector that the classifier reads, where the weights reach that far; the last columns of the features.
    penultimate: Option<PooledMap>,
    classifier: Option<CudaPointwiseConv>,
    width: usize,
    workspace: Mutex<Workspace>,
}

/// The buffers of a batch; they grow to the largest maps once.
#[derive(Debug)]
struct Workspace {
    maps: Vec<Option<Buffer<f32>>>,
    pixels: Buffer<u8>,
    features: Buffer<f32>,
    logits: Buffer<f32>,
    scratch: Scratch,
}

/// Buffers within a step.
#[derive(Debug)]
struct Scratch {
    /// Unfolded windows of a convolution.
    windows: Buffer<f32>,
    /// A map before its channels go to their places; the expanded map of a block; queries, keys and values.
    staged: Buffer<f32>,
    /// A block's filtered map; normalised tokens.
    filtered: Buffer<f32>,
    /// Attention's output; then the sum with it.
    attended: Buffer<f32>,
    /// Attention's scores.
    scores: Buffer<f32>,
    /// Rows of a map, pooled.
    lines: Buffer<f32>,
    /// A pooled vector of each image; the means of a gate.
    pooled: Buffer<f32>,
    squeezed: Buffer<f32>,
    gate: Buffer<f32>,
}

impl Workspace {
    fn new(gpu: &Gpu, maps: usize) -> Result<Workspace, CudaError> {
        let empty = || gpu.zeros::<f32>(0);
        let scratch = Scratch {
            windows: empty()?,
            staged: empty()?,
            filtered: empty()?,
            attended: empty()?,
            scores: empty()?,
            lines: empty()?,
            pooled: empty()?,
            squeezed: empty()?,
            gate: empty()?,
        };
        let maps = (0..maps).map(|_| empty().map(Some)).collect::<Result<_, _>>()?;
        Ok(Workspace { maps, pixels: gpu.zeros(0)?, features: empty()?, logits: empty()?, scratch })
    }

    fn map(&self, slot: Slot) -> Result<&Buffer<f32>, CudaError> {
        self.maps.get(slot).and_then(Option::as_ref).ok_or_else(|| no_map(slot, self.maps.len()).into())
    }

    /// Takes a map out, so that the others can be read.
    fn take(&mut self, slot: Slot) -> Result<Buffer<f32>, CudaError> {
        let count = self.maps.len();
        self.maps.get_mut(slot).and_then(Option::take).ok_or_else(|| no_map(slot, count).into())
    }
}

/// A step reads what it writes, or a map that no step wrote: a network of steps that do not fit together.
fn no_map(slot: Slot, count: usize) -> SizeError {
    SizeError { kernel: "network (GPU)", what: "number of a map", found: slot, expected: count }
}

impl CudaNetwork {
    /// Checks and folds the weights and copies them to the GPU. `batch` images go through together, or as many as fit
    /// reasonably, at most [`LARGEST_BATCH`], where it is none.
    ///
    /// # Errors
    /// When network, resolution, pooling or precision are not possible (f32 only), the weights are not the network's, or the GPU refuses.
    pub fn new(
        gpu: &Gpu,
        config: &EncoderConfig,
        weights: &Weights,
        batch: Option<usize>,
    ) -> Result<CudaNetwork, CudaEncoderError> {
        let (network, resolution) = config.resolve()?;
        if config.precision != Precision::F32 {
            return Err(EncoderError::Precision.into());
        }
        let tensors = fold_tensors(&network, weights, HeadPolicy::Keep)?;
        let mut built = build::build(gpu, &network, &tensors, resolution as usize, config.pooling)?;
        if let Some(batch) = batch {
            built.batch = batch.max(1);
        }
        Ok(built)
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns of the penultimate vector; 0 without one.
    #[must_use]
    pub fn penultimate_width(&self) -> usize {
        self.penultimate.as_ref().map_or(0, PooledMap::width)
    }

    /// Classes of the classifier, 0 without one.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classifier.as_ref().map_or(0, CudaPointwiseConv::outputs)
    }

    /// Side of the input, in pixels.
    #[must_use]
    pub fn resolution(&self) -> usize {
        self.resolution
    }

    /// Images that go through together: what to hand over at once for full speed.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Precision, device with the versions of its libraries, and batch, on all of which bits depend:
    /// `cuda f32 NVIDIA H100 driver 12080 cublas 120804 nvrtc 12.8 batch 64`.
    #[must_use]
    pub fn numerics(&self) -> String {
        format!("cuda f32 {} batch {}", self.gpu.numerics(), self.batch)
    }

    /// Encodes any number of images; waits for the result. Other threads may resize the next ones meanwhile.
    ///
    /// # Errors
    /// When the length is no multiple of an image's, or the GPU refuses.
    pub fn encode(&self, images: CudaImages<'_>) -> Result<CudaEncoded, CudaError> {
        let image = 3 * self.resolution * self.resolution;
        let found = match images {
            CudaImages::Pixels(pixels, _) => pixels.len(),
            CudaImages::Planes(planes) => planes.len(),
        };
        if !found.is_multiple_of(image) {
            let (kernel, what) = ("network (GPU)", "length of the images");
            return Err(SizeError { kernel, what, found, expected: found.div_ceil(image) * image }.into());
        }
        let mut encoded = CudaEncoded::default();
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        for first in (0..found / image).step_by(self.batch) {
            let count = self.batch.min(found / image - first);
            let part = first * image..(first + count) * image;
            self.load(&mut workspace, images, part)?;
            if let Err(error) = self.run(&mut workspace) {
                // A map may have been taken out.
                *workspace = Workspace::new(&self.gpu, self.maps)?;
                return Err(error);
            }
            encoded.features.extend(workspace.features.read(count * self.width)?);
            let (classes, stride) = (self.classes(), padded_channels(self.classes()));
            if classes > 0 {
                let logits = workspace.logits.read(count * stride)?;
                encoded.logits.extend(logits.chunks_exact(stride).flat_map(|row| &row[..classes]));
            }
        }
        Ok(encoded)
    }

    /// Brings a part of the images to map 0, as pixels.
    fn load(
        &self,
        workspace: &mut Workspace,
        images: CudaImages<'_>,
        part: std::ops::Range<usize>,
    ) -> Result<(), CudaError> {
        let pixels = self.resolution * self.resolution;
        let mut map = workspace.take(0)?;
        let length = self.batch * 3 * pixels;
        let loaded = map.reserve(length).and_then(|()| match images {
            CudaImages::Pixels(values, factors) => {
                workspace.pixels.reserve(length)?;
                workspace.pixels.write(&values[part])?;
                rearrange::normalise(&self.gpu, &workspace.pixels, (self.batch, pixels), factors, &mut map)
            }
            CudaImages::Planes(values) => {
                let planes = &mut workspace.scratch.staged;
                planes.reserve(length)?;
                planes.write(&values[part])?;
                rearrange::interleave(&self.gpu, planes, (self.batch, pixels), &mut map)
            }
        });
        workspace.maps[0] = Some(map);
        loaded
    }

    /// All steps of one batch.
    fn run(&self, workspace: &mut Workspace) -> Result<(), CudaError> {
        let (gpu, batch) = (&self.gpu, self.batch);
        workspace.features.reserve(batch * self.width)?;
        for step in &self.steps {
            if let Operation::Tap(tap) = &step.operation {
                let Workspace { features, scratch, .. } = workspace;
                let map = workspace.maps.get(step.from).and_then(Option::as_ref);
                let map = map.ok_or_else(|| no_map(step.from, self.maps))?;
                tap.run(gpu, batch, map, (features, self.width), scratch)?;
                continue;
            }
            let mut output = workspace.take(step.to)?;
            output.reserve(batch * step.output.length())?;
            if let Operation::Transform(block) = &step.operation {
                block.run(gpu, batch, &mut output, step.output, &mut workspace.scratch)?;
            } else {
                let Workspace { maps, scratch, .. } = workspace;
                let map = |slot: Slot| maps.get(slot).and_then(Option::as_ref).ok_or_else(|| no_map(slot, self.maps));
                let input = (map(step.from)?, step.input);
                let residual = match step.residual {
                    Some(slot) => CudaResidual::BeforeActivation(map(slot)?),
                    None => CudaResidual::None,
                };
                step.operation.run(gpu, batch, input, residual, (&mut output, step.output), scratch)?;
            }
            workspace.maps[step.to] = Some(output);
        }
        let Some(penultimate) = &self.penultimate else {
            return Ok(());
        };
        workspace.map(penultimate.map)?;
        let Workspace { maps, features, logits, scratch, .. } = workspace;
        let map = maps[penultimate.map].as_ref().ok_or_else(|| no_map(penultimate.map, self.maps))?;
        penultimate.run(gpu, batch, map, (features, self.width), scratch)?;
        if let Some(classifier) = &self.classifier {
            logits.reserve(batch * padded_channels(classifier.outputs()))?;
            let input = (&scratch.pooled, padded_channels(penultimate.width()));
            classifier.run(input, batch, logits, CudaResidual::None)?;
        }
        Ok(())
    }
}
