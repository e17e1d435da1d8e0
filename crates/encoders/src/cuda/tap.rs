//! Maps that become columns of the feature vector.

use oodlab_kernels::cuda::{Buffer, CudaError, Gpu, rearrange};
use oodlab_kernels::pooling;
use oodlab_kernels::pooling::cuda::{CudaMaps, CudaPool, CudaSpan};
use oodlab_kernels::simd::padded_channels;

use super::{Scratch, Shape};
use crate::encoder::Pooling;
use crate::network::{Readout, Slot};

/// Stride of the stage that the released neck brings all others to.
const NECK_STRIDE: f64 = 16.0;

/// A map pooled into columns `start ..` of the features.
#[derive(Debug)]
pub(super) struct PooledMap {
    pub map: Slot,
    start: usize,
    shape: Shape,
    skip: usize,
    pool: CudaPool,
}

impl PooledMap {
    /// A tap of a map of this shape, whose pixels are `pixel_stride` image pixels apart.
    pub fn tap(
        gpu: &Gpu,
        (map, shape): (Slot, Shape),
        skip: usize,
        pixel_stride: usize,
        pooling: Pooling,
        start: usize,
    ) -> Result<PooledMap, CudaError> {
        // Tokens lie in one column; what is skipped leads it.
        let size = (shape.size.0.saturating_sub(skip), shape.size.1);
        let released = |length: usize| {
            let scaled = (length as f64 * pixel_stride as f64 / NECK_STRIDE).floor() as usize;
            pooling::resampled_average(length, scaled.max(1))
        };
        let pool = match pooling {
            Pooling::Average => CudaPool::weighted(gpu, &pooling::average(size.0), &pooling::average(size.1))?,
            Pooling::Released => CudaPool::weighted(gpu, &released(size.0), &released(size.1))?,
            Pooling::Max => CudaPool::maximum(gpu, size.0 * size.1)?,
            Pooling::Std => CudaPool::deviation(gpu, size.0 * size.1)?,
        };
        Ok(PooledMap { map, start, shape, skip, pool })
    }

    /// The vector that the classifier reads.
    pub fn penultimate(
        gpu: &Gpu,
        (map, shape): (Slot, Shape),
        readout: Readout,
        start: usize,
    ) -> Result<PooledMap, CudaError> {
        let size = match readout {
            Readout::Average => shape.size,
            Readout::ClassToken => (1, 1),
        };
        let pool = CudaPool::weighted(gpu, &pooling::average(size.0), &pooling::average(size.1))?;
        Ok(PooledMap { map, start, shape, skip: 0, pool })
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.shape.channels
    }

    /// Pools the map; `scratch.pooled` holds the vectors afterwards, `padded_channels(width)` apart.
    pub fn run(
        &self,
        gpu: &Gpu,
        batch: usize,
        map: &Buffer<f32>,
        (features, width): (&mut Buffer<f32>, usize),
        scratch: &mut Scratch,
    ) -> Result<(), CudaError> {
        let channels = self.shape.channels;
        let stride = padded_channels(channels);
        scratch.pooled.reserve(batch * stride)?;
        let maps = CudaMaps {
            values: map,
            batch,
            channels: self.shape.stride,
            skip: self.skip,
            image_pixels: self.shape.pixels(),
        };
        let span = CudaSpan { stride, start: 0, kept: channels };
        self.pool.run(maps, &mut scratch.pooled, span, &mut scratch.lines)?;
        rearrange::copy_channels(gpu, (&scratch.pooled, stride), batch, channels, (features, width), self.start)
    }
}
