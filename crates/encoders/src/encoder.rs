//! A frozen network with its weights at one resolution: images in, pooled taps out.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use oodlab_base::{Key, KeyBuilder};
use oodlab_datasets::{RgbImage, resize};
use oodlab_features::{Head, Layer, Logits};
use oodlab_kernels::simd::{self, InstructionSet, SizeError};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::EncoderError;
use crate::fold::{HeadPolicy, fold_tensors};
use crate::fused::{Program, Workspace, build};
use crate::network::{Network, Normalisation};
use crate::pixels::{PIXELS, Pixels};
use crate::weights::Weights;

/// Raised when the same weights and images give other features.
const REVISION: u32 = 2;
/// Name of the layer behind the taps: the vector that the classifier reads.
pub const PENULTIMATE: &str = "penultimate";
/// Input size where neither experiment nor network says another, in pixels: that of the papers.
const DEFAULT_RESOLUTION: u32 = 224;
/// Supported sides of the input, in pixels.
const RESOLUTIONS: (u32, u32) = (32, 2048);

/// How a tap's map becomes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The average of each tap's own pixels.
    #[default]
    Average,
    /// As DLSR's released code: each stage of stride s is first resampled by s / 16, bilinear with corners aligned.
    Released,
    /// The largest value of each channel.
    Max,
    /// The standard deviation of each channel over its pixels (divided by their number).
    Std,
}

impl Pooling {
    /// A transformer's tokens have no released neck.
    pub(crate) fn check(self, network: &Network) -> Result<(), EncoderError> {
        if network.fixed_resolution && self == Pooling::Released {
            return Err(EncoderError::Pooling { network: network.name });
        }
        Ok(())
    }

    fn name(self) -> &'static str {
        match self {
            Pooling::Average => "average",
            Pooling::Released => "released",
            Pooling::Max => "max",
            Pooling::Std => "std",
        }
    }
}

/// The numbers that an encoder computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    F32,
    /// Weights and inputs of dense products rounded to bfloat16, sums in f32: only where the processor has such products.
    Bf16,
}

impl Precision {
    fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

/// The section `encoder:` of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// Name of the network; see [`crate::networks`]. Default `efficientnet-lite0`.
    pub network: String,
    /// Side of the square that images are brought to, in pixels, 32 to 2048. None: 32 for networks of 32 px, 224, as in
    /// the papers, for all others.
    pub resolution: Option<u32>,
    /// How taps are pooled. Default `average`.
    pub pooling: Pooling,
    /// Name or path of the weights; none: those of the network's own name.
    pub weights: Option<String>,
    /// Mean and deviation of pixels in 0..1; none: those that the weights were trained with, or the network's usual ones.
    pub normalisation: Option<Normalisation>,
    /// Numbers to compute with. Default `f32`.
    pub precision: Precision,
}

impl Default for EncoderConfig {
    fn default() -> EncoderConfig {
        EncoderConfig {
            network: "efficientnet-lite0".to_owned(),
            resolution: None,
            pooling: Pooling::Average,
            weights: None,
            normalisation: None,
            precision: Precision::F32,
        }
    }
}

impl EncoderConfig {
    /// The network, and the side of its input in pixels; checks what no backend can run.
    ///
    /// # Errors
    /// When the network is unknown, cannot be run at that size or pooled that way, or the normalisation is none.
    pub fn resolve(&self) -> Result<(Network, u32), EncoderError> {
        let network = find_network(&self.network)?;
        let nominal = network.nominal_resolution;
        let usual = if nominal < DEFAULT_RESOLUTION { nominal } else { DEFAULT_RESOLUTION };
        let found = self.resolution.unwrap_or(usual);
        let (least, most) = if network.fixed_resolution { (nominal, nominal) } else { RESOLUTIONS };
        if !(least..=most).contains(&found) {
            return Err(EncoderError::Resolution { found, least, most });
        }
        self.pooling.check(&network)?;
        if let Some(normalisation) = self.normalisation.filter(|normalisation| !normalisation.is_sound()) {
            return Err(EncoderError::Normalisation(normalisation));
        }
        Ok((network, found))
    }
}

