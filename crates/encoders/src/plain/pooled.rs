//! From maps to vectors.

use candle_core::{D, Device, Error, Result, Tensor};
use oodlab_kernels::pooling;

use crate::encoder::Pooling;
use crate::network::Readout;

/// Stride of the stage that the released neck brings all others to.
const NECK_STRIDE: f64 = 16.0;
/// Below all variances that matter: keeps the slope of the square root finite where a map has one pixel or is constant.
const LEAST_VARIANCE: f64 = 1e-20;

/// Pools the map of a tap, `[images, channels, height, width]`, whose pixels are `stride` image pixels apart, to
/// `[images, channels]`.
pub(super) fn pool(map: &Tensor, pooling: Pooling, stride: usize) -> Result<Tensor> {
    let (images, channels, height, width) = map.dims4()?;
    if height * width == 0 {
        return Err(Error::msg("a map without pixels cannot be pooled"));
    }
    let pixels = map.contiguous()?.reshape((images, channels, height * width))?;
    match pooling {
        Pooling::Average => pixels.mean(D::Minus1),
        Pooling::Released => {
            let weights = |length: usize| {
                let scaled = (length as f64 * stride as f64 / NECK_STRIDE).floor() as usize;
                pooling::resampled_average(length, scaled.max(1))
            };
            let (rows, columns) = (weights(height), weights(width));
            let weights: Vec<f32> =
                rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect();
            let weights = Tensor::from_vec(weights, (height * width, 1), &Device::Cpu)?;
            pixels.reshape((images * channels, height * width))?.matmul(&weights)?.reshape((images, channels))
        }
        Pooling::Max => pixels.max(D::Minus1),
        Pooling::Std => {
            let centred = pixels.broadcast_sub(&pixels.mean_keepdim(D::Minus1)?)?;
            (centred.sqr()?.mean(D::Minus1)? + LEAST_VARIANCE)?.sqrt()
        }
    }
}

/// The vector that the classifier reads, `[images, width]`.
pub(super) fn read_out(map: &Tensor, readout: Readout) -> Result<Tensor> {
    match readout {
        Readout::Average => pool(map, Pooling::Average, 1),
        Readout::ClassToken => map.narrow(1, 0, 1)?.squeeze(1),
    }
}
