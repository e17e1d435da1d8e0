//! `oodlab verify`: this build against golden numbers from independent programs, and a GPU against the processor.

use std::cell::RefCell;
use std::path::Path;

use anyhow::{Context, Result};
use oodlab_base::golden::{GoldenFile, Outcome};
use oodlab_diffusion::golden::check_with;
use oodlab_diffusion::{Cuda, Precision};
use oodlab_encoders::weights::{WeightError, Weights};
use oodlab_kernels::cuda::{self, Gpu};
use serde::Serialize;

use super::{print, print_json};
use crate::failure::{self, settings};
use crate::lab::Lab;

#[derive(Serialize)]
struct Line {
    file: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Runs every golden file of the folder (or those built in), one line each; with a GPU also its kernels against the
/// processor's, and the diffusion network's and the encoders' files on it.
pub fn run(lab: &Lab, folder: Option<&Path>, gpu: Option<&Gpu>, strict: bool, json: bool) -> Result<()> {
    let weights = lab.weights()?;
    // Weights that are not at hand skip a file; damaged ones fail it.
    let damaged: RefCell<Option<WeightError>> = RefCell::new(None);
    let find = |name: &str| match weights.find(name) {
        Ok(found) => Some(found),
        Err(WeightError::NotAtHand { .. } | WeightError::Unknown { .. }) => None,
        Err(error) => {
            damaged.replace(Some(error));
            None
        }
    };
    let mut lines = Vec::new();
    if let Some(gpu) = gpu {
        let checked = cuda::checks::run(gpu).into_iter();
        lines.extend(checked.map(|(name, outcome)| line(name, outcome.map_err(anyhow::Error::from))));
    }
    for (name, bytes) in files(folder)? {
        lab.cancel.check()?;
        if let (Some(gpu), Ok(bytes)) = (gpu, &bytes)
            && let Some(outcome) = check_on_gpu(gpu, &name, bytes, &find)
        {
            let outcome = damaged.take().map_or(outcome, |error| Err(error.into()));
            lines.push(line(format!("{name}.safetensors on the GPU"), outcome));
        }
        let outcome = bytes.and_then(|bytes| check(&name, &bytes, &find));
        let outcome = damaged.take().map_or(outcome, |error| Err(error.into()));
        lines.push(line(format!("{name}.safetensors"), outcome));
    }
    if folder.is_none() {
        lines.extend(oodlab_evaluation::self_check().into_iter().map(|(name, outcome)| line(name, Ok(outcome))));
    }
    if json {
        print_json(&lines)?;
    } else {
        print(&describe(&lines))?;
    }
    let count = |status: &str| lines.iter().filter(|line| line.status == status).count();
    let (failed, skipped) = (count("fail"), count("skipped"));
    anyhow::ensure!(failed == 0, "{failed} of {} golden files failed", lines.len());
    anyhow::ensure!(
        !strict || skipped == 0,
        "{skipped} of {} golden files were skipped, and --strict was given",
        lines.len()
    );
    Ok(())
}

/// Asks each crate in turn whether it knows this kind of file.
fn check(name: &str, bytes: &[u8], find: &dyn Fn(&str) -> Option<Weights>) -> Result<Outcome> {
    let file = GoldenFile::parse(name, bytes)?;
    if let Some(outcome) = oodlab_datasets::golden::check(&file) {
        return Ok(outcome?);
    }
    if let Some(outcome) = oodlab_diffusion::golden::check(&file) {
        return Ok(outcome?);
    }
    if let Some(outcome) = oodlab_outliers::golden::check(&file) {
        return Ok(outcome?);
    }
    if let Some(outcome) = oodlab_encoders::golden::check(&file, find) {
        return Ok(outcome?);
    }
    Ok(Outcome::Skipped { needs: "a build that knows this kind of file".into() })
}

/// The network's and the encoders' files on a GPU; none for other kinds, and for files that cannot be read, which fail without a GPU too.
fn check_on_gpu(
    gpu: &Gpu,
    name: &str,
    bytes: &[u8],
    find: &dyn Fn(&str) -> Option<Weights>,
) -> Option<Result<Outcome>> {
    let file = GoldenFile::parse(name, bytes).ok()?;
    // The schedule is computed on the processor, whatever the engine.
    if file.stem != "schedule" {
        let checked = Cuda::new(gpu, Precision::F32).map(|mut cuda| check_with(&file, &mut cuda));
        match checked {
            Ok(Some(outcome)) => return Some(outcome.map_err(anyhow::Error::from)),
            Ok(None) => {}
            Err(error) => return Some(Err(error.into())),
        }
    }
    Some(oodlab_encoders::cuda::golden::check(gpu, &file, find)?.map_err(anyhow::Error::from))
}

/// File stem and bytes, or why they cannot be read: one unreadable file does not hide the others.
type Read = (String, Result<Vec<u8>>);

fn files(folder: Option<&Path>) -> Result<Vec<Read>> {
    let Some(folder) = folder else {
        let built_in = [
            oodlab_datasets::golden::embedded(),
            oodlab_diffusion::golden::embedded(),
            oodlab_outliers::golden::embedded(),
            oodlab_encoders::golden::embedded(),
        ];
        return Ok(built_in.into_iter().flatten().map(|(name, bytes)| (name.to_owned(), Ok(bytes.to_vec()))).collect());
    };
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(|error| settings(format!("--golden: {error}")))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") && !path.is_dir() {
            let name =
                path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).context("a file without a name")?;
            found.push((name, fs_err::read(&path).map_err(anyhow::Error::from)));
        }
    }
    if found.is_empty() {
        return Err(settings(format!("--golden {}: no .safetensors file in it", folder.display())));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn line(file: String, outcome: Result<Outcome>) -> Line {
    let compared = |status, c: oodlab_base::tolerance::Comparison, detail| {
        let (worst_error, tolerance) = (Some(c.worst), Some(c.tolerance.name.to_owned()));
        (status, worst_error, tolerance, detail)
    };
    let (status, worst_error, tolerance, detail) = match outcome {
        Ok(Outcome::Pass(c)) => compared("pass", c, None),
        Ok(Outcome::Fail { what, comparison }) => {
            let detail = format!("{what}: {comparison}");
            compared("fail", comparison, Some(detail))
        }
        Ok(Outcome::Skipped { needs }) => ("skipped", None, None, Some(format!("needs {needs}"))),
        Err(error) => ("fail", None, None, Some(failure::describe(&error))),
    };
    Line { file, status, worst_error, tolerance, detail }
}

fn describe(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.file.len()).max().unwrap_or(0);
    lines
        .iter()
        .map(|Line { file, status, worst_error, tolerance, detail }| {
            let numbers = match (worst_error, tolerance) {
                (Some(worst), Some(tolerance)) => format!("  worst {worst:.2e}, tolerance {tolerance}"),
                _ => String::new(),
            };
            match (*status, detail) {
                ("skipped", Some(detail)) => format!("{file:width$}  skipped: {detail}\n"),
                (_, Some(detail)) => format!("{file:width$}  {status}{numbers}  {detail}\n"),
                (_, None) => format!("{file:width$}  {status}{numbers}\n"),
            }
        })
        .collect()
}