impl EncoderConfig {
    /// Side of the squares that images are brought to, in pixels, for networks and for pixels alike.
    ///
    /// # Errors
    /// As [`EncoderConfig::resolve`]; when a setting is given that pixels do not have.
    pub fn side(&self) -> Result<u32, EncoderError> {
        if self.network == PIXELS { Ok(Pixels::new(self)?.side) } else { Ok(self.resolve()?.1) }
    }
}

/// Features of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Pooled taps and the penultimate vector, row-major `[images, width]`, f32.
    pub features: Vec<f32>,
    /// Class scores, where the weights have a head.
    pub logits: Option<Logits>,
}

/// A network ready to encode.
///
/// An image's features do not depend on the batch that it comes in, nor on the number of threads, to the bit.
pub struct Encoder {
    name: &'static str,
    body: Body,
    layers: Vec<Layer>,
    taps: usize,
    head: Option<Head>,
    normalisation: Normalisation,
    precision: Precision,
    key: Key,
    workspaces: Mutex<Vec<Workspace>>,
}

/// What makes features of a normalised image.
enum Body {
    Program(Box<Program>),
    Pixels(Pixels),
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
        if config.network == PIXELS {
            return Encoder::pixels(config);
        }
        let (network, resolution) = config.resolve()?;
        let normalisation = config.normalisation.unwrap_or_else(|| weights.usual_normalisation(&network));
        if config.precision == Precision::Bf16 && !simd::has_bf16() {
            return Err(EncoderError::Precision);
        }
        let set = set.or_portable();
        let tensors = fold_tensors(&network, weights, HeadPolicy::Keep)?;
        let shape = |source| EncoderError::Shape { network: network.name, source };
        let program =
            build(&network, &tensors, resolution as usize, (config.pooling, config.precision), set).map_err(shape)?;
        let taps = network.taps();
        let widths = taps.iter().map(|tap| (tap.name.as_str(), tap.channels));
        let penultimate = (program.penultimate_width > 0).then_some((PENULTIMATE, program.penultimate_width));
        let layers = Layer::consecutive(widths.chain(penultimate));
        let taps = taps.len();
        let head = head_of(&network, &tensors, program.penultimate_width)?;
        let precision = config.precision;
        let key = KeyBuilder::new("encoder", REVISION)
            .text("network", network.name)
            .number("resolution", u64::from(resolution))
            .text("pooling", config.pooling.name())
            .key("weights", &weights.key())
            .text("numerics", &numerics(precision, set));
        let (key, workspaces) = (with_normalisation(key, normalisation), Mutex::default());
        let (name, body) = (network.name, Body::Program(Box::new(program)));
        Ok(Encoder { name, body, layers, taps, head, normalisation, precision, key, workspaces })
    }

    /// The encoder without a network.
    fn pixels(config: &EncoderConfig) -> Result<Encoder, EncoderError> {
        let pixels = Pixels::new(config)?;
        Ok(Encoder {
            name: PIXELS,
            layers: pixels.layers(),
            taps: 1,
            head: None,
            normalisation: pixels.normalisation,
            precision: Precision::F32,
            key: with_normalisation(pixels.key(), pixels.normalisation),
            workspaces: Mutex::default(),
            body: Body::Pixels(pixels),
        })
    }

    /// Spans of the feature vector: the taps, shallow to deep, as `stage1` to `stage5`, then [`PENULTIMATE`] where the
    /// weights reach that far.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        self.layers.clone()
    }

    /// How many of the layers are taps.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Length of a feature vector.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.body {
            Body::Program(program) => program.width,
            Body::Pixels(pixels) => pixels.width(),
        }
    }

    /// Classes of the head; 0 where the weights have none.
    #[must_use]
    pub fn classes(&self) -> usize {
        match &self.body {
            Body::Program(program) => program.classes(),
            Body::Pixels(_) => 0,
        }
    }

    /// The classifier that makes logits of the penultimate vector, where the weights have one.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Side of the input, in pixels.
    #[must_use]
    pub fn resolution(&self) -> u32 {
        match &self.body {
            Body::Program(program) => program.resolution as u32,
            Body::Pixels(pixels) => pixels.side,
        }
    }

    /// Mean and deviation of each channel by which every image is normalised, of whatever set.
    #[must_use]
    pub fn normalisation(&self) -> Normalisation {
        self.normalisation
    }

    /// Hash of everything that the features depend on: network, resolution, pooling, weights, revision, numerics.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Device, precision and instruction set: `cpu f32 avx512f`.
    #[must_use]
    pub fn numerics(&self) -> String {
        match &self.body {
            Body::Program(program) => numerics(self.precision, program.set),
            // One product and one sum a value: the same on every processor.
            Body::Pixels(_) => "cpu f32".to_owned(),
        }
    }

    /// Floating-point operations of one image, a multiply-add counted as two.
    #[must_use]
    pub fn operations_per_image(&self) -> u64 {
        match &self.body {
            Body::Program(program) => program.operations_per_image,
            Body::Pixels(_) => 0,
        }
    }

    /// Squashes each image that has another size to the encoder's resolution (Pillow's bilinear), normalises it and encodes
    /// it.
    ///
    /// # Errors
    /// When an image cannot be resized; it is named by its position.
    pub fn encode(&self, images: &[RgbImage]) -> Result<Encoded, EncoderError> {
        self.encode_rows(images.par_iter(), |index, image, features, logits| {
            self.encode_image(image, features, logits).map_err(|error| match error {
                EncoderError::Image { source, .. } => EncoderError::Image { index, source },
                other => other,
            })
        })
    }

    /// [`Encoder::encode`] of one image on the calling thread: `features` has the encoder's width, `logits` its classes.
    ///
    /// # Errors
    /// When the image cannot be resized (its position is given as 0), or a slice has another length.
    pub fn encode_image(&self, image: &RgbImage, features: &mut [f32], logits: &mut [f32]) -> Result<(), EncoderError> {
        for (what, found, expected) in
            [("features", features.len(), self.width()), ("logits", logits.len(), self.classes())]
        {
            if found != expected {
                let kernel = "encoder";
                return Err(self.shape_error(SizeError { kernel, what, found, expected }));
            }
        }
        self.with_workspace(|workspace| {
            self.load_image(image, workspace)?;
            self.run(workspace, features, logits)
        })
    }

    /// Encodes images that are resized and normalised already: `chw` is `[images, 3, resolution, resolution]`, f32.
    ///
    /// # Errors
    /// When the length does not fit.
    pub fn encode_tensor(&self, chw: &[f32], images: usize) -> Result<Encoded, EncoderError> {
        let side = self.resolution() as usize;
        let pixels = side * side;
        let expected = images.saturating_mul(3 * pixels);
        if chw.len() != expected {
            return Err(EncoderError::InputLength { found: chw.len(), images, resolution: side as u32, expected });
        }
        self.encode_rows(chw.par_chunks(3 * pixels), |_, image, features, logits| {
            self.with_workspace(|workspace| {
                let map = workspace.image(3 * pixels);
                for (channel, plane) in image.chunks_exact(pixels).enumerate() {
                    for (to, &value) in map.iter_mut().skip(channel).step_by(3).zip(plane) {
                        *to = value;
                    }
                }
                self.run(workspace, features, logits)
            })
        })
    }

    /// Encodes the image that the workspace holds.
    fn run(&self, workspace: &mut Workspace, features: &mut [f32], logits: &mut [f32]) -> Result<(), EncoderError> {
        match &self.body {
            Body::Program(program) => {
                program.run(workspace, features, logits).map_err(|source| self.shape_error(source))
            }
            Body::Pixels(pixels) => {
                pixels.write(workspace.image(pixels.width()), features);
                Ok(())
            }
        }
    }

    /// Encodes each item on some thread: `encode` is given its position and writes its row of features and logits.
    fn encode_rows<I: Send>(
        &self,
        items: impl IndexedParallelIterator<Item = I>,
        encode: impl Fn(usize, I, &mut [f32], &mut [f32]) -> Result<(), EncoderError> + Sync,
    ) -> Result<Encoded, EncoderError> {
        let (width, classes) = (self.width(), self.classes());
        let mut features = vec![0.0; items.len() * width];
        let mut logits = vec![0.0; items.len() * classes];
        if classes > 0 {
            let rows = features.par_chunks_mut(width).zip(logits.par_chunks_mut(classes)).zip(items).enumerate();
            rows.try_for_each(|(index, ((features, logits), item))| encode(index, item, features, logits))?;
        } else {
            let rows = features.par_chunks_mut(width).zip(items).enumerate();
            rows.try_for_each(|(index, (features, item))| encode(index, item, features, &mut []))?;
        }
        let logits = (classes > 0).then_some(Logits { classes, values: logits });
        Ok(Encoded { features, logits })
    }

    /// Runs with buffers that are kept from image to image: one set for each image under way at the same time.
    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let mut workspace = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = work(&mut workspace);
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        result
    }

    fn load_image(&self, image: &RgbImage, workspace: &mut Workspace) -> Result<(), EncoderError> {
        let side = self.resolution();
        let failed = |source| EncoderError::Image { index: 0, source: Box::new(source) };
        let resized = if (image.width, image.height) == (side, side) {
            image.check().map_err(failed)?;
            Cow::Borrowed(image)
        } else {
            Cow::Owned(resize::bilinear(image, side, side).map_err(failed)?)
        };
        let factors = self.normalisation.factors();
        let map = workspace.image(resized.pixels.len());
        for (to, from) in map.as_chunks_mut::<3>().0.iter_mut().zip(resized.pixels.as_chunks::<3>().0) {
            for ((to, &from), (factor, shift)) in to.iter_mut().zip(from).zip(factors) {
                *to = f32::from(from) * factor + shift;
            }
        }
        Ok(())
    }

    fn shape_error(&self, source: SizeError) -> EncoderError {
        EncoderError::Shape { network: self.name, source }
    }
}

