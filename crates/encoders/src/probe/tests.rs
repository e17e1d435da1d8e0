//! Probes against numpy, against their definitions written out, and against differences, on a network with formula weights. Its numbers in
//! double precision are those of `tests/probe_goldens.py`, which runs the same network in numpy and takes differences for gradients.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use oodlab_base::Tolerance;
use oodlab_features::Layer;

use super::rank_one::residual;
use super::{GramColumns, gram, nac, rankfeat};
use crate::encoder::EncoderConfig;
use crate::formula;
use crate::plain::{PlainNetwork, Point};
use crate::weights::{self, Weights};

fn network() -> (PlainNetwork, Weights) {
    network_with(1.0)
}

/// The classifier times a factor: formula weights make logits so large that one class has all of the probability.
fn network_with(factor: f32) -> (PlainNetwork, Weights) {
    let weights = formula::weights("resnet20").expect("a known network");
    let scaled = |(name, tensor): (&String, &weights::Tensor)| {
        let factor = if name.starts_with("linear.") { factor } else { 1.0 };
        let values = tensor.values.iter().map(|x| x * factor).collect();
        (name.clone(), weights::Tensor { shape: tensor.shape.clone(), values })
    };
    let weights = Weights::from_tensors(weights.tensors().iter().map(scaled).collect::<BTreeMap<_, _>>());
    let config = EncoderConfig { network: "resnet20".to_owned(), ..EncoderConfig::default() };
    (PlainNetwork::new(&config, &weights).expect("the weights fit"), weights)
}

fn image() -> Tensor {
    Tensor::from_vec(formula::images(1, 32), (1, 3, 32, 32), &Device::Cpu).expect("fits")
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).expect("f32")
}

/// Within a thousandth of the largest number, of those of numpy.
fn check_numpy(found: &[f32], numpy: &[f64], what: &str) {
    let largest = numpy.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let tolerance = Tolerance::absolute("a thousandth of the largest", 1e-3 * largest);
    tolerance.compare(found.iter().map(|&x| f64::from(x)), numpy.iter().copied()).assert(what);
}

/// What stands at a point of the unchanged network.
fn at(network: &PlainNetwork, wanted: Point) -> Tensor {
    let mut found = None;
    let mut look = |point: Point, map: &Tensor| {
        if point == wanted {
            found = Some(map.clone());
        }
        Ok(map.clone())
    };
    network.forward_changed(&image(), &mut look).expect("runs");
    found.expect("the point is passed")
}

/// The logits where another map stands at a point.
fn logits_with(network: &PlainNetwork, at: Point, other: &Tensor) -> Vec<f32> {
    let mut change = |point: Point, map: &Tensor| Ok(if point == at { other.clone() } else { map.clone() });
    flat(&network.forward_changed(&image(), &mut change).expect("runs").logits.expect("a classifier"))
}

/// `A - s1 u1 v1ᵀ` by `numpy.linalg.svd` of A = sin(0.7 (6 i + j)) + 0.4 i, rounded to f32.
#[test]
fn the_first_component_is_that_of_numpy() {
    let value = |i: usize, j: usize| ((0.7 * (6 * i + j) as f64).sin() + 0.4 * i as f64) as f32;
    let tall = |rows: &[f32]| -> Vec<f32> { (0..24).map(|at| rows[at % 4 * 6 + at / 4]).collect() };
    let matrix: Vec<f32> = (0..24).map(|at| value(at / 6, at % 6)).collect();
    let want = [
        -0.4549966, 0.0145058, 0.2953186, 0.2553712, -0.0865486, -0.5696305, -0.5426857, -0.6808683, -0.339125,
        0.3218168, 0.9911059, 1.3539653, 1.2002363, 0.4902638, -0.2556486, -0.686687, -0.6001271, -0.0366794,
        -0.2079228, -0.1255188, 0.0040952, 0.1199598, 0.167582, 0.1245644,
    ];
    let tolerance = Tolerance::absolute("2e-7", 2e-7);
    tolerance.compare_f32(&residual(&matrix, 4), &want).assert("wide");
    tolerance.compare_f32(&residual(&tall(&matrix), 6), &tall(&want)).assert("tall");
    assert_eq!(residual(&[0.0; 6], 2), [0.0; 6]);
    let lone = residual(&[2.0, 4.0, 3.0, 6.0], 2);
    assert!(lone.iter().all(|x| x.abs() < 1e-6), "a matrix of rank one: {lone:?}");
}

