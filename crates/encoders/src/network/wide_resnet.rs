//! Wide ResNet (Zagoruyko & Komodakis, BMVC 2016) with 40 layers and width 2 for 32 px, names as in OpenOOD's.

use oodlab_kernels::simd::Activation;

use super::{Builder, Network, Normalisation, Readout, Unit};

pub(super) const NAMES: [&str; 1] = ["wrn-40-2"];
/// Blocks of each of the three stages: (40 - 4) / 6.
const BLOCKS: usize = 6;
const STEM: usize = 16;
const WIDTH: usize = 2;

pub(super) fn named(name: &str) -> Option<Network> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut builder = Builder::new(5);
    let mut map = builder.convolve(Unit::biasless("conv1", &[STEM, 3, 3, 3]), 0, (1, 1), Activation::None, None);
    let mut inputs = STEM;
    for stage in 0..3 {
        let outputs = (STEM * WIDTH) << stage;
        for block in 0..BLOCKS {
            let stride = if block == 0 && stage > 0 { 2 } else { 1 };
            let part = |part: &str| format!("block{}.layer.{block}.{part}", stage + 1);
            let normed = builder.normalise(part("bn1"), inputs, map);
            let first = Unit::normed(part("conv1"), &[outputs, inputs, 3, 3], part("bn2"));
            let inner = builder.convolve(first, normed, (stride, 1), Activation::Relu, None);
            let shortcut = if inputs == outputs {
                map
            } else {
                // The projection reads the normalised map, unlike a plain shortcut.
                let unit = Unit::biasless(part("convShortcut"), &[outputs, inputs, 1, 1]);
                builder.convolve(unit, normed, (stride, 0), Activation::None, None)
            };
            builder.give(normed);
            let second = Unit::biasless(part("conv2"), &[outputs, outputs, 3, 3]);
            let output = builder.convolve(second, inner, (1, 1), Activation::None, Some(shortcut));
            for done in [inner, map, shortcut] {
                builder.give(done);
            }
            map = output;
            inputs = outputs;
        }
        builder.tap(format!("stage{}", stage + 1), inputs, 1 << stage, map);
    }
    let last = builder.normalise("bn1".to_owned(), inputs, map);
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
        classifier: Unit::biased("fc", &[10, inputs]),
    })
}
