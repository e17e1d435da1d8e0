//! Attention on a GPU: products over the heads of an image, softmax of all rows, products again.

use crate::cuda::{Buffer, CudaError, Factors, Gpu, Grid, Kernel, Product, Right, Source, narrow, parameters};
use crate::simd::{at_least, padded_channels};

const KERNEL: &str = "attention (GPU)";
pub(crate) const SOURCE: Source = Source { name: "attention", text: include_str!("kernel.cu") };

parameters!(SoftmaxParameters, 16, { scores } { rows: u32, width: u32 });

/// `softmax(queries · keysᵀ / √width) · values` for each head of each image.
///
/// # Shapes
/// `qkv` `[batch, tokens, padded_channels(3 · heads · width)]`: queries, keys, values, each `[heads, width]`; `output`
/// `[batch, tokens, padded_channels(heads · width)]`, of which the first `heads · width` channels are written; `scores`
/// grows as needed.
///
/// # Errors
/// When a size is zero, a buffer is too short, or the GPU refuses.
pub fn run(
    gpu: &Gpu,
    qkv: &Buffer<f32>,
    (batch, tokens): (usize, usize),
    heads: usize,
    width: usize,
    output: &mut Buffer<f32>,
    scores: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    for (what, value) in [("number of tokens", tokens), ("number of heads", heads), ("width of a head", width)] {
        at_least(KERNEL, what, value, 1)?;
        narrow(KERNEL, what, value)?;
    }
    let inner = heads.saturating_mul(width);
    let (from, to) = (padded_channels(inner.saturating_mul(3)), padded_channels(inner));
    let rows = batch.saturating_mul(heads).saturating_mul(tokens);
    let of_image = heads.saturating_mul(tokens).saturating_mul(tokens);
    narrow(KERNEL, "scores", rows.saturating_mul(tokens))?;
    narrow(KERNEL, "length of the tokens", batch.saturating_mul(tokens).saturating_mul(from))?;
    scores.reserve(rows * tokens)?;
    for image in 0..batch {
        let first = image * tokens * from;
        let product = Product {
            rows: tokens,
            columns: tokens,
            depth: width,
            left: qkv,
            left_place: (first, from),
            left_transposed: false,
            right: qkv,
            right_place: (first + inner, from),
            layout: Right::Transposed,
            scale: (1.0 / (width as f64).sqrt()) as f32,
            accumulate: false,
            factors: Factors::Full,
            batch: heads,
            distances: [width, width, tokens * tokens],
        };
        gpu.product(&product, scores, (image * of_image, tokens))?;
    }
    let parameters = SoftmaxParameters {
        scores: gpu.address(KERNEL, "scores", scores, rows * tokens)?,
        rows: narrow(KERNEL, "rows", rows)?,
        width: narrow(KERNEL, "number of tokens", tokens)?,
    };
    // SAFETY: the block of a row reads and writes the `tokens` scores of that row.
    unsafe { gpu.launch(Kernel { source: SOURCE, name: "softmax" }, Grid::Rows(parameters.rows), &parameters) }?;
    for image in 0..batch {
        let product = Product {
            rows: tokens,
            columns: width,
            depth: tokens,
            left: scores,
            left_place: (image * of_image, tokens),
            left_transposed: false,
            right: qkv,
            right_place: (image * tokens * from + 2 * inner, from),
            layout: Right::Plain,
            scale: 1.0,
            accumulate: false,
            factors: Factors::Full,
            batch: heads,
            distances: [tokens * tokens, width, width],
        };
        gpu.product(&product, output, (image * tokens * to, to))?;
    }
    Ok(())
}
