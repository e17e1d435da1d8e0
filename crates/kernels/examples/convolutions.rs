//! How fast the convolutions of ResNet-50 and EfficientNet are here, layer by layer, next to plain matrix products.
//!
//! `cargo run --release -p oodlab-kernels --example convolutions [threads] [part of a name] [bf16]`
//!
//! Each thread convolves its own map, as an encoder does. Rates are 10^9 operations a second over all threads, the best of
//! several rounds; the share is that of independent products of 512 × 512 × 512 on as many threads.

use std::time::Instant;

use oodlab_kernels::dense_conv::{DenseConv, Padding};
use oodlab_kernels::depthwise_conv::DepthwiseConv;
use oodlab_kernels::pointwise_conv::{Pixels, PointwiseConv};
use oodlab_kernels::simd::{Activation, AlignedBuffer, InstructionSet, SizeError, padded_channels};
use rayon::prelude::*;

/// A layer: a dense convolution, or a depthwise one where `outputs` is 0.
struct Layer {
    name: &'static str,
    /// Side of the input map.
    side: usize,
    inputs: usize,
    outputs: usize,
    size: usize,
    stride: usize,
    activation: Activation,
    /// How often the network has it.
    count: usize,
}

/// Name, side, inputs, outputs, size, stride, activation, count of a [`Layer`].
type Row = (&'static str, usize, usize, usize, usize, usize, Activation, usize);

#[rustfmt::skip]
const LAYERS: &[Row] = &[
    ("resnet50 stem", 224, 3, 64, 7, 2, Activation::Relu, 1),
    ("resnet50 1.a0", 56, 64, 64, 1, 1, Activation::Relu, 1),
    ("resnet50 1.a", 56, 256, 64, 1, 1, Activation::Relu, 2),
    ("resnet50 1.b", 56, 64, 64, 3, 1, Activation::Relu, 3),
    ("resnet50 1.c", 56, 64, 256, 1, 1, Activation::Relu, 4),
    ("resnet50 2.a0", 56, 256, 128, 1, 1, Activation::Relu, 1),
    ("resnet50 2.b0", 56, 128, 128, 3, 2, Activation::Relu, 1),
    ("resnet50 2.d", 56, 256, 512, 1, 2, Activation::None, 1),
    ("resnet50 2.a", 28, 512, 128, 1, 1, Activation::Relu, 3),
    ("resnet50 2.b", 28, 128, 128, 3, 1, Activation::Relu, 3),
    ("resnet50 2.c", 28, 128, 512, 1, 1, Activation::Relu, 4),
    ("resnet50 3.a0", 28, 512, 256, 1, 1, Activation::Relu, 1),
    ("resnet50 3.b0", 28, 256, 256, 3, 2, Activation::Relu, 1),
    ("resnet50 3.d", 28, 512, 1024, 1, 2, Activation::None, 1),
    ("resnet50 3.a", 14, 1024, 256, 1, 1, Activation::Relu, 5),
    ("resnet50 3.b", 14, 256, 256, 3, 1, Activation::Relu, 5),
    ("resnet50 3.c", 14, 256, 1024, 1, 1, Activation::Relu, 6),
    ("resnet50 4.a0", 14, 1024, 512, 1, 1, Activation::Relu, 1),
    ("resnet50 4.b0", 14, 512, 512, 3, 2, Activation::Relu, 1),
    ("resnet50 4.d", 14, 1024, 2048, 1, 2, Activation::None, 1),
    ("resnet50 4.a", 7, 2048, 512, 1, 1, Activation::Relu, 2),
    ("resnet50 4.b", 7, 512, 512, 3, 1, Activation::Relu, 2),
    ("resnet50 4.c", 7, 512, 2048, 1, 1, Activation::Relu, 3),
    ("cifar 32", 32, 16, 16, 3, 1, Activation::Relu, 1),
    ("cifar 16", 16, 32, 32, 3, 1, Activation::Relu, 1),
    ("cifar 8", 8, 64, 64, 3, 1, Activation::Relu, 1),
    ("wrn 32", 32, 32, 32, 3, 1, Activation::Relu, 1),
    ("wrn 16", 16, 64, 64, 3, 1, Activation::Relu, 1),
    ("wrn 8", 8, 128, 128, 3, 1, Activation::Relu, 1),
    ("vit qkv", 14, 768, 2304, 1, 1, Activation::None, 12),
    ("vit expand", 14, 768, 3072, 1, 1, Activation::Gelu, 12),
    ("vit contract", 14, 3072, 768, 1, 1, Activation::None, 12),
    ("b4 expand", 112, 24, 144, 1, 1, Activation::Silu, 1),
    ("b4 expand", 56, 32, 192, 1, 1, Activation::Silu, 4),
    ("b4 expand", 28, 56, 336, 1, 1, Activation::Silu, 4),
    ("b4 expand", 14, 112, 672, 1, 1, Activation::Silu, 6),
    ("b4 expand", 14, 160, 960, 1, 1, Activation::Silu, 6),
    ("b4 expand", 7, 272, 1632, 1, 1, Activation::Silu, 8),
    ("b4 project", 112, 48, 24, 1, 1, Activation::None, 1),
    ("b4 project", 56, 192, 32, 1, 1, Activation::None, 4),
    ("b4 project", 28, 336, 56, 1, 1, Activation::None, 4),
    ("b4 project", 14, 672, 112, 1, 1, Activation::None, 6),
    ("b4 project", 14, 960, 160, 1, 1, Activation::None, 6),
    ("b4 project", 7, 1632, 272, 1, 1, Activation::None, 8),
    ("b4 depthwise", 112, 48, 0, 3, 1, Activation::Silu, 1),
    ("b4 depthwise", 56, 192, 0, 3, 1, Activation::Silu, 3),
    ("b4 depthwise", 28, 336, 0, 5, 1, Activation::Silu, 3),
    ("b4 depthwise", 14, 672, 0, 3, 1, Activation::Silu, 5),
    ("b4 depthwise", 14, 960, 0, 5, 1, Activation::Silu, 6),
    ("b4 depthwise", 7, 1632, 0, 5, 1, Activation::Silu, 7),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let part = arguments.next().unwrap_or_default();
    let half = arguments.next().is_some_and(|precision| precision == "bf16");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let peak = pool.install(product_peak);
    println!("{threads} threads, {}, products: {peak:.0} GFLOP/s", InstructionSet::detect().name());
    let mut networks: Vec<(&str, f64, f64)> = Vec::new();
    for &(name, side, inputs, outputs, size, stride, activation, count) in LAYERS {
        let layer = Layer { name, side, inputs, outputs, size, stride, activation, count };
        if !name.contains(&part) {
            continue;
        }
        let (operations, seconds) = pool.install(|| measure(&layer, half))?;
        let rate = operations * threads as f64 / seconds / 1e9;
        println!(
            "{name:14} {side:3} {inputs:5} -> {outputs:4} {size}x{size}/{stride}  {:8.1} us  {rate:6.1} GFLOP/s  {:3.0} %",
            seconds * 1e6,
            100.0 * rate / peak
        );
        let network = layer.name.split(' ').next().unwrap_or_default();
        let (operations, seconds) = (operations * layer.count as f64, seconds * layer.count as f64);
        match networks.iter_mut().find(|(known, ..)| *known == network) {
            Some((_, all, time)) => (*all, *time) = (*all + operations, *time + seconds),
            None => networks.push((network, operations, seconds)),
        }
    }
    for (network, operations, seconds) in networks {
        let rate = operations * threads as f64 / seconds / 1e9;
        println!("{network}: {:.2} ms a map, {rate:.1} GFLOP/s, {:.0} %", seconds * 1e3, 100.0 * rate / peak);
    }
    Ok(())
}

/// Operations of one map and the seconds that all threads take for one each.
fn measure(layer: &Layer, half: bool) -> Result<(f64, f64), SizeError> {
    let threads = rayon::current_num_threads();
    let mut best = f64::INFINITY;
    let rounds: Result<Vec<_>, SizeError> = (0..threads).map(|_| prepare(layer, half)).collect();
    let mut rounds = rounds?;
    let operations = rounds.first().map_or(0.0, |round| round.operations);
    let repeats = (2e8 / operations).ceil() as usize;
    for _ in 0..12 {
        let start = Instant::now();
        rounds.par_iter_mut().with_max_len(1).try_for_each(|round| (0..repeats).try_for_each(|_| (round.run)()))?;
        best = best.min(start.elapsed().as_secs_f64() / repeats as f64);
    }
    Ok((operations, best))
}

struct Round {
    operations: f64,
    run: Box<dyn FnMut() -> Result<(), SizeError> + Send>,
}

fn numbers(count: usize) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::zeroed(count);
    buffer.iter_mut().enumerate().for_each(|(i, x)| *x = (i * 37 % 101) as f32 / 100.0 - 0.5);
    buffer
}

