use oodlab_base::Silent;

use super::config::Kept;
use super::*;

/// Three classes on the circle of directions, each around an axis of its own.
fn features(each: usize, width: usize) -> (Vec<f32>, Vec<u32>) {
    let rows = 3 * each;
    let mut values = vec![0.0; rows * width];
    oodlab_kernels::normal::fill(Seed(4).stream("features"), 0, &mut values);
    for (row, feature) in values.chunks_exact_mut(width).enumerate() {
        feature.iter_mut().for_each(|x| *x *= 0.3);
        feature[row % 3] += 2.0;
    }
    (values, (0..rows as u32).map(|row| row % 3).collect())
}

fn small() -> BoundaryConfig {
    BoundaryConfig {
        neighbour: 5,
        border: 4,
        candidates: 30,
        keep: 2,
        repetitions: 3,
        per_class: 40,
        ..BoundaryConfig::default()
    }
}

fn run(config: &BoundaryConfig) -> Outliers {
    let (values, labels) = features(50, 6);
    sample(config, (&values, 6), (&labels, 3), Seed(1), (&Cancel::new(), &Silent)).expect("samples")
}

fn unit(vector: &[f32]) -> Vec<f64> {
    let length = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|&x| f64::from(x) / length).collect()
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// The whole method once more, by distances of written-out vectors and full sorts.
#[test]
fn the_sums_of_small_products_give_the_distances_of_the_vectors_themselves() {
    let config = small();
    let (values, labels) = features(50, 6);
    let found = run(&config);
    assert_eq!(found.rows(), 3 * 3 * 4 * 2);
    let classes = found.classes.clone().expect("made for classes");
    let mut next = 0;
    for class in 0..3u32 {
        let rows = labels.iter().enumerate().filter(|(_, label)| **label == class).map(|(row, _)| row).take(40);
        let points: Vec<Vec<f64>> = rows.map(|row| unit(&values[row * 6..(row + 1) * 6])).collect();
        let kth = |vector: &[f64]| {
            let mut all: Vec<f64> = points.iter().map(|point| squared(vector, point)).collect();
            all.sort_by(f64::total_cmp);
            all[4]
        };
        let mut border: Vec<usize> = (0..40).collect();
        border.sort_by(|&a, &b| kth(&points[b]).total_cmp(&kth(&points[a])));
        for repetition in 0..3 {
            let stream = Seed(1).stream("boundary outliers").child(u64::from(class)).child(repetition).child(0);
            for &point in &border[..4] {
                let mut candidates: Vec<Vec<f64>> = (0..30u64)
                    .map(|s| {
                        let noise = (0..6).map(|i| f64::from(stream.normal(s * 6 + i)));
                        let moved: Vec<f64> = points[point].iter().zip(noise).map(|(b, e)| b + 0.07 * e).collect();
                        let length = moved.iter().map(|x| x * x).sum::<f64>().sqrt();
                        moved.into_iter().map(|x| x / length).collect()
                    })
                    .collect();
                candidates.sort_by(|a, b| kth(b).total_cmp(&kth(a)));
                for candidate in &candidates[..2] {
                    assert_eq!(classes[next], class);
                    let row: Vec<f64> = found.row(next).iter().map(|&x| f64::from(x)).collect();
                    assert!(squared(&row, candidate) < 1e-12, "class {class}, repetition {repetition}, row {next}");
                    next += 1;
                }
            }
        }
    }
}

