//! DenseNet-BC (Huang et al., CVPR 2017) with 100 layers and growth 12 for 32 px, names as in the networks of ODIN and DICE.

use oodlab_kernels::simd::Activation;

use super::{Builder, Network, Normalisation, PoolKind, Readout, Unit};

pub(super) const NAMES: [&str; 1] = ["densenet100"];
const GROWTH: usize = 12;
/// Layers of each of the three blocks: (100 - 4) / 3, two convolutions a layer.
const LAYERS: usize = 16;
/// Channels between a layer's two convolutions.
const INNER: usize = 4 * GROWTH;

pub(super) fn named(name: &str) -> Option<Network> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut builder = Builder::new(4);
    let mut channels = 2 * GROWTH;
    let stem = Unit::biasless("conv1", &[channels, 3, 3, 3]);
    let mut map = builder.convolve(stem, 0, (1, 1), Activation::None, None);
    for block in 1..=3 {
        for layer in 0..LAYERS {
            let part = |part: &str| format!("block{block}.layer.{layer}.{part}");
            let normed = builder.normalise(part("bn1"), channels, map);
            let first = Unit::normed(part("conv1"), &[INNER, channels, 1, 1], part("bn2"));
            let inner = builder.convolve(first, normed, (1, 0), Activation::Relu, None);
            let unit = Unit::biasless(part("conv2"), &[GROWTH, INNER, 3, 3]);
            builder.append(unit, inner, 1, map);
            builder.give(inner);
            builder.give(normed);
            channels += GROWTH;
        }
        builder.tap(format!("stage{block}"), channels, 1 << (block - 1), map);
        if block == 3 {
            break;
        }
        let normed = builder.normalise(format!("trans{block}.bn1"), channels, map);
        builder.give(map);
        let unit = Unit::biasless(format!("trans{block}.conv1"), &[channels / 2, channels, 1, 1]);
        let mixed = builder.convolve(unit, normed, (1, 0), Activation::None, None);
        builder.give(normed);
        channels /= 2;
        map = builder.pool(PoolKind::Average, 2, 2, 0, mixed);
        builder.give(mixed);
    }
    let last = builder.normalise("bn1".to_owned(), channels, map);
    Some(Network {
        name,
        nominal_resolution: 32,
        fixed_resolution: false,
        normalisation: Normalisation::CIFAR,
        batch_norm_epsilon: 1e-5,
        trunk: builder.steps,
        head: Vec::new(),
        readout: Readout::Average,
        last,
        classifier: Unit::biased("fc", &[10, channels]),
    })
}
