//! Pooling of maps and windows.

use oodlab_base::golden::Findings;

use super::{TOLERANCE, gather_padded, numbers, spread};
use crate::cuda::{CudaError, Gpu};
use crate::dense_conv::Padding;
use crate::pooling::cuda::{CudaMaps, CudaPool, CudaSpan};
use crate::pooling::{self, resampled_average};
use crate::simd::{AlignedBuffer, InstructionSet, padded_channels};
use crate::window_pool::cuda::CudaWindows;
use crate::window_pool::{self, Kind};

/// All methods, with a pixel left out, into columns of a longer vector.
pub(super) fn pooling(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let set = InstructionSet::detect();
    let (batch, skip, (rows, columns), channels) = (3, 1, (7, 5), 20);
    let (pixels, stride) = (rows * columns, padded_channels(channels));
    let span = CudaSpan { stride: 50, start: 9, kept: channels };
    let map = spread(&numbers("map", batch * (skip + pixels) * channels), channels, stride);
    let (row_weights, column_weights) = (resampled_average(rows, 14), resampled_average(columns, 3));
    let values = gpu.copy(&map)?;
    let pools = [
        ("weighted", CudaPool::weighted(gpu, &row_weights, &column_weights)?),
        ("maximum", CudaPool::maximum(gpu, pixels)?),
        ("deviation", CudaPool::deviation(gpu, pixels)?),
    ];
    for (name, pool) in pools {
        let mut want = vec![0.0; batch * span.stride];
        for (image, want) in map.chunks_exact((skip + pixels) * stride).zip(want.chunks_exact_mut(span.stride)) {
            let mut output = AlignedBuffer::zeroed(stride);
            let image = &image[skip * stride..];
            match name {
                "weighted" => pooling::pool(set, image, &row_weights, &column_weights, stride, &mut output)?,
                "maximum" => pooling::maximum(set, image, pixels, stride, &mut output)?,
                _ => pooling::deviation(set, image, pixels, stride, &mut output)?,
            }
            want[span.start..span.start + channels].copy_from_slice(&output[..channels]);
        }
        let (mut got, mut lines) = (gpu.zeros(batch * span.stride)?, gpu.zeros(0)?);
        let maps = CudaMaps { values: &values, batch, channels: stride, skip, image_pixels: skip + pixels };
        pool.run(maps, &mut got, span, &mut lines)?;
        findings.add(name, TOLERANCE.compare_f32(&got.read(batch * span.stride)?, &want));
    }
    Ok(())
}

/// The windows of residual and dense networks.
pub(super) fn windows(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let set = InstructionSet::detect();
    let padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let cases = [(Kind::Max, 3, 2, padding, (9, 12)), (Kind::Average, 2, 2, Padding::default(), (8, 6))];
    for (kind, size, stride, padding, (height, width)) in cases {
        let (batch, channels) = (2, 32);
        let input = numbers("input", batch * height * width * channels);
        let (rows, columns) = padding.output_size(height, width, size, stride).unwrap_or_default();
        let length = rows * columns * channels;
        let mut want = vec![0.0; batch * length];
        for (input, want) in input.chunks_exact(height * width * channels).zip(want.chunks_exact_mut(length)) {
            window_pool::pool(set, kind, input, (height, width), channels, size, stride, padding, want)?;
        }
        let (input, mut got) = (gpu.copy(&input)?, gpu.zeros(batch * length)?);
        let windows = CudaWindows { kind, size, stride, padding };
        window_pool::cuda::pool(gpu, windows, &input, batch, (height, width), channels, &mut got)?;
        let (got, want) = (gather_padded(&got.read(batch * length)?, channels), gather_padded(&want, channels));
        findings.add(format!("{kind:?}"), TOLERANCE.compare_f32(&got, &want));
    }
    Ok(())
}