#[test]
fn rankfeat_takes_the_component_off_two_maps() {
    let (network, weights) = network();
    let last = at(&network, Point::Last);
    let (channels, pixels) = (last.dim(1).expect("four axes"), 64);
    // Behind the last map stand an average and a linear layer: by hand.
    let left = residual(&flat(&last), channels);
    let (weight, bias) = (weights.get("linear.weight").expect("there"), weights.get("linear.bias").expect("there"));
    let means: Vec<f64> =
        left.chunks(pixels).map(|map| map.iter().map(|&x| f64::from(x)).sum::<f64>() / pixels as f64).collect();
    let by_hand = weight.values.chunks(channels).zip(&bias.values).map(|(row, &bias)| {
        f64::from(bias) + row.iter().zip(&means).map(|(&w, mean)| f64::from(w) * mean).sum::<f64>()
    });
    let by_hand: Vec<f64> = by_hand.collect();
    let near = Tolerance::mixed("1e-5", 1e-5, 1e-5);
    let found = rankfeat::without(&network, &image(), Point::Last).expect("runs");
    near.compare(found.iter().map(|&x| f64::from(x)), by_hand.iter().copied()).assert("last");

    // Of three taps the second is the one before.
    let map = at(&network, Point::Tap(1));
    let left = Tensor::from_vec(residual(&flat(&map), 32), map.dims(), &Device::Cpu).expect("fits");
    let before = logits_with(&network, Point::Tap(1), &left);
    let unchanged = logits_with(&network, Point::Tap(1), &map);
    assert!(before.iter().zip(&unchanged).any(|(a, b)| (a - b).abs() > 1e-3), "the map must matter");
    let mean: Vec<f64> = before.iter().zip(&by_hand).map(|(&a, b)| (f64::from(a) + b) / 2.0).collect();
    let found = rankfeat::logits(&network, &image()).expect("runs");
    near.compare(found.iter().map(|&x| f64::from(x)), mean).assert("mean");
    let numpy = [
        -46516.944, 16391.484, 62150.196, 42883.939, -21249.854, -63150.882, -38979.977, 25973.958, 63752.566,
        34829.779,
    ];
    check_numpy(&found, &numpy, "logits");
}

/// The Gram matrix itself, in the order in which OpenOOD computes it.
fn row_sums_by_the_matrix(map: &[f32], channels: usize, power: u32) -> Vec<f64> {
    let pixels = map.len() / channels;
    let raised = |channel: usize, pixel: usize| f64::from(map[channel * pixels + pixel]).powf(f64::from(power));
    let entry = |i: usize, j: usize| (0..pixels).map(|pixel| raised(i, pixel) * raised(j, pixel)).sum::<f64>();
    let sum = |i: usize| (0..channels).map(|j| entry(i, j)).sum::<f64>();
    (0..channels).map(|i| sum(i).signum() * sum(i).abs().powf(1.0 / f64::from(power))).collect()
}