fn prepare(layer: &Layer, half: bool) -> Result<Round, SizeError> {
    let set = InstructionSet::detect();
    let Layer { side, inputs, outputs, size, stride, activation, .. } = *layer;
    if outputs == 0 {
        let conv = DepthwiseConv::new(&numbers(inputs * size * size), &numbers(inputs), inputs, size, 1, activation)?;
        let channels = padded_channels(inputs);
        let frame = side + size - 1;
        let input = numbers(frame * frame * channels);
        let mut output = AlignedBuffer::zeroed(side * side * channels);
        let mut sums = AlignedBuffer::zeroed(channels);
        let operations = conv.operations_per_pixel() as f64 * (side * side) as f64;
        let run = move || conv.run(set, &input, frame, &mut output, (side, side), Some(&mut sums));
        return Ok(Round { operations, run: Box::new(run) });
    }
    let weight = numbers(inputs * outputs * size * size);
    let bias = numbers(outputs);
    let step = if inputs == 3 { 3 } else { padded_channels(inputs) };
    let input = numbers(side * side * step);
    if size == 1 && stride == 1 {
        let conv = PointwiseConv::new(&weight, &bias, inputs, outputs, activation)?;
        let conv = if half { conv.clone().in_bf16().unwrap_or(conv) } else { conv };
        let channels = padded_channels(outputs);
        let mut output = AlignedBuffer::zeroed(side * side * channels);
        let operations = conv.operations_per_pixel() as f64 * (side * side) as f64;
        let run = move || {
            let pixels = Pixels { values: &input, stride: step, count: side * side };
            conv.run_strided(set, pixels, &mut output, channels, None)
        };
        return Ok(Round { operations, run: Box::new(run) });
    }
    let before = size / 2;
    let padding = Padding { top: before, bottom: before, left: before, right: before };
    let conv = DenseConv::new(&weight, &bias, (inputs, outputs), size, stride, padding, activation)?;
    let conv = if half { conv.clone().in_bf16().unwrap_or(conv) } else { conv };
    let (rows, columns) = conv.output_size(side, side).unwrap_or_default();
    let channels = padded_channels(outputs);
    let mut output = AlignedBuffer::zeroed(rows * columns * channels);
    let mut scratch = AlignedBuffer::default();
    let operations = conv.operations_per_pixel() as f64 * (rows * columns) as f64;
    let run = move || conv.run_map(set, &input, step, (side, side), &mut output, channels, None, &mut scratch);
    Ok(Round { operations, run: Box::new(run) })
}

/// One product on every thread at the same time; the best of several rounds.
fn product_peak() -> f64 {
    const SIDE: usize = 512;
    const REPEATS: usize = 4;
    let threads = rayon::current_num_threads();
    let mut best = 0.0f64;
    for _ in 0..6 {
        let start = Instant::now();
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            let (left, right) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; SIDE * SIDE]);
            let mut product = vec![0.0f32; SIDE * SIDE];
            for _ in 0..REPEATS {
                let n = SIDE as isize;
                let (to, left, right) = (product.as_mut_ptr(), left.as_ptr(), right.as_ptr());
                let none = gemm::Parallelism::None;
                // SAFETY: three square matrices of SIDE × SIDE elements, row-major; the product is not aliased.
                unsafe {
                    gemm::gemm(
                        SIDE, SIDE, SIDE, to, 1, n, false, left, 1, n, right, 1, n, 0.0, 1.0, false, false, false, none,
                    );
                }
            }
            std::hint::black_box(&product);
        });
        let operations = (2 * SIDE * SIDE * SIDE * REPEATS * threads) as f64;
        best = best.max(operations / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}
