//! Latents, and what the trainer makes of them.

use crate::{OutlierError, Outliers};

/// Latents of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// How many there are.
    pub count: usize,
    /// Channels, height and width of one.
    pub shape: [usize; 3],
    /// The values, `[count, channels, height, width]`, all finite.
    pub values: Vec<f32>,
    /// The class that each was made for.
    pub classes: Vec<u32>,
}

impl Latents {
    /// The published reduction (`outlier_generate.py`, `oal_trainer.py`): the mean over the channels, then over the height; one row of
    /// `width` values a latent.
    ///
    /// # Errors
    /// When the values are not `count` latents of that shape, or not finite.
    pub fn reduced(&self) -> Result<Outliers, OutlierError> {
        let [channels, height, width] = self.shape;
        crate::error::expect_length("latents", self.count * channels * height * width, self.values.len())?;
        let mut rows = Vec::with_capacity(self.count * width);
        for latent in self.values.chunks_exact((channels * height * width).max(1)) {
            for column in 0..width {
                // Every channel has as many rows, so the mean of the means is the mean of all.
                let sum: f64 = latent.iter().skip(column).step_by(width).map(|value| f64::from(*value)).sum();
                rows.push((sum / (channels * height) as f64) as f32);
            }
        }
        Outliers::new(width, rows, Some(self.classes.clone()))
    }
}
