//! EfficientNet (Tan & Le, ICML 2019) and EfficientNet-Lite as one parametrised network.
//!
//! Names and shapes are those of EfficientNet-PyTorch: `_conv_stem`, `_bn0`, `_blocks.N.{_expand_conv, _bn0,
//! _depthwise_conv, _bn1, _se_reduce, _se_expand, _project_conv, _bn2}`, `_conv_head`, `_bn1`, `_fc`. Lite drops
//! squeeze-excitation, takes ReLU6 for SiLU, and scales neither stem and head nor the first and last stage's depth.
//!
//! Padding has two kinds. `efficientnet-bN`, `efficientnet-liteN` pad as TensorFlow's SAME, but *statically*: for the
//! network's nominal image size propagated through the strides, whatever the input's size (EfficientNet-PyTorch's
//! `Conv2dStaticSamePadding`, which DLSR inherits); batch-norm epsilon 1e-3. `efficientnet-bN-symmetric` are the networks
//! that torchvision and timm trained themselves: k / 2 zeros on every side, epsilon 1e-5 (B5 to B7: 1e-3).

use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

use super::{Convolution, InvertedResidual, Network, Normalisation, Readout, Slot, Step, Tap, Unit, symmetric};

/// Names of all networks, in byte order.
pub(super) const NAMES: [&str; 21] = [
    "efficientnet-b0",
    "efficientnet-b0-symmetric",
    "efficientnet-b1",
    "efficientnet-b1-symmetric",
    "efficientnet-b2",
    "efficientnet-b2-symmetric",
    "efficientnet-b3",
    "efficientnet-b3-symmetric",
    "efficientnet-b4",
    "efficientnet-b4-symmetric",
    "efficientnet-b5",
    "efficientnet-b5-symmetric",
    "efficientnet-b6",
    "efficientnet-b6-symmetric",
    "efficientnet-b7",
    "efficientnet-b7-symmetric",
    "efficientnet-lite0",
    "efficientnet-lite1",
    "efficientnet-lite2",
    "efficientnet-lite3",
    "efficientnet-lite4",
];

