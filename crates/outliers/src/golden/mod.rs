//! Golden numbers of the losses and of the outlier sampling: written by an independent PyTorch program in f64 from the stored f32 inputs.

use candle_core::{Device, Tensor};
use oodlab_base::Tolerance;
use oodlab_base::golden::{Findings, GoldenFile, Outcome};

use crate::boundary::{ClassEdge, Selection};
use crate::{OutlierError, distillation, information};

/// The golden files that this build carries: stem and bytes.
#[must_use]
pub fn embedded() -> Vec<(&'static str, &'static [u8])> {
    vec![("oal", include_bytes!("../../golden/oal.safetensors"))]
}

/// Checks one golden file; `None` for kinds that are not this crate's.
#[must_use]
pub fn check(file: &GoldenFile) -> Option<Result<Outcome, OutlierError>> {
    if !file.stem.starts_with("oal") {
        return None;
    }
    let findings = || {
        let mut findings = Findings::new();
        losses(file, &mut findings)?;
        sampling(file, &mut findings)?;
        Ok(findings.outcome())
    };
    Some(findings())
}

fn tensor(file: &GoldenFile, name: &str) -> Result<Tensor, OutlierError> {
    let found = file.tensor(name)?;
    Ok(Tensor::from_vec(found.f32(), found.shape.as_slice(), &Device::Cpu)?)
}

fn losses(file: &GoldenFile, findings: &mut Findings) -> Result<(), OutlierError> {
    let mut add = |name: &str, found: Tensor| {
        let found = found.flatten_all()?.to_vec1::<f32>()?;
        findings.add(name, Tolerance::SINGLE.compare_f32(&found, &file.tensor(name)?.f32()));
        Ok::<_, OutlierError>(())
    };
    let all = |name: &str| tensor(file, name);
    let (x, y) = (all("club_x")?, all("club_y")?);
    let layer = |x: &Tensor, name: &str| {
        let weight = all(&format!("{name}.weight"))?;
        Ok::<_, OutlierError>(x.matmul(&weight.t()?)?.broadcast_add(&all(&format!("{name}.bias"))?)?)
    };
    let network = |name: &str| layer(&layer(&x, &format!("{name}.0"))?.relu()?, &format!("{name}.2"));
    let (mean, log_variance) = (network("mu")?, network("logvar")?.tanh()?);
    add("club", information::club(&mean, &log_variance, &y)?)?;
    add("loglik", information::log_likelihood(&mean, &log_variance, &y)?)?;
    let (teacher, student) = (all("teacher_logits")?, all("student_logits")?);
    add("kd_logit", distillation::divergence(&teacher, &student)?)?;
    add("kd_feat", distillation::divergence(&all("teacher_feat")?, &all("student_feat")?)?)?;
    add("energy", distillation::log_sum_exp(&student)?)?;
    Ok(())
}

fn sampling(file: &GoldenFile, findings: &mut Findings) -> Result<(), OutlierError> {
    let (neighbour, count, keep) = (file.setting("K")?, file.setting("border")?, file.setting("keep")?);
    let deviation = file.setting("sigma")?;
    let features = file.tensor("knn_features")?;
    let width = features.shape.last().copied().unwrap_or(0);
    let noise = file.tensor("knn_noise")?.f32();
    let edge = ClassEdge::new(&features.f32(), width, neighbour)?;
    let border = edge.border(count);
    let want = |name: &str| file.tensor(name).map(|tensor| tensor.values.clone());
    findings.add("knn_dk", Tolerance::SINGLE.compare(border.distances.iter().copied(), want("knn_dk")?));
    // Two programs may order equal distances differently: indices are compared through their distances.
    let at = |values: &[f64], indices: &[f64]| -> Vec<f64> {
        indices.iter().map(|&index| values.get(index as usize).copied().unwrap_or(f64::NAN)).collect()
    };
    let of_border: Vec<f64> = border.points.iter().map(|&point| border.distances[point]).collect();
    findings.add("knn_border", Tolerance::SINGLE.compare(of_border, at(&border.distances, &want("knn_border")?)));

    // From here on with the file's own border points, in its order.
    let points: Vec<usize> = want("knn_border")?.iter().map(|&point| point as usize).collect();
    if points.iter().any(|&point| point >= edge.samples()) {
        return Err(OutlierError::File { file: file.stem.clone(), problem: "a border point is no sample".to_owned() });
    }
    let distances = edge.candidate_distances(&points, &noise, deviation)?;
    findings.add("knn_cand_dk", Tolerance::SINGLE.compare(distances.iter().copied(), want("knn_cand_dk")?));
    let candidates = distances.len() / points.len().max(1);
    let chosen = Selection::Corrected.choose(&distances, points.len(), keep);
    let found: Vec<f64> = chosen.iter().map(|kept| distances[kept.border * candidates + kept.noise]).collect();
    let best = want("knn_best")?;
    let places = best.iter().enumerate().map(|(i, noise)| (i / keep.max(1) * candidates) as f64 + noise);
    findings.add("knn_best", Tolerance::SINGLE.compare(found, at(&distances, &places.collect::<Vec<f64>>())));
    let made: Vec<f64> =
        chosen.iter().flat_map(|kept| edge.candidate(points[kept.border], &noise, kept.noise, deviation)).collect();
    findings.add("knn_chosen", Tolerance::SINGLE.compare(made, want("knn_chosen")?));
    Ok(())
}

#[cfg(test)]
mod tests;
