//! The specification.

use rayon::prelude::*;

use crate::shape::{ShapeError, expect};

/// What a row's signal and noise are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// sqrt(alpha_bar\[t\]), in [0, 1].
    pub signal: f32,
    /// sqrt(1 - alpha_bar\[t\]), in [0, 1].
    pub noise: f32,
}

/// Writes `signal z + noise_coefficient noise` for every row.
///
/// # Shapes
/// `z`, `noise`, `out`: `[rows, width]`, row-major; `coefficients`: `[rows]`.
///
/// # Errors
/// When the lengths do not agree, or are no multiple of the number of rows.
///
/// ```
/// use oodlab_kernels::forward_noise::{Coefficients, run};
/// let mut out = [0.0; 2];
/// run(&[2.0, 4.0], &[1.0, -1.0], &[Coefficients { signal: 0.5, noise: 0.25 }], &mut out)?;
/// assert_eq!(out, [1.25, 1.75]);
/// # Ok::<(), oodlab_kernels::shape::ShapeError>(())
/// ```
pub fn run(z: &[f32], noise: &[f32], coefficients: &[Coefficients], out: &mut [f32]) -> Result<(), ShapeError> {
    const KERNEL: &str = "forward_noise";
    let width = if coefficients.is_empty() { 0 } else { z.len() / coefficients.len() };
    expect(KERNEL, "z", width * coefficients.len(), z.len())?;
    expect(KERNEL, "noise", z.len(), noise.len())?;
    expect(KERNEL, "out", z.len(), out.len())?;
    if width == 0 {
        return Ok(());
    }
    out.par_chunks_mut(width)
        .zip(z.par_chunks(width))
        .zip(noise.par_chunks(width))
        .zip(coefficients.par_iter())
        .with_min_len(32)
        .for_each(|(((out, z), noise), c)| {
            for ((out, &z), &noise) in out.iter_mut().zip(z).zip(noise) {
                *out = c.signal * z + c.noise * noise;
            }
        });
    Ok(())
}
