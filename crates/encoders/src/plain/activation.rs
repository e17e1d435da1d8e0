//! Activations as candle operations with gradients, spread over threads.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use oodlab_kernels::simd::Activation;
use rayon::prelude::*;

use super::values::{Values, slice};

/// Elements in one task.
const CHUNK: usize = 1 << 14;

/// Applies an activation to every element; differentiable. Where ReLU and ReLU6 have a kink the slope is 0.
pub(super) fn activate(input: &Tensor, activation: Activation) -> Result<Tensor> {
    let derivative: fn(f32) -> f32 = match activation {
        Activation::None => return Ok(input.clone()),
        Activation::Gelu => return input.gelu_erf(),
        Activation::Relu => |x| if x > 0.0 { 1.0 } else { 0.0 },
        Activation::Relu6 => |x| if x > 0.0 && x < 6.0 { 1.0 } else { 0.0 },
        Activation::Silu => |x| sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        Activation::Sigmoid => |x| sigmoid(x) * (1.0 - sigmoid(x)),
    };
    let function: fn(f32) -> f32 = match activation {
        Activation::Relu => |x| x.max(0.0),
        Activation::Relu6 => |x| x.clamp(0.0, 6.0),
        Activation::Silu => |x| x * sigmoid(x),
        Activation::Sigmoid => sigmoid,
        Activation::None | Activation::Gelu => |x| x,
    };
    input.contiguous()?.apply_op1(Elementwise { function, derivative })
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

struct Elementwise {
    function: fn(f32) -> f32,
    derivative: fn(f32) -> f32,
}

impl CustomOp1 for Elementwise {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = slice(storage, layout)?;
        let mut output = vec![0.0; input.len()];
        output.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK)).for_each(|(to, from)| {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = (self.function)(from);
            }
        });
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (inputs, gradients) = (Values::of(input), Values::of(&gradient));
        let (inputs, gradients) = (inputs.slice()?, gradients.slice()?);
        let mut slope = vec![0.0; inputs.len()];
        let parts = slope.par_chunks_mut(CHUNK).zip(inputs.par_chunks(CHUNK)).zip(gradients.par_chunks(CHUNK));
        parts.for_each(|((to, inputs), gradients)| {
            for ((to, &input), gradient) in to.iter_mut().zip(inputs).zip(gradients) {
                *to = gradient * (self.derivative)(input);
            }
        });
        Tensor::from_vec(slope, input.dims(), input.device()).map(Some)
    }
}
