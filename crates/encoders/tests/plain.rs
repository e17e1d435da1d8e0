//! The plain networks against golden numbers, against the fused backend, and in training.

use candle_core::{D, Device, Tensor, Var};
use oodlab_base::golden::GoldenFile;
use oodlab_base::{Seed, Tolerance};
use oodlab_encoders::plain::{Mode, PlainNetwork};
use oodlab_encoders::weights::Weights;
use oodlab_encoders::{Encoder, EncoderConfig, EncoderError, HeadPolicy, Pooling, fold, formula, golden};

fn config(network: &str, resolution: u32, pooling: Pooling) -> EncoderConfig {
    EncoderConfig { network: network.to_owned(), resolution: Some(resolution), pooling, ..EncoderConfig::default() }
}

fn images(count: usize, side: usize) -> Tensor {
    Tensor::from_vec(formula::images(count, side), (count, 3, side, side), &Device::Cpu).expect("fits")
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).expect("f32")
}

/// Relative to each value, or to the largest of its kind where a value is near to zero.
fn near(want: &[f32]) -> Tolerance {
    let largest = want.iter().fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
    Tolerance::mixed("2e-4 relative", 2e-5 * largest, 2e-4)
}

/// The columns of a tap in `[images, width]` features.
fn columns(features: &[f32], width: usize, span: std::ops::Range<usize>) -> Vec<f32> {
    features.chunks_exact(width).flat_map(|row| row[span.clone()].iter().copied()).collect()
}

fn check_golden(stem: &str, weights: &Weights, prefix: &str, tolerance: Option<Tolerance>) {
    let (_, bytes) = golden::embedded().into_iter().find(|(name, _)| *name == stem).expect("an embedded file");
    let file = GoldenFile::parse(stem, bytes).expect("a readable file");
    let network = stem.trim_start_matches("formula_");
    for (pooling, suffix) in [(Pooling::Average, ""), (Pooling::Released, "_released")] {
        let Ok(first) = file.tensor(&format!("{prefix}tap1{suffix}")) else { continue };
        // One image of each suffices.
        let count = first.shape[0].min(1);
        let plain = PlainNetwork::new(&config(network, 224, pooling), weights).expect("the weights fit");
        let output = plain.forward(&images(count, 224), Mode::Infer).expect("runs");
        let (width, features) = (output.pooled.dim(1).expect("two axes"), flat(&output.pooled));
        let mut start = 0;
        for (index, map) in output.taps.iter().enumerate() {
            let name = format!("{prefix}tap{}{suffix}", index + 1);
            let channels = map.dim(1).expect("four axes");
            let want = file.tensor(&name).expect("a golden tap").f32();
            let want = &want[..count * channels];
            let got = columns(&features, width, start..start + channels);
            tolerance.unwrap_or_else(|| near(want)).compare_f32(&got, want).assert(&format!("{stem} {name}"));
            start += channels;
        }
        assert_eq!(start + output.penultimate.map_or(0, |vector| vector.dim(1).expect("two axes")), width);
        if let (Some(logits), Ok(want)) = (output.logits, file.tensor("logits")) {
            let want = want.f32();
            let want = &want[..logits.elem_count()];
            near(want).compare_f32(&flat(&logits), want).assert(&format!("{stem} logits"));
        }
    }
}

#[test]
fn formula_goldens() {
    for network in ["efficientnet-b0", "efficientnet-b2", "resnet18"] {
        check_golden(&format!("formula_{network}"), &formula::weights(network).expect("known"), "", None);
    }
}

/// Weights that are stored folded, in f16, against the f32 original.
#[test]
fn embedded_golden() {
    let weights = Weights::embedded("efficientnet-lite0").expect("embedded").expect("readable");
    check_golden("efficientnet-lite0", &weights, "sin_", Some(Tolerance::absolute("1e-1 (f16 weights)", 1e-1)));
}

