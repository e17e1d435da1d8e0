//! The CIFAR ResNets of He et al. (2016, section 4.2) with parameter-free shortcuts (option A), names as in
//! `pytorch_resnet_cifar10`.

use oodlab_kernels::simd::Activation;

use super::{Builder, Network, Normalisation, Readout, Step, Unit};

pub(super) const NAMES: [&str; 2] = ["resnet20", "resnet56"];
/// Blocks of each of the three stages, in the order of [`NAMES`].
const BLOCKS: [usize; 2] = [3, 9];
const STEM: usize = 16;

pub(super) fn named(name: &str) -> Option<Network> {
    let index = NAMES.iter().position(|known| *known == name)?;
    let mut builder = Builder::new(4);
    let stem = Unit::normed("conv1", &[STEM, 3, 3, 3], "bn1");
    let mut map = builder.convolve(stem, 0, (1, 1), Activation::Relu, None);
    let mut inputs = STEM;
    for stage in 0..3 {
        let outputs = STEM << stage;
        for block in 0..BLOCKS[index] {
            let stride = if block == 0 && stage > 0 { 2 } else { 1 };
            let conv = |number: usize, inputs: usize| {
                let name = |part: &str| format!("layer{}.{block}.{part}{number}", stage + 1);
                Unit::normed(name("conv"), &[outputs, inputs, 3, 3], name("bn"))
            };
            let inner = builder.convolve(conv(1, inputs), map, (stride, 1), Activation::Relu, None);
            let shortcut = if stride == 1 && inputs == outputs {
                map
            } else {
                let to = builder.take();
                builder.steps.push(Step::Subsample { stride, around: outputs / 4, from: map, to });
                to
            };
            let output = builder.convolve(conv(2, outputs), inner, (1, 1), Activation::Relu, Some(shortcut));
            for done in [inner, map, shortcut] {
                builder.give(done);
            }
            map = output;
            inputs = outputs;
        }
        builder.tap(format!("stage{}", stage + 1), inputs, 1 << stage, map);
    }
    Some(Network {
        name: NAMES[index],
        nominal_resolution: 32,
        fixed_resolution: false,
        normalisation: Normalisation::IMAGENET,
        batch_norm_epsilon: 1e-5,
        trunk: builder.steps,
        head: Vec::new(),
        readout: Readout::Average,
        last: map,
        classifier: Unit::biased("linear", &[10, inputs]),
    })
}
