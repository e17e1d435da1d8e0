//! Convolutions and gates.

use oodlab_base::golden::Findings;

use super::{TOLERANCE, gather_padded, numbers, spread};
use crate::cuda::{CudaError, Gpu};
use crate::dense_conv::cuda::CudaDenseConv;
use crate::dense_conv::{DenseConv, Padding};
use crate::depthwise_conv::DepthwiseConv;
use crate::depthwise_conv::cuda::CudaDepthwiseConv;
use crate::pointwise_conv::cuda::{CudaPointwiseConv, CudaResidual};
use crate::pointwise_conv::{Pixels, PointwiseConv};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, padded_channels};
use crate::squeeze_excitation::cuda::CudaSqueezeExcitation;
use crate::squeeze_excitation::{Layer, SqueezeExcitation, scale_channels};

/// Shapes with and without spare channels, residuals before and after the activation, a stride of the input's own.
pub(super) fn pointwise(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let set = InstructionSet::detect();
    let cases = [
        (24, 144, 50, 32, Activation::Silu, 0),
        (144, 24, 33, 144, Activation::None, 2),
        (40, 10, 7, 48, Activation::Relu, 1),
        (17, 33, 1, 40, Activation::Gelu, 0),
    ];
    for (inputs, outputs, pixels, stride, activation, residual) in cases {
        let (weight, bias) = (numbers("weight", inputs * outputs), numbers("bias", outputs));
        let input = spread(&numbers("input", inputs * pixels), inputs, stride);
        let padded = padded_channels(outputs);
        let added = spread(&numbers("residual", outputs * pixels), outputs, padded);

        let mut conv = PointwiseConv::new(&weight, &bias, inputs, outputs, activation)?;
        if residual == 1 {
            conv = conv.activated_after_residual();
        }
        let mut want = AlignedBuffer::zeroed(padded * pixels);
        let read = Pixels { values: &input, stride, count: pixels };
        conv.run_strided(set, read, &mut want, padded, (residual > 0).then_some((&added[..], padded)))?;

        let conv = CudaPointwiseConv::new(gpu, &weight, &bias, inputs, outputs, activation)?;
        let (input, added) = (gpu.copy(&input)?, gpu.copy(&added)?);
        let mut got = gpu.zeros(padded * pixels)?;
        let residual = match residual {
            0 => CudaResidual::None,
            1 => CudaResidual::BeforeActivation(&added),
            _ => CudaResidual::AfterActivation(&added),
        };
        conv.run((&input, stride), pixels, &mut got, residual)?;
        let (got, want) = (gather_padded(&got.read(padded * pixels)?, outputs), gather_padded(&want, outputs));
        findings.add(format!("{inputs} to {outputs} channels"), TOLERANCE.compare_f32(&got, &want));
    }
    Ok(())
}

/// Stems, the convolutions of residual networks, patches; batches of several images.
pub(super) fn dense(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let set = InstructionSet::detect();
    let around = |padding| Padding { top: padding, bottom: padding, left: padding, right: padding };
    let static_padding = Padding { top: 0, bottom: 1, left: 0, right: 1 };
    let cases = [
        ((3, 32), 3, 3, 2, static_padding, (19, 21), Activation::Silu, false),
        ((3, 20), 3, 7, 2, around(3), (23, 22), Activation::Relu, false),
        ((3, 48), 3, 16, 16, Padding::default(), (32, 48), Activation::None, false),
        ((16, 24), 16, 3, 1, around(1), (9, 7), Activation::Relu, true),
        ((12, 40), 32, 3, 2, around(1), (8, 11), Activation::Relu, false),
        ((32, 48), 32, 1, 2, Padding::default(), (9, 10), Activation::None, false),
    ];
    for ((inputs, outputs), input_stride, size, stride, padding, (height, width), activation, residual) in cases {
        let batch = 3;
        let weight = numbers("weight", inputs * outputs * size * size);
        let weight: Vec<f32> = weight.iter().map(|weight| weight / size as f32).collect();
        let bias = numbers("bias", outputs);
        let input = spread(&numbers("input", batch * height * width * inputs), inputs, input_stride);
        let conv = DenseConv::new(&weight, &bias, (inputs, outputs), size, stride, padding, activation)?;
        let conv = conv.activated_after_residual();
        let (rows, columns) = conv.output_size(height, width).unwrap_or_default();
        let channels = padded_channels(outputs);
        let length = rows * columns * channels;
        let added = spread(&numbers("residual", batch * rows * columns * outputs), outputs, channels);
        let mut want = Vec::new();
        for (input, added) in input.chunks_exact(height * width * input_stride).zip(added.chunks_exact(length)) {
            let (mut output, mut scratch) = (AlignedBuffer::zeroed(length), AlignedBuffer::default());
            let added = residual.then_some((added, channels));
            conv.run_map(set, input, input_stride, (height, width), &mut output, channels, added, &mut scratch)?;
            want.extend_from_slice(&gather_padded(&output, outputs));
        }
        let conv = CudaDenseConv::new(gpu, &weight, &bias, (inputs, outputs), size, stride, padding, activation)?;
        let (input, added) = (gpu.copy(&input)?, gpu.copy(&added)?);
        let (mut got, mut windows) = (gpu.zeros(batch * length)?, gpu.zeros(0)?);
        let residual = if residual { CudaResidual::BeforeActivation(&added) } else { CudaResidual::None };
        conv.run((&input, input_stride), batch, (height, width), &mut got, residual, &mut windows)?;
        let got = gather_padded(&got.read(batch * length)?, outputs);
        let what = format!("{size} × {size}, stride {stride}, {inputs} to {outputs} channels");
        findings.add(what, TOLERANCE.compare_f32(&got, &want));
    }
    Ok(())
}

