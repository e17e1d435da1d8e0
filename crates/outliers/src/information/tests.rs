use candle_core::Device;
use oodlab_base::Seed;

use super::*;
use crate::parameters::Parameter;
use crate::testing::{self, scalar};

type Kind = (Bound, &'static [usize]);
const BOUNDARY: Kind = (Bound::Club, SHALLOW);
const DIFFUSION: Kind = (Bound::Club, DEEP);
const NCE: Kind = (Bound::InfoNce, SHALLOW);

fn estimator((bound, hidden): Kind, inputs: usize, outputs: usize) -> (Estimator, Vec<Parameter>) {
    let mut make = testing::maker(5);
    let made = Estimator::new(&mut make, "test", bound, hidden, (inputs, outputs)).expect("an estimator");
    (made, make.finish())
}

#[test]
fn gradients_are_those_of_the_loss() {
    for kind in [BOUNDARY, DIFFUSION, NCE] {
        let (estimator, parameters) = estimator(kind, 6, 4);
        let (x, y) = (testing::normals("x", &[9, 6]), testing::normals("y", &[9, 4]));
        testing::check_parameters(&parameters, || estimator.bound(&x, &y));
        testing::check_parameters(&parameters, || estimator.fit(&x, &y));
        testing::check_gradient(&y, |y| estimator.bound(&x, y));
    }
}

/// Sizes and names of the published networks.
#[test]
fn the_networks_have_the_published_layers() {
    let shapes = |kind: Kind, inputs| -> Vec<(String, Vec<usize>)> {
        let (_, parameters) = estimator(kind, inputs, 512);
        let weights = parameters.iter().filter(|parameter| parameter.name.ends_with("weight"));
        weights.map(|parameter| (parameter.name.clone(), parameter.var.dims().to_vec())).collect()
    };
    let named = |all: &[(&str, [usize; 2])]| -> Vec<(String, Vec<usize>)> {
        all.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect()
    };
    let boundary = [
        ("test.mu.0.weight", [256, 768]),
        ("test.mu.2.weight", [512, 256]),
        ("test.logvar.0.weight", [256, 768]),
        ("test.logvar.2.weight", [512, 256]),
    ];
    assert_eq!(shapes(BOUNDARY, 768), named(&boundary));
    let diffusion = [
        ("test.mu.0.weight", [32, 64]),
        ("test.mu.2.weight", [16, 32]),
        ("test.mu.4.weight", [256, 16]),
        ("test.mu.6.weight", [512, 256]),
        ("test.logvar.0.weight", [256, 64]),
        ("test.logvar.2.weight", [512, 256]),
    ];
    assert_eq!(shapes(DIFFUSION, 64), named(&diffusion));
}

/// The bound written out as the double sum of the paper.
#[test]
fn the_mean_over_all_pairs_is_the_double_sum() {
    let (rows, width) = (7, 3);
    let [mean, log_variance, y] = ["mean", "log_variance", "y"].map(|name| testing::normals(name, &[rows, width]));
    let [m, l, v] = [&mean, &log_variance, &y].map(|t| t.to_vec2::<f64>().expect("a matrix"));
    let mut sum = 0.0;
    for i in 0..rows {
        for d in 0..width {
            let square = |j: usize| (m[i][d] - v[j][d]).powi(2);
            let others = (0..rows).map(square).sum::<f64>() / rows as f64;
            sum += (others - square(i)) / (2.0 * l[i][d].exp());
        }
    }
    assert!((scalar(club(&mean, &log_variance, &y)) - sum / rows as f64).abs() < 1e-5);
}

/// Random pairing: the loss is zero in expectation over the pairings, and so is the gradient that the student gets; one draw is neither.
#[test]
fn the_released_term_is_zero_in_expectation() {
    let (rows, draws) = (24, 1500);
    let (estimator, _) = estimator(BOUNDARY, 6, 4);
    let outliers = (testing::normals("outliers", &[rows, 6]) * 3.0).expect("scaled");
    // Features that have learned something: not centred, not of one scale.
    let features = testing::normals("features", &[rows, 4]).affine(2.0, 1.0).expect("scaled");
    let (mut values, mut mean_gradient, mut norms) = (Vec::new(), vec![0.0f64; rows * 4], 0.0);
    for draw in 0..draws {
        let order: Vec<u32> =
            Seed(1).stream("pairing").child(draw).permutation(rows).iter().map(|i| *i as u32).collect();
        let order = Tensor::from_vec(order, rows, &Device::Cpu).expect("an order");
        let x = outliers.index_select(&order, 0).expect("a permutation");
        let y = candle_core::Var::from_tensor(&features).expect("a variable");
        let loss = estimator.bound(&x, y.as_tensor()).expect("a loss");
        let found = loss.backward().expect("a gradient");
        let found = testing::flat(found.get(&y).expect("of the features"));
        values.push(scalar(Ok(loss)));
        norms += found.iter().map(|&g| g.powi(2)).sum::<f64>();
        mean_gradient.iter_mut().zip(&found).for_each(|(sum, &g)| *sum += g / draws as f64);
    }
    let mean = values.iter().sum::<f64>() / draws as f64;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (draws - 1) as f64).sqrt();
    let standard_error = deviation / (draws as f64).sqrt();
    assert!(deviation > 0.1, "one draw is not zero: {deviation}");
    assert!(mean.abs() < 4.0 * standard_error, "{mean} against a standard error of {standard_error}");
    // Were single gradients pure noise, their mean would have 1 / sqrt(draws) of their norm.
    let shrunk = mean_gradient.iter().map(|g| g * g).sum::<f64>().sqrt() / (norms / draws as f64).sqrt();
    assert!(shrunk < 2.0 / (draws as f64).sqrt(), "{shrunk}");
}

