//! Expectation maximisation, as scikit-learn's `GaussianMixture`: the same steps in the same order, the same end.

use nalgebra::DMatrix;
use oodlab_base::Cancel;
use rayon::prelude::*;

use super::model::{Covariance, Model, ROWS, root};
use crate::DetectorError;
use crate::softmax::log_sum_exp;

/// Parts of the samples that are summed apart, then in order: sums do not depend on the number of threads.
const PARTS: usize = 64;

/// When it ends, and what is added to each variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub kind: Covariance,
    pub regularisation: f64,
    pub tolerance: f64,
    pub iterations: usize,
}

/// A component that has no covariance.
fn singular() -> DetectorError {
    DetectorError::Config {
        place: "detector.regularisation".into(),
        message: "a component's covariance is singular; raise it, or lower `components`".into(),
    }
}

/// Fits a mixture, beginning with the parameters of these `shares` of components in samples, `[rows, components]`.
pub(super) fn fit(
    values: &[f32],
    width: usize,
    mut shares: Vec<f64>,
    settings: Settings,
    cancel: &Cancel,
) -> Result<Model, DetectorError> {
    let rows = values.len() / width;
    let count = shares.len() / rows;
    let mut model = maximised(values, width, &shares, settings)?;
    let mut before = f64::NEG_INFINITY;
    for _ in 0..settings.iterations {
        cancel.check()?;
        shares = model.log_densities(values);
        let likelihoods: Vec<f64> = shares
            .par_chunks_exact_mut(count)
            .map(|row| {
                let total = log_sum_exp(row.iter().copied());
                row.iter_mut().for_each(|share| *share = (*share - total).exp());
                total
            })
            .collect();
        model = maximised(values, width, &shares, settings)?;
        let mean = likelihoods.iter().sum::<f64>() / rows as f64;
        if (mean - before).abs() < settings.tolerance {
            break;
        }
        before = mean;
    }
    Ok(model)
}

/// Sums `[numbers]` over all samples: `add` is given a sample and its shares.
fn summed(
    values: &[f32],
    width: usize,
    shares: &[f64],
    numbers: usize,
    add: impl Fn(&mut [f64], &[f32], &[f64]) + Sync,
) -> Vec<f64> {
    let rows = values.len() / width;
    let count = shares.len() / rows;
    let rows_of_part = rows.div_ceil(PARTS);
    let parts: Vec<Vec<f64>> = values
        .par_chunks(rows_of_part * width)
        .zip(shares.par_chunks(rows_of_part * count))
        .map(|(values, shares)| {
            let mut sums = vec![0.0; numbers];
            for (row, shares) in values.chunks_exact(width).zip(shares.chunks_exact(count)) {
                add(&mut sums, row, shares);
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; numbers];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
    }
    total
}

/// The likeliest parameters, given the shares of components in samples.
fn maximised(values: &[f32], width: usize, shares: &[f64], settings: Settings) -> Result<Model, DetectorError> {
    let rows = values.len() / width;
    let count = shares.len() / rows;
    let mut weights = summed(values, width, shares, count, |sums, _, shares| {
        sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
    });
    // scikit-learn's way to divide by no zero.
    weights.iter_mut().for_each(|weight| *weight += 10.0 * f64::EPSILON);
    let mut means = summed(values, width, shares, count * width, |sums, row, shares| {
        for (sums, share) in sums.chunks_exact_mut(width).zip(shares) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += share * f64::from(x));
        }
    });
    for (mean, weight) in means.chunks_exact_mut(width).zip(&weights) {
        mean.iter_mut().for_each(|x| *x /= weight);
    }
    let mut covariances = match settings.kind {
        Covariance::Diagonal => summed(values, width, shares, count * width, |sums, row, shares| {
            let components = sums.chunks_exact_mut(width).zip(means.chunks_exact(width));
            for ((sums, mean), share) in components.zip(shares) {
                let terms = row.iter().zip(mean).map(|(&x, m)| share * (f64::from(x) - m).powi(2));
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
        }),
        Covariance::Full => (means.par_chunks_exact(width).enumerate())
            .flat_map_iter(|(component, mean)| spread(values, mean, shares, component, count))
            .collect(),
    };
    let diagonal = match settings.kind {
        Covariance::Diagonal => 1,
        Covariance::Full => width + 1,
    };
    for (covariance, weight) in covariances.chunks_exact_mut(settings.kind.numbers(width)).zip(&weights) {
        covariance.iter_mut().for_each(|x| *x /= weight);
        covariance.iter_mut().step_by(diagonal).for_each(|x| *x += settings.regularisation);
    }
    let roots: Vec<Vec<f64>> = covariances
        .par_chunks_exact(settings.kind.numbers(width))
        .map(|covariance| root(settings.kind, width, covariance).ok_or_else(singular))
        .collect::<Result<_, _>>()?;
    let total: f64 = weights.iter().sum();
    Ok(Model {
        kind: settings.kind,
        width,
        log_shares: weights.iter().map(|weight| (weight / total).ln()).collect(),
        means,
        roots: roots.concat(),
    })
}

/// Σ share (x - mean)(x - mean)ᵀ of a component.
fn spread(values: &[f32], mean: &[f64], shares: &[f64], component: usize, count: usize) -> Vec<f64> {
    let width = mean.len();
    let mut sums = DMatrix::zeros(width, width);
    for (part, shares) in values.chunks(ROWS * width).zip(shares.chunks(ROWS * count)) {
        let mut centred = DMatrix::zeros(width, part.len() / width);
        let columns = centred.as_mut_slice().chunks_exact_mut(width).zip(part.chunks_exact(width));
        for ((to, row), shares) in columns.zip(shares.chunks_exact(count)) {
            let factor = shares[component].sqrt();
            to.iter_mut().zip(row).zip(mean).for_each(|((to, &x), m)| *to = factor * (f64::from(x) - m));
        }
        let across = centred.transpose();
        sums.gemm(1.0, &centred, &across, 1.0);
    }
    sums.as_slice().to_vec()
}
