//! Golden numbers of the schedule, the network, its training and its sampling: written by an independent PyTorch program in f64 from the
//! stored f32 inputs. Tolerances are those stated with the files.

mod ddim;
mod network;

use oodlab_base::Tolerance;
use oodlab_base::golden::{Findings, GoldenError, GoldenFile, Outcome};

use crate::{DiffusionError, Fused, LfdnConfig, LfdnEngine, Parameters, Plain, Precision, Schedule, ScheduleConfig};

/// The golden files that this build carries: stem and bytes.
#[must_use]
pub fn embedded() -> Vec<(&'static str, &'static [u8])> {
    macro_rules! files {
        ($($stem:literal),* $(,)?) => {
            vec![$(($stem, include_bytes!(concat!("../../golden/", $stem, ".safetensors")) as &[u8])),*]
        };
    }
    files![
        "ddim_paper_k10_eta1",
        "ddim_paper_k3_eta0",
        "ddim_paper_k3_eta1",
        "ddim_released_k10_eta1",
        "ddim_released_k3_eta0",
        "ddim_released_k3_eta1",
        "lfdn_forward",
        "lfdn_train",
        "schedule",
    ]
}

/// [`check_with`] the plain engine, then the processor's fast one: the first failure, or what the fast one found.
#[must_use]
pub fn check(file: &GoldenFile) -> Option<Result<Outcome, DiffusionError>> {
    match check_with(file, &mut Plain::new())? {
        Ok(Outcome::Pass(_)) => match Fused::new(Precision::F32) {
            Ok(mut fused) => check_with(file, &mut fused),
            Err(error) => Some(Err(error)),
        },
        other => Some(other),
    }
}

/// Checks one golden file with an engine; `None` for kinds that are not this crate's. What a stem begins with is its
/// kind; sizes are taken from the file's tensors.
#[must_use]
pub fn check_with(file: &GoldenFile, engine: &mut dyn LfdnEngine) -> Option<Result<Outcome, DiffusionError>> {
    let findings = match file.stem.as_str() {
        stem if stem.starts_with("schedule") => schedule(file),
        stem if stem.starts_with("lfdn_forward") => network::forward(file, engine),
        stem if stem.starts_with("lfdn_train") => network::training(file, engine),
        stem if stem.starts_with("ddim_") => ddim::check(file, engine),
        _ => return None,
    };
    Some(findings.map(Findings::outcome))
}

fn schedule(file: &GoldenFile) -> Result<Findings, DiffusionError> {
    let (betas, alpha_bar) = (file.tensor("betas")?, file.tensor("alpha_bar")?);
    let published = ScheduleConfig::default();
    // The published ends when the file means them, so that the constants themselves are checked too.
    let end = |found: Option<&f64>, published: f64| match found {
        Some(&found) if (found - published).abs() > 1e-9 => found,
        _ => published,
    };
    let schedule = Schedule::new(ScheduleConfig {
        steps: betas.values.len(),
        beta_start: end(betas.values.first(), published.beta_start),
        beta_end: end(betas.values.last(), published.beta_end),
    })?;
    let mut findings = Findings::new();
    let got = |values: &[f64]| values.to_vec();
    findings.add("betas", Tolerance::DOUBLE.compare(got(schedule.betas()), got(&betas.values)));
    findings.add("alpha_bar", Tolerance::DOUBLE.compare(got(schedule.alpha_bar()), got(&alpha_bar.values)));
    Ok(findings)
}

/// The network whose parameters stand under a prefix, its sizes taken from their shapes.
fn parameters(file: &GoldenFile, prefix: &str) -> Result<Parameters, DiffusionError> {
    let first = file.tensor(&format!("{prefix}input_proj.1.weight"))?;
    let &[width, dim] = first.shape.as_slice() else {
        let name = format!("{prefix}input_proj.1.weight");
        return Err(DiffusionError::ParameterShape { name, expected: vec![0, 0], found: first.shape.clone() });
    };
    let numbers = file
        .with_prefix(prefix)
        .filter_map(|(name, _)| name.strip_prefix("res_blocks.")?.split('.').next()?.parse().ok());
    let blocks = numbers.max().map_or(0, |last: usize| last.saturating_add(1));
    flat(file, prefix, Parameters::zeros(LfdnConfig::new(dim, width, blocks))?)
}

/// The tensors under a prefix, in the layout of `into`.
fn flat(file: &GoldenFile, prefix: &str, mut into: Parameters) -> Result<Parameters, DiffusionError> {
    let entries = into.entries().to_vec();
    let values = into.values_mut();
    for entry in entries {
        let name = format!("{prefix}{}", entry.name);
        let tensor = file.tensor(&name)?;
        if tensor.shape != entry.shape {
            return Err(DiffusionError::ParameterShape { name, expected: entry.shape, found: tensor.shape.clone() });
        }
        values[entry.span].copy_from_slice(&tensor.f32());
    }
    Ok(into)
}

/// The spans of layers of the widths that the file's metadata lists.
fn layers(file: &GoldenFile) -> Result<Vec<std::ops::Range<usize>>, GoldenError> {
    let mut start = 0usize;
    let widths: Vec<usize> = file.setting("layers")?;
    Ok(widths
        .into_iter()
        .map(|width| {
            let span = start..start.saturating_add(width);
            start = span.end;
            span
        })
        .collect())
}

/// Steps as stored: non-negative whole numbers.
fn steps(file: &GoldenFile, name: &str) -> Result<Vec<u32>, GoldenError> {
    Ok(file.tensor(name)?.values.iter().map(|&t| t as u32).collect())
}

#[cfg(test)]
mod tests;
