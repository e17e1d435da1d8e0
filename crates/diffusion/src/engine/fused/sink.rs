//! Where gradients go: into a buffer, or straight into the optimiser's step.

use oodlab_kernels::adamw::{self, Coefficients, Slices};
use oodlab_kernels::linear::{self, Numbers, Shape};
use oodlab_kernels::simd::InstructionSet;

use super::net::Linear;
use crate::DiffusionError;

/// Takes each parameter's gradient once, after the last use of the parameter itself.
pub(super) enum Sink<'a> {
    /// Keeps gradients; parameters stay.
    Keep {
        /// The flat parameters.
        parameters: &'a [f32],
        /// Their gradients, replaced.
        gradients: &'a mut [f32],
    },
    /// Steps at once: a gradient never goes to memory.
    Step {
        /// The flat parameters, their average and moments.
        slices: Slices<'a>,
        /// The step's numbers.
        coefficients: Coefficients,
    },
}

impl Sink<'_> {
    /// The parameters as they are now.
    pub(super) fn parameters(&self) -> &[f32] {
        match self {
            Sink::Keep { parameters, .. } => parameters,
            Sink::Step { slices, .. } => slices.parameters,
        }
    }

    /// Takes the gradients of a linear layer for its input `by_features` and its output's gradient; `small` is scratch.
    pub(super) fn linear(
        &mut self,
        numbers: Numbers,
        layer: &Linear,
        rows: usize,
        out_gradient: &[f32],
        by_features: &[f32],
        small: &mut [f32],
    ) -> Result<(), DiffusionError> {
        let shape = Shape { inputs: layer.inputs, outputs: layer.outputs, rows };
        let by_features = &by_features[..linear::layout::by_features_len(rows, layer.inputs)];
        match self {
            Sink::Keep { gradients, .. } => {
                linear::weight_gradient(
                    numbers,
                    shape,
                    out_gradient,
                    by_features,
                    &mut gradients[layer.weight.clone()],
                )?;
            }
            Sink::Step { slices, coefficients } => {
                let part = of(slices, &layer.weight);
                linear::weight_step(numbers, shape, out_gradient, by_features, *coefficients, part)?;
            }
        }
        let bias = &mut small[..layer.outputs];
        linear::bias_gradient(rows, layer.outputs, out_gradient, bias)?;
        self.small(numbers.set(), &layer.bias, bias)
    }

    /// Takes the gradient of a small parameter.
    pub(super) fn small(
        &mut self,
        set: InstructionSet,
        span: &std::ops::Range<usize>,
        gradient: &[f32],
    ) -> Result<(), DiffusionError> {
        match self {
            Sink::Keep { gradients, .. } => gradients[span.clone()].copy_from_slice(gradient),
            Sink::Step { slices, coefficients } => adamw::part(set, *coefficients, of(slices, span), gradient)?,
        }
        Ok(())
    }
}

/// A span of all slices.
fn of<'a>(slices: &'a mut Slices<'_>, span: &std::ops::Range<usize>) -> Slices<'a> {
    Slices {
        parameters: &mut slices.parameters[span.clone()],
        average: &mut slices.average[span.clone()],
        first_moment: &mut slices.first_moment[span.clone()],
        second_moment: &mut slices.second_moment[span.clone()],
    }
}
