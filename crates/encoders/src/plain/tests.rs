//! Every operation and a network of all of them against numbers worked out by hand and against differences.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use oodlab_base::{Seed, Tolerance};
use oodlab_kernels::dense_conv::Padding;
use oodlab_kernels::simd::Activation;

use super::activation::activate;
use super::batch_norm::{Statistics, batch_norm, batch_statistics};
use super::window_pool::window_pool;
use super::{Mode, PlainNetwork, convolve};
use crate::encoder::Pooling;
use crate::error::EncoderError;
use crate::network::{
    Convolution, InvertedResidual, Network, Normalisation, Parameter, PoolKind, Readout, Role, Step, Tap,
    TransformerBlock, Unit, UnitKind, WindowPool,
};
use crate::weights::{self, Weights};

fn numbers(name: &str, count: usize) -> Vec<f32> {
    let stream = Seed(11).stream(name);
    (0..count as u64).map(|index| 2.0 * stream.uniform(index) - 1.0).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).expect("fits")
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).expect("f32")
}

/// A random direction of length 1.
fn direction(name: &str, count: usize) -> Vec<f32> {
    unit_length(&numbers(name, count))
}

fn unit_length(values: &[f32]) -> Vec<f32> {
    let length = dot(values, values).sqrt();
    values.iter().map(|&value| (f64::from(value) / length) as f32).collect()
}

