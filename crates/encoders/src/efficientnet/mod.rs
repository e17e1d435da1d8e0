//! EfficientNet (Tan & Le, ICML 2019) and EfficientNet-Lite as one parametrised network.
//!
//! Names and shapes are those of EfficientNet-PyTorch: `_conv_stem`, `_bn0`, `_blocks.N.{_expand_conv, _bn0,
//! _depthwise_conv, _bn1, _se_reduce, _se_expand, _project_conv, _bn2}`, `_conv_head`, `_bn1`, `_fc`. Batch-norm epsilon
//! is 1e-3. Lite drops squeeze-excitation, takes ReLU6 for SiLU, and scales neither stem and head nor the first and last
//! stage's depth.
//!
//! Every convolution pads as in TensorFlow's SAME, but *statically*: for the network's nominal image size propagated
//! through the strides, whatever the input's size (EfficientNet-PyTorch's `Conv2dStaticSamePadding`).

mod parameters;

use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

pub use parameters::{Parameter, Role, Unit};

/// Names of all networks, in byte order.
pub const NAMES: [&str; 13] = [
    "efficientnet-b0",
    "efficientnet-b1",
    "efficientnet-b2",
    "efficientnet-b3",
    "efficientnet-b4",
    "efficientnet-b5",
    "efficientnet-b6",
    "efficientnet-b7",
    "efficientnet-lite0",
    "efficientnet-lite1",
    "efficientnet-lite2",
    "efficientnet-lite3",
    "efficientnet-lite4",
];

/// Width and depth multiplier and nominal image size, in the order of [`NAMES`].
const SCALES: [(f64, f64, u32); 13] = [
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 300),
    (1.4, 1.8, 380),
    (1.6, 2.2, 456),
    (1.8, 2.6, 528),
    (2.0, 3.1, 600),
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 280),
    (1.4, 1.8, 300),
];

/// The seven stages of B0: repeats, kernel size, stride, expansion, output channels.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

const STEM_CHANNELS: usize = 32;
pub(crate) const STEM_SIZE: usize = 3;
pub(crate) const STEM_STRIDE: usize = 2;
const HEAD_CHANNELS: usize = 1280;
/// Share of a block's input channels that its gate is squeezed to.
const SQUEEZE_DIVISOR: usize = 4;

/// One inverted residual block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Channels in.
    pub inputs: usize,
    /// Channels of the depthwise convolution; equal to `inputs` where there is no expansion.
    pub expanded: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the depthwise kernel.
    pub size: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Channels that the gate is squeezed to; none in Lite.
    pub squeezed: Option<usize>,
    /// Zeros around the depthwise convolution's input.
    pub padding: Padding,
}

impl Block {
    /// Whether a 1×1 convolution comes first.
    #[must_use]
    pub fn expands(&self) -> bool {
        self.expanded != self.inputs
    }

    /// Whether the input is added to the output.
    #[must_use]
    pub fn is_residual(&self) -> bool {
        self.stride == 1 && self.inputs == self.outputs
    }
}

/// The last block of one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Index of the block.
    pub block: usize,
    /// Its output channels.
    pub channels: usize,
    /// How many input pixels lie between two of its pixels.
    pub stride: usize,
}

/// A network: all sizes, no weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// Side of the images it was trained on, in pixels.
    pub nominal_resolution: u32,
    /// Whether it is a Lite variant.
    pub lite: bool,
    /// Output channels of the stem.
    pub stem: usize,
    /// Zeros around the stem's input.
    pub stem_padding: Padding,
    /// All blocks.
    pub blocks: Vec<Block>,
    /// Output channels of the head's convolution.
    pub head: usize,
}

impl Network {
    /// Batch-norm epsilon.
    pub const EPSILON: f64 = 1e-3;

    /// The network of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Network> {
        let index = NAMES.iter().position(|known| *known == name)?;
        let (width, depth, nominal_resolution) = SCALES[index];
        let name = NAMES[index];
        let lite = name.contains("lite");
        let stem = if lite { STEM_CHANNELS } else { round_channels(STEM_CHANNELS, width) };
        let head = if lite { HEAD_CHANNELS } else { round_channels(HEAD_CHANNELS, width) };

