//! A Gaussian mixture: its parameters, and the density that it gives a sample.

use nalgebra::{Cholesky, DMatrix};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::linear_algebra::NARROWEST;
use crate::softmax::log_sum_exp;

/// Samples that are looked at together.
pub(super) const ROWS: usize = 256;

/// What a component's covariance may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Covariance {
    /// A variance for each column.
    #[default]
    Diagonal,
    /// A whole matrix; fitting takes `width` times as long.
    Full,
}

impl Covariance {
    /// Numbers that a covariance (or its root) has.
    pub fn numbers(self, width: usize) -> usize {
        match self {
            Covariance::Diagonal => width,
            Covariance::Full => width * width,
        }
    }
}

/// The mixture.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub kind: Covariance,
    pub width: usize,
    /// The logarithm of each component's share.
    pub log_shares: Vec<f64>,
    /// `[components, width]`
    pub means: Vec<f64>,
    /// Of each component a matrix `R` with `Rᵀ R` the inverse covariance: its diagonal, or lower triangle (row-major, `[width, width]`).
    pub roots: Vec<f64>,
}

/// The root of a covariance's inverse; none where it is singular.
pub(super) fn root(kind: Covariance, width: usize, covariance: &[f64]) -> Option<Vec<f64>> {
    let found: Vec<f64> = match kind {
        Covariance::Diagonal => covariance.iter().map(|variance| 1.0 / variance.sqrt()).collect(),
        Covariance::Full => {
            let lower = Cholesky::new(DMatrix::from_row_slice(width, width, covariance))?.unpack();
            let inverse = lower.solve_lower_triangular(&DMatrix::identity(width, width))?;
            inverse.transpose().as_slice().to_vec()
        }
    };
    found.iter().all(|x| x.is_finite()).then_some(found)
}

impl Model {
    /// Number of components.
    pub fn components(&self) -> usize {
        self.log_shares.len()
    }

    /// The logarithm of each component's share and density of each sample, `[rows, components]`.
    pub fn log_densities(&self, values: &[f32]) -> Vec<f64> {
        let count = self.components();
        let numbers = self.kind.numbers(self.width);
        let roots: Vec<DMatrix<f64>> = match self.kind {
            Covariance::Diagonal => Vec::new(),
            Covariance::Full => {
                let matrix = |root: &[f64]| DMatrix::from_row_slice(self.width, self.width, root);
                self.roots.chunks_exact(numbers).map(matrix).collect()
            }
        };
        let diagonal = match self.kind {
            Covariance::Diagonal => 1,
            Covariance::Full => self.width + 1,
        };
        // ln of the root's determinant, the normaliser and the share.
        let constants: Vec<f64> = (self.roots.chunks_exact(numbers).zip(&self.log_shares))
            .map(|(root, log_share)| {
                let determinant: f64 = root.iter().step_by(diagonal).map(|x| x.ln()).sum();
                determinant - 0.5 * self.width as f64 * std::f64::consts::TAU.ln() + log_share
            })
            .collect();
        let mut found = vec![0.0; values.len() / self.width * count];
        found.par_chunks_mut(ROWS * count).zip(values.par_chunks(ROWS * self.width)).for_each(|(to, part)| {
            for (component, constant) in constants.iter().enumerate() {
                let squares = match self.kind {
                    Covariance::Diagonal => self.scaled_squares(component, part),
                    Covariance::Full => self.rotated_squares(component, &roots[component], part),
                };
                for (to, square) in to[component..].iter_mut().step_by(count).zip(squares) {
                    *to = constant - 0.5 * square;
                }
            }
        });
        found
    }

    /// ln of the mixture's density of each sample.
    pub fn log_likelihoods(&self, values: &[f32]) -> Vec<f64> {
        let densities = self.log_densities(values);
        densities.par_chunks_exact(self.components()).map(|row| log_sum_exp(row.iter().copied())).collect()
    }

    fn mean(&self, component: usize) -> &[f64] {
        &self.means[component * self.width..(component + 1) * self.width]
    }

    fn scaled_squares(&self, component: usize, part: &[f32]) -> Vec<f64> {
        let root = &self.roots[component * self.width..(component + 1) * self.width];
        let of = |row: &[f32]| {
            let scaled = row.iter().zip(self.mean(component)).zip(root);
            scaled.map(|((&x, m), r)| (r * (f64::from(x) - m)).powi(2)).sum()
        };
        part.chunks_exact(self.width).map(of).collect()
    }

    fn rotated_squares(&self, component: usize, root: &DMatrix<f64>, part: &[f32]) -> Vec<f64> {
        let count = part.len() / self.width;
        let mut centred = DMatrix::zeros(self.width, count.max(NARROWEST));
        for (to, row) in centred.as_mut_slice().chunks_exact_mut(self.width).zip(part.chunks_exact(self.width)) {
            to.iter_mut().zip(row).zip(self.mean(component)).for_each(|((to, &x), m)| *to = f64::from(x) - m);
        }
        let mut product = DMatrix::zeros(self.width, centred.ncols());
        product.gemm(1.0, root, &centred, 0.0);
        product.column_iter().take(count).map(|column| column.iter().map(|x| x * x).sum()).collect()
    }
}
