//! ResNet (He et al., CVPR 2016) as torchvision has it (version 1.5: a bottleneck's stride is in its 3×3 convolution), and
//! OpenOOD's ResNet-18 for 32 px (3×3 stem, no pool; `shortcut` instead of `downsample`).

use oodlab_kernels::simd::Activation;

use super::{Builder, Network, Normalisation, PoolKind, Readout, Slot, Unit};

pub(super) const NAMES: [&str; 5] = ["resnet101", "resnet18", "resnet18-32", "resnet34", "resnet50"];

/// Blocks of each stage, and whether they are bottlenecks, in the order of [`NAMES`].
const SIZES: [([usize; 4], bool); 5] =
    [([3, 4, 23, 3], true), ([2, 2, 2, 2], false), ([2, 2, 2, 2], false), ([3, 4, 6, 3], false), ([3, 4, 6, 3], true)];

/// A bottleneck's output over its inner channels.
const EXPANSION: usize = 4;
const STEM: usize = 64;

pub(super) fn named(name: &str) -> Option<Network> {
    let index = NAMES.iter().position(|known| *known == name)?;
    let (stages, bottleneck) = SIZES[index];
    let small = name.ends_with("-32");
    let mut builder = Builder::new(4);
    let (size, stride, padding) = if small { (3, 1, 1) } else { (7, 2, 3) };
    let stem = Unit::normed("conv1", &[STEM, 3, size, size], "bn1");
    let mut map = builder.convolve(stem, 0, (stride, padding), Activation::Relu, None);
    let mut pixel_stride = stride;
    if !small {
        let pooled = builder.pool(PoolKind::Max, 3, 2, 1, map);
        builder.give(map);
        map = pooled;
        pixel_stride *= 2;
    }
    let mut channels = STEM;
    for (stage, &blocks) in stages.iter().enumerate() {
        let inner = STEM << stage;
        let outputs = if bottleneck { inner * EXPANSION } else { inner };
        for block in 0..blocks {
            let stride = if block == 0 && stage > 0 { 2 } else { 1 };
            pixel_stride *= stride;
            let place = Block {
                name: format!("layer{}.{block}", stage + 1),
                shortcut: if small { "shortcut" } else { "downsample" },
                inputs: channels,
                inner,
                outputs,
                stride,
            };
            let output = if bottleneck { place.bottleneck(&mut builder, map) } else { place.basic(&mut builder, map) };
            builder.give(map);
            map = output;
            channels = outputs;
        }
        builder.tap(format!("stage{}", stage + 1), channels, pixel_stride, map);
    }
    let classes = if small { 10 } else { 1000 };
    Some(Network {
        name: NAMES[index],
        nominal_resolution: if small { 32 } else { 224 },
        fixed_resolution: false,
        normalisation: if small { Normalisation::CIFAR } else { Normalisation::IMAGENET },
        batch_norm_epsilon: 1e-5,
        trunk: builder.steps,
        head: Vec::new(),
        readout: Readout::Average,
        last: map,
        classifier: Unit::biased("fc", &[classes, channels]),
    })
}

/// One residual block.
struct Block {
    name: String,
    shortcut: &'static str,
    inputs: usize,
    inner: usize,
    outputs: usize,
    stride: usize,
}

impl Block {
    fn conv(&self, number: usize, outputs: usize, inputs: usize, size: usize) -> Unit {
        let name = format!("{}.conv{number}", self.name);
        Unit::normed(name, &[outputs, inputs, size, size], format!("{}.bn{number}", self.name))
    }

    /// What is added at the end: the input, or its projection where size or channels change.
    fn shortcut(&self, builder: &mut Builder, map: Slot) -> Slot {
        if self.stride == 1 && self.inputs == self.outputs {
            return map;
        }
        let name = |part: usize| format!("{}.{}.{part}", self.name, self.shortcut);
        let unit = Unit::normed(name(0), &[self.outputs, self.inputs, 1, 1], name(1));
        builder.convolve(unit, map, (self.stride, 0), Activation::None, None)
    }

    fn basic(&self, builder: &mut Builder, map: Slot) -> Slot {
        let first = self.conv(1, self.inner, self.inputs, 3);
        let inner = builder.convolve(first, map, (self.stride, 1), Activation::Relu, None);
        let shortcut = self.shortcut(builder, map);
        let second = self.conv(2, self.outputs, self.inner, 3);
        let output = builder.convolve(second, inner, (1, 1), Activation::Relu, Some(shortcut));
        builder.give(inner);
        if shortcut != map {
            builder.give(shortcut);
        }
        output
    }

    fn bottleneck(&self, builder: &mut Builder, map: Slot) -> Slot {
        let first = self.conv(1, self.inner, self.inputs, 1);
        let reduced = builder.convolve(first, map, (1, 0), Activation::Relu, None);
        let second = self.conv(2, self.inner, self.inner, 3);
        let inner = builder.convolve(second, reduced, (self.stride, 1), Activation::Relu, None);
        builder.give(reduced);
        let shortcut = self.shortcut(builder, map);
        let third = self.conv(3, self.outputs, self.inner, 1);
        let output = builder.convolve(third, inner, (1, 0), Activation::Relu, Some(shortcut));
        builder.give(inner);
        if shortcut != map {
            builder.give(shortcut);
        }
        output
    }
}
