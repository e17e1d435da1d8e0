//! Activations, norms, attention.

use oodlab_base::Tolerance;
use oodlab_base::golden::Findings;

use super::{TOLERANCE, gather, gather_padded, numbers, spread};
use crate::affine::cuda::CudaAffine;
use crate::cuda::{CudaError, Gpu};
use crate::layer_norm::cuda::CudaLayerNorm;
use crate::simd::{Activation, AlignedBuffer, InstructionSet, padded_channels};

/// Each activation over its useful range, against f64.
pub(super) fn activations(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let tolerance = Tolerance::mixed("1e-6", 1e-6, 1e-6);
    let inputs: Vec<f32> = (0..4096).map(|i| (i as f32 - 2048.0) / 25.0).collect();
    let all = [
        Activation::None,
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Gelu,
    ];
    for activation in all {
        let affine = CudaAffine::new(gpu, &[1.0], &[0.0], activation)?;
        let (from, mut to) = (gpu.copy(&inputs)?, gpu.zeros(inputs.len())?);
        affine.run((&from, 1), inputs.len(), (&mut to, 1))?;
        let got = to.read(inputs.len())?;
        let want = inputs.iter().map(|&x| activation.of(f64::from(x)));
        let comparison = tolerance.compare(got.iter().map(|&x| f64::from(x)), want);
        findings.add(format!("{activation:?}"), comparison);
    }
    Ok(())
}

/// A map whose pixels lie further apart in the input than in the output.
pub(super) fn affine(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (channels, pixels, input_stride) = (36, 21, 64);
    let output_stride = padded_channels(channels);
    let (factor, shift) = (numbers("factor", channels), numbers("shift", channels));
    let input = spread(&numbers("input", pixels * channels), channels, input_stride);
    let (mut scale, mut term) = (AlignedBuffer::zeroed(output_stride), AlignedBuffer::zeroed(output_stride));
    scale[..channels].copy_from_slice(&factor);
    term[..channels].copy_from_slice(&shift);
    let mut want = AlignedBuffer::zeroed(pixels * output_stride);
    let (set, relu) = (InstructionSet::detect(), Activation::Relu);
    crate::affine::apply(set, &input, input_stride, pixels, channels, &scale, &term, relu, &mut want, output_stride)?;
    let affine = CudaAffine::new(gpu, &factor, &shift, relu)?;
    let (input, mut got) = (gpu.copy(&input)?, gpu.zeros(pixels * output_stride)?);
    affine.run((&input, input_stride), pixels, (&mut got, output_stride))?;
    let got = gather_padded(&got.read(pixels * output_stride)?, channels);
    findings.add("map", TOLERANCE.compare_f32(&got, &gather_padded(&want, channels)));
    Ok(())
}

/// Rows narrower and wider than a block of threads.
pub(super) fn layer_norm(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    for (width, rows) in [(40, 5), (768, 3)] {
        let stride = padded_channels(width);
        let (weight, bias) = (numbers("weight", width), numbers("bias", width));
        let input = spread(&numbers("input", rows * width), width, stride);
        let mut want = AlignedBuffer::zeroed(rows * stride);
        let set = InstructionSet::detect();
        crate::layer_norm::rows(set, &input, rows, stride, width, &weight, &bias, 1e-6, &mut want)?;
        let norm = CudaLayerNorm::new(gpu, &weight, &bias, 1e-6)?;
        let (input, mut got) = (gpu.copy(&input)?, gpu.zeros(rows * stride)?);
        norm.run((&input, stride), rows, (&mut got, stride))?;
        let got = gather(&got.read(rows * stride)?, width, stride);
        findings.add(format!("width {width}"), TOLERANCE.compare_f32(&got, &gather(&want, width, stride)));
    }
    Ok(())
}

/// Several images, more tokens than a block has threads.
pub(super) fn attention(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    for (batch, tokens, heads, width) in [(2, 5, 3, 16), (1, 131, 2, 64)] {
        let inner = heads * width;
        let values = numbers("qkv", batch * tokens * 3 * inner);
        let mut want = vec![0.0; batch * tokens * inner];
        for (values, want) in values.chunks_exact(tokens * 3 * inner).zip(want.chunks_exact_mut(tokens * inner)) {
            let (set, mut scratch) = (InstructionSet::detect(), AlignedBuffer::default());
            crate::attention::run(set, values, tokens, heads, width, want, &mut scratch)?;
        }
        // Both widths are whole blocks of channels, so that no gaps lie between tokens.
        let (qkv, mut got) = (gpu.copy(&values)?, gpu.zeros(batch * tokens * inner)?);
        let mut scores = gpu.zeros(0)?;
        crate::attention::cuda::run(gpu, &qkv, (batch, tokens), heads, width, &mut got, &mut scores)?;
        let got = got.read(batch * tokens * inner)?;
        findings.add(format!("{tokens} tokens, {heads} heads"), TOLERANCE.compare_f32(&got, &want));
    }
    Ok(())
}
