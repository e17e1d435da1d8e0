//! Reconstruction by DDIM, and what is measured on it.

use oodlab_base::golden::{Findings, GoldenFile};
use oodlab_base::{Cancel, Silent, Tolerance};
use oodlab_kernels::reconstruction;

use super::{layers, parameters};
use crate::{DiffusionError, LfdnEngine, Noise, SampleConfig, Sampler, Schedule, Variant};

const STATES: Tolerance = Tolerance::absolute("5e-5", 5e-5);
const SUMS: Tolerance = Tolerance::mixed("1e-5 relative + 1e-3", 1e-3, 1e-5);
const MEANS: Tolerance = Tolerance::mixed("1e-5 relative + 1e-5", 1e-5, 1e-5);

/// The file's noise, one `[rows, dim]` buffer a step.
struct Given<'a>(&'a [Vec<f32>]);

impl Noise for Given<'_> {
    fn fill(&self, _draw: usize, k: usize, first: usize, dim: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.0[k][first * dim..first * dim + out.len()]);
    }

    fn below(&self, _draw: usize, _row: usize, _bound: u64) -> u64 {
        0
    }
}

pub(super) fn check(file: &GoldenFile, engine: &mut dyn LfdnEngine) -> Result<Findings, DiffusionError> {
    let start: usize = file.setting("K")?;
    let variant: Variant = file.setting("mode")?;
    let settings = SampleConfig { start, eta: file.setting("eta")?, variant, ..SampleConfig::default() };
    let sampler = Sampler::new(&settings, &Schedule::published())?;
    let model = parameters(file, "param.")?;
    let dim = model.config().dim;
    let z = file.tensor("z")?.f32();
    let rows = z.len() / dim;
    let mut noises = Vec::new();
    for k in 0..=start {
        let noise = file.tensor(&format!("noise{k}"))?.f32();
        if noise.len() != z.len() {
            return Err(DiffusionError::Length { what: "golden noise", expected: z.len(), found: noise.len() });
        }
        noises.push(noise);
    }
    if rows * dim != z.len() {
        return Err(DiffusionError::Length { what: "golden samples", expected: rows * dim, found: z.len() });
    }

    let mut findings = Findings::new();
    let mut states = Vec::new();
    let noise = Given(&noises);
    states.push(sampler.noised(start, &z, &noises[0], dim)?);
    sampler.run(engine, &[&model], &z, rows, &noise, &Cancel::new(), &Silent, &mut |seen| {
        states.push(seen.state.to_vec());
        Ok(())
    })?;
    let found = states.last().cloned().unwrap_or_default();
    for (k, state) in states.iter().enumerate() {
        let name = if k == 0 { "x_start".to_owned() } else { format!("x_after{}", k - 1) };
        findings.add(&name, STATES.compare_f32(state, &file.tensor(&name)?.f32()));
    }
    findings.add("recon", STATES.compare_f32(&found, &file.tensor("recon")?.f32()));

    let values = |name: &str| file.tensor(name).map(|tensor| tensor.values.clone());
    let mut sums = vec![0.0; rows];
    reconstruction::squared_errors(&z, &found, &mut sums)?;
    let means: Vec<f64> = sums.iter().map(|sum| sum / dim as f64).collect();
    findings.add("mse_sum", SUMS.compare(sums, values("mse_sum")?));
    findings.add("mse_mean", MEANS.compare(means, values("mse_mean")?));

    let layers = layers(file)?;
    let mut cosines = vec![0.0; rows * layers.len()];
    reconstruction::layer_cosines(&z, &found, dim, &layers, &mut cosines)?;
    let similarity = |skip: usize| -> Vec<f64> {
        let mean = |row: &[f64]| -row.iter().skip(skip).sum::<f64>() / row.len().saturating_sub(skip).max(1) as f64;
        cosines.chunks(layers.len().max(1)).map(mean).collect()
    };
    findings.add("mfsim_paper", Tolerance::SINGLE.compare(similarity(0), values("mfsim_paper")?));
    findings.add("mfsim_released", Tolerance::SINGLE.compare(similarity(1), values("mfsim_released")?));
    findings.add("cosine_per_layer", Tolerance::SINGLE.compare(cosines, values("cosine_per_layer")?));
    Ok(findings)
}