#[test]
fn gram_reads_row_sums_of_every_map_and_power() {
    let (network, _) = network();
    let powers = [1, 2, 5, 10];
    let maps = [at(&network, Point::Tap(0)), at(&network, Point::Tap(1)), at(&network, Point::Penultimate)];
    let (mut channels, mut ranges) = (Vec::new(), Vec::new());
    for map in &maps {
        for power in powers {
            let sums = row_sums_by_the_matrix(&flat(map), map.dim(1).expect("two axes"), power);
            ranges.push(sums.iter().copied().fold(f64::INFINITY, f64::min));
            ranges.push(sums.iter().copied().fold(0.0, f64::max));
            ranges.push(sums.iter().sum());
            channels.extend(sums);
        }
    }
    let near = Tolerance::mixed("1e-6", 1e-6, 1e-6);
    for (columns, want, widths) in
        [(GramColumns::Channels, channels, [64, 128, 256]), (GramColumns::Range, ranges, [12, 12, 12])]
    {
        let layers = gram::layers(network.network(), &powers, columns);
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["stage1", "stage2", "penultimate"]);
        assert_eq!(layers.iter().map(Layer::width).collect::<Vec<_>>(), widths);
        let found = gram::numbers(&network, &image(), &powers, columns).expect("runs");
        near.compare(found.iter().map(|&x| f64::from(x)), want).assert(&format!("{columns:?}"));
        if columns == GramColumns::Range {
            check_numpy(&found[12..15], &[5419112747.77, 17448916055.6, 332098357072.6], "stage2, power 1");
            check_numpy(&found[18..21], &[77950648.9, 281078617.8, 5087394042.2], "stage2, power 5");
            check_numpy(&found[27..30], &[29786615670.2, 109856201440.2, 4164213519038.0], "penultimate, power 2");
        }
    }
}

/// `logsumexp(z) - mean(z)` in f64.
fn divergence_of(logits: &[f32]) -> f64 {
    let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
    logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits.iter().sum::<f64>() / logits.len() as f64
}

/// The slope of a channel's sum is the difference of the divergence when all of its pixels move together.
#[test]
fn neuron_states_are_channels_times_slopes() {
    let (network, _) = network_with(1e-5);
    let names = ["penultimate", "stage2"].map(str::to_owned);
    let layers = nac::layers(network.network(), &names).expect("known layers");
    assert_eq!(
        layers.iter().map(|layer| (layer.name.as_str(), layer.width())).collect::<Vec<_>>(),
        [("stage2", 32), ("penultimate", 64)]
    );
    let found = nac::states(&network, &image(), &layers).expect("runs");
    assert_eq!(found.len(), 96);
    check_numpy(&found[..5], &[-5.452196, -4.368503, -2.919308, -3.655495, -9.495587], "stage2");
    check_numpy(&found[32..37], &[0.151653, 0.1693117, 0.038107, -0.0247291, -0.0812706], "penultimate");
    for (point, first) in [(Point::Tap(1), 0), (Point::Penultimate, 32)] {
        let map = at(&network, point);
        let (values, channels) = (flat(&map), map.dim(1).expect("two axes"));
        let pixels = values.len() / channels;
        let moved = |channel: usize, by: f32| {
            let mut values = values.clone();
            values[channel * pixels..(channel + 1) * pixels].iter_mut().for_each(|x| *x += by);
            let other = Tensor::from_vec(values, map.dims(), &Device::Cpu).expect("fits");
            divergence_of(&logits_with(&network, point, &other))
        };
        // Of values around 750.
        let step = 20.0;
        let expected: Vec<f64> = (0..channels)
            .map(|channel| {
                let slope = (moved(channel, step) - moved(channel, -step)) / (2.0 * f64::from(step));
                let sum: f64 = values[channel * pixels..(channel + 1) * pixels].iter().map(|&x| f64::from(x)).sum();
                sum * slope
            })
            .collect();
        let largest = expected.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        assert!(largest > 1e-3, "{point:?}: the slopes must matter");
        let tolerance = Tolerance::absolute("a hundredth of the largest", 0.01 * largest);
        let found = found[first..first + channels].iter().map(|&x| f64::from(x));
        tolerance.compare(found, expected).assert(&format!("{point:?}"));
    }
    let unknown = nac::layers(network.network(), &["stage9".to_owned()]).expect_err("no such layer").to_string();
    assert_eq!(unknown, "resnet20 has no layer \"stage9\"; it has stage1, stage2, stage3, penultimate");
}
