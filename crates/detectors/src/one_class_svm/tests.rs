use oodlab_base::Cancel;
use oodlab_base::golden::GoldenFile;

use super::*;
use crate::rule::{golden, testing};

#[test]
fn it_keeps_the_contract() {
    for settings in [json!({"nu": 0.1}), json!({"max_samples": 50, "gamma": 0.3, "on": "penultimate"})] {
        testing::check_promises(crate::build(OneClassSvm::KIND, settings, &[]).expect("valid settings").as_ref());
    }
    let settings = json!({"nu": 0.1, "gamma": 0.02, "on": "penultimate"});
    testing::check_distant(crate::build(OneClassSvm::KIND, settings, &[]).expect("valid settings").as_ref());
    for settings in [json!({"nu": 0}), json!({"gamma": -1.0}), json!({"components": 0}), json!({"tolerance": -1.0})] {
        assert!(crate::build(OneClassSvm::KIND, settings, &[]).is_err());
    }
}

/// ½ |w|² - ρ + Σ max(0, ρ - w·z) / (ν n)
fn objective(mapped: &[f64], w: &[f64], rho: f64, nu: f64) -> f64 {
    let rows = mapped.chunks_exact(w.len());
    let count = rows.len() as f64;
    let below = |row: &[f64]| (rho - row.iter().zip(w).map(|(z, w)| z * w).sum::<f64>()).max(0.0);
    0.5 * w.iter().map(|x| x * x).sum::<f64>() - rho + rows.map(below).sum::<f64>() / (nu * count)
}

/// On the same random features: the same plane as libsvm's, and an objective that is no larger than libsvm's or stochastic descent's.
#[test]
fn the_plane_is_that_of_scikit_learn() {
    let file = GoldenFile::parse("density", golden::DENSITY).expect("a golden file");
    let (train, given) = (golden::samples(&file, "train"), golden::samples(&file, "given"));
    let tensor = |name: &str| &file.tensor(name).expect("a tensor").values;
    let (directions, offsets) = (tensor("svm.directions"), tensor("svm.offsets"));
    let vectors = &train.penultimate;
    let mapped = fourier(vectors.values(), vectors.width(), directions, offsets);
    for nu in [0.1, 0.5] {
        let rule = OneClassSvm { on: Space::Penultimate, nu, tolerance: 1e-12, ..OneClassSvm::default() };
        let found = solve::solve(&mapped, offsets.len(), rule.settings(), &Cancel::new()).expect("not cancelled");
        let own = objective(&mapped, &found.w, found.rho, nu);
        let of = |solver: &str| tensor(&format!("svm.{nu}.{solver}"))[0];
        assert!((own - of("libsvm")).abs() < 1e-6 * own.abs(), "{nu}: {own}, libsvm {}", of("libsvm"));
        assert!(own <= of("sgd") + 1e-9, "{nu}: {own}, stochastic descent {}", of("sgd"));
        let arrays = Arrays::default()
            .with("directions", &[offsets.len(), vectors.width()], directions.clone())
            .with_list("offsets", offsets.clone())
            .with_list("normal", found.w)
            .with_list("rho", vec![found.rho]);
        let scores = rule.score(&arrays, &given.given()).expect("scores");
        golden::assert_near("one-class svm", &scores, tensor(&format!("svm.{nu}.scores")), golden::TOLERANCE);
        // A solution within the default tolerance has an objective as near.
        let loose = OneClassSvm { tolerance: OneClassSvm::default().tolerance, ..rule };
        let near = solve::solve(&mapped, offsets.len(), loose.settings(), &Cancel::new()).expect("not cancelled");
        let above = objective(&mapped, &near.w, near.rho, nu) - own;
        assert!((-1e-9..=1e-4).contains(&(above / own.abs())), "{nu}: {above} above {own}");
    }
}

/// Random features of its own have the kernel's values as products.
#[test]
fn random_features_are_the_kernel() {
    let train = testing::Samples::new(30, true);
    let settings = json!({"components": 4000, "gamma": 0.1, "on": "penultimate"});
    let rule = OneClassSvm { components: 4000, gamma: Some(0.1), on: Space::Penultimate, ..OneClassSvm::default() };
    let fitted = testing::fit(crate::build(OneClassSvm::KIND, settings, &[]).expect("valid settings").as_ref(), &train);
    let bytes = fitted.expect("fits").to_bytes().expect("bytes");
    let (_, arrays) = Arrays::from_bytes::<Sizes>(&bytes).expect("its own bytes");
    let values = train.penultimate.values();
    let mapped = fourier(values, 8, arrays.f64("directions"), arrays.f64("offsets"));
    for (i, j) in [(0, 1), (0, 3), (4, 11), (7, 7)] {
        let squared: f64 = (0..8).map(|at| f64::from(values[i * 8 + at] - values[j * 8 + at]).powi(2)).sum();
        let row = |at: usize| &mapped[at * rule.components..(at + 1) * rule.components];
        let found: f64 = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
        // The mean of 4000 products, each of a standard deviation below 1.
        assert!((found - (-0.1 * squared).exp()).abs() < 0.05, "{i} {j}: {found}");
    }
}
