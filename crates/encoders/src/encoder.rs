//! A frozen network with its weights at one resolution: images in, pooled taps out.

use std::sync::{Mutex, PoisonError};

use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::{RgbImage, resize};
use oodlab_features::{Layer, Logits};
use oodlab_kernels::simd::{InstructionSet, SizeError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::efficientnet::{NAMES, Network};
use crate::error::EncoderError;
use crate::fold::{HeadPolicy, fold_tensors};
use crate::fused::{Program, Workspace, build};
use crate::weights::Weights;

/// Raised when the same weights and images give other features.
const REVISION: u32 = 1;
/// Supported sides of the input, in pixels.
const RESOLUTIONS: std::ops::RangeInclusive<u32> = 32..=2048;

/// How a tap's map becomes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The average of each tap's own pixels.
    #[default]
    Average,
    /// As DLSR's released code: each stage of stride s is first resampled by s / 16, bilinear with corners aligned.
    Released,
}

impl Pooling {
    fn name(self) -> &'static str {
        match self {
            Pooling::Average => "average",
            Pooling::Released => "released",
        }
    }
}

/// The section `encoder:` of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// Name of the network; see [`crate::networks`]. Default `efficientnet-lite0`.
    pub network: String,
    /// Side to which images are squashed, in pixels, 32 to 2048. Default 224, as in the papers, for every network.
    pub resolution: u32,
    /// How taps are pooled. Default `average`.
    pub pooling: Pooling,
    /// Name or path of the weights; none: those of the network's own name.
    pub weights: Option<String>,
}

impl Default for EncoderConfig {
    fn default() -> EncoderConfig {
        let network = "efficientnet-lite0".to_owned();
        EncoderConfig { network, resolution: 224, pooling: Pooling::Average, weights: None }
    }
}

/// Features of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Pooled taps, row-major `[images, width]`, f32.
    pub features: Vec<f32>,
    /// Class scores, where the weights have a head.
    pub logits: Option<Logits>,
}

/// A network ready to encode.
///
/// An image's features do not depend on the batch that it comes in, nor on the number of threads, to the bit.
pub struct Encoder {
    network: Network,
    program: Program,
    layers: Vec<Layer>,
    key: Key,
    workspaces: Mutex<Vec<Workspace>>,
}

impl Encoder {
    /// Checks, folds and packs the weights, for this processor's widest instruction set.
    ///
    /// # Errors
    /// When the network or the resolution is unknown, or the weights are not the network's: the first tensor that is
    /// missing, of another shape, or unknown is named; nothing is ignored but batch-norm counters.
    pub fn new(config: &EncoderConfig, weights: &Weights) -> Result<Encoder, EncoderError> {
        Encoder::with_instructions(config, weights, InstructionSet::detect())
    }

    /// [`Encoder::new`] with a chosen instruction set (the portable one where the processor lacks it).
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn with_instructions(
        config: &EncoderConfig,
        weights: &Weights,
        set: InstructionSet,
    ) -> Result<Encoder, EncoderError> {
        let network = find_network(&config.network)?;
        let resolution = config.resolution;
        if !RESOLUTIONS.contains(&resolution) {
            let (least, most) = (*RESOLUTIONS.start(), *RESOLUTIONS.end());
            return Err(EncoderError::Resolution { found: resolution, least, most });
        }
        let set = set.or_portable();
        let tensors = fold_tensors(&network, weights, HeadPolicy::Keep)?;
        let shape = |source| EncoderError::Shape { network: network.name, source };
        let program = build(&network, &tensors, resolution as usize, config.pooling, set).map_err(shape)?;
        let names: Vec<String> = (1..=network.taps().len()).map(|stage| format!("stage{stage}")).collect();
        let widths = names.iter().zip(network.taps()).map(|(name, tap)| (name.as_str(), tap.channels));
        let layers = Layer::consecutive(widths);
        let key = KeyBuilder::new("encoder", REVISION)
            .text("network", network.name)
            .number("resolution", u64::from(resolution))
            .text("pooling", config.pooling.name())
            .key("weights", &weights.key())
            .text("numerics", &numerics(set))
            .finish();
        Ok(Encoder { network, program, layers, key, workspaces: Mutex::default() })
    }