fn check_agreement(network: &str, side: u32, pooling: Pooling, weights: &Weights) {
    let config = config(network, side, pooling);
    let count = 2;
    let encoder = Encoder::new(&config, weights).expect("the weights fit");
    let want = encoder.encode_tensor(&formula::images(count, side as usize), count).expect("encodes");
    let plain = PlainNetwork::new(&config, weights).expect("the weights fit");
    let got = plain.forward(&images(count, side as usize), Mode::Infer).expect("runs");
    assert_eq!(got.pooled.dims(), [count, encoder.width()], "{network}");
    let features = flat(&got.pooled);
    for layer in encoder.layers() {
        let part = |features: &[f32]| columns(features, encoder.width(), layer.span());
        let want = part(&want.features);
        let comparison = near(&want).compare_f32(&part(&features), &want);
        comparison.assert(&format!("{network} at {side}, {pooling:?}, {}", layer.name));
    }
    match (got.logits, want.logits) {
        (Some(got), Some(want)) => near(&want.values).compare_f32(&flat(&got), &want.values).assert(network),
        (got, want) => assert!(got.is_none() && want.is_none(), "{network}: only one has logits"),
    }
}

/// One network of each family, its batch norms unfolded here and folded there.
#[test]
fn agrees_with_the_fused_backend() {
    for (network, side) in [
        ("efficientnet-b0", 96),
        ("efficientnet-b3-symmetric", 64),
        ("efficientnet-lite1", 75),
        ("resnet34", 64),
        ("resnet50", 64),
        ("resnet18-32", 32),
        ("resnet20", 32),
        ("wrn-40-2", 32),
        ("vit-b16", 224),
        ("densenet100", 32),
    ] {
        check_agreement(network, side, Pooling::Average, &formula::weights(network).expect("known"));
    }
}

#[test]
fn poolings_agree_with_the_fused_backend() {
    let weights = formula::weights("efficientnet-b0").expect("known");
    let trunk = fold("efficientnet-b0", &weights, HeadPolicy::Drop).expect("the weights fit");
    for pooling in [Pooling::Released, Pooling::Max, Pooling::Std] {
        check_agreement("efficientnet-b0", 128, pooling, &weights);
        check_agreement("efficientnet-b0", 128, pooling, &trunk);
    }
}

/// A smooth number that depends on every tap, its gradient, and its differences along random directions.
#[test]
fn image_gradients_are_slopes() {
    let (network, side) = ("efficientnet-b0", 32);
    let weights = formula::weights(network).expect("known");
    let plain = PlainNetwork::new(&config(network, side, Pooling::Average), &weights).expect("the weights fit");
    let random = |name: &str, like: &Tensor| {
        let stream = Seed(7).stream(name);
        let values = (0..like.elem_count() as u64).map(|index| 2.0 * stream.uniform(index) - 1.0).collect();
        Tensor::from_vec(values, like.dims(), &Device::Cpu).expect("fits")
    };
    let loss = |images: &Tensor| {
        let output = plain.forward(images, Mode::Infer).expect("runs");
        let taps = output.taps.iter().enumerate().map(|(index, map)| {
            let factors = random(&format!("tap {index}"), map);
            // Each tap counts alike, whatever its size.
            ((map.sin()? * factors)?.sum_all()? / (map.elem_count() as f64).sqrt())?.reshape(1)
        });
        let parts = taps.collect::<candle_core::Result<Vec<Tensor>>>().expect("numbers");
        Tensor::cat(&parts, 0).expect("numbers")
    };
    let start = images(2, side as usize);
    let variable = Var::from_tensor(&start).expect("a variable");
    let gradients = loss(&variable).sum_all().and_then(|sum| sum.backward()).expect("differentiable");
    let gradient = gradients.get(&variable).expect("the image is reached");
    for index in 0..3 {
        let direction = random(&format!("direction {index}"), &start);
        let got = (gradient * &direction).and_then(|product| product.sum_all()).and_then(|sum| sum.to_scalar::<f32>());
        let moved = |by: f64| -> f64 {
            let moved = (&direction * by).and_then(|change| &start + change).expect("fits");
            flat(&loss(&moved)).into_iter().map(f64::from).sum()
        };
        // Exact to the fourth order of the step.
        let step = 4e-3;
        let want = (8.0 * (moved(step) - moved(-step)) - (moved(2.0 * step) - moved(-2.0 * step))) / (12.0 * step);
        let tolerance = Tolerance::mixed("2e-3", 2e-3, 2e-3);
        tolerance.compare([f64::from(got.expect("a number"))], [want]).assert(&format!("direction {index}"));
    }
}

