//! The noise schedule: how much of the signal is left after each step.

use oodlab_kernels::forward_noise::Coefficients;
use serde::{Deserialize, Serialize};

use crate::DiffusionError;

/// What a [`Schedule`] is made of. The defaults are those of the paper and its program.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Number of steps T; steps are counted 0 .. T - 1. Default 100.
    pub steps: usize,
    /// First beta. Default 0.0015.
    pub beta_start: f64,
    /// Last beta. Default 0.0195.
    pub beta_end: f64,
}

impl Default for ScheduleConfig {
    fn default() -> ScheduleConfig {
        ScheduleConfig { steps: 100, beta_start: 0.0015, beta_end: 0.0195 }
    }
}

/// Betas linear in their square roots ("linear" in the latent-diffusion programs), and the running product alpha-bar of 1 - beta, in f64.
///
/// ```
/// let schedule = oodlab_diffusion::Schedule::published();
/// assert_eq!(schedule.steps(), 100);
/// assert!((schedule.alpha_bar()[3] - 0.9935).abs() < 5e-5); // the released code's step 3
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    betas: Vec<f64>,
    alpha_bar: Vec<f64>,
}

impl Schedule {
    /// The schedule of these settings.
    ///
    /// # Errors
    /// When there are fewer than 2 steps (or more than a million), or the betas are not in (0, 1) and rising.
    pub fn new(config: ScheduleConfig) -> Result<Schedule, DiffusionError> {
        let ScheduleConfig { steps, beta_start: start, beta_end: end } = config;
        if !(2..=1_000_000).contains(&steps)
            || [start, end].iter().any(|beta| !(*beta > 0.0 && *beta < 1.0))
            || start > end
        {
            return Err(DiffusionError::Schedule { steps, start, end });
        }
        Ok(Schedule::unchecked(config))
    }

    /// T = 100, beta from 0.0015 to 0.0195: the paper's and the released program's.
    #[must_use]
    pub fn published() -> Schedule {
        Schedule::unchecked(ScheduleConfig::default())
    }

    fn unchecked(config: ScheduleConfig) -> Schedule {
        let (first, last) = (config.beta_start.sqrt(), config.beta_end.sqrt());
        let gap = (last - first) / (config.steps - 1) as f64;
        // As torch.linspace computes it: from the nearer end.
        let root = |i: usize| {
            if 2 * i < config.steps { first + gap * i as f64 } else { last - gap * (config.steps - 1 - i) as f64 }
        };
        let betas: Vec<f64> = (0..config.steps).map(|i| root(i) * root(i)).collect();
        let mut product = 1.0;
        let alpha_bar = betas
            .iter()
            .map(|beta| {
                product *= 1.0 - beta;
                product
            })
            .collect();
        Schedule { config, betas, alpha_bar }
    }

    /// The settings that it was made of.
    #[must_use]
    pub fn config(&self) -> ScheduleConfig {
        self.config
    }

    /// Number of steps T.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.betas.len()
    }

    /// Variance added in each step; \[T\], in (0, 1), rising.
    #[must_use]
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// Share of the signal's variance that is left after each step; \[T\], in (0, 1), falling.
    #[must_use]
    pub fn alpha_bar(&self) -> &[f64] {
        &self.alpha_bar
    }

    /// The forward noise's coefficients at a step, narrowed once.
    ///
    /// # Errors
    /// When there is no such step.
    pub fn forward(&self, step: u32) -> Result<Coefficients, DiffusionError> {
        let level = usize::try_from(step).ok().and_then(|step| self.alpha_bar.get(step));
        let level = level.ok_or(DiffusionError::TimeStep { found: step, last: self.steps() - 1 })?;
        Ok(Coefficients { signal: level.sqrt() as f32, noise: (1.0 - level).sqrt() as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_settings_are_refused() {
        let good = ScheduleConfig::default();
        for bad in [
            ScheduleConfig { steps: 1, ..good },
            ScheduleConfig { steps: usize::MAX, ..good },
            ScheduleConfig { beta_start: 0.0, ..good },
            ScheduleConfig { beta_start: 0.02, ..good },
            ScheduleConfig { beta_end: 1.0, ..good },
            ScheduleConfig { beta_end: f64::NAN, ..good },
        ] {
            assert!(matches!(Schedule::new(bad), Err(DiffusionError::Schedule { .. })), "{bad:?}");
        }
        assert_eq!(Schedule::new(good).expect("the default is valid"), Schedule::published());
    }

    #[test]
    fn signal_and_noise_share_the_variance() {
        let schedule = Schedule::published();
        for step in 0..100 {
            let c = schedule.forward(step).expect("a step of the schedule");
            assert!((c.signal * c.signal + c.noise * c.noise - 1.0).abs() < 1e-6);
        }
        assert!(matches!(schedule.forward(100), Err(DiffusionError::TimeStep { found: 100, last: 99 })));
    }
}