/// The classifier's weights as they were trained, where there are any.
fn head_of(
    network: &Network,
    tensors: &std::collections::BTreeMap<String, crate::weights::Tensor>,
    width: usize,
) -> Result<Option<Head>, EncoderError> {
    let part = |part: &str| tensors.get(&format!("{}.{part}", network.classifier.name));
    match (part("weight"), part("bias")) {
        (Some(weight), Some(bias)) if width > 0 => {
            let head = Head::new(width, weight.values.clone(), bias.values.clone());
            Ok(Some(head.map_err(|error| EncoderError::Head(Box::new(error)))?))
        }
        _ => Ok(None),
    }
}

/// The key of an encoder whose other parts are in `key`.
fn with_normalisation(mut key: KeyBuilder, normalisation: Normalisation) -> Key {
    for (factor, shift) in normalisation.factors() {
        key = key.number("factor", u64::from(factor.to_bits())).number("shift", u64::from(shift.to_bits()));
    }
    key.finish()
}

fn numerics(precision: Precision, set: InstructionSet) -> String {
    format!("cpu {} {}", precision.name(), set.name())
}

/// The network of that name, or an error that lists the known ones.
pub(crate) fn find_network(name: &str) -> Result<Network, EncoderError> {
    let known = || Network::names().join(", ");
    Network::named(name).ok_or_else(|| EncoderError::UnknownNetwork { name: name.to_owned(), known: known() })
}
