//! The linear one-class SVM, solved exactly: `min ½ |w|² - ρ + Σ max(0, ρ - w·z) / (ν n)` (Schölkopf et al., 2001).
//!
//! Its dual is the point nearest to the origin among the means of the samples under weights that add up to 1, none above `1 / (ν n)`. Of these
//! means the one lowest along `w` is that of the `ν n` samples lowest along it, so that Wolfe's algorithm ("Finding the nearest point in a
//! polytope", 1976) finds the point from a few of them: a step looks through the samples once. There is nothing random in it, and the
//! difference of primal and dual objective is known at each step.

use nalgebra::{Cholesky, DMatrix, DVector};
use oodlab_base::Cancel;
use rayon::prelude::*;

use crate::DetectorError;

/// Parts of the samples that are summed apart, then in order: sums do not depend on the number of threads.
const PARTS: usize = 64;
/// Weights below it are zero.
const NOTHING: f64 = 1e-13;

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Solution {
    /// The normal of the plane.
    pub w: Vec<f64>,
    /// Its offset: samples below it lie outside.
    pub rho: f64,
}

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Share of the samples that may lie outside, above 0 to 1.
    pub nu: f64,
    /// Of the dual objective: how far the primal one may be above it.
    pub tolerance: f64,
    /// Most steps.
    pub steps: usize,
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The samples, `[rows, width]`.
struct Samples<'a> {
    values: &'a [f64],
    width: usize,
    /// ν n: how many of them are outside.
    outside: f64,
}

impl Samples<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// w·z of each sample.
    fn along(&self, w: &[f64]) -> Vec<f64> {
        self.values.par_chunks_exact(self.width).map(|row| product(row, w)).collect()
    }

    /// The samples from the lowest up, as far as the weights of the ν n lowest reach; of equal ones the first.
    fn lowest(&self, along: &[f64]) -> Vec<usize> {
        let count = (self.outside.ceil() as usize).clamp(1, self.rows());
        let rising = |a: &usize, b: &usize| along[*a].total_cmp(&along[*b]).then(a.cmp(b));
        let mut order: Vec<usize> = (0..self.rows()).collect();
        order.select_nth_unstable_by(count - 1, rising);
        order.truncate(count);
        order.sort_unstable_by(rising);
        order
    }

    /// The mean of these samples, the last of which has the weight that is left.
    fn mean(&self, lowest: &[usize]) -> Vec<f64> {
        let Some((&last, others)) = lowest.split_last() else { return vec![0.0; self.width] };
        let mut rows = others.to_vec();
        rows.sort_unstable();
        let row = |at: usize| &self.values[at * self.width..(at + 1) * self.width];
        let parts: Vec<Vec<f64>> = rows
            .par_chunks(rows.len().div_ceil(PARTS).max(1))
            .map(|part| {
                let mut sums = vec![0.0; self.width];
                for &at in part {
                    sums.iter_mut().zip(row(at)).for_each(|(sum, x)| *sum += x);
                }
                sums
            })
            .collect();
        let left = (self.outside - others.len() as f64).clamp(0.0, 1.0);
        let mut total: Vec<f64> = row(last).iter().map(|x| left * x).collect();
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
        }
        let weight = others.len() as f64 + left;
        total.iter_mut().for_each(|x| *x /= weight);
        total
    }
}

/// Points whose weighted mean is the nearest so far.
struct Corral {
    points: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// Their products with each other.
    products: Vec<Vec<f64>>,
}

impl Corral {
    fn of(point: Vec<f64>) -> Corral {
        let products = vec![vec![product(&point, &point)]];
        Corral { points: vec![point], weights: vec![1.0], products }
    }

    fn add(&mut self, point: Vec<f64>) {
        let row: Vec<f64> = self.points.iter().map(|other| product(other, &point)).collect();
        for (products, &x) in self.products.iter_mut().zip(&row) {
            products.push(x);
        }
        let own = product(&point, &point);
        self.products.push(row.into_iter().chain([own]).collect());
        self.points.push(point);
        self.weights.push(0.0);
    }

    fn keep(&mut self, kept: &[bool]) {
        fn of<T>(list: &mut Vec<T>, kept: &[bool]) {
            let mut flags = kept.iter();
            list.retain(|_| flags.next().copied().unwrap_or(false));
        }
        of(&mut self.points, kept);
        of(&mut self.weights, kept);
        of(&mut self.products, kept);
        self.products.iter_mut().for_each(|row| of(row, kept));
    }

