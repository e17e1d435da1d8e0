//! Means, covariances and projections of feature vectors, in f64. Sums run over the samples in order, each part of a result by one thread, so
//! that bits do not depend on the number of threads.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// Samples that are multiplied together.
const ROWS: usize = 256;
/// Below it nalgebra multiplies otherwise: one sample alone would get other bits than among many.
pub(crate) const NARROWEST: usize = 8;
/// Columns of a covariance that one thread sums.
const COLUMNS: usize = 64;

/// The mean of vectors, `[width]`.
pub(crate) fn mean(values: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for row in values.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let rows = (values.len() / width.max(1)).max(1) as f64;
    sums.iter_mut().for_each(|sum| *sum /= rows);
    sums
}

/// The mean of each class, `[classes, width]`; every class has a sample.
pub(crate) fn class_means(values: &[f32], width: usize, labels: &[u32], classes: usize) -> Vec<f64> {
    let mut sums = vec![0.0; classes * width];
    let mut counts = vec![0.0f64; classes];
    for (row, &label) in values.chunks_exact(width).zip(labels) {
        let class = label as usize;
        counts[class] += 1.0;
        let sums = &mut sums[class * width..(class + 1) * width];
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    for (sums, count) in sums.chunks_exact_mut(width.max(1)).zip(&counts) {
        sums.iter_mut().for_each(|sum| *sum /= count.max(1.0));
    }
    sums
}

/// The covariance (divided by the number of samples) around a centre of each sample: `centre(row)` gives it, of `width` numbers.
pub(crate) fn covariance<'a>(values: &[f32], width: usize, centre: impl Fn(usize) -> &'a [f64] + Sync) -> DMatrix<f64> {
    let rows = values.len() / width.max(1);
    let mut sums: Vec<DMatrix<f64>> =
        (0..width).step_by(COLUMNS).map(|first| DMatrix::zeros(width, COLUMNS.min(width - first))).collect();
    for (block, part) in values.chunks(ROWS * width.max(1)).enumerate() {
        let count = part.len() / width;
        let mut centred = DMatrix::zeros(width, count);
        centred.as_mut_slice().par_chunks_mut(width).zip(part.par_chunks(width)).enumerate().for_each(
            |(row, (to, from))| {
                let centre = centre(block * ROWS + row);
                to.iter_mut().zip(from).zip(centre).for_each(|((to, &x), c)| *to = f64::from(x) - c);
            },
        );
        let across = centred.transpose();
        sums.par_iter_mut().enumerate().for_each(|(number, sums)| {
            let own = across.columns(number * COLUMNS, sums.ncols());
            sums.gemm(1.0, &centred, &own, 1.0);
        });
    }
    let mut whole = DMatrix::zeros(width, width);
    for (number, sums) in sums.iter().enumerate() {
        whole.columns_mut(number * COLUMNS, sums.ncols()).copy_from(&(sums / rows.max(1) as f64));
    }
    whole
}

/// Eigenvalues, falling, and the eigenvectors of a symmetric matrix as rows `[width, width]`. Their signs mean nothing.
pub(crate) fn eigen(matrix: DMatrix<f64>) -> (Vec<f64>, Vec<f64>) {
    let width = matrix.nrows();
    let found = SymmetricEigen::new(matrix);
    let mut order: Vec<usize> = (0..width).collect();
    // Stable: equal values stay in the solver's order.
    order.sort_by(|&a, &b| found.eigenvalues[b].total_cmp(&found.eigenvalues[a]));
    let values = order.iter().map(|&at| found.eigenvalues[at]).collect();
    let vectors = order.iter().flat_map(|&at| found.eigenvectors.column(at).iter().copied().collect::<Vec<_>>());
    (values, vectors.collect())
}

/// A matrix `[kept, width]` whose product with a difference of vectors has the length of its Mahalanobis distance: a root of the
/// covariance's pseudo-inverse. Eigenvalues below the rounding of single precision, in which OpenOOD computes, count as zero
/// (`scipy.linalg.pinvh`: width · epsilon · the largest).
pub(crate) fn whitening(covariance: DMatrix<f64>) -> Vec<f64> {
    let width = covariance.nrows();
    let (values, mut vectors) = eigen(covariance);
    let largest = values.first().copied().unwrap_or(0.0).abs();
    let least = largest * width as f64 * f64::from(f32::EPSILON);
    let kept = values.iter().take_while(|value| **value > least).count();
    vectors.truncate(kept * width);
    for (vector, value) in vectors.chunks_exact_mut(width.max(1)).zip(&values) {
        let factor = 1.0 / value.sqrt();
        vector.iter_mut().for_each(|x| *x *= factor);
    }
    vectors
}

