//! What an encoder promises: one image's features whatever its company, and clear refusals.

use std::collections::BTreeMap;

use oodlab_base::{Seed, Tolerance};
use oodlab_datasets::RgbImage;
use oodlab_encoders::network::Normalisation;
use oodlab_encoders::weights::{Tensor, Weights};
use oodlab_encoders::{Encoder, EncoderConfig, EncoderError, HeadPolicy, Pooling, fold, formula, networks};
use oodlab_kernels::simd::{InstructionSet, has_bf16};

fn config(network: &str, resolution: u32) -> EncoderConfig {
    EncoderConfig { network: network.to_owned(), resolution: Some(resolution), ..EncoderConfig::default() }
}

fn images(count: u64, width: u32, height: u32) -> Vec<RgbImage> {
    let stream = Seed(3).stream("images");
    let pixels = |image| (0..u64::from(3 * width * height)).map(|at| stream.child(image).word(at) as u8).collect();
    (0..count).map(|image| RgbImage::new(width, height, pixels(image)).expect("well formed")).collect()
}

fn changed(weights: &Weights, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> Weights {
    let mut tensors = weights.tensors().clone();
    change(&mut tensors);
    Weights::from_tensors(tensors)
}

/// To the bit: alone or in a batch, on one thread or three.
#[test]
fn features_do_not_depend_on_the_batch_or_the_threads() {
    for network in ["efficientnet-lite0", "efficientnet-b0", "resnet18", "densenet100", "wrn-40-2"] {
        let weights = formula::weights(network).expect("known");
        let encoder = Encoder::new(&config(network, 96), &weights).expect("the weights fit");
        let images = images(7, 32, 24);
        let together = encoder.encode(&images).expect("encodes");
        assert_eq!(together.features.len(), 7 * encoder.width());
        assert!(together.features.iter().all(|value| value.is_finite()));
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            assert_eq!(pool.install(|| encoder.encode(&images)).expect("encodes"), together, "{threads} threads");
        }
        for (image, want) in images.iter().zip(together.features.chunks_exact(encoder.width())) {
            assert_eq!(encoder.encode(std::slice::from_ref(image)).expect("encodes").features, want);
        }
        let row = |at: usize| &together.features[at * encoder.width()..(at + 1) * encoder.width()];
        assert_ne!(row(0), row(1));
    }
}

/// Images and the same images resized and normalised by hand give the same features.
#[test]
fn images_are_normalised_as_the_network_was_trained() {
    for network in ["efficientnet-lite0", "efficientnet-b0"] {
        let weights = formula::weights(network).expect("known");
        let encoder = Encoder::new(&config(network, 32), &weights).expect("the weights fit");
        let image = &images(1, 32, 32)[0];
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let mut chw = Vec::new();
        for channel in 0..3 {
            chw.extend(image.pixels.iter().skip(channel).step_by(3).map(|&pixel| match network {
                "efficientnet-lite0" => (f32::from(pixel) - 127.0) / 128.0,
                _ => ((f64::from(pixel) / 255.0 - mean[channel]) / deviation[channel]) as f32,
            }));
        }
        let got = encoder.encode(std::slice::from_ref(image)).expect("encodes").features;
        let want = encoder.encode_tensor(&chw, 1).expect("encodes").features;
        Tolerance::mixed("1e-5", 1e-5, 1e-5).compare_f32(&got, &want).assert(network);
    }
}

/// The vector paths against plain Rust, for odd sizes too, where strips and tiles do not divide evenly.
#[test]
fn instruction_sets_agree() {
    for (network, resolution) in [
        ("efficientnet-lite0", 97),
        ("efficientnet-b2", 75),
        ("efficientnet-b0", 224),
        ("resnet50", 75),
        ("resnet20", 37),
        ("densenet100", 40),
        ("wrn-40-2", 33),
        ("vit-b16", 224),
    ] {
        let weights = formula::weights(network).expect("known");
        let input = formula::images(1, resolution as usize);
        let encode = |set| {
            let encoder = Encoder::with_instructions(&config(network, resolution), &weights, set).expect("fits");
            let encoded = encoder.encode_tensor(&input, 1).expect("encodes");
            (encoded.features, encoded.logits.expect("formula weights have a head").values)
        };
        let portable = encode(InstructionSet::Portable);
        for set in [InstructionSet::Avx2, InstructionSet::Avx512] {
            let vector = encode(set);
            // Formula weights let residual networks grow: what cancels there loses digits of the largest value.
            let largest = portable.0.iter().fold(1.0f64, |largest, value| largest.max(f64::from(value.abs())));
            let tolerance = Tolerance::mixed("1e-5 of the largest", 1e-5 * largest, 1e-4);
            tolerance.compare_f32(&vector.0, &portable.0).assert(&format!("{network} taps with {}", set.name()));
            tolerance.compare_f32(&vector.1, &portable.1).assert(&format!("{network} logits with {}", set.name()));
        }
    }
}

