//! A map without its first singular component.

use candle_core::Tensor;

/// A direction that moves less than this in a step stands still.
const STILL: f64 = 1e-14;
/// Steps at most. The error falls with (s2/s1)² a step: enough for singular values that differ by one in a hundred.
const STEPS: usize = 1000;

/// One image's map as a matrix, channels by pixels, less `s1 u1 v1ᵀ`; of a transformer tokens by channels, which is the same.
///
/// # Shapes
/// `[1, channels, height, width]` or `[1, tokens, width]`, f32; so is the result.
pub(super) fn without_first(map: &Tensor) -> candle_core::Result<Tensor> {
    let (rows, values) = (map.dim(1)?, map.flatten_all()?.to_vec1()?);
    Tensor::from_vec(residual(&values, rows), map.dims(), map.device())
}

/// The same of a matrix of so many rows, row-major. A matrix of zeros stays.
pub(super) fn residual(values: &[f32], rows: usize) -> Vec<f32> {
    if values.is_empty() {
        return Vec::new();
    }
    let columns = values.len() / rows;
    // The direction of the shorter side is looked for: its products are the smaller matrix.
    let (count, length) = (rows.min(columns), rows.max(columns));
    let at = |i: usize, j: usize| if rows <= columns { i * columns + j } else { j * columns + i };
    let lines: Vec<f64> =
        (0..count).flat_map(|i| (0..length).map(move |j| (i, j))).map(|(i, j)| f64::from(values[at(i, j)])).collect();
    let line = |i: usize| &lines[i * length..(i + 1) * length];
    let mut products = vec![0.0; count * count];
    for i in 0..count {
        for j in 0..=i {
            let product = dot(line(i), line(j));
            products[i * count + j] = product;
            products[j * count + i] = product;
        }
    }
    let direction = first_direction(&products, count);
    // s1 times the singular vector of the longer side.
    let mut other = vec![0.0; length];
    for (i, &weight) in direction.iter().enumerate() {
        other.iter_mut().zip(line(i)).for_each(|(sum, x)| *sum += weight * x);
    }
    let mut left = vec![0.0; values.len()];
    for (i, &weight) in direction.iter().enumerate() {
        for (j, &component) in other.iter().enumerate() {
            left[at(i, j)] = (lines[i * length + j] - weight * component) as f32;
        }
    }
    left
}

/// The eigenvector of the largest eigenvalue of a symmetric matrix without negative ones, of length 1; zeros for a matrix of zeros.
fn first_direction(matrix: &[f64], count: usize) -> Vec<f64> {
    // Not at right angles to the answer but by accident; never where no entry is negative, as behind a ReLU.
    let mut direction: Vec<f64> = (0..count).map(|i| 1.0 + 0.5 * (i as f64).sin()).collect();
    for _ in 0..STEPS {
        let mut next: Vec<f64> = matrix.chunks_exact(count).map(|row| dot(row, &direction)).collect();
        let length = dot(&next, &next).sqrt();
        if length == 0.0 {
            return next;
        }
        next.iter_mut().for_each(|x| *x /= length);
        let moved = next.iter().zip(&direction).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        direction = next;
        if moved < STILL {
            break;
        }
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
