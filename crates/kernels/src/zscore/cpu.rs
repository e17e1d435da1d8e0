//! The specification.

use std::ops::Range;

use rayon::prelude::*;

use crate::shape::{ShapeError, expect};

/// Added to the deviation, after the root, as in the released program.
pub const ADDED_TO_DEVIATION: f64 = 1e-5;

/// Why no z-score can be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZscoreError {
    /// The buffers do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A layer of one channel has no deviation.
    #[error("layer {layer} has {channels} channel(s): a z-score needs at least 2; leave this layer out")]
    TooNarrow {
        /// Position of the layer, from 0.
        layer: usize,
        /// Its channels.
        channels: usize,
    },
    /// The layers are not consecutive spans from 0 to the width.
    #[error("layer {layer} spans {start}..{end}, but must begin at {expected} and end at or before the width {width}")]
    NotConsecutive {
        /// Position of the layer, from 0; the number of layers when the last one ends too early.
        layer: usize,
        /// Its first channel.
        start: usize,
        /// One past its last channel.
        end: usize,
        /// Where it should begin.
        expected: usize,
        /// Channels of a row.
        width: usize,
    },
}

/// Writes the z-scores of `raw` into `out`.
///
/// # Shapes
/// `raw`, `out`: `[rows, width]`, row-major; `layers`: consecutive spans that cover `0 .. width`.
///
/// # Errors
/// When lengths do not agree, the layers do not cover a row, or a layer has fewer than two channels.
///
/// ```
/// let mut out = [0.0; 2];
/// oodlab_kernels::zscore::run(&[1.0, 3.0], &[0..2], &mut out)?;
/// assert!((out[1] - 0.70710).abs() < 1e-5); // deviation sqrt(2)
/// # Ok::<(), oodlab_kernels::zscore::ZscoreError>(())
/// ```
pub fn run(raw: &[f32], layers: &[Range<usize>], out: &mut [f32]) -> Result<(), ZscoreError> {
    let width = layers.last().map_or(0, |layer| layer.end);
    check_layers(layers, width)?;
    expect("zscore", "out", raw.len(), out.len())?;
    if width == 0 {
        return Ok(expect("zscore", "raw", 0, raw.len())?);
    }
    expect("zscore", "raw", raw.len() / width * width, raw.len())?;
    out.par_chunks_mut(width).zip(raw.par_chunks(width)).with_min_len(16).for_each(|(out, raw)| {
        for layer in layers {
            one_layer(&raw[layer.clone()], &mut out[layer.clone()]);
        }
    });
    Ok(())
}

/// Refuses layers that are not consecutive spans of at least two channels from 0 to `width`.
pub(super) fn check_layers(layers: &[Range<usize>], width: usize) -> Result<(), ZscoreError> {
    let mut expected = 0;
    for (layer, &Range { start, end }) in layers.iter().enumerate() {
        if start != expected || end < start || end > width {
            return Err(ZscoreError::NotConsecutive { layer, start, end, expected, width });
        }
        if end - start < 2 {
            return Err(ZscoreError::TooNarrow { layer, channels: end - start });
        }
        expected = end;
    }
    Ok(())
}

fn one_layer(raw: &[f32], out: &mut [f32]) {
    let n = raw.len() as f64;
    let mean = raw.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let squares: f64 = raw.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    let scale = 1.0 / ((squares / (n - 1.0)).sqrt() + ADDED_TO_DEVIATION);
    for (out, &x) in out.iter_mut().zip(raw) {
        *out = ((f64::from(x) - mean) * scale) as f32;
    }
}
