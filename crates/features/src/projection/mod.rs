//! Samples in two dimensions, for figures: principal components, and t-SNE.
//!
//! Both take samples row-major `[rows, width]`, f32, compute in f64, and give the same bits for any number of threads.

mod affinity;
mod components;
mod embedding;
#[cfg(test)]
mod tests;

use oodlab_base::Cancelled;

pub use components::{PrincipalComponents, pca};
pub use embedding::{Embedding, MOST_SAMPLES, TsneConfig, tsne};

/// Samples that cannot be projected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProjectionError {
    /// No samples, or values that are no whole number of rows.
    #[error("expected samples of {width} values, {least} at least, found {values} values")]
    Shape {
        /// Values a sample.
        width: usize,
        /// Least number of samples.
        least: usize,
        /// Values in all.
        values: usize,
    },
    /// More samples than can be compared in pairs.
    #[error("t-SNE: expected at most {MOST_SAMPLES} samples, found {found}; take a part of them, evenly from each set")]
    TooMany {
        /// Samples.
        found: usize,
    },
    /// A value that is not finite.
    #[error("sample {row}, column {column}: expected a finite value, found {value}")]
    NotFinite {
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A setting that cannot be.
    #[error("t-SNE: `{key}`: expected {expected}, found {found}")]
    Setting {
        /// Its name.
        key: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: f64,
    },
    /// The work was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The number of samples; refuses what is no table of finite numbers.
fn check(rows: &[f32], width: usize, least: usize) -> Result<usize, ProjectionError> {
    if width == 0 || !rows.len().is_multiple_of(width) || rows.len() / width < least {
        return Err(ProjectionError::Shape { width, least, values: rows.len() });
    }
    match rows.iter().position(|value| !value.is_finite()) {
        None => Ok(rows.len() / width),
        Some(at) => Err(ProjectionError::NotFinite { row: at / width, column: at % width, value: rows[at] }),
    }
}