        let mut extent = nominal_resolution as usize;
        let stem_padding = static_padding(&mut extent, STEM_SIZE, STEM_STRIDE);
        let mut blocks = Vec::new();
        let mut inputs = stem;
        for (stage, &(repeats, size, stride, expansion, outputs)) in STAGES.iter().enumerate() {
            let fixed = lite && (stage == 0 || stage + 1 == STAGES.len());
            let repeats = if fixed { repeats } else { (depth * repeats as f64).ceil() as usize };
            let outputs = round_channels(outputs, width);
            for repeat in 0..repeats {
                let stride = if repeat == 0 { stride } else { 1 };
                blocks.push(Block {
                    inputs,
                    expanded: inputs * expansion,
                    outputs,
                    size,
                    stride,
                    squeezed: (!lite).then_some((inputs / SQUEEZE_DIVISOR).max(1)),
                    padding: static_padding(&mut extent, size, stride),
                });
                inputs = outputs;
            }
        }
        Some(Network { name, nominal_resolution, lite, stem, stem_padding, blocks, head })
    }

    /// What follows convolutions, except those that project.
    #[must_use]
    pub fn activation(&self) -> Activation {
        if self.lite { Activation::Relu6 } else { Activation::Silu }
    }

    /// The last block before each stride of two, and the last block.
    #[must_use]
    pub fn taps(&self) -> Vec<Tap> {
        let mut stride = STEM_STRIDE;
        let mut taps = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            stride *= block.stride;
            if self.blocks.get(index + 1).is_none_or(|next| next.stride > 1) {
                taps.push(Tap { block: index, channels: block.outputs, stride });
            }
        }
        taps
    }

    /// Number of trained parameters, with the head of 1,000 classes.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let head = self.head_units(1000);
        let all = self.units().into_iter().chain(head).flat_map(|unit| unit.state());
        all.filter(|parameter| parameter.role.is_trained()).map(|p| p.elements() as u64).sum()
    }

    /// Factor and shift of pixels for each channel: normalised = pixel · factor + shift, pixels in 0 .. 255.
    ///
    /// Lite: (x - 127) / 128. Others: x / 255 with ImageNet's mean and deviation.
    #[must_use]
    pub fn normalisation(&self) -> [(f32, f32); 3] {
        if self.lite {
            return [(1.0 / 128.0, -127.0 / 128.0); 3];
        }
        let mean = [0.485, 0.456, 0.406];
        let deviation = [0.229, 0.224, 0.225];
        std::array::from_fn(|c| ((1.0 / (255.0 * deviation[c])) as f32, (-mean[c] / deviation[c]) as f32))
    }
}

/// Scales a number of channels and rounds it to a multiple of eight, never down by more than a tenth.
fn round_channels(channels: usize, width: f64) -> usize {
    let scaled = channels as f64 * width;
    let rounded = (((scaled + 4.0) / 8.0) as usize * 8).max(8);
    if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
}

/// SAME padding of a convolution whose input has side `extent`, which becomes the output's.
fn static_padding(extent: &mut usize, size: usize, stride: usize) -> Padding {
    let output = extent.div_ceil(stride);
    let total = ((output - 1) * stride + size).saturating_sub(*extent);
    *extent = output;
    let (before, after) = (total / 2, total - total / 2);
    Padding { top: before, bottom: after, left: before, right: after }
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Network};

    fn network(name: &str) -> Network {
        Network::named(name).expect("a known name")
    }

    /// Channels and blocks as published with the weights.
    #[test]
    fn taps_are_the_published_ones() {
        let taps = |name| network(name).taps().iter().map(|tap| (tap.block, tap.channels)).collect::<Vec<_>>();
        assert_eq!(taps("efficientnet-lite0"), [(0, 16), (2, 24), (4, 40), (10, 112), (15, 320)]);
        assert_eq!(taps("efficientnet-lite2"), [(0, 16), (3, 24), (6, 48), (14, 120), (20, 352)]);
        assert_eq!(taps("efficientnet-b4"), [(1, 24), (5, 32), (9, 56), (21, 160), (31, 448)]);
        assert_eq!(
            network("efficientnet-b0").taps().iter().map(|tap| tap.stride).collect::<Vec<_>>(),
            [2, 4, 8, 16, 32]
        );
    }

    /// Parameters as the papers and model cards give them, in tenths of a million.
    #[test]
    fn parameter_counts_are_the_published_ones() {
        let published = [53, 78, 91, 122, 193, 304, 430, 663, 47, 54, 61, 82, 130];
        for (name, want) in NAMES.iter().zip(published) {
            let got = network(name).parameters();
            assert_eq!((got as f64 / 1e5).round() as u64, want, "{name}: {got}");
        }
        assert_eq!(network("efficientnet-b0").parameters(), 5_288_548);
    }

    #[test]
    fn padding_follows_the_nominal_size() {
        // 224: 112, 112, 56, 28, ..: even sides pad one row at the end for stride 2.
        let b0 = network("efficientnet-b0");
        assert_eq!((b0.stem_padding.top, b0.stem_padding.bottom), (0, 1));
        // 260 → 130 → 65 → 33 → 17: the odd side of 65 pads both ends.
        let b2 = network("efficientnet-b2");
        let strided: Vec<_> = b2.blocks.iter().filter(|block| block.stride == 2).collect();
        let ends = |at: usize| (strided[at].padding.top, strided[at].padding.bottom);
        assert_eq!([ends(0), ends(1), ends(2), ends(3)], [(0, 1), (2, 2), (1, 1), (2, 2)]);
    }

    #[test]
    fn unknown_names_are_none() {
        assert_eq!(Network::named("efficientnet-b8"), None);
        assert_eq!(Network::named(""), None);
    }
}
