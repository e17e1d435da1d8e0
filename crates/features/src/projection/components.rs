//! The leading principal components of samples.

use nalgebra::{DMatrix, SymmetricEigen};
use oodlab_base::{Cancel, Seed};
use rayon::prelude::*;

use super::{ProjectionError, check};

/// Samples whose part of a product one task sums; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 128;
/// Directions followed beyond those wanted: the iteration is as fast as the wanted variances stand above the next ones.
const SPARE: usize = 10;
/// Residual of a component, as a share of the largest variance, at which it is found.
const TOLERANCE: f64 = 1e-10;
/// Where two variances are all but equal their components mix; after so many steps any mixture will do.
const STEPS: usize = 200;

/// The leading principal components of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalComponents {
    /// Coordinates of each sample along each component, `[rows, components]`. The sign of a component is such that its coefficient of
    /// largest size is positive.
    pub points: Vec<f64>,
    /// The components, orthonormal, `[components, width]`.
    pub vectors: Vec<f64>,
    /// Share of the variance that each component holds, falling, 0..1; 0 where all samples are equal.
    pub shares: Vec<f64>,
}

/// The first `components` principal components of samples `[rows, width]`: fewer where rows or columns are fewer.
///
/// Orthogonal iteration with Rayleigh and Ritz's step in f64 (Golub and Van Loan, Matrix Computations, section 8.2) on the covariance, which is
/// never formed, so that a width of thousands costs little.
///
/// # Errors
/// When there is no sample, a value is not finite, or the work was asked to stop.
///
/// ```
/// use oodlab_base::Cancel;
/// let found = oodlab_features::projection::pca(&[1.0, 1.0, 2.0, 2.0, 3.0, 3.0], 2, 1, &Cancel::new())?;
/// assert!((found.points[2] - 2f64.sqrt()).abs() < 1e-12 && (found.shares[0] - 1.0).abs() < 1e-12);
/// # Ok::<(), oodlab_features::projection::ProjectionError>(())
/// ```
pub fn pca(
    rows: &[f32],
    width: usize,
    components: usize,
    cancel: &Cancel,
) -> Result<PrincipalComponents, ProjectionError> {
    let n = check(rows, width, 1)?;
    let samples = Samples::new(rows, width);
    let wanted = components.min(width).min(n);
    let block = (wanted + SPARE).min(width).min(n);
    // Any start that is not orthogonal to what is sought will do.
    let stream = Seed(0).stream("principal components");
    let start = (0..width * block).map(|at| f64::from(stream.normal(at as u64)));
    let mut basis = DMatrix::from_iterator(width, block, start).qr().q();
    let mut values = vec![0.0; block];
    for _ in 0..STEPS {
        cancel.check()?;
        let product = samples.covariance_times(&basis);
        let small = basis.transpose() * &product;
        let eigen = SymmetricEigen::new((&small + small.transpose()) * 0.5);
        let mut order: Vec<usize> = (0..block).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let turned = eigen.eigenvectors.select_columns(&order);
        values = order.iter().map(|&at| eigen.eigenvalues[at].max(0.0)).collect();
        let (vectors, product) = (&basis * &turned, product * turned);
        let residual = (0..wanted).map(|k| (product.column(k) - vectors.column(k) * values[k]).norm());
        let found = residual.fold(0.0, f64::max) <= TOLERANCE * values.first().copied().unwrap_or_default();
        basis = vectors;
        if found || values.first().is_none_or(|largest| *largest == 0.0) {
            break;
        }
        basis = product.qr().q();
    }
    let mut vectors: Vec<f64> = Vec::with_capacity(wanted * width);
    for k in 0..wanted {
        let column = basis.column(k);
        // The first of equals, so that the sign is a function of the samples.
        let largest = column.iter().fold(0.0f64, |largest, x| if x.abs() > largest.abs() { *x } else { largest });
        vectors.extend(column.iter().map(|x| if largest < 0.0 { -x } else { *x }));
    }
    let total = samples.variance();
    let shares = values[..wanted].iter().map(|value| if total > 0.0 { value / total } else { 0.0 }).collect();
    Ok(PrincipalComponents { points: samples.along(&vectors), vectors, shares })
}

/// Samples and their mean.
struct Samples<'a> {
    rows: &'a [f32],
    mean: Vec<f64>,
}

impl<'a> Samples<'a> {
    fn new(rows: &'a [f32], width: usize) -> Samples<'a> {
        let mut mean = vec![0.0f64; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let n = (rows.len() / width) as f64;
        mean.iter_mut().for_each(|sum| *sum /= n);
        Samples { rows, mean }
    }

    fn centred(&self, row: &[f32], out: &mut [f64]) {
        for ((out, &x), mean) in out.iter_mut().zip(row).zip(&self.mean) {
            *out = f64::from(x) - mean;
        }
    }

    /// The covariance (divided by the number of samples) times `[width, k]`.
    fn covariance_times(&self, basis: &DMatrix<f64>) -> DMatrix<f64> {
        let (width, k) = (basis.nrows(), basis.ncols());
        let parts: Vec<Vec<f64>> = self
            .rows
            .par_chunks(ROWS * width)
            .map(|rows| {
                let (mut sums, mut centred) = (vec![0.0; width * k], vec![0.0; width]);
                for row in rows.chunks_exact(width) {
                    self.centred(row, &mut centred);
                    for (sums, vector) in sums.chunks_exact_mut(width).zip(basis.as_slice().chunks_exact(width)) {
                        let along = dot(&centred, vector);
                        sums.iter_mut().zip(&centred).for_each(|(sum, x)| *sum += along * x);
                    }
                }
                sums
            })
            .collect();
        let mut total = vec![0.0; width * k];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
        }
        let n = (self.rows.len() / width) as f64;
        DMatrix::from_vec(width, k, total) / n
    }

    /// The sum of all columns' variances.
    fn variance(&self) -> f64 {
        let width = self.mean.len();
        let mut centred = vec![0.0; width];
        let mut sum = 0.0;
        for row in self.rows.chunks_exact(width) {
            self.centred(row, &mut centred);
            sum += dot(&centred, &centred);
        }
        sum / (self.rows.len() / width) as f64
    }

    /// Coordinates along vectors `[k, width]`: `[rows, k]`.
    fn along(&self, vectors: &[f64]) -> Vec<f64> {
        let width = self.mean.len();
        let mut centred = vec![0.0; width];
        let mut points = Vec::new();
        for row in self.rows.chunks_exact(width) {
            self.centred(row, &mut centred);
            points.extend(vectors.chunks_exact(width).map(|vector| dot(&centred, vector)));
        }
        points
    }
}

/// Four sums side by side, for the sake of speed; always the same four.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a_parts, b_parts) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
