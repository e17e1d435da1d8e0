//! The specification.

use std::ops::Range;

use rayon::prelude::*;

use crate::shape::{ShapeError, expect};

/// The product of two norms is taken as at least this, so that a zero vector has the cosine 0.
pub const COSINE_FLOOR: f64 = 1e-8;

/// The sum of squared differences of every row. Divide by the width for the mean.
///
/// # Shapes
/// `sample`, `reconstruction`: `[rows, width]`, row-major; `out`: `[rows]`.
///
/// # Errors
/// When the lengths do not agree.
///
/// ```
/// let mut out = [0.0];
/// oodlab_kernels::reconstruction::squared_errors(&[1.0, 2.0], &[0.0, 4.0], &mut out)?;
/// assert_eq!(out, [5.0]);
/// # Ok::<(), oodlab_kernels::shape::ShapeError>(())
/// ```
pub fn squared_errors(sample: &[f32], reconstruction: &[f32], out: &mut [f64]) -> Result<(), ShapeError> {
    const KERNEL: &str = "reconstruction::squared_errors";
    let width = if out.is_empty() { 0 } else { sample.len() / out.len() };
    expect(KERNEL, "sample", width * out.len(), sample.len())?;
    expect(KERNEL, "reconstruction", sample.len(), reconstruction.len())?;
    if width == 0 {
        out.fill(0.0);
        return Ok(());
    }
    let rows = sample.par_chunks(width).zip(reconstruction.par_chunks(width));
    out.par_iter_mut().zip(rows).with_min_len(32).for_each(|(out, (a, b))| {
        *out = squared_error(a, b);
    });
    Ok(())
}

/// The cosine between sample and reconstruction over every layer's span.
///
/// # Shapes
/// `sample`, `reconstruction`: `[rows, width]`, row-major; `layers`: spans within `0 .. width`; `out`: `[rows, layers]`.
///
/// # Errors
/// When the lengths do not agree, or a layer ends past the width.
pub fn layer_cosines(
    sample: &[f32],
    reconstruction: &[f32],
    width: usize,
    layers: &[Range<usize>],
    out: &mut [f64],
) -> Result<(), ShapeError> {
    each_layer("reconstruction::layer_cosines", sample, reconstruction, width, layers, out, cosine)
}

/// The sum of squared differences over every layer's span.
///
/// # Shapes
/// As [`layer_cosines`].
///
/// # Errors
/// As [`layer_cosines`].
pub fn layer_squared_errors(
    sample: &[f32],
    reconstruction: &[f32],
    width: usize,
    layers: &[Range<usize>],
    out: &mut [f64],
) -> Result<(), ShapeError> {
    each_layer("reconstruction::layer_squared_errors", sample, reconstruction, width, layers, out, squared_error)
}

/// `compare` of the two rows' spans, for every row and layer.
fn each_layer(
    kernel: &'static str,
    sample: &[f32],
    reconstruction: &[f32],
    width: usize,
    layers: &[Range<usize>],
    out: &mut [f64],
    compare: fn(&[f32], &[f32]) -> f64,
) -> Result<(), ShapeError> {
    let rows = sample.len().checked_div(width).unwrap_or(0);
    expect(kernel, "sample", rows * width, sample.len())?;
    expect(kernel, "reconstruction", sample.len(), reconstruction.len())?;
    expect(kernel, "out", rows * layers.len(), out.len())?;
    for layer in layers {
        let inside = layer.start.min(layer.end)..layer.end.min(width);
        expect(kernel, "a layer's span", inside.len(), layer.end.saturating_sub(layer.start))?;
    }
    if out.is_empty() {
        return Ok(());
    }
    let pairs = sample.par_chunks(width).zip(reconstruction.par_chunks(width));
    out.par_chunks_mut(layers.len()).zip(pairs).with_min_len(32).for_each(|(out, (a, b))| {
        for (out, layer) in out.iter_mut().zip(layers) {
            *out = compare(&a[layer.clone()], &b[layer.clone()]);
        }
    });
    Ok(())
}

fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let (mut dot, mut a2, mut b2) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        dot += a * b;
        a2 += a * a;
        b2 += b * b;
    }
    dot / (a2.sqrt() * b2.sqrt()).max(COSINE_FLOOR)
}
