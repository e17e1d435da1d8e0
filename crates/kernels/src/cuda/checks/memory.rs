//! Copies, products, random numbers, and what is only moved.

use oodlab_base::golden::Findings;
use oodlab_base::{Seed, Tolerance};

use super::{TOLERANCE, numbers, spread};
use crate::cuda::{CudaError, Factors, Gpu, Product, Right, rearrange};

/// What is written is read, and growing loses nothing but the values.
pub(super) fn memory(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let values = numbers("values", 1000);
    let mut buffer = gpu.copy(&values)?;
    findings.add("copy", Tolerance::EXACT.compare_f32(&buffer.read(1000)?, &values));
    buffer.write(&values[500..])?;
    let want = [&values[500..], &values[500..]].concat();
    findings.add("part", Tolerance::EXACT.compare_f32(&buffer.read(1000)?, &want));
    let mut other = gpu.zeros(1000)?;
    other.copy_from(&buffer, 700)?;
    let within: Vec<f32> = want[..700].iter().copied().chain([0.0; 300]).collect();
    findings.add("within the GPU", Tolerance::EXACT.compare_f32(&other.read(1000)?, &within));
    buffer.reserve(3000)?;
    buffer.write(&values)?;
    findings.add("grown", Tolerance::EXACT.compare_f32(&buffer.read(1000)?, &values));
    Ok(())
}

/// Both layouts of the right matrix, batches that follow one another and batches of interleaved columns.
pub(super) fn products(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (rows, columns, depth, batch) = (5, 7, 11, 3);
    let (left, right) = (numbers("left", batch * rows * depth), numbers("right", batch * columns * depth));
    let (left_on, right_on) = (gpu.copy(&left)?, gpu.copy(&right)?);
    for (layout, interleaved) in [(Right::Transposed, false), (Right::Plain, true)] {
        let distance = rows * columns;
        let (output_distance, output_stride) =
            if interleaved { (columns, batch * columns) } else { (distance, columns) };
        let mut want = vec![0.0f64; batch * distance];
        for item in 0..batch {
            for row in 0..rows {
                for column in 0..columns {
                    let sum: f64 = (0..depth)
                        .map(|i| {
                            let at =
                                if layout == Right::Transposed { column * depth + i } else { i * columns + column };
                            let right = right[item * columns * depth + at];
                            f64::from(left[(item * rows + row) * depth + i]) * f64::from(right)
                        })
                        .sum();
                    want[item * output_distance + row * output_stride + column] = 0.5 * sum;
                }
            }
        }
        let product = Product {
            rows,
            columns,
            depth,
            left: &left_on,
            left_place: (0, depth),
            left_transposed: false,
            right: &right_on,
            right_place: (0, if layout == Right::Transposed { depth } else { columns }),
            layout,
            scale: 0.5,
            accumulate: false,
            factors: Factors::Full,
            batch,
            distances: [rows * depth, columns * depth, output_distance],
        };
        let mut got = gpu.zeros(batch * distance)?;
        gpu.product(&product, &mut got, (0, output_stride))?;
        let got = got.read(batch * distance)?;
        findings.add(format!("{layout:?}"), TOLERANCE.compare(got.iter().map(|&x| f64::from(x)), want));
    }
    weight_gradient(gpu, findings)
}

/// The left matrix transposed, at a place of its own, added to what the output holds; factors in full and rounded.
fn weight_gradient(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (rows, columns, depth, start) = (6, 5, 9, 4);
    let (gradient, input) = (numbers("gradient", start + depth * rows), numbers("input", depth * columns));
    let before = numbers("before", rows * columns);
    let mut want: Vec<f64> = before.iter().map(|&x| f64::from(x)).collect();
    for (at, want) in want.iter_mut().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let terms = (0..depth).map(|i| [gradient[start + i * rows + row], input[i * columns + column]].map(f64::from));
        *want += terms.map(|[a, b]| a * b).sum::<f64>();
    }
    let (left, right) = (gpu.copy(&gradient)?, gpu.copy(&input)?);
    let rounded = |bound| Tolerance::absolute("rounded factors", bound);
    for (factors, tolerance) in
        [(Factors::Full, TOLERANCE), (Factors::Tf32, rounded(1e-2)), (Factors::Bf16, rounded(8e-2))]
    {
        let product = Product {
            rows,
            columns,
            depth,
            left: &left,
            left_place: (start, rows),
            left_transposed: true,
            right: &right,
            right_place: (0, columns),
            layout: Right::Plain,
            scale: 1.0,
            accumulate: true,
            factors,
            batch: 1,
            distances: [0; 3],
        };
        let mut got = gpu.copy(&before)?;
        gpu.product(&product, &mut got, (0, columns))?;
        let got = got.read(rows * columns)?;
        let comparison = tolerance.compare(got.iter().map(|&x| f64::from(x)), want.iter().copied());
        findings.add(format!("left transposed, {factors:?}"), comparison);
    }
    Ok(())
}

