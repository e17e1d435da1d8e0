//! What ASH and SCALE have in common: the largest activations of a vector, and the share of its sum that they hold.

/// How many activations stay of `n`, as OpenOOD counts: `n - round(n · percentile / 100)`, half to even, as numpy.
pub(crate) fn kept(n: usize, percentile: f64) -> usize {
    n - ((n as f64 * percentile / 100.0).round_ties_even() as usize).min(n)
}

/// Marks the `k` largest values; of equal ones the first.
pub(crate) fn largest(vector: &[f64], k: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..vector.len()).collect();
    order.sort_by(|&a, &b| vector[b].total_cmp(&vector[a]));
    let mut marks = vec![false; vector.len()];
    order.iter().take(k).for_each(|&i| marks[i] = true);
    marks
}

/// The factor `exp(s1 / s2)`: sums of all and of the marked activations. Without a positive marked sum (a vector of zeros) it is e, what an unpruned
/// vector has; OpenOOD divides zero by zero there.
pub(crate) fn sharpening(vector: &[f64], marks: &[bool]) -> f64 {
    let all: f64 = vector.iter().sum();
    let marked: f64 = vector.iter().zip(marks).filter(|(_, marked)| **marked).map(|(x, _)| x).sum();
    if marked > 0.0 { (all / marked).exp() } else { std::f64::consts::E }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stay() {
        assert_eq!((kept(512, 65.0), kept(10, 25.0), kept(3, 100.0), kept(3, 0.0)), (179, 8, 0, 3));
        assert_eq!(largest(&[1.0, 3.0, 3.0, 0.0], 2), [false, true, true, false]);
        assert_eq!(largest(&[2.0, 2.0, 2.0], 1), [true, false, false]);
        assert!((sharpening(&[1.0, 3.0], &[false, true]) - (4.0f64 / 3.0).exp()).abs() < 1e-12);
        assert_eq!(sharpening(&[0.0, 0.0], &[true, false]), std::f64::consts::E);
    }
}