/// What is behind `efficientnet-`, width and depth multiplier and nominal image size.
const SCALES: [(&str, f64, f64, u32); 13] = [
    ("b0", 1.0, 1.0, 224),
    ("b1", 1.0, 1.1, 240),
    ("b2", 1.1, 1.2, 260),
    ("b3", 1.2, 1.4, 300),
    ("b4", 1.4, 1.8, 380),
    ("b5", 1.6, 2.2, 456),
    ("b6", 1.8, 2.6, 528),
    ("b7", 2.0, 3.1, 600),
    ("lite0", 1.0, 1.0, 224),
    ("lite1", 1.0, 1.1, 240),
    ("lite2", 1.1, 1.2, 260),
    ("lite3", 1.2, 1.4, 280),
    ("lite4", 1.4, 1.8, 300),
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
const STEM_SIZE: usize = 3;
const STEM_STRIDE: usize = 2;
const HEAD_CHANNELS: usize = 1280;
/// Share of a block's input channels that its gate is squeezed to.
const SQUEEZE_DIVISOR: usize = 4;
/// Epsilon of the networks that came from TensorFlow, and of the largest symmetric ones.
const EPSILON: f64 = 1e-3;
/// PyTorch's default.
const SYMMETRIC_EPSILON: f64 = 1e-5;

pub(super) fn named(name: &str) -> Option<Network> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let symmetric_padding = name.ends_with("-symmetric");
    let size = name.trim_start_matches("efficientnet-").trim_end_matches("-symmetric");
    let &(_, width, depth, nominal_resolution) = SCALES.iter().find(|(known, ..)| *known == size)?;
    let lite = size.starts_with("lite");
    let large = matches!(size, "b5" | "b6" | "b7");
    let activation = if lite { Activation::Relu6 } else { Activation::Silu };
    let stem = if lite { STEM_CHANNELS } else { round_channels(STEM_CHANNELS, width) };
    let head = if lite { HEAD_CHANNELS } else { round_channels(HEAD_CHANNELS, width) };

    let mut extent = nominal_resolution as usize;
    let mut pad = |size: usize, stride: usize| match symmetric_padding {
        true => symmetric(size / 2),
        false => static_padding(&mut extent, size, stride),
    };
    let convolution = |unit: Unit, stride: usize, padding: Padding, from: Slot, to: Slot| {
        Step::Convolve(Convolution { unit, stride, padding, activation, from, to, residual: None, append: false })
    };
    let unit = Unit::normed("_conv_stem", &[stem, 3, STEM_SIZE, STEM_SIZE], "_bn0");
    let mut trunk = vec![convolution(unit, STEM_STRIDE, pad(STEM_SIZE, STEM_STRIDE), 0, 1)];
    let (mut inputs, mut map, mut block, mut pixel_stride, mut taps) = (stem, 1, 0, STEM_STRIDE, 0);
    for (stage, &(repeats, size, stride, expansion, outputs)) in STAGES.iter().enumerate() {
        let fixed = lite && (stage == 0 || stage + 1 == STAGES.len());
        let repeats = if fixed { repeats } else { (depth * repeats as f64).ceil() as usize };
        let outputs = round_channels(outputs, width);
        for repeat in 0..repeats {
            let stride = if repeat == 0 { stride } else { 1 };
            let sizes = Sizes { inputs, expanded: inputs * expansion, outputs, size, stride, gated: !lite };
            let padding = pad(size, stride);
            trunk.push(Step::InvertedResidual(Box::new(sizes.block(block, padding, activation, map))));
            map = other(map);
            block += 1;
            inputs = outputs;
            pixel_stride *= stride;
        }
        // The last block before each stride of two, and the last of all.
        if STAGES.get(stage + 1).is_none_or(|next| next.2 > 1) {
            taps += 1;
            let name = format!("stage{taps}");
            trunk.push(Step::Tap(Tap { name, channels: inputs, stride: pixel_stride, from: map, skip: 0 }));
        }
    }
    let conv_head = Unit::normed("_conv_head", &[head, inputs, 1, 1], "_bn1");
    Some(Network {
        name,
        nominal_resolution,
        fixed_resolution: false,
        normalisation: if lite { Normalisation::LITE } else { Normalisation::IMAGENET },
        batch_norm_epsilon: if symmetric_padding && !large { SYMMETRIC_EPSILON } else { EPSILON },
        trunk,
        head: vec![convolution(conv_head, 1, Padding::default(), map, other(map))],
        readout: Readout::Average,
        last: other(map),
        classifier: Unit::biased("_fc", &[1000, head]),
    })
}

/// Maps 1 and 2 take turns.
fn other(map: Slot) -> Slot {
    3 - map
}

/// Sizes of one inverted residual block.
struct Sizes {
    inputs: usize,
    expanded: usize,
    outputs: usize,
    size: usize,
    stride: usize,
    gated: bool,
}

impl Sizes {
    fn block(&self, index: usize, padding: Padding, activation: Activation, from: Slot) -> InvertedResidual {
        let Sizes { inputs, expanded, outputs, size, stride, gated } = *self;
        let name = |part: &str| format!("_blocks.{index}.{part}");
        let expands = expanded != inputs;
        let squeezed = (inputs / SQUEEZE_DIVISOR).max(1);
        InvertedResidual {
            expand: expands.then(|| Unit::normed(name("_expand_conv"), &[expanded, inputs, 1, 1], name("_bn0"))),
            depthwise: Unit::normed(name("_depthwise_conv"), &[expanded, 1, size, size], name("_bn1")),
            stride,
            padding,
            gate: gated.then(|| {
                let reduce = Unit::biased(name("_se_reduce"), &[squeezed, expanded, 1, 1]);
                (reduce, Unit::biased(name("_se_expand"), &[expanded, squeezed, 1, 1]))
            }),
            project: Unit::normed(name("_project_conv"), &[outputs, expanded, 1, 1], name("_bn2")),
            residual: stride == 1 && inputs == outputs,
            activation,
            from,
            to: other(from),
        }
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
