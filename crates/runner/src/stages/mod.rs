//! Stages: pure functions of their inputs and configuration, kept under their key in the store.
//!
//! images ─▶ [`encode`] ─▶ [`fit`] ─▶ [`score`] ─▶ [`evaluate`]. Features that another program made are [`imported`] instead; a
//! [`source`] is either.

pub mod classified;
pub mod encode;
pub mod evaluate;
pub mod fit;
pub mod imported;
mod pipeline;
pub mod reading;
pub mod score;
pub mod source;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use oodlab_base::{Progress, Silent, Task};
use oodlab_datasets::decode::picture::DECODERS;
use oodlab_store::{Artifact, Lease};

use crate::lab::Lab;
use crate::numerics;

/// What a stage is called while it works.
pub struct Work<'a> {
    /// What the bar and a waiting second process say.
    pub label: &'a str,
    /// What is counted; no bar when absent (the work shows its own).
    pub unit: Option<&'static str>,
    /// Units of each part, one entry a part.
    pub sizes: Vec<u64>,
}

/// Where and how an artifact was computed: kept beside it, so that provenance tells of the computation, not of a later reading.
pub type Note = BTreeMap<String, String>;

/// Goes through the numbered parts of an artifact: what is stored is read, what is missing is computed and stored.
///
/// `compute` advances the task itself. `visit` receives every part in order. Only the process that holds the artifact's lease
/// computes, so two processes do the work once. A part that is damaged counts as missing. Returns how the artifact was computed.
pub fn each_part(
    lab: &Lab,
    artifact: &Artifact,
    work: &Work<'_>,
    mut compute: impl FnMut(usize, &dyn Task) -> Result<Vec<u8>>,
    mut visit: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<Note> {
    let mut held: Option<(Lease, Box<dyn Task>)> = None;
    let mut done = 0;
    let started = Instant::now();
    for part in 0..work.sizes.len() {
        lab.cancel.check()?;
        let mut stored = artifact.read_part(part)?;
        if stored.is_none() && held.is_none() {
            let lease = lease(lab, artifact, work.label)?;
            let total = work.sizes.iter().sum();
            held = Some((
                lease,
                work.unit
                    .map_or(Box::new(Silent) as Box<dyn Task>, |unit| lab.bars.task(work.label, unit, total, done)),
            ));
            // Whoever held the lease before may have finished this part meanwhile.
            stored = artifact.read_part(part)?;
        }
        let bytes = match (stored, &held) {
            (Some(bytes), Some((_, task))) => {
                task.advance(work.sizes[part]);
                bytes
            }
            (Some(bytes), None) => bytes,
            (None, held) => {
                let bytes = compute(part, held.as_ref().map_or(&Silent as &dyn Task, |(_, task)| task.as_ref()))?;
                artifact.write_part(part, &bytes)?;
                bytes
            }
        };
        done += work.sizes[part];
        visit(part, &bytes)?;
    }
    if held.is_none()
        && let Some(finished) = artifact.finished()?
    {
        return Ok(finished.note);
    }
    let note = note(work.label, started, numerics::describe(lab.gpu.as_ref()));
    artifact.finish(work.sizes.len(), &note)?;
    Ok(note)
}

/// Takes the lease; when another process has it, says for whom this one waits.
fn lease(lab: &Lab, artifact: &Artifact, label: &str) -> Result<Lease> {
    match artifact.try_lease()? {
        Ok(lease) => return Ok(lease),
        Err(holder) => {
            lab.bars
                .line(&format!("{label}: waiting for process {} on {}, which computes it", holder.pid, holder.host));
        }
    }
    Ok(artifact.lease(&lab.cancel)?)
}

/// The note of an artifact that this process computed.
fn note(label: &str, started: Instant, numerics: String) -> Note {
    [
        ("label", label.to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("commit", env!("OODLAB_COMMIT").to_owned()),
        ("numerics", numerics),
        ("image_decoders", DECODERS.to_owned()),
        ("threads", rayon::current_num_threads().to_string()),
        ("seconds", format!("{:.3}", started.elapsed().as_secs_f64())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The ranges of `part_rows` rows that cover `rows`.
pub fn ranges(rows: usize, part_rows: usize) -> Vec<std::ops::Range<usize>> {
    (0..rows.div_ceil(part_rows)).map(|part| part * part_rows..((part + 1) * part_rows).min(rows)).collect()
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn ranges_cover_every_row_once() {
        assert!(ranges(0, 4).is_empty());
        assert_eq!(ranges(9, 4), [0..4, 4..8, 8..9]);
        assert_eq!(ranges(8, 4), [0..4, 4..8]);
    }
}
