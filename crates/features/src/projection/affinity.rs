//! How near samples are to each other in the space that they come from.

use rayon::prelude::*;

/// Columns summed in f32 before the sum goes on in f64.
const BLOCK: usize = 256;
const LANES: usize = 8;
/// No pair is nearer than this to being none at all, so that the divergence stays finite.
const LEAST: f64 = 1e-12;
/// Halvings of the bracket of a width: enough to fix its logarithm in f64.
const HALVINGS: usize = 100;

/// The joint probabilities of pairs, `[n, n]`, symmetric, zero on the diagonal, sum 1: van der Maaten and Hinton (2008), equations 1 and
/// the symmetrised sum below equation 3, each sample's width such that its neighbours' entropy is that of `perplexity` equal ones.
pub(super) fn joint_probabilities(rows: &[f32], width: usize, perplexity: f64) -> Vec<f64> {
    let n = rows.len() / width;
    let mut conditional = vec![0.0f64; n * n];
    conditional.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
        let own = &rows[i * width..(i + 1) * width];
        for (distance, other) in row.iter_mut().zip(rows.chunks_exact(width)) {
            *distance = squared_distance(own, other);
        }
        neighbours(row, i, perplexity);
    });
    let mut joint = vec![0.0f64; n * n];
    joint.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
        for (j, value) in row.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            *value = ((conditional[i * n + j] + conditional[j * n + i]) / (2 * n) as f64).max(LEAST);
        }
    });
    joint
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut lanes = [0.0f32; LANES];
        let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
        for (a, b) in a.zip(b) {
            for lane in 0..LANES {
                let difference = a[lane] - b[lane];
                lanes[lane] += difference * difference;
            }
        }
        sum += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest);
    }
    sum
}

/// Turns squared distances from sample `own` into the probabilities of its neighbours.
fn neighbours(row: &mut [f64], own: usize, perplexity: f64) {
    let others = |row: &[f64]| row.iter().enumerate().filter(|(j, _)| *j != own).map(|(_, d)| *d).collect::<Vec<_>>();
    let distances = others(row);
    let (nearest, mean) = (
        distances.iter().copied().fold(f64::INFINITY, f64::min),
        distances.iter().sum::<f64>() / distances.len() as f64,
    );
    // Distances over their mean excess, so that the bracket suits every scale.
    let scale = if mean > nearest { 1.0 / (mean - nearest) } else { 0.0 };
    let target = libm::log(perplexity);
    let (mut low, mut high) = (-60.0, 60.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        // The entropy falls as the precision rises.
        if entropy(&distances, nearest, scale * libm::exp(middle)) > target { low = middle } else { high = middle }
    }
    let precision = scale * libm::exp(f64::midpoint(low, high));
    let mut sum = 0.0;
    for (j, value) in row.iter_mut().enumerate() {
        *value = if j == own { 0.0 } else { libm::exp(-(*value - nearest) * precision) };
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}

/// In nats.
fn entropy(distances: &[f64], nearest: f64, precision: f64) -> f64 {
    let (mut sum, mut weighted) = (0.0, 0.0);
    for distance in distances {
        let exponent = (distance - nearest) * precision;
        let weight = libm::exp(-exponent);
        sum += weight;
        weighted += weight * exponent;
    }
    libm::log(sum) + weighted / sum
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn neighbours_have_the_perplexity_asked_for() {
        let mut row: Vec<f64> = (0..200).map(|j| f64::from((j * 37) % 101) * 1e6).collect();
        neighbours(&mut row, 3, 25.0);
        let entropy: f64 = row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        assert!((entropy.exp() - 25.0).abs() < 1e-6, "{}", entropy.exp());
        assert_eq!(row[3], 0.0);
    }

    #[test]
    fn joint_probabilities_are_symmetric_and_sum_to_one() {
        let rows: Vec<f32> = (0..40 * 300).map(|k| ((k * 7919) % 1009) as f32 / 100.0).collect();
        let joint = joint_probabilities(&rows, 300, 5.0);
        assert!((joint.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((0..40).all(|i| (0..40).all(|j| joint[i * 40 + j] == joint[j * 40 + i])));
        // Equal samples are equally near.
        let joint = joint_probabilities(&[1.0; 6], 2, 1.5);
        assert_eq!(joint.iter().filter(|p| (**p - 1.0 / 6.0).abs() < 1e-12).count(), 6);
    }
}
