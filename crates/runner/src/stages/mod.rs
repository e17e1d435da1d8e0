//! Stages: pure functions of their inputs and configuration, kept under their key in the store.
//!
//! images ─▶ [`encode`] ─▶ [`fit`] ─▶ [`score`] ─▶ metrics (cheap, computed when tables are written).

pub mod encode;
pub mod fit;
pub mod score;

use std::collections::BTreeMap;

use anyhow::Result;
use oodlab_store::{Artifact, Lease};

use crate::lab::Lab;

/// Goes through the numbered parts of an artifact: what is stored is read, what is missing is computed and stored.
///
/// `visit` receives every part in order and says whether the part is usable; one that is not is computed again.
/// Only the process that holds the artifact's lease computes, so two processes do the work once.
/// Returns how many parts were computed.
pub fn each_part(
    lab: &Lab,
    artifact: &Artifact,
    parts: usize,
    mut compute: impl FnMut(usize) -> Result<Vec<u8>>,
    mut visit: impl FnMut(usize, &[u8], bool) -> Result<()>,
) -> Result<usize> {
    let mut lease: Option<Lease> = None;
    let mut computed = 0;
    for part in 0..parts {
        lab.cancel.check()?;
        if let Some(bytes) = artifact.read_part(part)? {
            visit(part, &bytes, false)?;
            continue;
        }
        if lease.is_none() {
            lease = Some(artifact.lease(&lab.cancel)?);
            // Whoever held the lease before may have finished this part meanwhile.
            if let Some(bytes) = artifact.read_part(part)? {
                visit(part, &bytes, false)?;
                continue;
            }
        }
        let bytes = compute(part)?;
        artifact.write_part(part, &bytes)?;
        computed += 1;
        visit(part, &bytes, true)?;
    }
    if computed > 0 || artifact.finished()?.is_none() {
        artifact.finish(parts, &BTreeMap::new())?;
    }
    Ok(computed)
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
        assert_eq!(ranges(0, 4), []);
        assert_eq!(ranges(9, 4), [0..4, 4..8, 8..9]);
        assert_eq!(ranges(8, 4), [0..4, 4..8]);
    }
}
