//! The step of a small smooth network against the gradient's sign by differences, and its logits against numpy.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

use crate::encoder::Pooling;
use crate::network::{Convolution, Network, Normalisation, Readout, Step, Tap, Unit, UnitKind};
use crate::plain::{Mode, PlainNetwork};
use crate::weights::{self, Weights};

const SIDE: usize = 5;
const PIXELS: usize = 3 * SIDE * SIDE;
const NORMALISATION: Normalisation = Normalisation { mean: [0.5, 0.4, 0.3], deviation: [0.5, 0.25, 0.2] };

/// Two convolutions of 3 × 3, a tap behind each, the average, three classes.
fn network() -> Network {
    let unit = |name: &str, shape: &[usize]| Unit { name: name.into(), shape: shape.to_vec(), kind: UnitKind::Biased };
    let around = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let convolve = |unit, from, to| {
        let (activation, residual) = (Activation::Silu, None);
        Step::Convolve(Convolution { unit, stride: 1, padding: around, activation, from, to, residual, append: false })
    };
    let tap = |name: &str, channels, from| Step::Tap(Tap { name: name.to_owned(), channels, stride: 1, from, skip: 0 });
    Network {
        name: "probed",
        nominal_resolution: SIDE as u32,
        fixed_resolution: false,
        normalisation: NORMALISATION,
        batch_norm_epsilon: 1e-3,
        trunk: vec![
            convolve(unit("first", &[4, 3, 3, 3]), 0, 1),
            tap("stage1", 4, 1),
            convolve(unit("second", &[6, 4, 3, 3]), 1, 2),
            tap("stage2", 6, 2),
        ],
        head: Vec::new(),
        readout: Readout::Average,
        last: 2,
        classifier: unit("classifier", &[3, 6]),
    }
}

/// `sin` of the index squared, so that the numbers can be written down anywhere and do not cancel.
fn formula(count: usize, pace: f64, size: f64) -> Vec<f32> {
    (1..=count).map(|i| (size * (pace * (i * i) as f64).sin()) as f32).collect()
}

fn plain() -> PlainNetwork {
    let mut tensors = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize], pace: f64, size: f64| {
        let values = formula(shape.iter().product(), pace, size);
        tensors.insert(name.to_owned(), weights::Tensor { shape: shape.to_vec(), values });
    };
    for (name, shape, pace) in [("first", [4, 3, 3, 3], 0.7), ("second", [6, 4, 3, 3], 1.3)] {
        add(&format!("{name}.weight"), &shape, pace, 0.6);
        add(&format!("{name}.bias"), &shape[..1], pace, 0.2);
    }
    add("classifier.weight", &[3, 6], 2.1, 1.5);
    add("classifier.bias", &[3], 2.1, 0.1);
    PlainNetwork::of(network(), Pooling::Average, &Weights::from_tensors(tensors), false).expect("the weights fit")
}

fn image(pixels: &[f32]) -> Tensor {
    Tensor::from_slice(pixels, (1, 3, SIDE, SIDE), &Device::Cpu).expect("fits")
}

fn logits(network: &PlainNetwork, pixels: &[f32]) -> Vec<f64> {
    let output = network.forward(&image(pixels), Mode::Infer).expect("runs").logits.expect("a classifier");
    output.flatten_all().and_then(|row| row.to_vec1::<f32>()).expect("f32").into_iter().map(f64::from).collect()
}

/// Cross-entropy of the class `of` at a temperature.
fn cross_entropy(logits: &[f64], of: usize, temperature: f64) -> f64 {
    logits.iter().map(|z| ((z - logits[of]) / temperature).exp()).sum::<f64>().ln()
}

fn largest(logits: &[f64]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("a class")
}

/// The step goes against the sign of the cross-entropy's gradient, which differences give.
#[test]
fn odin_steps_against_the_sign_of_the_gradient() {
    let network = plain();
    let pixels = formula(PIXELS, 0.37, 1.5);
    let class = largest(&logits(&network, &pixels));
    let noise = 0.02;
    // The logits behind the step by numpy: the network and its gradient written out by hand in double precision.
    let cases = [(1.0, [8.5956667, 6.8359086, -0.0323994]), (1000.0, [8.8525640, 7.1018690, 0.0801680])];
    for (temperature, numpy) in cases {
        let loss = |pixels: &[f32]| cross_entropy(&logits(&network, pixels), class, 1.0);
        // Differences of the loss at temperature 1000 drown in the rounding of f32; its limit, up to a factor, is the mean logit less the
        // predicted one.
        let far = |pixels: &[f32]| {
            let z = logits(&network, pixels);
            z.iter().sum::<f64>() / z.len() as f64 - z[class]
        };
        let slope = |at: usize| {
            let moved = |by: f32| {
                let mut moved = pixels.clone();
                moved[at] += by;
                if temperature == 1.0 { loss(&moved) } else { far(&moved) }
            };
            moved(0.01) - moved(-0.01)
        };
        let slopes: Vec<f64> = (0..PIXELS).map(slope).collect();
        // Far from what rounding could turn, and of both signs.
        let (up, down) = (slopes.iter().filter(|&&s| s > 1e-6).count(), slopes.iter().filter(|&&s| s < -1e-6).count());
        assert!(up + down == PIXELS && up > 10 && down > 10, "{up} up, {down} down: {slopes:?}");
        let mut moved = pixels.clone();
        for (at, (pixel, slope)) in moved.iter_mut().zip(&slopes).enumerate() {
            let sign = if *slope >= 0.0 { 1.0 } else { -1.0 };
            *pixel -= (sign * noise / NORMALISATION.deviation[at / (SIDE * SIDE)]) as f32;
        }
        let want = logits(&network, &moved);
        let found = super::logits(&network, &image(&pixels), temperature, noise, NORMALISATION).expect("runs");
        for (expected, by) in [(want.as_slice(), "differences"), (&numpy, "numpy")] {
            let near = found.iter().zip(expected).all(|(&found, want)| (f64::from(found) - want).abs() < 2e-5);
            assert!(near, "temperature {temperature}: {found:?}, by {by} {expected:?}");
        }
        assert!(cross_entropy(&want, class, 1.0) < loss(&pixels) - 0.05, "the predicted class becomes more likely");
        let still = super::logits(&network, &image(&pixels), temperature, 0.0, NORMALISATION).expect("runs");
        assert_eq!(still.into_iter().map(f64::from).collect::<Vec<_>>(), logits(&network, &pixels));
    }
}