    /// The taps, shallow to deep, as spans of the feature vector: `stage1` to `stage5`.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        self.layers.clone()
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.program.width
    }

    /// Classes of the head; 0 where the weights have none.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.program.classes()
    }

    /// Side of the input, in pixels.
    #[must_use]
    pub fn resolution(&self) -> u32 {
        self.program.resolution as u32
    }

    /// Hash of everything that the features depend on: network, resolution, pooling, weights, revision, numerics.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Device, precision and instruction set: `cpu f32 avx512f`.
    #[must_use]
    pub fn numerics(&self) -> String {
        numerics(self.program.set)
    }

    /// Floating-point operations of one image through the trunk, a multiply-add counted as two.
    #[must_use]
    pub fn operations_per_image(&self) -> u64 {
        self.program.operations_per_image
    }

    /// Squashes each image to the encoder's resolution (Pillow's bilinear), normalises it as the network was trained and
    /// gives the pooled taps, row-major `[images, width]`, f32.
    ///
    /// # Errors
    /// When an image cannot be resized; it is named by its position.
    pub fn encode(&self, images: &[RgbImage]) -> Result<Vec<f32>, EncoderError> {
        let width = self.width();
        let mut features = vec![0.0; images.len() * width];
        features.par_chunks_mut(width).zip(images).enumerate().try_for_each(|(index, (features, image))| {
            self.with_workspace(|workspace| {
                self.load_image(index, image, workspace)?;
                self.program.run(workspace, features, None).map_err(|source| self.shape_error(source))
            })
        })?;
        Ok(features)
    }

    /// Encodes images that are resized and normalised already: `chw` is `[images, 3, resolution, resolution]`, f32.
    ///
    /// # Errors
    /// When the length does not fit.
    pub fn encode_tensor(&self, chw: &[f32], images: usize) -> Result<Encoded, EncoderError> {
        let (side, width, classes) = (self.program.resolution, self.width(), self.classes());
        let pixels = side * side;
        let expected = images.saturating_mul(3 * pixels);
        if chw.len() != expected {
            return Err(EncoderError::InputLength { found: chw.len(), images, resolution: side as u32, expected });
        }
        let mut rows = vec![0.0; images * (width + classes)];
        rows.par_chunks_mut(width + classes).zip(chw.par_chunks(3 * pixels)).try_for_each(|(row, image)| {
            self.with_workspace(|workspace| {
                workspace.image.reserve(3 * pixels);
                for (channel, plane) in image.chunks_exact(pixels).enumerate() {
                    for (to, &value) in workspace.image.iter_mut().skip(channel).step_by(3).zip(plane) {
                        *to = value;
                    }
                }
                let (features, logits) = row.split_at_mut(width);
                let logits = (classes > 0).then_some(logits);
                self.program.run(workspace, features, logits).map_err(|source| self.shape_error(source))
            })
        })?;
        let part = |range: std::ops::Range<usize>| {
            rows.chunks_exact(width + classes).flat_map(|row| row[range.clone()].iter().copied()).collect()
        };
        let logits = (classes > 0).then(|| Logits { classes, values: part(width..width + classes) });
        Ok(Encoded { features: part(0..width), logits })
    }

    /// Runs with buffers that are kept from image to image: one set for each image under way at the same time.
    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let mut workspace = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = work(&mut workspace);
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        result
    }

    fn load_image(&self, index: usize, image: &RgbImage, workspace: &mut Workspace) -> Result<(), EncoderError> {
        let side = self.resolution();
        let resized = resize::bilinear(image, side, side)
            .map_err(|source| EncoderError::Image { index, source: Box::new(source) })?;
        let [red, green, blue] = self.network.normalisation();
        workspace.image.reserve(resized.pixels.len());
        for (to, from) in workspace.image.as_chunks_mut::<3>().0.iter_mut().zip(resized.pixels.as_chunks::<3>().0) {
            for ((to, &from), (factor, shift)) in to.iter_mut().zip(from).zip([red, green, blue]) {
                *to = f32::from(from) * factor + shift;
            }
        }
        Ok(())
    }

    fn shape_error(&self, source: SizeError) -> EncoderError {
        EncoderError::Shape { network: self.network.name, source }
    }
}

fn numerics(set: InstructionSet) -> String {
    format!("cpu f32 {}", set.name())
}

/// The network of that name, or an error that lists the known ones.
pub(crate) fn find_network(name: &str) -> Result<Network, EncoderError> {
    Network::named(name).ok_or_else(|| EncoderError::UnknownNetwork { name: name.to_owned(), known: NAMES.join(", ") })
}
