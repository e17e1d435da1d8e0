//! The specification.

use rayon::prelude::*;

use crate::shape::{ShapeError, expect};

const TASK: usize = 16_384;

/// A DDIM step as a linear combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// Multiplies the state x.
    pub state: f32,
    /// Multiplies the prediction x0.
    pub prediction: f32,
    /// Multiplies the fresh noise.
    pub noise: f32,
}

impl Coefficients {
    /// The three numbers of a step from the noise levels in f64, each in (0, 1]; `recovery` and `from` below 1. `eta` is in [0, 1].
    ///
    /// A step to the level 1 with `recovery == from` gives the prediction itself.
    #[must_use]
    pub fn new(recovery: f64, from: f64, to: f64, eta: f64) -> Coefficients {
        let sigma = eta * ((1.0 - to) / (1.0 - from) * (1.0 - from / to)).max(0.0).sqrt();
        let direction = (1.0 - to - sigma * sigma).max(0.0).sqrt();
        // x' = clean x + (direction - clean sqrt(1 - from)) e + sigma n, and e = (x / sqrt(recovery) - x0) / scale.
        let clean = to.sqrt() / from.sqrt();
        let of_noise = direction - clean * (1.0 - from).sqrt();
        let scale = (1.0 / recovery - 1.0).sqrt();
        Coefficients {
            state: (clean + of_noise / (recovery.sqrt() * scale)) as f32,
            prediction: (-of_noise / scale) as f32,
            noise: sigma as f32,
        }
    }
}

/// Replaces `x` by the state after the step.
///
/// # Shapes
/// `x`, `x0`, `noise`: of one length.
///
/// # Errors
/// When the lengths differ.
pub fn run(coefficients: Coefficients, x: &mut [f32], x0: &[f32], noise: &[f32]) -> Result<(), ShapeError> {
    expect("ddim_step", "x0", x.len(), x0.len())?;
    expect("ddim_step", "noise", x.len(), noise.len())?;
    let c = coefficients;
    x.par_chunks_mut(TASK).zip(x0.par_chunks(TASK)).zip(noise.par_chunks(TASK)).for_each(|((x, x0), noise)| {
        for ((x, &x0), &noise) in x.iter_mut().zip(x0).zip(noise) {
            *x = c.state * *x + c.prediction * x0 + c.noise * noise;
        }
    });
    Ok(())
}