/// Words and uniforms to the bit, normals within 1e-6; from the middle of a block on.
pub(super) fn random_numbers(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let stream = Seed(0x1234_5678_9abc_def0).stream("check");
    for (first, count) in [(0, 1000), (7, 517), ((1 << 34) + 2, 9)] {
        let positions = first..first + count as u64;
        let mut words = gpu.zeros::<u32>(count)?;
        crate::uniform::cuda::words(gpu, stream, first, &mut words, count)?;
        let got = words.read(count)?;
        let want = positions.clone().map(|at| f64::from(stream.word(at)));
        findings.add("words", Tolerance::EXACT.compare(got.into_iter().map(f64::from), want));
        let mut values = gpu.zeros::<f32>(count)?;
        crate::uniform::cuda::fill(gpu, stream, first, &mut values, count)?;
        let want: Vec<f32> = positions.clone().map(|at| stream.uniform(at)).collect();
        findings.add("uniforms", Tolerance::EXACT.compare_f32(&values.read(count)?, &want));
        crate::normal::cuda::fill(gpu, stream, first, &mut values, count)?;
        let want: Vec<f32> = positions.map(|at| stream.normal(at)).collect();
        findings.add("normals", Tolerance::absolute("1e-6", 1e-6).compare_f32(&values.read(count)?, &want));
    }
    Ok(())
}

/// 8-bit pixels normalised, planes interleaved: to the bit.
pub(super) fn images(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (images, pixels) = (2, 35);
    let factors = [(0.017, -2.1), (1.0 / 128.0, -127.0 / 128.0), (0.0175, -1.8)];
    let bytes: Vec<u8> = (0..images * pixels * 3).map(|i| (i * 37 % 256) as u8).collect();
    let mut got = gpu.zeros(bytes.len())?;
    rearrange::normalise(gpu, &gpu.copy(&bytes)?, (images, pixels), factors, &mut got)?;
    let want: Vec<f32> = bytes
        .iter()
        .zip(factors.into_iter().cycle())
        .map(|(&byte, (factor, shift))| f32::from(byte) * factor + shift)
        .collect();
    findings.add("normalised", Tolerance::EXACT.compare_f32(&got.read(bytes.len())?, &want));

    let planes = numbers("planes", images * pixels * 3);
    rearrange::interleave(gpu, &gpu.copy(&planes)?, (images, pixels), &mut got)?;
    let place = |at: usize| (at / (3 * pixels) * 3 + at % 3) * pixels + at / 3 % pixels;
    let want: Vec<f32> = (0..planes.len()).map(|at| planes[place(at)]).collect();
    findings.add("interleaved", Tolerance::EXACT.compare_f32(&got.read(planes.len())?, &want));
    Ok(())
}

/// Channels appended to a map; pixels left out with zero channels around.
pub(super) fn moved_channels(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (batch, (height, width), channels) = (2, (5, 7), 12);
    let (pixels, input_stride, output_stride) = (batch * height * width, 16, 48);
    let dense = numbers("dense", pixels * channels);
    let input = gpu.copy(&spread(&dense, channels, input_stride))?;

    let before = numbers("before", pixels * output_stride);
    let (mut got, start) = (gpu.copy(&before)?, 24);
    rearrange::copy_channels(gpu, (&input, input_stride), pixels, channels, (&mut got, output_stride), start)?;
    let mut want = before;
    for (to, from) in want.chunks_exact_mut(output_stride).zip(dense.chunks_exact(channels)) {
        to[start..start + channels].copy_from_slice(from);
    }
    findings.add("appended", Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));

    let (stride, around) = (2, 6);
    let (rows, columns) = (height.div_ceil(stride), width.div_ceil(stride));
    let mut want = vec![0.0; batch * rows * columns * output_stride];
    for (at, to) in want.chunks_exact_mut(output_stride).enumerate() {
        let (y, x) = (at / columns % rows * stride, at % columns * stride);
        let from = (at / columns / rows * height + y) * width + x;
        to[around..around + channels].copy_from_slice(&dense[from * channels..][..channels]);
    }
    let mut got = gpu.copy(&numbers("stale", want.len()))?;
    let (from, to) = ((&input, input_stride), (&mut got, output_stride));
    rearrange::subsample(gpu, from, batch, (height, width), channels, (stride, around), to)?;
    findings.add("left out", Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));
    Ok(())
}

/// The class token before the patches of each image, positions added.
pub(super) fn tokens(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (batch, count, width, stride) = (3, 5, 24, 32);
    let (patches, table) = (numbers("patches", batch * (count - 1) * width), numbers("table", count * width));
    let mut want = vec![0.0; batch * count * stride];
    for (at, to) in want.chunks_exact_mut(stride).enumerate() {
        let (image, token) = (at / count, at % count);
        for channel in 0..width {
            let patch = (token > 0).then(|| patches[(image * (count - 1) + token - 1) * width + channel]);
            to[channel] = table[token * width + channel] + patch.unwrap_or(0.0);
        }
    }
    let input = gpu.copy(&spread(&patches, width, stride))?;
    let mut got = gpu.zeros(want.len())?;
    rearrange::tokens(gpu, (&input, stride), batch, (&gpu.copy(&table)?, width), &mut got)?;
    findings.add("tokens", Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));
    Ok(())
}