#[test]
fn the_released_choice_reads_distances_as_another_matrix() {
    // Two border points, three candidates each. As released they are read as [[1, 2], [9, 3], [4, 5]], and the largest of each column
    // tells which candidate is kept.
    let distances = [1.0, 2.0, 9.0, 3.0, 4.0, 5.0];
    let kept = |selection: Selection, keep| -> Vec<(usize, usize)> {
        selection.choose(&distances, 2, keep).into_iter().map(|kept| (kept.border, kept.noise)).collect()
    };
    assert_eq!(kept(Selection::Corrected, 2), [(0, 2), (0, 1), (1, 2), (1, 1)]);
    assert_eq!(kept(Selection::Released, 2), [(0, 1), (0, 2), (1, 2), (1, 1)]);
    // Of equal distances the first candidate.
    let equal = Selection::Corrected.choose(&[1.0; 6], 2, 1);
    assert_eq!(equal, [Kept { border: 0, noise: 0 }, Kept { border: 1, noise: 0 }]);
}

#[test]
fn corrected_outliers_lie_farther_out_than_released_ones() {
    let mean = |selection: Selection| {
        let config = BoundaryConfig { selection, candidates: 200, deviation: 0.3, ..small() };
        let (values, labels) = features(50, 6);
        let found = run(&config);
        let mut sum = 0.0;
        for (row, class) in found.classes.clone().expect("classes").into_iter().enumerate() {
            let members = labels.iter().enumerate().filter(|(_, label)| **label == class).take(40);
            let outlier = unit(found.row(row));
            let mut all: Vec<f64> =
                members.map(|(row, _)| squared(&outlier, &unit(&values[row * 6..(row + 1) * 6]))).collect();
            all.sort_by(f64::total_cmp);
            sum += all[4];
        }
        sum / found.rows() as f64
    };
    let (corrected, released) = (mean(Selection::Corrected), mean(Selection::Released));
    assert!(corrected > 1.3 * released, "{corrected} against {released}");
}

#[test]
fn bits_do_not_depend_on_threads_and_length_is_the_scale() {
    let config = BoundaryConfig { candidates: 300, scale: 27.0, ..small() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| run(&config))
    };
    let one = with(1);
    assert!(one == with(2) && one == with(3));
    for row in 0..one.rows() {
        let length = one.row(row).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!((length - 27.0).abs() < 1e-4);
    }
}

#[test]
fn settings_and_samples_that_do_not_fit_are_named() {
    let (mut values, mut labels) = features(20, 6);
    let told = |config: BoundaryConfig, values: &[f32], labels: &[u32]| {
        let found = sample(&config, (values, 6), (labels, 3), Seed(1), (&Cancel::new(), &Silent));
        found.expect_err("must be refused").to_string()
    };
    assert!(
        told(BoundaryConfig { keep: 31, ..small() }, &values, &labels)
            .starts_with("boundary.keep is 31, expected 1 to 30")
    );
    assert!(told(BoundaryConfig { neighbour: 0, ..small() }, &values, &labels).starts_with("boundary.neighbour"));
    assert!(
        told(BoundaryConfig { deviation: f64::NAN, ..small() }, &values, &labels).starts_with("boundary.deviation")
    );
    let few = told(BoundaryConfig { neighbour: 21, ..small() }, &values, &labels);
    assert!(few.starts_with("class 0 has 20 samples, expected at least 21: boundary.neighbour"), "{few}");
    assert!(told(BoundaryConfig { border: 25, ..small() }, &values, &labels).contains("boundary.border"));
    assert!(told(small(), &values[6..], &labels).contains("expected 360 values, found 354"));
    values[13] = f32::INFINITY;
    assert!(told(small(), &values, &labels).contains("row 2, column 1"));
    values[12..18].fill(0.0);
    assert!(told(small(), &values, &labels).contains("row 2 (counted from 0) is zero"));
    labels[5] = 3;
    values[12] = 1.0;
    assert!(told(small(), &values, &labels).contains("row 5 (counted from 0) has class 3, expected 0 to 2"));
    let cancel = Cancel::new();
    cancel.cancel();
    let (values, labels) = features(20, 6);
    let found = sample(&small(), (&values, 6), (&labels, 3), Seed(1), (&cancel, &Silent));
    assert!(matches!(found, Err(OutlierError::Cancelled(_))));
}
