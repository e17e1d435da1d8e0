//! z-scores on a GPU.

use std::ops::Range;

use super::{ADDED_TO_DEVIATION, ZscoreError, check_layers};
use crate::cuda::{Buffer, CudaError, Gpu, Grid, Kernel, Source, narrow, parameters};

const KERNEL: &str = "z-score (GPU)";
pub(crate) const SOURCE: Source = Source { name: "zscore", text: include_str!("kernel.cu") };

parameters!(ZscoreParameters, 48, { raw, ends, output, added_bits } { threads: u32, layers: u32, width: u32, unused: u32 });

/// Why a GPU gives no z-scores.
#[derive(Debug, thiserror::Error)]
pub enum CudaZscoreError {
    /// The layers.
    #[error(transparent)]
    Zscore(#[from] ZscoreError),
    /// The GPU.
    #[error(transparent)]
    Cuda(#[from] CudaError),
}

/// Writes the z-scores of `rows` rows of `raw` into `out`.
///
/// # Shapes
/// `raw`, `out`: at least `[rows, width]`, row-major; `layers`: consecutive spans that cover `0 .. width`.
///
/// # Errors
/// When the layers do not cover a row or are too narrow, a buffer is too short, or the GPU refuses.
pub fn run(
    gpu: &Gpu,
    raw: &Buffer<f32>,
    rows: usize,
    layers: &[Range<usize>],
    out: &mut Buffer<f32>,
) -> Result<(), CudaZscoreError> {
    let width = layers.last().map_or(0, |layer| layer.end);
    check_layers(layers, width)?;
    let size = |what, value| narrow(KERNEL, what, value).map_err(CudaError::from);
    let length = rows.saturating_mul(width);
    size("length of the rows", length)?;
    let ends = layers.iter().map(|layer| size("end of a layer", layer.end)).collect::<Result<Vec<u32>, _>>()?;
    let on_gpu = gpu.copy(&ends)?;
    let parameters = ZscoreParameters {
        raw: gpu.address(KERNEL, "length of the rows", raw, length)?,
        ends: gpu.address(KERNEL, "layers", &on_gpu, ends.len())?,
        output: gpu.address(KERNEL, "length of the output", out, length)?,
        added_bits: ADDED_TO_DEVIATION.to_bits(),
        threads: size("layers of all rows", rows * layers.len())?,
        layers: size("layers", layers.len())?,
        width: size("width", width)?,
        unused: 0,
    };
    let grid = Grid::Each(parameters.threads);
    // SAFETY: each thread reads and writes the span of one layer of one row; the spans were checked to follow one another
    // up to the width. The ends are freed behind the kernel, in the order of the queue.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "zscore" }, grid, &parameters) }?;
    Ok(())
}