/// Kernel sizes and strides of EfficientNet, with its unequal paddings.
pub(super) fn depthwise(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let set = InstructionSet::detect();
    let cases = [
        (32, 3, 1, Padding { top: 1, bottom: 1, left: 1, right: 1 }, (8, 9)),
        (24, 3, 2, Padding { top: 0, bottom: 1, left: 0, right: 1 }, (11, 12)),
        (40, 5, 1, Padding { top: 2, bottom: 2, left: 2, right: 2 }, (7, 7)),
        (10, 5, 2, Padding { top: 1, bottom: 2, left: 1, right: 2 }, (13, 10)),
    ];
    for (channels, size, stride, padding, (height, width)) in cases {
        let batch = 3;
        let (weight, bias) = (numbers("weight", channels * size * size), numbers("bias", channels));
        let padded = padded_channels(channels);
        let dense = numbers("input", batch * height * width * channels);
        let (rows, columns) = padding.output_size(height, width, size, stride).unwrap_or_default();
        let conv = DepthwiseConv::new(&weight, &bias, channels, size, stride, Activation::Silu)?;
        let (frame_height, frame_width) = (height + padding.top + padding.bottom, width + padding.left + padding.right);
        let mut want = Vec::new();
        for image in dense.chunks_exact(height * width * channels) {
            let mut frame = AlignedBuffer::zeroed(frame_height * frame_width * padded);
            for (at, pixel) in image.chunks_exact(channels).enumerate() {
                let place = (at / width + padding.top) * frame_width + at % width + padding.left;
                frame[place * padded..][..channels].copy_from_slice(pixel);
            }
            let mut output = AlignedBuffer::zeroed(rows * columns * padded);
            conv.run(set, &frame, frame_width, &mut output, (rows, columns), None)?;
            want.extend_from_slice(&gather_padded(&output, channels));
        }
        let conv = CudaDepthwiseConv::new(gpu, &weight, &bias, channels, size, stride, padding, Activation::Silu)?;
        let input = gpu.copy(&spread(&dense, channels, padded))?;
        let mut got = gpu.zeros(batch * rows * columns * padded)?;
        conv.run(&input, batch, (height, width), &mut got)?;
        let got = gather_padded(&got.read(batch * rows * columns * padded)?, channels);
        findings.add(format!("{size} × {size}, stride {stride}"), TOLERANCE.compare_f32(&got, &want));
    }
    Ok(())
}

/// The gates of several images, and maps scaled by them.
pub(super) fn squeeze_excitation(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let set = InstructionSet::detect();
    let (channels, squeezed, batch, pixels) = (40, 10, 3, 12);
    let padded = padded_channels(channels);
    let (reduce, expand) = (numbers("reduce", squeezed * channels), numbers("expand", channels * squeezed));
    let (reduce_bias, expand_bias) = (numbers("reduce bias", squeezed), numbers("expand bias", channels));
    let reduce = Layer { weight: &reduce, bias: &reduce_bias };
    let expand = Layer { weight: &expand, bias: &expand_bias };
    let means = spread(&numbers("means", batch * channels), channels, padded);
    let map = spread(&numbers("map", batch * pixels * channels), channels, padded);

    let gate = SqueezeExcitation::new(channels, squeezed, reduce, expand)?;
    let (mut want_gate, mut want) = (Vec::new(), Vec::new());
    for (means, map) in means.chunks_exact(padded).zip(map.chunks_exact(pixels * padded)) {
        let (mut sums, mut factors) = (AlignedBuffer::zeroed(padded), AlignedBuffer::zeroed(padded));
        sums.copy_from_slice(means);
        gate.run(set, &mut sums, 1, &mut factors, &mut AlignedBuffer::default())?;
        let mut scaled = AlignedBuffer::zeroed(map.len());
        scaled.copy_from_slice(map);
        scale_channels(set, &mut scaled, &factors, padded)?;
        want_gate.extend_from_slice(&gather_padded(&factors, channels));
        want.extend_from_slice(&gather_padded(&scaled, channels));
    }
    let gate = CudaSqueezeExcitation::new(gpu, channels, squeezed, reduce, expand)?;
    let (means, mut map) = (gpu.copy(&means)?, gpu.copy(&map)?);
    let (mut factors, mut scratch) = (gpu.zeros(batch * padded)?, gpu.zeros(0)?);
    gate.run(&means, batch, &mut factors, &mut scratch)?;
    gate.apply(&mut map, &factors, batch, pixels)?;
    let got_gate = gather_padded(&factors.read(batch * padded)?, channels);
    let got = gather_padded(&map.read(batch * pixels * padded)?, channels);
    findings.add("gate", TOLERANCE.compare_f32(&got_gate, &want_gate));
    findings.add("scaled map", TOLERANCE.compare_f32(&got, &want));
    Ok(())
}