/// Folding changes nothing but the last bits, keeps or drops the head, and can be repeated.
#[test]
fn folded_weights_encode_alike() {
    let name = "efficientnet-lite0";
    let weights = formula::weights(name).expect("known");
    let kept = fold(name, &weights, HeadPolicy::Keep).expect("the weights fit");
    let dropped = fold(name, &weights, HeadPolicy::Drop).expect("the weights fit");
    assert!(kept.get("_fc.weight").is_some() && dropped.get("_fc.weight").is_none());
    assert!(dropped.get("_bn0.weight").is_none() && dropped.get("_conv_stem.bias").is_some());
    let again = fold(name, &kept, HeadPolicy::Drop).expect("folded weights fit too");
    assert_eq!(again.tensors(), dropped.tensors());

    let input = formula::images(1, 64);
    let encode = |weights: &Weights| {
        let encoder = Encoder::new(&config(name, 64), weights).expect("fits");
        (encoder.encode_tensor(&input, 1).expect("encodes"), encoder.classes())
    };
    let (plain, folded, trunk) = (encode(&weights), encode(&kept), encode(&dropped));
    assert_eq!(plain, folded);
    // Without its head a network gives the same taps, and no penultimate vector.
    assert_eq!(plain.0.features[..trunk.0.features.len()], trunk.0.features);
    assert_eq!(plain.0.features.len(), trunk.0.features.len() + 1280);
    assert_eq!((plain.1, trunk.1, trunk.0.logits), (1000, 0, None));
}