/// Mean cross-entropy.
fn cross_entropy(logits: &Tensor, classes: &[u32]) -> candle_core::Result<Tensor> {
    let centred = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let logarithms = centred.broadcast_sub(&centred.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    let classes = Tensor::new(classes, logits.device())?.unsqueeze(1)?;
    logarithms.gather(&classes, 1)?.mean_all()?.neg()
}

/// Gradient descent on one batch: every step must lower the loss, and every parameter must take part.
#[test]
fn descent_lowers_the_loss() {
    let network = "resnet20";
    let weights = formula::weights(network).expect("known");
    let plain = PlainNetwork::trainable(&config(network, 32, Pooling::Average), &weights).expect("the weights fit");
    let images = images(8, 32);
    let classes: Vec<u32> = (0..8).map(|image| image % 3).collect();
    let mut losses = Vec::new();
    for _ in 0..4 {
        let output = plain.forward(&images, Mode::Train).expect("runs");
        let loss = cross_entropy(&output.logits.expect("a classifier"), &classes).expect("numbers");
        losses.push(loss.to_scalar::<f32>().expect("a number"));
        let gradients = loss.backward().expect("differentiable");
        for (name, parameter) in plain.parameters() {
            let gradient = gradients.get(&parameter).unwrap_or_else(|| panic!("{name} is not reached"));
            let next = (gradient * 0.02).and_then(|step| parameter.as_tensor() - step).expect("fits");
            parameter.set(&next.detach()).expect("the same shape");
        }
    }
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
    // What was learnt is in the weights, under the same names.
    let trained = plain.to_weights().expect("readable");
    let names = |weights: &Weights| weights.names().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&trained), names(&weights));
    assert_ne!(trained.get("conv1.weight"), weights.get("conv1.weight"));
    assert_eq!(trained.get("bn1.num_batches_tracked").expect("there").values, [4.0]);
    check_agreement(network, 32, Pooling::Average, &trained);
}

/// Equal bits on one thread and on three, forwards and backwards.
#[test]
fn bits_do_not_depend_on_the_threads() {
    let weights = formula::weights("resnet20").expect("known");
    let run = || {
        let config = config("resnet20", 32, Pooling::Average);
        let plain = PlainNetwork::trainable(&config, &weights).expect("the weights fit");
        let output = plain.forward(&images(5, 32), Mode::Train).expect("runs");
        let loss = cross_entropy(&output.logits.expect("a classifier"), &[0, 1, 2, 3, 4]).expect("numbers");
        let gradients = loss.backward().expect("differentiable");
        let gradient = |(_, parameter): (String, Var)| flat(gradients.get(&parameter).expect("reached"));
        (flat(&output.pooled), plain.parameters().into_iter().map(gradient).collect::<Vec<_>>())
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    assert!(pool(1).install(run) == pool(3).install(run));
}

#[test]
fn other_weights_are_refused() {
    let lite0 = formula::weights("efficientnet-lite0").expect("known");
    let refused = PlainNetwork::new(&config("efficientnet-b0", 64, Pooling::Average), &lite0).err();
    assert!(matches!(refused, Some(EncoderError::MissingTensor { .. })), "{refused:?}");
    let refused = PlainNetwork::trainable(&config("resnet17", 64, Pooling::Average), &lite0).err();
    assert!(matches!(refused, Some(EncoderError::UnknownNetwork { .. })), "{refused:?}");
    let embedded = Weights::embedded("efficientnet-lite0").expect("embedded").expect("readable");
    let refused = PlainNetwork::trainable(&config("efficientnet-lite0", 64, Pooling::Average), &embedded).err();
    assert!(matches!(refused, Some(EncoderError::FoldedTraining { .. })), "{refused:?}");
}
