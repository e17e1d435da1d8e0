//! The directions in which training vectors hardly vary, around the point that the classifier maps to the same logit for every class:
//! what ViM and residual share.

use nalgebra::DMatrix;
use oodlab_features::{Features, Head};

use crate::DetectorError;
use crate::linear_algebra::{covariance, eigen, project};
use crate::rule::{Arrays, Sizes, refuse};

/// Dimensions of the principal space where nothing else is said: those of the ViM paper.
pub(crate) fn usual(width: usize) -> usize {
    match width {
        2048.. => 1000,
        768.. => 512,
        _ => width / 2,
    }
}

/// Origin and null space of training vectors.
pub(crate) fn fit(features: &Features, head: &Head, dim: Option<usize>) -> Result<Arrays, DetectorError> {
    let width = features.width();
    let dim = dim.unwrap_or_else(|| usual(width));
    if dim >= width {
        return Err(refuse("dim", dim, &format!("less than the width of the penultimate vector, {width}")));
    }
    // u = -pinv(W) b
    let weight = DMatrix::from_row_iterator(head.classes(), width, head.weight().iter().map(|&w| f64::from(w)));
    let bias = DMatrix::from_iterator(head.classes(), 1, head.bias().iter().map(|&b| f64::from(b)));
    let inverse = weight.pseudo_inverse(1e-12).map_err(|what| DetectorError::Config {
        place: "encoder.weights".into(),
        message: format!("the classifier has no pseudo-inverse: {what}"),
    })?;
    let origin: Vec<f64> = (-(inverse * bias)).iter().copied().collect();
    let (_, vectors) = eigen(covariance(features.values(), width, |_| &origin));
    let null = vectors[dim * width..].to_vec();
    Ok(Arrays::default().with_list("origin", origin).with("null space", &[width - dim, width], null))
}

/// Refuses stored arrays of other sizes.
pub(crate) fn check(arrays: &Arrays, sizes: &Sizes) -> Result<(), String> {
    let width = sizes.penultimate;
    let rows = arrays.shape("null space").first().copied().unwrap_or(0);
    if rows == 0 {
        return Err("no directions".to_owned());
    }
    arrays.expect("origin", &[width], true)?;
    arrays.expect("null space", &[rows, width], true)
}

/// The length of each vector's part in the null space.
pub(crate) fn lengths(arrays: &Arrays, features: &Features) -> Vec<f64> {
    let width = features.width();
    let outputs = arrays.f64("null space").len() / width.max(1);
    let projected = project(features.values(), width, arrays.f64("origin"), arrays.f64("null space"));
    projected.chunks_exact(outputs.max(1)).map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect()
}
