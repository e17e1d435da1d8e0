//! Maps that become columns of the feature vector.

use oodlab_kernels::pooling;
use oodlab_kernels::simd::{AlignedBuffer, InstructionSet, SizeError};

use super::Shape;
use crate::encoder::Pooling;
use crate::network::{Readout, Slot};

/// Stride of the stage that the released neck brings all others to.
const NECK_STRIDE: f64 = 16.0;

/// How the pixels of a map are taken together.
enum Method {
    /// A weighted sum, separable in rows and columns.
    Weighted {
        rows: Vec<f32>,
        columns: Vec<f32>,
    },
    Maximum,
    Deviation,
}

/// A map pooled into columns `start ..` of the features.
pub(super) struct PooledMap {
    pub map: Slot,
    start: usize,
    channels: usize,
    /// Leading pixels that are left out.
    skip: usize,
    pixels: usize,
    stride: usize,
    method: Method,
}

impl PooledMap {
    /// A tap of a map of this shape, whose pixels are `pixel_stride` image pixels apart.
    pub fn tap(map: Slot, shape: Shape, skip: usize, pixel_stride: usize, pooling: Pooling, start: usize) -> PooledMap {
        // Tokens lie in one column; what is skipped leads it.
        let size = (shape.size.0.saturating_sub(skip), shape.size.1);
        let weights = |length: usize| match pooling {
            Pooling::Released => {
                let scaled = (length as f64 * pixel_stride as f64 / NECK_STRIDE).floor() as usize;
                pooling::resampled_average(length, scaled.max(1))
            }
            _ => pooling::average(length),
        };
        let method = match pooling {
            Pooling::Average | Pooling::Released => {
                Method::Weighted { rows: weights(size.0), columns: weights(size.1) }
            }
            Pooling::Max => Method::Maximum,
            Pooling::Std => Method::Deviation,
        };
        let Shape { channels, stride, .. } = shape;
        PooledMap { map, start, channels, skip, pixels: size.0 * size.1, stride, method }
    }

    /// The vector that the classifier reads.
    pub fn penultimate(map: Slot, shape: Shape, readout: Readout, start: usize) -> PooledMap {
        let size = match readout {
            Readout::Average => shape.size,
            Readout::ClassToken => (1, 1),
        };
        let method = Method::Weighted { rows: pooling::average(size.0), columns: pooling::average(size.1) };
        let Shape { channels, stride, .. } = shape;
        PooledMap { map, start, channels, skip: 0, pixels: size.0 * size.1, stride, method }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.channels
    }

    /// Pools `map`; `pooled` holds the vector afterwards, padded.
    pub fn run(
        &self,
        set: InstructionSet,
        map: &[f32],
        pooled: &mut AlignedBuffer,
        features: &mut [f32],
    ) -> Result<(), SizeError> {
        pooled.reserve(self.stride);
        let map = &map[self.skip * self.stride..];
        match &self.method {
            Method::Weighted { rows, columns } => pooling::pool(set, map, rows, columns, self.stride, pooled)?,
            Method::Maximum => pooling::maximum(set, map, self.pixels, self.stride, pooled)?,
            Method::Deviation => pooling::deviation(set, map, self.pixels, self.stride, pooled)?,
        }
        features[self.start..self.start + self.channels].copy_from_slice(&pooled[..self.channels]);
        Ok(())
    }
}