/// `matrix · (x - centre)` of every vector: `[rows, outputs]`, where `matrix` is `[outputs, width]`, row-major.
pub(crate) fn project(values: &[f32], width: usize, centre: &[f64], matrix: &[f64]) -> Vec<f64> {
    let outputs = matrix.len() / width.max(1);
    let rows = values.len() / width.max(1);
    let matrix = DMatrix::from_row_slice(outputs, width, matrix);
    let mut found = vec![0.0; rows * outputs];
    if outputs == 0 {
        return found;
    }
    found.par_chunks_mut(ROWS * outputs).zip(values.par_chunks(ROWS * width)).for_each(|(to, part)| {
        let count = part.len() / width;
        let centred = part.chunks_exact(width).flat_map(|row| row.iter().zip(centre).map(|(&x, c)| f64::from(x) - c));
        // Row-major rows are the columns of a matrix as nalgebra keeps it.
        let padding = count.max(NARROWEST) - count;
        let centred = centred.chain(std::iter::repeat_n(0.0, padding * width));
        let centred = DMatrix::from_iterator(width, count + padding, centred);
        let mut product = DMatrix::zeros(outputs, count + padding);
        product.gemm(1.0, &matrix, &centred, 0.0);
        to.copy_from_slice(&product.as_slice()[..count * outputs]);
    });
    found
}

/// |a - b|²
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The smallest squared distance of each projected vector to one of some projected centres, `[.., outputs]`.
pub(crate) fn nearest_centre(projected: &[f64], outputs: usize, centres: &[f64]) -> Vec<f64> {
    let nearest = |row: &[f64]| {
        centres.chunks_exact(outputs).map(|centre| squared_distance(row, centre)).fold(f64::INFINITY, f64::min)
    };
    projected.par_chunks(outputs).map(nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(rows: usize, width: usize) -> Vec<f32> {
        (0..rows * width).map(|i| ((i * i % 97) as f32 * 0.7).sin() + (i % width) as f32).collect()
    }

    #[test]
    fn the_covariance_is_the_plain_sum() {
        let (rows, width) = (700, 70);
        let values = values(rows, width);
        let centre = mean(&values, width);
        let found = covariance(&values, width, |_| &centre);
        for (i, j) in [(0, 0), (3, 69), (69, 3), (65, 66)] {
            let term = |row: usize, at: usize| f64::from(values[row * width + at]) - centre[at];
            let plain: f64 = (0..rows).map(|row| term(row, i) * term(row, j)).sum::<f64>() / rows as f64;
            assert!((found[(i, j)] - plain).abs() < 1e-12 * plain.abs().max(1.0), "{i} {j}");
        }
    }

    #[test]
    fn a_sample_alone_has_the_bits_that_it_has_among_many() {
        let width = 37;
        let values = values(300, width);
        let matrix: Vec<f64> = (0..20 * width).map(|i| (i as f64 * 0.37).sin()).collect();
        let centre = mean(&values, width);
        let together = project(&values, width, &centre, &matrix);
        let alone: Vec<f64> = values.chunks(width).flat_map(|row| project(row, width, &centre, &matrix)).collect();
        assert!(together == alone);
    }

    #[test]
    fn whitened_vectors_have_the_identity_as_covariance() {
        let (rows, width) = (500, 6);
        let values = values(rows, width);
        let centre = mean(&values, width);
        let matrix = whitening(covariance(&values, width, |_| &centre));
        let found: Vec<f32> = project(&values, width, &centre, &matrix).iter().map(|&x| x as f32).collect();
        let outputs = matrix.len() / width;
        let zero = vec![0.0; outputs];
        let again = covariance(&found, outputs, |_| &zero);
        assert!((again - DMatrix::<f64>::identity(outputs, outputs)).abs().max() < 1e-5);
    }

    #[test]
    fn directions_without_variance_are_left_out() {
        let values: Vec<f32> = (0..40).flat_map(|i| [i as f32, 2.0 * i as f32, 5.0]).collect();
        let centre = mean(&values, 3);
        assert_eq!(whitening(covariance(&values, 3, |_| &centre)).len(), 3, "one direction of three");
    }
}
