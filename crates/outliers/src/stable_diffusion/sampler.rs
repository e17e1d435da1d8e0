//! The two samplers of CompVis' Stable Diffusion, both without fresh noise (eta 0): DDIM and PLMS.

use crate::OutlierError;

/// Steps of the training schedule.
const TRAINING_STEPS: usize = 1000;

/// How latents are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Pseudo linear multistep of fourth order (Liu et al. 2022; `ldm/models/diffusion/plms.py`): the published way.
    #[default]
    Plms,
    /// DDIM (Song et al. 2021; `ldm/models/diffusion/ddim.py`).
    Ddim,
}

/// One step: its time, and the cumulative products of alpha at that time and at the one it goes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub time: usize,
    pub alpha: f64,
    pub next_alpha: f64,
}

/// The steps from noise to image: times `1 + k * (1000 / steps)`, falling, of the scaled-linear schedule from 0.00085 to 0.012.
pub(super) fn schedule(steps: usize) -> Result<Vec<Step>, OutlierError> {
    // With 1000 steps the first time would be 1000, one past the last that there is.
    if steps == 0 || steps > TRAINING_STEPS / 2 || !TRAINING_STEPS.is_multiple_of(steps) {
        return Err(OutlierError::setting("stable_diffusion.steps", steps, "a divisor of 1000, 1 to 500"));
    }
    let (first, last) = (f64::sqrt(0.00085), f64::sqrt(0.012));
    let mut product = 1.0;
    let alphas: Vec<f64> = (0..TRAINING_STEPS)
        .map(|time| {
            let root = first + (last - first) * time as f64 / (TRAINING_STEPS - 1) as f64;
            product *= 1.0 - root * root;
            product
        })
        .collect();
    let stride = TRAINING_STEPS / steps;
    let times = (0..steps).rev().map(|step| step * stride + 1);
    let next = |time: usize| if time == 1 { 0 } else { time - stride };
    Ok(times.map(|time| Step { time, alpha: alphas[time], next_alpha: alphas[next(time)] }).collect())
}

/// Number of times that [`sample`] calls the model: PLMS looks ahead once.
pub(super) fn calls(sampler: Sampler, steps: usize) -> usize {
    steps + usize::from(sampler == Sampler::Plms)
}

/// Goes through the steps, from `start`; `model` tells the noise in values at a time.
pub(super) fn sample<Model>(
    sampler: Sampler,
    steps: &[Step],
    start: Vec<f32>,
    mut model: Model,
) -> Result<Vec<f32>, OutlierError>
where
    Model: FnMut(&[f32], usize) -> Result<Vec<f32>, OutlierError>,
{
    let mut now = start;
    // Newest first, at most three.
    let mut before: Vec<Vec<f32>> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let noise = model(&now, step.time)?;
        let used = match (sampler, before.as_slice()) {
            (Sampler::Ddim, _) => noise.clone(),
            (Sampler::Plms, []) => {
                let ahead = steps.get(number + 1).unwrap_or(step).time;
                let next = model(&moved(&now, &noise, step), ahead)?;
                combined(&[(1.0, &noise), (1.0, &next)], 2.0)
            }
            (Sampler::Plms, [one]) => combined(&[(3.0, &noise), (-1.0, one)], 2.0),
            (Sampler::Plms, [one, two]) => combined(&[(23.0, &noise), (-16.0, one), (5.0, two)], 12.0),
            (Sampler::Plms, [one, two, three, ..]) => {
                combined(&[(55.0, &noise), (-59.0, one), (37.0, two), (-9.0, three)], 24.0)
            }
        };
        now = moved(&now, &used, step);
        if sampler == Sampler::Plms {
            before.insert(0, noise);
            before.truncate(3);
        }
    }
    Ok(now)
}

/// The deterministic step of DDIM (eq. 12 with sigma 0), in f64 per value.
fn moved(now: &[f32], noise: &[f32], step: &Step) -> Vec<f32> {
    let (root, noise_root) = (step.alpha.sqrt(), (1.0 - step.alpha).sqrt());
    let (next_root, next_noise_root) = (step.next_alpha.sqrt(), (1.0 - step.next_alpha).sqrt());
    let value = |(&value, &noise): (&f32, &f32)| {
        let (value, noise) = (f64::from(value), f64::from(noise));
        (next_root * (value - noise_root * noise) / root + next_noise_root * noise) as f32
    };
    now.iter().zip(noise).map(value).collect()
}

/// The weighted sum of predictions, divided.
fn combined(terms: &[(f64, &Vec<f32>)], divisor: f64) -> Vec<f32> {
    let length = terms.first().map_or(0, |(_, values)| values.len());
    let sum = |at: usize| terms.iter().map(|(weight, values)| weight * f64::from(values[at])).sum::<f64>();
    (0..length).map(|at| (sum(at) / divisor) as f32).collect()
}
