//! Where a mixture begins: centres by k-means++ (Arthur and Vassilvitskii, 2007), and each sample with its nearest.

use oodlab_base::Stream;
use rayon::prelude::*;

/// |a - b|² of a sample and a centre.
fn squared(row: &[f32], centre: &[f32]) -> f64 {
    row.iter().zip(centre).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

/// Samples to begin with: the first drawn evenly, each other by its squared distance to the nearest before. None where fewer samples differ.
pub(super) fn centres(values: &[f32], width: usize, count: usize, stream: Stream) -> Option<Vec<usize>> {
    let rows = values.len() / width;
    let row = |at: usize| &values[at * width..(at + 1) * width];
    let mut chosen = vec![stream.below(rows as u64, 0) as usize];
    let mut nearest = vec![f64::INFINITY; rows];
    while chosen.len() < count {
        let last = row(*chosen.last()?);
        nearest.par_iter_mut().zip(values.par_chunks_exact(width)).for_each(|(nearest, row)| {
            *nearest = nearest.min(squared(row, last));
        });
        let total: f64 = nearest.iter().sum();
        let share = stream.below(1 << 53, chosen.len() as u64) as f64 / (1u64 << 53) as f64;
        let mut left = share * total;
        // Rounding may leave a little behind the last sample: then it is the last that differs from all centres.
        let mut found = nearest.iter().rposition(|&distance| distance > 0.0)?;
        for (at, distance) in nearest.iter().enumerate() {
            left -= distance;
            if left < 0.0 {
                found = at;
                break;
            }
        }
        chosen.push(found);
    }
    Some(chosen)
}

/// The nearest centre of each sample, the first of equal ones.
pub(super) fn nearest(values: &[f32], width: usize, centres: &[usize]) -> Vec<usize> {
    let of = |row: &[f32]| {
        let mut best = (0, f64::INFINITY);
        for (number, &centre) in centres.iter().enumerate() {
            let distance = squared(row, &values[centre * width..(centre + 1) * width]);
            if distance < best.1 {
                best = (number, distance);
            }
        }
        best.0
    };
    values.par_chunks_exact(width).map(of).collect()
}

#[cfg(test)]
mod tests {
    use oodlab_base::Seed;

    use super::*;

    #[test]
    fn centres_are_samples_that_differ() {
        // Three groups far apart: each has a centre, whatever is drawn.
        let values: Vec<f32> = (0..90).flat_map(|i| [(i % 3) as f32 * 1e3 + i as f32 * 1e-3, 0.0]).collect();
        for seed in 0..20 {
            let found = centres(&values, 2, 3, Seed(seed).stream("centres")).expect("they differ");
            let mut groups: Vec<usize> = found.iter().map(|row| row % 3).collect();
            groups.sort_unstable();
            assert_eq!(groups, [0, 1, 2]);
            let own = nearest(&values, 2, &found);
            assert!((0..90).all(|row| found[own[row]] % 3 == row % 3));
        }
        assert_eq!(centres(&[1.0, 1.0, 2.0], 1, 3, Seed(0).stream("centres")), None, "two that differ");
    }
}
