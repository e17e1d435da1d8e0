//! One step down the noise levels.

use oodlab_kernels::ddim_step::Coefficients;

use super::{Method, Sampler, Variant};

/// One evaluation of the network and the step that follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What the network is told.
    pub t: u32,
    /// The step that follows.
    pub coefficients: Coefficients,
}

/// The visited steps.
pub(super) fn path(start: usize, stride: usize) -> impl Iterator<Item = usize> {
    (1..=start).rev().step_by(stride)
}

impl Sampler {
    /// The evaluation at `t`, and the step down by `stride` or to the end.
    pub(super) fn step(&self, t: usize, stride: usize) -> Step {
        let level = self.schedule.alpha_bar();
        let next = t.saturating_sub(stride);
        let (from, to) = match self.config.variant {
            Variant::Paper => (level[t], if next == 0 { 1.0 } else { level[next] }),
            Variant::Released => (level[t - 1], level[next.saturating_sub(1)]),
        };
        let coefficients = match self.config.method {
            Method::Ddim => Coefficients::new(level[t], from, to, self.config.eta),
            Method::Ddpm => posterior(from, to),
        };
        Step { t: t as u32, coefficients }
    }
}

/// Mean and deviation of q(z_to | z_from, z_0), Ho et al. 2020, equations 6 and 7, with the levels of any two steps:
/// alpha = from / to, mean = sqrt(to) (1 - alpha) / (1 - from) z_0 + sqrt(alpha) (1 - to) / (1 - from) z_from,
/// variance = (1 - to) / (1 - from) (1 - alpha).
fn posterior(from: f64, to: f64) -> Coefficients {
    let alpha = from / to;
    let left = (1.0 - to) / (1.0 - from);
    Coefficients {
        state: (alpha.sqrt() * left) as f32,
        prediction: (to.sqrt() * (1.0 - alpha) / (1.0 - from)) as f32,
        noise: (left * (1.0 - alpha)).max(0.0).sqrt() as f32,
    }
}
