#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use oodlab_base::{Cancel, Cancelled, Seed};

use super::affinity::joint_probabilities;
use super::embedding::{divergence, gradient};
use super::*;

fn normals(seed: u64, count: usize) -> Vec<f32> {
    let stream = Seed(seed).stream("projection tests");
    (0..count as u64).map(|at| stream.normal(at)).collect()
}

/// Three clouds of `each` samples, far apart.
fn clusters(each: usize, width: usize) -> Vec<f32> {
    let mut rows = normals(1, 3 * each * width);
    for (row, values) in rows.chunks_exact_mut(width).enumerate() {
        values[row / each] += 12.0;
    }
    rows
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn components_are_those_of_scikit_learn() {
    #[derive(serde::Deserialize)]
    struct Reference {
        width: usize,
        samples: Vec<f32>,
        points: Vec<f64>,
        shares: Vec<f64>,
    }
    let reference: Reference = serde_json::from_str(include_str!("reference/pca.json")).unwrap();
    let found = pca(&reference.samples, reference.width, 2, &Cancel::new()).unwrap();
    let worst = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert_eq!(found.points.len(), reference.points.len());
    assert!(worst(&found.points, &reference.points) < 1e-8, "{}", worst(&found.points, &reference.points));
    assert!(worst(&found.shares, &reference.shares) < 1e-12, "{:?}", found.shares);
}

#[test]
fn components_of_wide_samples_are_orthonormal_and_stationary() {
    // More columns than samples, and a flat spectrum.
    let (n, width) = (40, 300);
    let rows = normals(2, n * width);
    let found = pca(&rows, width, 3, &Cancel::new()).unwrap();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let vectors: Vec<&[f64]> = found.vectors.chunks_exact(width).collect();
    for (i, a) in vectors.iter().enumerate() {
        for (j, b) in vectors.iter().enumerate() {
            assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-10, "{i} {j}");
        }
    }
    // Coordinates along different components are uncorrelated.
    let column = |k: usize| (0..n).map(|i| found.points[i * 3 + k]).collect::<Vec<_>>();
    assert!(dot(&column(0), &column(1)).abs() < 1e-6 * dot(&column(0), &column(0)));
    assert!(found.shares[0] >= found.shares[1] && found.shares[1] >= found.shares[2]);
}

#[test]
fn small_and_flat_samples_have_components() {
    let cancel = Cancel::new();
    let equal = pca(&[2.0; 8], 2, 2, &cancel).unwrap();
    assert_eq!((equal.shares, equal.points), (vec![0.0, 0.0], vec![0.0; 8]));
    let line = pca(&[1.0, 2.0, 4.0], 1, 2, &cancel).unwrap();
    assert_eq!((line.shares.len(), line.points.len()), (1, 3));
    assert!((line.shares[0] - 1.0).abs() < 1e-12);
    assert_eq!(pca(&[1.0, 2.0], 2, 2, &cancel).unwrap().points, [0.0]);
}

#[test]
fn the_gradient_is_that_of_the_divergence() {
    let rows = normals(3, 12 * 5);
    let joint = joint_probabilities(&rows, 5, 3.0);
    let points: Vec<[f64; 2]> = normals(4, 24).chunks_exact(2).map(|p| [f64::from(p[0]), f64::from(p[1])]).collect();
    let slopes = gradient(&joint, &points, 1.0);
    let step = 1e-5;
    for (i, slope) in slopes.iter().enumerate() {
        for axis in 0..2 {
            let moved = |by: f64| {
                let mut points = points.clone();
                points[i][axis] += by;
                divergence(&joint, &points)
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((difference - slope[axis]).abs() < 1e-8, "{i} {axis}: {difference} {}", slope[axis]);
        }
    }
}

#[test]
fn clusters_stay_apart_and_the_divergence_falls() {
    let (each, width) = (60, 20);
    let rows = clusters(each, width);
    let cancel = Cancel::new();
    let early = tsne(&rows, width, &TsneConfig { iterations: 300, ..TsneConfig::default() }, &cancel).unwrap();
    let late = tsne(&rows, width, &TsneConfig::default(), &cancel).unwrap();
    assert!(late.divergence < early.divergence, "{} {}", late.divergence, early.divergence);
    let nearest = |i: usize| {
        let distance = |j: usize| {
            let (a, b) = (late.points[i], late.points[j]);
            (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
        };
        (0..3 * each).filter(|j| *j != i).min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap()
    };
    let pure = (0..3 * each).filter(|&i| nearest(i) / each == i / each).count();
    assert_eq!(pure, 3 * each);
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let rows = clusters(50, 33);
    let config = TsneConfig { iterations: 260, ..TsneConfig::default() };
    let make = |threads| {
        in_pool(threads, || {
            (pca(&rows, 33, 2, &Cancel::new()).unwrap(), tsne(&rows, 33, &config, &Cancel::new()).unwrap())
        })
    };
    assert_eq!(make(1), make(2));
}

#[test]
fn equal_and_few_samples_are_embedded() {
    let config = TsneConfig { iterations: 250, ..TsneConfig::default() };
    for rows in [vec![1.0; 20], vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]] {
        let embedding = tsne(&rows, 1, &config, &Cancel::new()).unwrap();
        assert!(embedding.points.iter().flatten().all(|x| x.is_finite()), "{:?}", embedding.points);
        assert_eq!(embedding.perplexity, ((rows.len() - 1) as f64 / 3.0));
    }
}

#[test]
fn what_cannot_be_projected_is_refused() {
    let (cancel, config) = (Cancel::new(), TsneConfig::default());
    assert!(matches!(pca(&[], 2, 2, &cancel), Err(ProjectionError::Shape { .. })));
    assert!(matches!(pca(&[1.0, 2.0, 3.0], 2, 2, &cancel), Err(ProjectionError::Shape { .. })));
    assert!(matches!(pca(&[1.0], 0, 2, &cancel), Err(ProjectionError::Shape { .. })));
    let error = pca(&[1.0, 2.0, f32::NAN, 0.0], 2, 2, &cancel).unwrap_err();
    assert_eq!(error.to_string(), "sample 1, column 0: expected a finite value, found NaN");
    let error = tsne(&vec![0.0; 3001], 1, &config, &cancel).unwrap_err();
    assert!(error.to_string().ends_with("found 3001; take a part of them, evenly from each set"), "{error}");
    assert!(matches!(tsne(&[0.0; 3], 1, &config, &cancel), Err(ProjectionError::Shape { .. })));
    let low = TsneConfig { perplexity: 1.0, ..config };
    assert!(matches!(tsne(&[0.0; 9], 1, &low, &cancel), Err(ProjectionError::Setting { key: "perplexity", .. })));
    let short = TsneConfig { iterations: 3, ..config };
    assert!(matches!(tsne(&[0.0; 9], 1, &short, &cancel), Err(ProjectionError::Setting { key: "iterations", .. })));
    cancel.cancel();
    assert_eq!(tsne(&[0.0; 9], 1, &config, &cancel), Err(ProjectionError::Cancelled(Cancelled)));
}
