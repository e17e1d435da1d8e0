//! Stages: pure functions of their inputs and configuration, kept under their key in the store.
//!
//! images ─▶ [`encode`] ─▶ [`fit`] ─▶ [`score`] ─▶ metrics (cheap, computed when tables are written).

pub mod encode;
pub mod fit;
pub mod score;

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_base::{Progress, Task};
use oodlab_store::{Artifact, Lease};

use crate::lab::Lab;

/// What a stage is called while it works.
pub struct Work<'a> {
    /// What the bar says.
    pub label: &'a str,
    /// What is counted.
    pub unit: &'static str,
    /// Units of each part, one entry a part.
    pub sizes: Vec<u64>,
}

/// Goes through the numbered parts of an artifact: what is stored is read, what is missing is computed and stored.
///
/// `visit` receives every part in order. Only the process that holds the artifact's lease computes, so two processes do the
/// work once. A part that is damaged counts as missing.
pub fn each_part(
    lab: &Lab,
    artifact: &Artifact,
    work: &Work<'_>,
    mut compute: impl FnMut(usize) -> Result<Vec<u8>>,
    mut visit: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let parts = work.sizes.len();
    let mut held: Option<(Lease, Box<dyn Task>)> = None;
    let mut done = 0;
    for part in 0..parts {
        lab.cancel.check()?;
        let mut stored = artifact.read_part(part)?;
        if stored.is_none() && held.is_none() {
            let lease = artifact.lease(&lab.cancel)?;
            held = Some((lease, lab.bars.task(work.label, work.unit, work.sizes.iter().sum(), done)));
            // Whoever held the lease before may have finished this part meanwhile.
            stored = artifact.read_part(part)?;
        }
        let bytes = match stored {
            Some(bytes) => bytes,
            None => {
                let bytes = compute(part)?;
                artifact.write_part(part, &bytes)?;
                bytes
            }
        };
        done += work.sizes[part];
        if let Some((_, task)) = &held {
            task.advance(work.sizes[part]);
        }
        visit(part, &bytes)?;
    }
    if held.is_some() || artifact.finished()?.is_none() {
        artifact.finish(parts, &BTreeMap::new())?;
    }
    Ok(())
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
