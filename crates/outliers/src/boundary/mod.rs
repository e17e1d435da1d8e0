//! Outliers at the edge of each class, in a feature space.
//!
//! Of every class, unit feature vectors are ranked by the squared distance d_K to their K-th neighbour among themselves: those with the
//! largest lie at the edge. Gaussian noise is added to each of these border points, the sums are brought back to length one, and those
//! that lie farthest from the class (d_K again) are kept. As in OAL's code (`scripts/get_embed_*.py`, `openood/networks/knn.py`), which is
//! the sampling of NPOS (Tao et al., ICLR 2023) and Dream-OOD (Du et al., NeurIPS 2023).
//!
//! Distances are exact. The noise is shared by all border points, so the products of all candidates with the class are sums of two small
//! products: `(b + s e) · x = b · x + s e · x`.

mod class;
mod config;
#[cfg(test)]
mod tests;

use oodlab_base::{Cancel, Progress, Seed};

pub use class::{Border, ClassEdge};
pub use config::{BoundaryConfig, Selection};

use crate::error::{expect_finite, expect_length};
use crate::{OutlierError, Outliers};

/// Samples outliers at the edge of every class.
///
/// # Shapes
/// `features` `[rows, width]`, any length but zero; `labels` `[rows]`, each below `classes`. The result has `repetitions · border · keep`
/// rows a class, class by class: unit vectors times `scale`. It takes `4 · width` bytes a row of memory.
///
/// # Errors
/// When a setting is out of its range, buffers do not fit, a value is not finite, a vector is zero, a class has fewer samples than
/// `neighbour` or `border` ask for, or the work is cancelled.
pub fn sample(
    config: &BoundaryConfig,
    (features, width): (&[f32], usize),
    (labels, classes): (&[u32], usize),
    seed: Seed,
    (cancel, progress): (&Cancel, &dyn Progress),
) -> Result<Outliers, OutlierError> {
    config.validate()?;
    if width == 0 {
        return Err(OutlierError::setting("width of features", width, "at least 1"));
    }
    expect_length("features", labels.len().saturating_mul(width), features.len())?;
    expect_finite("features", width, features)?;
    let members = members(labels, classes, config.per_class)?;
    for (class, rows) in members.iter().enumerate() {
        config.check_class(class, rows.len())?;
    }
    let each = config.repetitions * config.border * config.keep;
    let mut values = Vec::with_capacity(classes.saturating_mul(each).saturating_mul(width));
    let task = progress.task("boundary outliers", "repetitions", (classes * config.repetitions) as u64, 0);
    let stream = seed.stream("boundary outliers");
    for (class, rows) in members.iter().enumerate() {
        let points: Vec<f32> = rows.iter().flat_map(|row| &features[row * width..(row + 1) * width]).copied().collect();
        let edge = ClassEdge::new(&points, width, config.neighbour).map_err(|error| in_rows(error, rows))?;
        let border = edge.border(config.border);
        let mut noise = vec![0.0; config.candidates * width];
        for repetition in 0..config.repetitions {
            cancel.check()?;
            let stream = stream.child(class as u64).child(repetition as u64);
            oodlab_kernels::normal::fill(stream.child(0), 0, &mut noise);
            let points = match config.selection {
                Selection::Corrected => border.points.clone(),
                // The released code takes them in a random order, on which its selection depends.
                Selection::Released => {
                    let order = stream.child(1).permutation(border.points.len());
                    order.into_iter().map(|place| border.points[place]).collect()
                }
            };
            let distances = edge.candidate_distances(&points, &noise, config.deviation)?;
            for kept in config.selection.choose(&distances, points.len(), config.keep) {
                let chosen = edge.candidate(points[kept.border], &noise, kept.noise, config.deviation);
                values.extend(chosen.into_iter().map(|value| (value * config.scale) as f32));
            }
            task.advance(1);
        }
    }
    let classes = (0..classes as u32).flat_map(|class| std::iter::repeat_n(class, each)).collect();
    Outliers::new(width, values, Some(classes))
}

/// The first rows of each class, at most `most` each, in their order.
fn members(labels: &[u32], classes: usize, most: usize) -> Result<Vec<Vec<usize>>, OutlierError> {
    let mut members = vec![Vec::new(); classes];
    for (row, &label) in labels.iter().enumerate() {
        let Some(class) = members.get_mut(label as usize) else {
            let last = classes.saturating_sub(1);
            return Err(OutlierError::Class { what: "features", row, found: label, last });
        };
        if class.len() < most {
            class.push(row);
        }
    }
    Ok(members)
}

/// An error about a class's row, told in rows of all features.
fn in_rows(error: OutlierError, rows: &[usize]) -> OutlierError {
    match error {
        OutlierError::ZeroVector { what, row } => {
            OutlierError::ZeroVector { what, row: rows.get(row).copied().unwrap_or(row) }
        }
        other => other,
    }
}