/// The slope of `f` along `direction` by differences that are exact to the fourth order.
fn difference(at: &[f32], direction: &[f32], f: impl Fn(&[f32]) -> f64) -> f64 {
    let step = 0.03;
    let moved = |by: f64| {
        let moved: Vec<f32> =
            at.iter().zip(direction).map(|(&x, &d)| (f64::from(x) + by * f64::from(d)) as f32).collect();
        f(&moved)
    };
    (8.0 * (moved(step) - moved(-step)) - (moved(2.0 * step) - moved(-2.0 * step))) / (12.0 * step)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// A smooth number that depends on every element in its own way.
fn smooth(tensor: &Tensor, name: &str) -> Result<Tensor> {
    let factors = self::tensor(&numbers(name, tensor.elem_count()), tensor.dims());
    (tensor.sin()? * factors)?.sum_all()
}

fn smooth_in_f64(tensor: &Tensor, name: &str) -> f64 {
    let factors = numbers(name, tensor.elem_count());
    flat(tensor).iter().zip(factors).map(|(&y, factor)| f64::from(y).sin() * f64::from(factor)).sum()
}

/// The gradient of `smooth(operation(x))` along some directions.
fn check_slope(shape: &[usize], operation: impl Fn(&Tensor) -> Result<Tensor>) {
    let values = numbers("x", shape.iter().product());
    let x = Var::from_tensor(&tensor(&values, shape)).expect("a variable");
    let loss = smooth(&operation(&x).expect("runs"), "loss").expect("runs");
    let gradient = flat(loss.backward().expect("differentiable").get(&x).expect("reached"));
    for index in 0..4 {
        let direction = direction(&format!("direction {index}"), values.len());
        let want = difference(&values, &direction, |values| {
            smooth_in_f64(&operation(&tensor(values, shape)).expect("runs"), "loss")
        });
        let tolerance = Tolerance::mixed("3e-4", 3e-4, 1e-3);
        tolerance.compare([dot(&gradient, &direction)], [want]).assert("slope");
    }
}

#[test]
fn activations_have_their_values_and_slopes() {
    use Activation::{Gelu, None, Relu, Relu6, Sigmoid, Silu};
    let inputs = [-7.0f32, -1.0, -0.3, 0.0, 0.4, 2.0, 5.5, 8.0];
    for activation in [None, Relu, Relu6, Silu, Sigmoid, Gelu] {
        let x = Var::from_tensor(&tensor(&inputs, &[8])).expect("a variable");
        let y = activate(&x, activation).expect("runs");
        let want = inputs.iter().map(|&x| activation.of(f64::from(x)));
        let tolerance = Tolerance::absolute("1e-6", 1e-6);
        tolerance.compare(flat(&y).iter().map(|&y| f64::from(y)), want).assert(&format!("{activation:?}"));
        let slopes =
            flat(y.sum_all().and_then(|sum| sum.backward()).expect("differentiable").get(&x).expect("reached"));
        let step = 1e-5;
        let slope = |x: f64| (activation.of(x + step) - activation.of(x - step)) / (2.0 * step);
        // At the kink of ReLU the slope is 0 by choice.
        let want = inputs.iter().map(|&x| match (activation, x) {
            (Relu | Relu6, 0.0) => 0.0,
            _ => slope(f64::from(x)),
        });
        let tolerance = Tolerance::absolute("1e-5", 1e-5);
        tolerance.compare(slopes.iter().map(|&y| f64::from(y)), want).assert(&format!("slope of {activation:?}"));
    }
}

/// Mean 3, variance 3.5, with epsilon 0.5 the deviation is 2: all numbers below are exact.
#[test]
fn batch_norm_by_hand() {
    let x = Var::from_tensor(&tensor(&[1.0, 2.0, 3.0, 6.0], &[2, 1, 1, 2])).expect("a variable");
    let factor = Var::from_tensor(&tensor(&[2.0], &[1])).expect("a variable");
    let shift = Var::from_tensor(&tensor(&[1.0], &[1])).expect("a variable");
    let (mean, variance, values) = batch_statistics(&x).expect("two images");
    assert_eq!((mean.as_slice(), variance.as_slice(), values), (&[3.0][..], &[3.5][..], 4));
    let y = batch_norm(&x, (&factor, &shift), (&mean, &variance), 0.5, true).expect("fits");
    assert_eq!(flat(&y), [-1.0, 0.0, 1.0, 4.0]);

    // The gradient of the first output: normalised x is -1, -1/2, 0, 3/2.
    let gradients = y.flatten_all().and_then(|y| y.get(0)).and_then(|y| y.backward()).expect("differentiable");
    assert_eq!(flat(gradients.get(&x).expect("reached")), [0.5, -0.375, -0.25, 0.125]);
    assert_eq!(flat(gradients.get(&factor).expect("reached")), [-1.0]);
    assert_eq!(flat(gradients.get(&shift).expect("reached")), [1.0]);

    // With constants the gradient is the gain alone.
    let y = batch_norm(&x, (&factor, &shift), (&[2.0], &[3.5]), 0.5, false).expect("fits");
    assert_eq!(flat(&y), [0.0, 1.0, 2.0, 5.0]);
    let gradients = y.flatten_all().and_then(|y| y.get(0)).and_then(|y| y.backward()).expect("differentiable");
    assert_eq!(flat(gradients.get(&x).expect("reached")), [1.0, 0.0, 0.0, 0.0]);

    let mut running = Statistics { mean: vec![1.0], variance: vec![2.0], batches: 6 };
    running.follow(&mean, &variance, values);
    // 0.9 · 1 + 0.1 · 3 and 0.9 · 2 + 0.1 · 14 / 3.
    let want = Statistics { mean: vec![1.2], variance: vec![(1.8 + 1.4 / 3.0) as f32], batches: 7 };
    assert_eq!(running, want);
    assert!(batch_statistics(&tensor(&[1.0, 2.0], &[1, 2, 1, 1])).is_err());
}

#[test]
fn slopes_of_operations() {
    let padding = Padding { top: 0, bottom: 1, left: 2, right: 1 };
    let dense = tensor(&numbers("weight", 4 * 3 * 9), &[4, 3, 3, 3]);
    check_slope(&[2, 3, 6, 5], |x| convolve(x, &dense, 2, padding));
    let depthwise = tensor(&numbers("weight", 3 * 25), &[3, 1, 5, 5]);
    check_slope(&[2, 3, 7, 6], |x| convolve(x, &depthwise, 2, padding));
    let image = tensor(&numbers("image", 2 * 3 * 42), &[2, 3, 7, 6]);
    check_slope(&[4, 3, 3, 3], |weight| convolve(&image, weight, 1, padding));
    check_slope(&[3, 1, 3, 3], |weight| convolve(&image, weight, 2, padding));
    let channel = tensor(&numbers("image", 2 * 42), &[2, 1, 7, 6]);
    check_slope(&[1, 1, 3, 3], |weight| convolve(&channel, weight, 1, padding));
    let around = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    check_slope(&[2, 3, 6, 6], |x| window_pool(x, PoolKind::Average, 2, 2, Padding::default()));
    // Differences of a maximum are slopes while no other value overtakes.
    let apart = |x: &Tensor| x + tensor(&(0..50).map(|i| (i * 7 % 50) as f32).collect::<Vec<_>>(), &[1, 2, 5, 5]);
    check_slope(&[1, 2, 5, 5], |x| window_pool(&apart(x)?, PoolKind::Max, 3, 2, around));
    let (factor, shift) = (tensor(&[0.7, -1.2], &[2]), tensor(&[0.1, 0.2], &[2]));
    check_slope(&[3, 2, 3, 3], |x| {
        let (mean, variance, _) = batch_statistics(x)?;
        batch_norm(x, (&factor, &shift), (&mean, &variance), 1e-3, true)
    });
    for pooling in [Pooling::Average, Pooling::Released, Pooling::Std] {
        check_slope(&[2, 3, 5, 4], |x| super::pooled::pool(x, pooling, 8));
    }
}

#[test]
fn windows_by_hand() {
    let x = tensor(&[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0, -9.0], &[1, 1, 3, 3]);
    let around = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let maxima = window_pool(&x, PoolKind::Max, 3, 2, around).expect("fits");
    assert_eq!(flat(&maxima), [-1.0, -2.0, -4.0, -5.0]);
    let averages = window_pool(&x, PoolKind::Average, 2, 1, Padding::default()).expect("fits");
    assert_eq!(flat(&averages), [-3.0, -4.0, -6.0, -7.0]);
    assert!(window_pool(&x, PoolKind::Max, 4, 1, Padding::default()).is_err());
    assert!(window_pool(&x, PoolKind::Max, 1, 1, around).is_err());
    let flat_map = Var::from_tensor(&tensor(&[2.0; 4], &[1, 1, 2, 2])).expect("a variable");
    let most = window_pool(&flat_map, PoolKind::Max, 2, 2, Padding::default()).expect("fits");
    let gradients = most.sum_all().and_then(|sum| sum.backward()).expect("differentiable");
    assert_eq!(flat(gradients.get(&flat_map).expect("reached")), [1.0, 0.0, 0.0, 0.0]);
    // A deviation of equal pixels has a slope, not a NaN.
    let deviation = super::pooled::pool(&flat_map, Pooling::Std, 1).expect("fits");
    let gradients = deviation.sum_all().and_then(|sum| sum.backward()).expect("differentiable");
    assert_eq!(flat(gradients.get(&flat_map).expect("reached")), [0.0; 4]);
}

fn unit(name: &str, shape: &[usize], kind: UnitKind) -> Unit {
    Unit { name: name.to_owned(), shape: shape.to_vec(), kind }
}

fn normed(name: &str, shape: &[usize]) -> Unit {
    unit(name, shape, UnitKind::Normed(format!("{name}_norm")))
}

/// A network of every kind of step but tokens, a few channels wide; smooth, but for the maximum.
fn tiny() -> Network {
    let padding = Padding { top: 0, bottom: 1, left: 1, right: 2 };
    let around = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let convolution = |unit, stride, padding, from, to, residual, append| {
        Step::Convolve(Convolution { unit, stride, padding, activation: Activation::Silu, from, to, residual, append })
    };
    let block = InvertedResidual {
        expand: Some(normed("expand", &[12, 6, 1, 1])),
        depthwise: normed("depthwise", &[12, 1, 3, 3]),
        stride: 1,
        padding: around,
        gate: Some((unit("reduce", &[2, 12, 1, 1], UnitKind::Biased), unit("gate", &[12, 2, 1, 1], UnitKind::Biased))),
        project: normed("project", &[6, 12, 1, 1]),
        residual: true,
        activation: Activation::Silu,
        from: 1,
        to: 2,
    };
    let tap =
        |name: &str, channels, stride, from| Step::Tap(Tap { name: name.to_owned(), channels, stride, from, skip: 0 });
    let pool =
        |kind, from, to| Step::Pool(WindowPool { kind, size: 2, stride: 2, padding: Padding::default(), from, to });
    Network {
        name: "tiny",
        nominal_resolution: 12,
        fixed_resolution: false,
        normalisation: Normalisation::HALF,
        batch_norm_epsilon: 1e-3,
        trunk: vec![
            convolution(normed("stem", &[4, 3, 3, 3]), 1, padding, 0, 1, None, false),
            convolution(unit("more", &[2, 4, 3, 3], UnitKind::Biasless), 1, around, 1, 1, None, true),
            Step::InvertedResidual(Box::new(block)),
            tap("stage1", 6, 1, 2),
            pool(PoolKind::Average, 2, 1),
            Step::Normalise {
                norm: unit("lone", &[6], UnitKind::BatchNorm),
                activation: Activation::Silu,
                from: 1,
                to: 2,
            },
            Step::Subsample { stride: 2, around: 1, from: 2, to: 3 },
            convolution(unit("patch", &[8, 6, 1, 1], UnitKind::Biased), 2, Padding::default(), 2, 4, Some(3), false),
            tap("stage2", 8, 4, 4),
        ],
        head: vec![convolution(normed("head", &[5, 8, 1, 1]), 1, Padding::default(), 4, 1, None, false)],
        readout: Readout::Average,
        last: 1,
        classifier: unit("classifier", &[3, 5], UnitKind::Biased),
    }
}

/// Two blocks of attention on 3 × 3 patches.
fn tiny_transformer() -> Network {
    let patches = unit("patches", &[8, 3, 2, 2], UnitKind::Biased);
    let mut trunk = vec![
        Step::Convolve(Convolution {
            unit: patches,
            stride: 2,
            padding: Padding::default(),
            activation: Activation::None,
            from: 0,
            to: 1,
            residual: None,
            append: false,
        }),
        Step::Tokens {
            class_token: unit("class", &[1, 1, 8], UnitKind::Tensor),
            positions: unit("positions", &[1, 10, 8], UnitKind::Tensor),
            from: 1,
            to: 2,
        },
    ];
    for block in 0..2 {
        let part = |part: &str, shape: &[usize], kind| unit(&format!("{block}.{part}"), shape, kind);
        trunk.push(Step::Transform(Box::new(TransformerBlock {
            norm1: part("norm1", &[8], UnitKind::LayerNorm),
            qkv: part("qkv", &[24, 8], UnitKind::Biased),
            project: part("project", &[8, 8], UnitKind::Biased),
            norm2: part("norm2", &[8], UnitKind::LayerNorm),
            expand: part("expand", &[16, 8], UnitKind::Biased),
            contract: part("contract", &[8, 16], UnitKind::Biased),
            heads: 2,
            map: 2,
        })));
        trunk.push(Step::Tap(Tap { name: format!("block{block}"), channels: 8, stride: 2, from: 2, skip: 1 }));
    }
    trunk.push(Step::NormaliseTokens { norm: unit("norm", &[8], UnitKind::LayerNorm), from: 2, to: 1 });
    Network {
        name: "tiny-transformer",
        nominal_resolution: 6,
        fixed_resolution: true,
        trunk,
        head: Vec::new(),
        readout: Readout::ClassToken,
        classifier: unit("classifier", &[3, 8], UnitKind::Biased),
        ..tiny()
    }
}

fn random_weights(network: &Network) -> Weights {
    let values = |parameter: &Parameter| {
        let mut values = numbers(&parameter.name, parameter.elements());
        let row: usize = parameter.shape.iter().skip(1).product();
        let (centre, spread) = match parameter.role {
            Role::Weight => (0.0, (3.0 / row as f32).sqrt()),
            Role::NormWeight | Role::RunningVariance => (1.0, 0.5),
            _ => (0.0, 0.2),
        };
        values.iter_mut().for_each(|value| *value = centre + spread * *value);
        values
    };
    let state = network.state().into_iter().filter(|parameter| parameter.role != Role::Counter);
    let tensors: BTreeMap<String, weights::Tensor> = state
        .map(|parameter| {
            (parameter.name.clone(), weights::Tensor { values: values(&parameter), shape: parameter.shape })
        })
        .collect();
    Weights::from_tensors(tensors)
}

fn loss(network: &PlainNetwork, images: &Tensor, mode: Mode) -> Tensor {
    let output = network.forward(images, mode).expect("runs");
    let taps = output.taps.iter().enumerate().map(|(index, map)| smooth(map, &format!("tap {index}")).expect("runs"));
    let mut total = smooth(&output.logits.expect("a classifier"), "logits").expect("runs");
    for part in taps.chain([smooth(&output.pooled, "pooled").expect("runs")]) {
        total = (total + part).expect("numbers");
    }
    total
}

/// [`loss`], summed in f64: what differences are taken of.
fn loss_in_f64(network: &PlainNetwork, images: &Tensor, mode: Mode) -> f64 {
    let output = network.forward(images, mode).expect("runs");
    let part = |tensor: &Tensor, name: &str| smooth_in_f64(tensor, name);
    let taps = output.taps.iter().enumerate().map(|(index, map)| part(map, &format!("tap {index}"))).sum::<f64>();
    taps + part(&output.logits.expect("a classifier"), "logits") + part(&output.pooled, "pooled")
}

/// Images' and all parameters' gradients, each along directions of its own, in both modes.
#[test]
fn gradients_of_whole_networks_are_slopes() {
    for (network, side) in [(tiny(), 12), (tiny_transformer(), 6)] {
        let name = network.name;
        let weights = random_weights(&network);
        let plain = PlainNetwork::of(network.clone(), Pooling::Average, &weights, true).expect("the weights fit");
        let shape = [3, 3, side, side];
        let pixels = numbers("images", shape.iter().product());
        for mode in [Mode::Train, Mode::Infer] {
            let images = Var::from_tensor(&tensor(&pixels, &shape)).expect("a variable");
            let gradients = loss(&plain, &images, mode).backward().expect("differentiable");
            let tolerance = Tolerance::mixed("1e-3", 1e-3, 2e-3);
            let gradient = flat(gradients.get(&images).expect("reached"));
            // Uphill first, where the slope is large against the rounding of f32.
            for direction in
                [unit_length(&gradient), direction("first", pixels.len()), direction("second", pixels.len())]
            {
                let got = dot(&gradient, &direction);
                let want = difference(&pixels, &direction, |pixels| loss_in_f64(&plain, &tensor(pixels, &shape), mode));
                tolerance.compare([got], [want]).assert(&format!("{name}, images, {mode:?}"));
            }
            for (name, parameter) in plain.parameters() {
                let values = flat(&parameter);
                let direction = direction(&name, values.len());
                let gradient = gradients.get(&parameter).map(flat).unwrap_or_else(|| panic!("{name} is not reached"));
                let set = |values: &[f32]| parameter.set(&tensor(values, parameter.dims())).expect("the same shape");
                let want = difference(&values, &direction, |values| {
                    set(values);
                    loss_in_f64(&plain, &images, mode)
                });
                set(&values);
                tolerance.compare([dot(&gradient, &direction)], [want]).assert(&format!("{name}, {mode:?}"));
            }
        }
    }
}

/// Running statistics follow the batches, everything else stays, and what is written can be read again.
#[test]
fn training_changes_running_statistics_only() {
    let network = tiny();
    let weights = random_weights(&network);
    let plain = PlainNetwork::of(network.clone(), Pooling::Average, &weights, false).expect("the weights fit");
    assert!(plain.parameters().is_empty());
    let images = tensor(&numbers("images", 2 * 3 * 144), &[2, 3, 12, 12]);
    let before = plain.forward(&images, Mode::Infer).expect("runs");
    plain.forward(&images, Mode::Train).expect("runs");
    plain.forward(&images, Mode::Train).expect("runs");
    let trained = plain.to_weights().expect("readable");
    let after = plain.forward(&images, Mode::Infer).expect("runs");
    assert_ne!(flat(&before.pooled), flat(&after.pooled));
    for (name, tensor) in trained.tensors() {
        match weights.get(name) {
            None => assert!(name.ends_with("num_batches_tracked") && tensor.values == [2.0], "{name}"),
            Some(old) => assert_eq!(old != tensor, name.contains("running"), "{name}"),
        }
    }
    // The stem's mean by hand: its convolution's output, averaged, twice a tenth.
    let stem = tensor_of(&weights, "stem.weight");
    let padding = Padding { top: 0, bottom: 1, left: 1, right: 2 };
    let mean = convolve(&images, &stem, 1, padding).and_then(|y| y.mean((0, 2, 3))).expect("fits");
    let old = &weights.get("stem_norm.running_mean").expect("there").values;
    let want = flat(&mean).into_iter().zip(old).map(|(new, &old)| 0.81 * f64::from(old) + 0.19 * f64::from(new));
    let got = trained.get("stem_norm.running_mean").expect("there").values.iter().map(|&x| f64::from(x));
    Tolerance::SINGLE.compare(got, want).assert("running mean");

    let again = PlainNetwork::of(network, Pooling::Average, &trained, true).expect("its own weights fit");
    assert_eq!(flat(&again.forward(&images, Mode::Infer).expect("runs").pooled), flat(&after.pooled));
    let names: Vec<String> = again.parameters().into_iter().map(|(name, _)| name).collect();
    assert!(names.is_sorted() && names.iter().all(|name| !name.contains("running")));
    assert_eq!(names.len(), tiny().state().iter().filter(|parameter| parameter.role.is_trained()).count());
}

fn tensor_of(weights: &Weights, name: &str) -> Tensor {
    let found = weights.get(name).expect("there");
    tensor(&found.values, &found.shape)
}

#[test]
fn folded_weights_compute_alike_and_cannot_be_trained() {
    let network = tiny();
    let weights = random_weights(&network);
    let tensors = crate::fold::fold_tensors(&network, &weights, crate::HeadPolicy::Keep).expect("the weights fit");
    let folded = Weights::from_tensors(tensors);
    let images = tensor(&numbers("images", 2 * 3 * 144), &[2, 3, 12, 12]);
    let run = |weights: &Weights| {
        let plain = PlainNetwork::of(network.clone(), Pooling::Max, weights, false).expect("the weights fit");
        (flat(&plain.forward(&images, Mode::Infer).expect("runs").pooled), plain)
    };
    let ((want, _), (got, plain)) = (run(&weights), run(&folded));
    Tolerance::SINGLE.compare_f32(&got, &want).assert("folded");
    assert_eq!(plain.to_weights().expect("readable").tensors(), folded.tensors());
    let refused = plain.forward(&images, Mode::Train).map(drop);
    assert!(matches!(refused, Err(EncoderError::FoldedTraining { .. })), "{refused:?}");
    let refused = PlainNetwork::of(network.clone(), Pooling::Average, &folded, true).map(drop);
    assert!(matches!(refused, Err(EncoderError::FoldedTraining { .. })), "{refused:?}");
}

#[test]
fn images_that_do_not_fit_are_errors() {
    let weights = random_weights(&tiny_transformer());
    let plain = PlainNetwork::of(tiny_transformer(), Pooling::Average, &weights, false).expect("the weights fit");
    let refused = |images: Tensor| assert!(matches!(plain.forward(&images, Mode::Infer), Err(EncoderError::Plain(_))));
    refused(tensor(&[0.0; 2 * 4 * 36], &[2, 4, 6, 6]));
    refused(tensor(&[0.0; 192], &[1, 3, 8, 8]));
    refused(tensor(&[0.0; 108], &[3, 6, 6]));
    refused(tensor(&[0.0; 3], &[1, 3, 1, 1]));
    let wide = Tensor::zeros((1, 3, 6, 6), candle_core::DType::F64, &Device::Cpu).expect("small");
    refused(wide);
    assert!(PlainNetwork::of(tiny_transformer(), Pooling::Released, &weights, false).is_err());
}
