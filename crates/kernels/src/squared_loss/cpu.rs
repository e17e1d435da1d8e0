//! The specification.

use crate::shape::{ShapeError, expect};

/// Replaces the prediction by its gradient; returns the part of the loss that these rows make.
///
/// # Shapes
/// `prediction`, `target`: `[rows, bias.len()]`; `count`: elements of the whole step.
///
/// # Errors
/// When the lengths do not agree.
///
/// ```
/// let mut prediction = [1.0, 4.0];
/// let loss = oodlab_kernels::squared_loss::run(&mut prediction, &[0.0, -1.0], &[2.0, 1.0], 2)?;
/// assert_eq!((loss, prediction), (2.5, [-1.0, 2.0]));
/// # Ok::<(), oodlab_kernels::shape::ShapeError>(())
/// ```
pub fn run(prediction: &mut [f32], bias: &[f32], target: &[f32], count: usize) -> Result<f64, ShapeError> {
    const KERNEL: &str = "squared_loss";
    let columns = bias.len().max(1);
    expect(KERNEL, "prediction", prediction.len() / columns * bias.len(), prediction.len())?;
    expect(KERNEL, "target", prediction.len(), target.len())?;
    let factor = (2.0 / count as f64) as f32;
    let mut sum = 0.0;
    for (row, target) in prediction.chunks_exact_mut(columns).zip(target.chunks_exact(columns)) {
        let mut of_row = 0.0;
        for ((value, bias), target) in row.iter_mut().zip(bias).zip(target) {
            let difference = *value + bias - target;
            of_row += f64::from(difference) * f64::from(difference);
            *value = factor * difference;
        }
        sum += of_row;
    }
    Ok(sum / count as f64)
}
