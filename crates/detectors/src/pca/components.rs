//! Finding principal components, and reconstructing with them; all in f64.

use nalgebra::{DMatrix, SymmetricEigen};
use oodlab_base::{Cancel, Cancelled, Task};
use rayon::prelude::*;

/// Columns of the covariance that one task sums: their part stays in the second cache.
const COLUMNS: usize = 8;

/// All components of a training set.
pub(super) struct Found {
    /// `[width]`.
    pub mean: Vec<f64>,
    /// Variances along the components, falling, as many as samples and columns allow.
    pub values: Vec<f64>,
    /// The components, `[values, width]`, orthonormal. Their signs mean nothing.
    pub vectors: Vec<f64>,
}

/// The mean of the samples and the eigenvectors of their covariance (divided by their number). Sums run over the samples in order, each
/// column by one thread, so the bits do not depend on the number of threads.
pub(super) fn find(z: &[f32], width: usize, cancel: &Cancel, task: &dyn Task) -> Result<Found, Cancelled> {
    let rows = z.len() / width;
    let mut mean = vec![0.0f64; width];
    for row in z.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    mean.iter_mut().for_each(|sum| *sum /= rows as f64);
    let mut covariance = vec![0.0f64; width * width];
    covariance.par_chunks_mut(COLUMNS * width).enumerate().try_for_each(|(block, sums)| {
        cancel.check()?;
        let first = block * COLUMNS;
        let mut centred = vec![0.0f64; width];
        for row in z.chunks_exact(width) {
            for ((centred, &x), mean) in centred.iter_mut().zip(row).zip(&mean) {
                *centred = f64::from(x) - mean;
            }
            for (sums, &factor) in sums.chunks_exact_mut(width).zip(&centred[first..]) {
                sums.iter_mut().zip(&centred).for_each(|(sum, x)| *sum += factor * x);
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= rows as f64);
        task.advance((sums.len() / width) as u64);
        Ok(())
    })?;
    let eigen = SymmetricEigen::new(DMatrix::from_vec(width, width, covariance));
    let mut order: Vec<usize> = (0..width).collect();
    // Stable: equal variances stay in the solver's order.
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    // Behind the number of samples there is only rounding.
    order.truncate(width.min(rows.saturating_sub(1)).max(1));
    let values = order.iter().map(|&at| eigen.eigenvalues[at].max(0.0)).collect();
    let vectors =
        order.iter().flat_map(|&at| eigen.eigenvectors.column(at).iter().copied().collect::<Vec<_>>()).collect();
    Ok(Found { mean, values, vectors })
}

/// The components that are kept.
#[derive(Debug)]
pub(super) struct Components {
    mean: Vec<f64>,
    /// `[count, width]`.
    vectors: Vec<f64>,
    /// The same, `[width, count]`: with it both products run along rows.
    across: Vec<f64>,
}

impl Components {
    /// The first `count` of `vectors`, `[.., width]`.
    pub fn new(mean: Vec<f64>, mut vectors: Vec<f64>, count: usize) -> Components {
        let width = mean.len();
        vectors.truncate(count * width);
        let across = (0..width).flat_map(|column| vectors[column..].iter().step_by(width).copied()).collect();
        Components { mean, vectors, across }
    }

    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    pub fn vectors(&self) -> &[f64] {
        &self.vectors
    }

    pub fn count(&self) -> usize {
        self.vectors.len() / self.mean.len()
    }

    /// The projection of samples `[rows, width]` on mean and components.
    pub fn reconstruct(&self, z: &[f32]) -> Vec<f32> {
        let (width, count) = (self.mean.len(), self.count());
        let mut made = vec![0.0f32; z.len()];
        made.par_chunks_mut(width).zip(z.par_chunks(width)).for_each_init(
            || (vec![0.0f64; count], vec![0.0f64; width]),
            |(along, sum), (made, sample)| {
                along.fill(0.0);
                for ((&x, mean), across) in sample.iter().zip(&self.mean).zip(self.across.chunks_exact(count)) {
                    let centred = f64::from(x) - mean;
                    along.iter_mut().zip(across).for_each(|(along, a)| *along += centred * a);
                }
                sum.copy_from_slice(&self.mean);
                for (along, vector) in along.iter().zip(self.vectors.chunks_exact(width)) {
                    sum.iter_mut().zip(vector).for_each(|(sum, v)| *sum += along * v);
                }
                made.iter_mut().zip(sum.iter()).for_each(|(made, sum)| *made = *sum as f32);
            },
        );
        made
    }
}
