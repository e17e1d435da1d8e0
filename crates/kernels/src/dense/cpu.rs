//! The specification.

use super::ROWS_PER_PART;
use crate::shape::{ShapeError, expect};

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// SiLU of every value.
///
/// # Errors
/// When the lengths differ.
///
/// ```
/// let mut out = [0.0; 2];
/// oodlab_kernels::dense::silu(&[0.0, 1.0], &mut out)?;
/// assert!((out[1] - 0.731_058_6).abs() < 1e-6);
/// # Ok::<(), oodlab_kernels::shape::ShapeError>(())
/// ```
pub fn silu(input: &[f32], out: &mut [f32]) -> Result<(), ShapeError> {
    expect("dense::silu", "out", input.len(), out.len())?;
    for (out, &x) in out.iter_mut().zip(input) {
        *out = x / (1.0 + (-x).exp());
    }
    Ok(())
}

/// Replaces the gradient of SiLU's output by that of its input.
///
/// # Errors
/// When the lengths differ.
pub fn silu_gradient(input: &[f32], gradient: &mut [f32]) -> Result<(), ShapeError> {
    expect("dense::silu_gradient", "gradient", input.len(), gradient.len())?;
    for (gradient, &x) in gradient.iter_mut().zip(input) {
        let s = sigmoid(x);
        *gradient *= s * (1.0 + x * (1.0 - s));
    }
    Ok(())
}

/// Adds a bias, and a residual if there is one, to a product in place.
///
/// # Shapes
/// `product`, `residual`: `[rows, bias.len()]`.
///
/// # Errors
/// When the lengths do not agree.
pub fn add_bias(product: &mut [f32], bias: &[f32], residual: Option<&[f32]>) -> Result<(), ShapeError> {
    const KERNEL: &str = "dense::add_bias";
    let columns = bias.len().max(1);
    expect(KERNEL, "product", product.len() / columns * bias.len(), product.len())?;
    if let Some(residual) = residual {
        expect(KERNEL, "residual", product.len(), residual.len())?;
        product.iter_mut().zip(residual).for_each(|(x, residual)| *x += residual);
    }
    product.chunks_exact_mut(columns).for_each(|row| row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias));
    Ok(())
}

/// The sum of every column of `[rows, out.len()]`.
///
/// # Errors
/// When `values` is not a whole number of rows.
pub fn column_sums(values: &[f32], out: &mut [f32]) -> Result<(), ShapeError> {
    let columns = out.len().max(1);
    expect("dense::column_sums", "values", values.len() / columns * out.len(), values.len())?;
    out.fill(0.0);
    for part in values.chunks(columns * ROWS_PER_PART) {
        let mut sums = vec![0.0; columns];
        for row in part.chunks_exact(columns) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
    }
    Ok(())
}