    fn nearest(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.points.first().map_or(0, Vec::len)];
        for (point, weight) in self.points.iter().zip(&self.weights) {
            sum.iter_mut().zip(point).for_each(|(sum, x)| *sum += weight * x);
        }
        sum
    }

    /// Weights, of any sign, of the point of the points' plane that is nearest to the origin; none where one of them is in the plane of the others.
    fn of_plane(&self) -> Option<Vec<f64>> {
        let count = self.points.len();
        // With 1 added to each product the system has a solution even where the plane goes through the origin.
        let scale = self.products.iter().enumerate().map(|(i, row)| row[i]).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let matrix = DMatrix::from_fn(count, count, |i, j| self.products[i][j] / scale + 1.0);
        let found = Cholesky::new(matrix)?.solve(&DVector::from_element(count, 1.0));
        let total = found.sum();
        found.iter().all(|x| x.is_finite()).then(|| found.iter().map(|x| x / total).collect())
    }

    /// Moves to the nearest point of the points' convex hull, leaving out what it does not need; false where rounding leaves no way.
    fn approach(&mut self) -> bool {
        while self.points.len() > 1 {
            let Some(aim) = self.of_plane() else { return false };
            if aim.iter().all(|&weight| weight > NOTHING) {
                self.weights = aim;
                return true;
            }
            let reach = |(&from, &to): (&f64, &f64)| if to <= NOTHING { from / (from - to) } else { 1.0 };
            let share = self.weights.iter().zip(&aim).map(reach).fold(1.0, f64::min).max(0.0);
            self.weights.iter_mut().zip(&aim).for_each(|(from, to)| *from += share * (to - *from));
            let kept: Vec<bool> = self.weights.iter().map(|&weight| weight > NOTHING).collect();
            if kept.iter().all(|&kept| kept) || kept.iter().all(|&kept| !kept) {
                return false;
            }
            self.keep(&kept);
            let total: f64 = self.weights.iter().sum();
            self.weights.iter_mut().for_each(|weight| *weight /= total);
        }
        true
    }
}

/// Solves it for samples `[rows, width]`, of which there is one at least.
pub(super) fn solve(
    values: &[f64],
    width: usize,
    settings: Settings,
    cancel: &Cancel,
) -> Result<Solution, DetectorError> {
    let rows = values.len() / width;
    let samples = Samples { values, width, outside: (settings.nu * rows as f64).max(f64::MIN_POSITIVE) };
    let mut corral = Corral::of(samples.mean(&samples.lowest(&samples.along(&vec![0.0; width]))));
    let mut w = corral.nearest();
    for _ in 0..settings.steps {
        cancel.check()?;
        let point = samples.mean(&samples.lowest(&samples.along(&w)));
        let squared = product(&w, &w);
        // The primal objective of w less the dual one.
        if squared - product(&w, &point) <= settings.tolerance * 0.5 * squared {
            break;
        }
        corral.add(point);
        if !corral.approach() {
            break;
        }
        let next = corral.nearest();
        // No nearer: rounding ends it.
        if product(&next, &next) >= squared {
            break;
        }
        w = next;
    }
    let along = samples.along(&w);
    let rho = samples.lowest(&along).last().map_or(0.0, |&row| along[row]);
    Ok(Solution { w, rho })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(values: &[f64], width: usize, nu: f64) -> Solution {
        solve(values, width, Settings { nu, tolerance: 1e-12, steps: 1000 }, &Cancel::new()).expect("not cancelled")
    }

    #[test]
    fn the_nearest_point_by_hand() {
        // With one sample outside: the nearest point of the convex hull, here on the line from (1, 3) to (3, 1).
        let found = solved(&[1.0, 3.0, 3.0, 1.0, 4.0, 4.0], 2, 1.0 / 3.0);
        assert!((found.w[0] - 2.0).abs() < 1e-12 && (found.w[1] - 2.0).abs() < 1e-12, "{found:?}");
        assert!((found.rho - 8.0).abs() < 1e-12);
        // With all: their mean.
        let found = solved(&[1.0, 3.0, 3.0, 1.0, 5.0, 5.0], 2, 1.0);
        assert!((found.w[0] - 3.0).abs() < 1e-12 && (found.w[1] - 3.0).abs() < 1e-12, "{found:?}");
        // The origin is inside: no plane.
        let found = solved(&[1.0, 1.0, -1.0, 1.0, 0.0, -2.0], 2, 1.0 / 3.0);
        assert!(found.w.iter().all(|x| x.abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn a_share_of_the_samples_lies_outside() {
        let values: Vec<f64> =
            (0..400).flat_map(|i| [3.0 + (i as f64 * 0.7).sin(), 2.0 + (i as f64 * 1.9).cos(), 1.0]).collect();
        for nu in [0.01, 0.1, 0.5] {
            let found = solved(&values, 3, nu);
            let below = values.chunks(3).filter(|row| product(row, &found.w) < found.rho).count();
            assert!(below as f64 <= nu * 400.0 && below as f64 >= nu * 400.0 - 8.0, "{nu}: {below}");
        }
    }
}