/// Correlated Gaussians, ρ = 0.7 in each of three dimensions: CLUB with the true q(y|x) is 3 ρ² / (1 - ρ²) = 2.88. Fitting by likelihood
/// finds it; lowering the bound with its own networks, as released, does not.
#[test]
fn likelihood_fits_the_bound_and_minimising_it_does_not() {
    let rows = 96;
    let pairs = |name: &str| {
        let (x, noise) = (testing::normals(&format!("x {name}"), &[rows, 3]), testing::normals(name, &[rows, 3]));
        let y = ((&x * 0.7).and_then(|x| x + (noise * 0.51f64.sqrt())?)).expect("correlated");
        (x, y)
    };
    let train = |variant: Variant| {
        let (estimator, parameters) = estimator(BOUNDARY, 3, 3);
        for step in 0..300 {
            let (x, y) = pairs(&step.to_string());
            let loss = match variant {
                Variant::Corrected => estimator.fit(&x, &y),
                Variant::Released => estimator.bound(&x, &y),
            };
            let gradients = loss.and_then(|loss| loss.backward()).expect("a gradient");
            for parameter in &parameters {
                let gradient = gradients.get(&parameter.var).expect("reached");
                let moved = (parameter.var.as_tensor() - (gradient * 0.02).expect("scaled")).expect("moved");
                parameter.var.set(&moved.detach()).expect("the same shape");
            }
        }
        (0..8)
            .map(|test| {
                let (x, y) = pairs(&format!("test {test}"));
                scalar(estimator.bound(&x, &y)) / 8.0
            })
            .sum::<f64>()
    };
    let (corrected, released) = (train(Variant::Corrected), train(Variant::Released));
    assert!((corrected - 2.88).abs() < 0.5, "{corrected}");
    assert!(released < 0.2, "{released}");
}

#[test]
fn the_lower_bound_rises_with_its_critic_to_less_than_the_truth() {
    let rows = 32;
    let (estimator, parameters) = estimator(NCE, 2, 2);
    let pairs = |name: &str| {
        let (x, noise) = (testing::normals(&format!("x {name}"), &[rows, 2]), testing::normals(name, &[rows, 2]));
        let y = ((&x * 0.9).and_then(|x| x + (noise * 0.19f64.sqrt())?)).expect("correlated");
        (x, y)
    };
    let measure = || {
        (0..8)
            .map(|test| {
                let (x, y) = pairs(&format!("test {test}"));
                scalar(estimator.bound(&x, &y)) / 8.0
            })
            .sum::<f64>()
    };
    let before = measure();
    for step in 0..120 {
        let (x, y) = pairs(&step.to_string());
        let gradients = estimator.fit(&x, &y).and_then(|loss| loss.backward()).expect("a gradient");
        for parameter in &parameters {
            let gradient = gradients.get(&parameter.var).expect("reached");
            let moved = (parameter.var.as_tensor() - (gradient * 0.2).expect("scaled")).expect("moved");
            parameter.var.set(&moved.detach()).expect("the same shape");
        }
    }
    let after = measure();
    // The mutual information is -ln(1 - 0.81) = 1.66.
    assert!(before.abs() < 0.2 && after > 0.5 && after < 1.7, "{before}, then {after}");
}

#[test]
fn settings_out_of_range_are_named() {
    let told = |config: InformationConfig| config.validate().expect_err("must be refused").to_string();
    let good = InformationConfig::default();
    assert!(told(InformationConfig { samples: 1, ..good }).contains("2 to 4096"));
    assert!(told(InformationConfig { learning_rate: 0.0, ..good }).contains("learning_rate"));
    assert!(told(InformationConfig { fit_rate: f64::NAN, ..good }).contains("fit_rate"));
}