#[test]
fn the_key_follows_everything_that_changes_features() {
    let lite0 = formula::weights("efficientnet-lite0").expect("known");
    let base = config("efficientnet-lite0", 64);
    let key = |config: &EncoderConfig, weights| Encoder::new(config, weights).expect("fits").key();
    let portable = Encoder::with_instructions(&base, &lite0, InstructionSet::Portable).expect("fits");
    let other = changed(&lite0, |tensors| tensors.get_mut("_bn0.bias").expect("there").values[0] += 1.0);
    let released = EncoderConfig { pooling: Pooling::Released, ..base.clone() };
    let mut keys = vec![
        key(&base, &lite0),
        key(&config("efficientnet-lite0", 65), &lite0),
        key(&released, &lite0),
        key(&EncoderConfig { pooling: Pooling::Max, ..base.clone() }, &lite0),
        key(&EncoderConfig { normalisation: Some(Normalisation::IMAGENET), ..base.clone() }, &lite0),
        key(&base, &other),
    ];
    if InstructionSet::detect() != InstructionSet::Portable {
        keys.push(portable.key());
    }
    assert_eq!(keys[0], key(&base, &lite0));
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn weights_of_another_network_are_named() {
    let lite0 = formula::weights("efficientnet-lite0").expect("known");
    let lite2 = formula::weights("efficientnet-lite2").expect("known");
    let b0 = formula::weights("efficientnet-b0").expect("known");
    let error = |network, weights: &Weights| Encoder::new(&config(network, 64), weights).err().expect("must not fit");

    let message = error("efficientnet-lite0", &lite2).to_string();
    for part in ["efficientnet-lite0", "_blocks.3._depthwise_conv.weight", "[144, 1, 3, 3]", "[144, 1, 5, 5]"] {
        assert!(message.contains(part), "{message}");
    }
    let missing = error("efficientnet-b0", &lite0);
    assert!(matches!(&missing, EncoderError::MissingTensor { tensor, .. } if tensor == "_blocks.0._se_reduce.weight"));
    let unknown = error("efficientnet-lite0", &b0);
    assert!(matches!(&unknown, EncoderError::UnknownTensor { tensor, .. } if tensor.contains("_se_")), "{unknown}");
    assert!(matches!(error("efficientnet-b9", &b0), EncoderError::UnknownNetwork { .. }));
    assert!(matches!(
        error("efficientnet-b0", &Weights::from_tensors(BTreeMap::new())),
        EncoderError::MissingTensor { .. }
    ));
}

#[test]
fn broken_weights_are_refused() {
    let lite0 = formula::weights("efficientnet-lite0").expect("known");
    let error = |change: fn(&mut BTreeMap<String, Tensor>)| {
        Encoder::new(&config("efficientnet-lite0", 64), &changed(&lite0, change)).err().expect("must be refused")
    };
    let extra = error(|t| drop(t.insert("extra".into(), Tensor { shape: vec![1], values: vec![0.0] })));
    assert!(matches!(extra, EncoderError::UnknownTensor { .. }), "{extra}");
    let head = error(|t| drop(t.remove("_bn1.bias")));
    assert!(matches!(head, EncoderError::MissingTensor { .. }), "{head}");
    let nan = error(|t| t.get_mut("_conv_stem.weight").expect("there").values[3] = f32::NAN);
    assert!(matches!(nan, EncoderError::NotFinite { .. }), "{nan}");
    let variance = error(|t| t.get_mut("_bn0.running_var").expect("there").values[3] = -1.0);
    assert!(matches!(variance, EncoderError::NegativeVariance { .. }), "{variance}");
    let short = error(|t| t.get_mut("_bn0.bias").expect("there").values.truncate(3));
    assert!(matches!(short, EncoderError::TensorShape { .. }), "{short}");
    // Counters may be absent.
    let counters = changed(&lite0, |t| t.retain(|name, _| !name.ends_with("num_batches_tracked")));
    assert!(Encoder::new(&config("efficientnet-lite0", 64), &counters).is_ok());
}

#[test]
fn bad_input_is_refused() {
    let lite0 = formula::weights("efficientnet-lite0").expect("known");
    for resolution in [0, 31, 2049, u32::MAX] {
        let refused = Encoder::new(&config("efficientnet-lite0", resolution), &lite0).err();
        assert!(matches!(refused, Some(EncoderError::Resolution { .. })), "{resolution}");
    }
    let encoder = Encoder::new(&config("efficientnet-lite0", 32), &lite0).expect("fits");
    assert!(matches!(encoder.encode_tensor(&[0.0; 3], 1), Err(EncoderError::InputLength { expected: 3072, .. })));
    assert!(encoder.encode_tensor(&[], 0).expect("no images, no features").features.is_empty());
    assert!(encoder.encode(&[]).expect("no images, no features").features.is_empty());
    let mut batch = images(3, 8, 8);
    batch[1].pixels.pop();
    assert!(matches!(encoder.encode(&batch), Err(EncoderError::Image { index: 1, .. })));
}

/// Every network builds and runs, most of them far below their nominal size.
#[test]
fn every_network_runs() {
    for info in networks() {
        // The golden files and other tests run the largest ones.
        if info.parameters > 30_000_000 {
            continue;
        }
        let network = info.name.as_str();
        let weights = formula::weights(network).expect("known");
        let encoder = Encoder::new(&config(network, 40), &weights).expect("fits");
        let encoded = encoder.encode_tensor(&formula::images(1, 40), 1).expect("encodes");
        assert!(encoded.features.iter().all(|value| value.is_finite()), "{network}");
        let widths: Vec<usize> = encoder.layers().iter().map(|layer| layer.width()).collect();
        assert_eq!(encoder.taps(), info.taps.len());
        assert_eq!(widths[..encoder.taps()], info.taps);
        assert_eq!(encoder.layers().last().map(|layer| layer.name.as_str()), Some("penultimate"));
        assert_eq!(encoded.features.len(), widths.iter().sum::<usize>());
        assert_eq!(encoded.logits.map(|logits| logits.classes), Some(encoder.classes()), "{network}");
    }
}

/// Pooled by hand from a network whose first tap is seen whole: a constant image has no deviation, and its largest value is
/// its average, away from the borders' zeros.
#[test]
fn poolings_are_what_they_say() {
    let weights = formula::weights("resnet18-32").expect("known");
    let features = |pooling, input: &[f32]| {
        let config = EncoderConfig { pooling, ..config("resnet18-32", 32) };
        let encoder = Encoder::new(&config, &weights).expect("fits");
        let first = encoder.layers()[0].span();
        encoder.encode_tensor(input, 1).expect("encodes").features[first].to_vec()
    };
    let input = formula::images(1, 32);
    let (average, max, deviation) =
        (features(Pooling::Average, &input), features(Pooling::Max, &input), features(Pooling::Std, &input));
    for ((average, max), deviation) in average.iter().zip(&max).zip(&deviation) {
        // After a ReLU: 0 <= average <= max, and Bhatia and Davis bound the variance by average · (max - average).
        assert!(0.0 <= *average && average <= max, "{average} {max}");
        assert!(*deviation >= 0.0 && deviation * deviation <= average * (max - average) * 1.0001 + 1e-6);
    }
    assert!(max.iter().zip(&average).any(|(max, average)| max > average));
    assert!(deviation.iter().any(|deviation| *deviation > 0.0));
}

/// bf16 keeps 8 bits of every weight and input: near to f32, not equal, and another key. Where the processor has none, it says so.
#[test]
fn bf16_is_near_or_refused() {
    use oodlab_encoders::Precision;
    for network in ["efficientnet-b0", "resnet18"] {
        let weights = formula::weights(network).expect("known");
        let half = EncoderConfig { precision: Precision::Bf16, ..config(network, 64) };
        let half = match Encoder::new(&half, &weights) {
            Ok(encoder) => encoder,
            Err(EncoderError::Precision) => {
                assert!(!has_bf16(), "refused though the processor has such products");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let full = Encoder::new(&config(network, 64), &weights).expect("fits");
        assert_ne!(half.key(), full.key());
        let input = formula::images(2, 64);
        let encode = |encoder: &Encoder| encoder.encode_tensor(&input, 2).expect("encodes").features;
        let (got, want) = (encode(&half), encode(&full));
        // Errors grow with depth; a wrong layer would be wrong by its own size.
        for (depth, layer) in full.layers().iter().enumerate() {
            let part = |values: &[f32]| -> Vec<f32> {
                values.chunks_exact(full.width()).flat_map(|row| row[layer.span()].to_vec()).collect()
            };
            let (got, want) = (part(&got), part(&want));
            let largest = want.iter().fold(0.0f64, |largest, value| largest.max(f64::from(value.abs())));
            let share = 0.01 * (depth + 1) as f64;
            let tolerance = Tolerance::absolute("1 % of the largest for each layer before", share * largest);
            tolerance.compare_f32(&got, &want).assert(&format!("{network} {}", layer.name));
        }
        assert_ne!(got, want);
    }
}

/// Means of pixels in 0..255 would make all images nearly alike.
#[test]
fn normalisations_of_other_pixels_are_refused() {
    let weights = formula::weights("resnet20").expect("known");
    let mut normalisation = Normalisation { mean: [124.0, 116.0, 104.0], deviation: [58.0, 57.0, 57.0] };
    let refused = |normalisation| {
        let config = EncoderConfig { normalisation: Some(normalisation), ..config("resnet20", 32) };
        matches!(Encoder::new(&config, &weights), Err(EncoderError::Normalisation(_)))
    };
    assert!(refused(normalisation));
    normalisation.mean = [0.5; 3];
    assert!(refused(normalisation));
    normalisation.deviation = [0.5, 0.0, 0.5];
    assert!(refused(normalisation));
    normalisation.deviation = [0.5; 3];
    assert!(!refused(normalisation));
}

/// ViT has one size and no released neck.
#[test]
fn vit_says_what_it_cannot_do() {
    let error = |config: &EncoderConfig| {
        let weights = Weights::from_tensors(BTreeMap::new());
        Encoder::new(config, &weights).err().expect("must be refused").to_string()
    };
    assert!(error(&config("vit-b16", 192)).contains("expected 224 pixels"));
    let released = EncoderConfig { pooling: Pooling::Released, ..config("vit-b16", 224) };
    assert!(error(&released).contains("use average, max or std"));
}

#[test]
fn the_configuration_has_defaults_and_refuses_unknown_keys() {
    let parse = serde_json::from_str::<EncoderConfig>;
    assert_eq!(parse("{}").expect("all defaults"), EncoderConfig::default());
    let given = parse(r#"{"network": "efficientnet-b4", "resolution": 380, "pooling": "released"}"#).expect("valid");
    assert_eq!(
        (given.network.as_str(), given.resolution, given.pooling),
        ("efficientnet-b4", Some(380), Pooling::Released)
    );
    let usual = |network: &str| EncoderConfig { network: network.to_owned(), ..EncoderConfig::default() }.resolve();
    let side = |network: &str| usual(network).expect("known").1;
    // The papers run every ImageNet network at 224.
    assert_eq!([side("resnet20"), side("efficientnet-b4"), side("vit-b16")], [32, 224, 224]);
    assert!(parse(r#"{"netwrok": "x"}"#).is_err());
    assert!(parse(r#"{"pooling": "median"}"#).is_err());
}

#[test]
fn a_benchmark_reports_consistent_figures() {
    let config = oodlab_encoders::bench::BenchConfig {
        network: "efficientnet-lite0".to_owned(),
        batch: 2,
        threads: 1,
        resolution: Some(32),
        image_side: Some(16),
        precision: oodlab_encoders::Precision::F32,
        seconds: 0,
    };
    let report = oodlab_encoders::bench::run(&config).expect("measures");
    assert_eq!((report.threads, report.batch), (1, 2));
    assert!(report.images_per_s_min <= report.images_per_s && report.images_per_s <= report.images_per_s_max);
    assert!((report.gflop_per_s / report.peak_gflop_per_s - report.share_of_peak).abs() < 1e-12);
    assert!(report.gflop_per_s > 0.0 && report.gflop_per_image > 0.0);
}

/// The features of `pixels` are the image, channel first, in -1..1; nothing depends on weights or processor.
#[test]
fn pixels_are_the_image_itself() {
    let pixels = EncoderConfig { network: "pixels".to_owned(), ..EncoderConfig::default() };
    let encoder = Encoder::new(&pixels, &Weights::none()).expect("needs nothing");
    assert_eq!((encoder.resolution(), encoder.taps(), encoder.classes(), encoder.width()), (32, 1, 0, 3072));
    assert_eq!(encoder.layers().iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>(), ["pixels"]);
    assert_eq!(encoder.numerics(), "cpu f32");
    let images = images(3, 32, 32);
    let encoded = encoder.encode(&images).expect("encodes");
    assert!(encoded.logits.is_none());
    for (image, row) in images.iter().zip(encoded.features.chunks(3072)) {
        for (at, value) in row.iter().enumerate() {
            let byte = f32::from(image.pixels[at % 1024 * 3 + at / 1024]);
            assert!((value - (byte / 127.5 - 1.0)).abs() < 1e-6, "{value} for {byte}");
        }
    }
    assert!(encoded.features.iter().all(|value| (-1.0..=1.0).contains(value)));
    assert_eq!(encoder.encode_tensor(&encoded.features, 3).expect("planes").features, encoded.features);
    // Other sizes are squashed as for any network; side and normalisation are in the key, weights are not.
    let small = EncoderConfig { resolution: Some(16), ..pixels.clone() };
    let small = Encoder::new(&small, &Weights::none()).expect("needs nothing");
    assert_eq!(small.encode(&images).expect("encodes").features.len(), 3 * 768);
    let imagenet = EncoderConfig { normalisation: Some(Normalisation::IMAGENET), ..pixels.clone() };
    let imagenet = Encoder::new(&imagenet, &Weights::none()).expect("needs nothing");
    let other = formula::weights("resnet20").expect("known");
    assert_eq!(Encoder::new(&pixels, &other).expect("needs nothing").key(), encoder.key());
    assert!(small.key() != encoder.key() && imagenet.key() != encoder.key());
    assert!(oodlab_encoders::names().contains(&"pixels") && oodlab_encoders::names().is_sorted());

    let refused = |config: EncoderConfig| Encoder::new(&config, &Weights::none()).err().expect("refused").to_string();
    for (config, key) in [
        (EncoderConfig { pooling: Pooling::Max, ..pixels.clone() }, "pooling"),
        (EncoderConfig { weights: Some("embedded".to_owned()), ..pixels.clone() }, "weights"),
        (EncoderConfig { precision: oodlab_encoders::Precision::Bf16, ..pixels.clone() }, "precision"),
    ] {
        assert!(refused(config).contains(&format!("has no {key}")));
    }
    for side in [7, 129] {
        let told = refused(EncoderConfig { resolution: Some(side), ..pixels.clone() });
        assert!(told.contains("expected 8 to 128 pixels"), "{told}");
    }
    let library = oodlab_encoders::weights::WeightLibrary::open(std::path::Path::new("no such folder"));
    assert!(library.expect("an empty library").find("pixels").expect("none needed").tensors().is_empty());
}
