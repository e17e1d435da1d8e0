//! The encoders' kernels on a GPU, at sizes of a middle stage of EfficientNet, ResNet and ViT.

use super::{BenchError, Meter, numbers};
use crate::affine::cuda::CudaAffine;
use crate::attention;
use crate::cost::Cost;
use crate::cuda::{CudaError, Gpu, rearrange};
use crate::dense_conv::Padding;
use crate::dense_conv::cuda::CudaDenseConv;
use crate::depthwise_conv::cuda::CudaDepthwiseConv;
use crate::layer_norm::cuda::CudaLayerNorm;
use crate::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use crate::pooling::cuda::{CudaMaps, CudaPool, CudaSpan};
use crate::simd::Activation;
use crate::squeeze_excitation::cuda::scale_channels;
use crate::window_pool::Kind;
use crate::window_pool::cuda::{CudaWindows, pool};

/// Side of the maps, and their channels.
const SIDE: usize = 28;
const CHANNELS: usize = 96;
const SAME: Padding = Padding { top: 1, bottom: 1, left: 1, right: 1 };

pub(super) fn run(gpu: &Gpu, meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let image = SIDE * SIDE * CHANNELS;
    let batch = (meter.config.values / image).clamp(1, 64);
    let (pixels, size) = (batch * SIDE * SIDE, (SIDE, SIDE));
    let length = pixels * CHANNELS;
    let shape = format!("{batch} x {SIDE} x {SIDE} x {CHANNELS}");
    let (map, mut out) = (gpu.copy(&numbers("map", length))?, gpu.zeros::<f32>(length)?);
    let (factors, bias) = (numbers("factors", CHANNELS), numbers("bias", CHANNELS));
    let through = |reads: u64, operations| Cost::elements(length, reads, operations);

    let affine = CudaAffine::new(gpu, &factors, &bias, Activation::Relu)?;
    meter.measure("affine", shape.clone(), through(2, 3), || {
        Ok(affine.run((&map, CHANNELS), pixels, (&mut out, CHANNELS))?)
    })?;
    let norm = CudaLayerNorm::new(gpu, &factors, &bias, 1e-6)?;
    meter.measure("layer norm", shape.clone(), through(2, 7), || {
        Ok(norm.run((&map, CHANNELS), pixels, (&mut out, CHANNELS))?)
    })?;
    let gate = gpu.copy(&numbers("gate", batch * CHANNELS))?;
    meter.measure("squeeze-excitation's gate", shape.clone(), through(2, 1), || {
        Ok(scale_channels(gpu, &mut out, &gate, batch, SIDE * SIDE, CHANNELS)?)
    })?;
    meter.measure("moved channels", shape.clone(), through(2, 0), || {
        Ok(rearrange::copy_channels(gpu, (&map, CHANNELS), pixels, CHANNELS, (&mut out, CHANNELS), 0)?)
    })?;

    let (maximum, mut pooled, mut lines) =
        (CudaPool::maximum(gpu, SIDE * SIDE)?, gpu.zeros(batch * CHANNELS)?, gpu.zeros(0)?);
    let maps = CudaMaps { values: &map, batch, channels: CHANNELS, skip: 0, image_pixels: SIDE * SIDE };
    let span = CudaSpan { stride: CHANNELS, start: 0, kept: CHANNELS };
    meter
        .measure("pooling", shape.clone(), through(1, 1), || Ok(maximum.run(maps, &mut pooled, span, &mut lines)?))?;
    let windows = CudaWindows { kind: Kind::Average, size: 2, stride: 2, padding: Padding::default() };
    let quarter = Cost::elements(length / 4, 1, 0);
    meter.measure("window pooling", shape.clone(), through(1, 1).and(quarter), || {
        Ok(pool(gpu, windows, &map, batch, size, CHANNELS, &mut out).map(drop)?)
    })?;

    let weight = numbers("weight", 9 * CHANNELS * CHANNELS);
    let depthwise =
        CudaDepthwiseConv::new(gpu, &weight[..9 * CHANNELS], &bias, CHANNELS, 3, 1, SAME, Activation::Relu6)?;
    meter.measure("depthwise convolution 3 x 3", shape.clone(), through(2, 19), || {
        Ok(depthwise.run(&map, batch, size, &mut out).map(drop)?)
    })?;
    let square = &weight[..CHANNELS * CHANNELS];
    let pointwise = CudaPointwiseConv::new(gpu, square, &bias, CHANNELS, CHANNELS, Activation::Relu6)?;
    let cost = Cost::product(pixels, CHANNELS, CHANNELS);
    meter.measure("pointwise convolution", shape.clone(), cost, || {
        Ok(pointwise.run((&map, CHANNELS), pixels, &mut out, CudaResidual::None)?)
    })?;
    let channels = (CHANNELS, CHANNELS);
    let dense = CudaDenseConv::new(gpu, &weight, &bias, channels, 3, 1, SAME, Activation::Relu)?;
    let mut unfolded = gpu.zeros(0)?;
    let operations = 9 * cost.operations;
    meter.measure("dense convolution 3 x 3", shape, Cost { operations, ..through(2, 0) }, || {
        let input = (&map, CHANNELS);
        Ok(dense.run(input, batch, size, &mut out, CudaResidual::None, &mut unfolded).map(drop)?)
    })?;
    tokens(gpu, meter, batch)
}

/// Attention of ViT-B/16: 197 tokens, 12 heads of 64.
fn tokens(gpu: &Gpu, meter: &mut Meter<'_>, batch: usize) -> Result<(), BenchError> {
    let (tokens, heads, width) = if batch < 8 { (9, 2, 16) } else { (197, 12, 64) };
    let inner = heads * width;
    let qkv = gpu.copy(&numbers("qkv", batch * tokens * 3 * inner))?;
    let (mut out, mut scores) = (gpu.zeros(batch * tokens * inner)?, gpu.zeros(0)?);
    let products = 4 * (batch * heads * tokens * tokens * width) as u64;
    let cost = Cost { operations: products, ..Cost::elements(batch * tokens * inner, 4, 0) };
    let shape = format!("{batch} x {tokens} tokens, {heads} x {width}");
    meter.measure("attention", shape, cost, || -> Result<(), BenchError> {
        let run = attention::cuda::run(gpu, &qkv, (batch, tokens), heads, width, &mut out, &mut scores);
        run.map_err(CudaError::into)
    })
}
