//! Rows in the lanes of vectors, and back.

use rayon::prelude::*;

use super::{KERNEL, PANEL, check_panels};
use crate::shape::{ShapeError, expect};

/// Values that `rows` rows of `width` features take in panels.
#[must_use]
pub fn panels_len(rows: usize, width: usize) -> usize {
    rows.div_ceil(PANEL) * PANEL * width
}

/// Values that they take as [`by_features`] lays them out.
#[must_use]
pub fn by_features_len(rows: usize, width: usize) -> usize {
    rows.div_ceil(PANEL) * PANEL * width.div_ceil(PANEL) * PANEL
}

/// Row-major `[rows, width]` to panels; lanes that no row fills become 0.
///
/// # Errors
/// When a buffer does not fit.
pub fn from_rows(rows: usize, width: usize, values: &[f32], to: &mut [f32]) -> Result<(), ShapeError> {
    expect(KERNEL, "rows", rows * width, values.len())?;
    check_panels("panels", rows, width, to)?;
    if rows * width == 0 {
        return Ok(());
    }
    let panels = to.par_chunks_mut(width * PANEL).zip(values.par_chunks(width * PANEL));
    panels.for_each(|(to, values)| {
        let count = values.len() / width;
        if count < PANEL {
            to.fill(0.0);
        }
        for (block, to) in to.chunks_mut(PANEL * PANEL).enumerate() {
            for row in 0..count {
                let from = &values[row * width + block * PANEL..][..to.len() / PANEL];
                for (to, &value) in to[row..].iter_mut().step_by(PANEL).zip(from) {
                    *to = value;
                }
            }
        }
    });
    Ok(())
}

/// Panels to row-major `[rows, width]`.
///
/// # Errors
/// When a buffer does not fit.
pub fn to_rows(rows: usize, width: usize, panels: &[f32], to: &mut [f32]) -> Result<(), ShapeError> {
    expect(KERNEL, "rows", rows * width, to.len())?;
    check_panels("panels", rows, width, panels)?;
    if rows * width == 0 {
        return Ok(());
    }
    to.par_chunks_mut(width * PANEL).zip(panels.par_chunks(width * PANEL)).for_each(|(to, panel)| {
        for (block, from) in panel.chunks(PANEL * PANEL).enumerate() {
            for (row, to) in to.chunks_mut(width).enumerate() {
                for (to, &value) in to[block * PANEL..].iter_mut().zip(from[row..].iter().step_by(PANEL)) {
                    *to = value;
                }
            }
        }
    });
    Ok(())
}

/// Panels of rows to panels of features: value f of row r goes to `(f / 32 * padded + r) * 32 + f % 32`, where `padded` is
/// the number of rows rounded up to whole panels. Features that are not there become 0.
///
/// # Errors
/// When a buffer does not fit.
pub fn by_features(rows: usize, width: usize, panels: &[f32], to: &mut [f32]) -> Result<(), ShapeError> {
    check_panels("panels", rows, width, panels)?;
    expect(KERNEL, "panels of features", by_features_len(rows, width), to.len())?;
    let count = rows.div_ceil(PANEL);
    if count == 0 {
        return Ok(());
    }
    to.par_chunks_mut(count * PANEL * PANEL).enumerate().for_each(|(column, to)| {
        let features = (width - column * PANEL).min(PANEL);
        for (panel, to) in to.chunks_mut(PANEL * PANEL).enumerate() {
            let from = &panels[(panel * width + column * PANEL) * PANEL..][..features * PANEL];
            if features < PANEL {
                to.fill(0.0);
            }
            for (row, to) in to.chunks_mut(PANEL).enumerate() {
                for (to, &value) in to.iter_mut().zip(from[row..].iter().step_by(PANEL)) {
                    *to = value;
                }
            }
        }
    });
    Ok(())
}
