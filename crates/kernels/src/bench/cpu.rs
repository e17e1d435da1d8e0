//! The processor's kernels that move memory, and those that the network's engine runs: its norm, SiLU and products on rows in the lanes
//! of vectors. The encoders' convolutions are measured by `oodlab bench encoder`, where caches matter as they do in use.

use oodlab_base::Seed;
use rayon::prelude::*;

use super::{BenchError, Meter, layers, numbers};
use crate::cost::Cost;
use crate::group_norm::panels::{self, NormGradient};
use crate::group_norm::{self, Norm};
use crate::linear::{self, Begin, Numbers, PANEL, Shape, layout};
use crate::simd::InstructionSet;
use crate::{adamw, ddim_step, forward_noise, normal, reconstruction, silu, uniform, zscore};

/// The paper's channels of a feature vector, and its network's width.
const DIM: usize = 720;
const WIDTH: usize = 1440;
/// Rows of a training batch, where products have their usual shape.
const BATCH: usize = 128;
/// Values that one task copies.
const TASK: usize = 1 << 16;

pub(super) fn run(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    copy(meter)?;
    noise(meter)?;
    errors(meter)?;
    norms(meter)?;
    products(meter)?;
    optimiser(meter)
}

fn copy(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let count = meter.config.values;
    let (from, mut to) = (numbers("copy", count), vec![0.0f32; count]);
    meter.copy(count, || {
        to.par_chunks_mut(TASK).zip(from.par_chunks(TASK)).for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&mut to);
        Ok(())
    })
}

fn noise(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let rows = meter.rows(DIM);
    let (count, stream) = (rows * DIM, Seed(1).stream("bench"));
    let mut out = vec![0.0; count];
    meter.measure("uniform numbers", format!("{count}"), uniform::cost(count), || {
        uniform::fill(stream, 0, &mut out);
        Ok(())
    })?;
    meter.measure("normal numbers", format!("{count}"), normal::cost(count), || {
        normal::fill(stream, 0, &mut out);
        Ok(())
    })?;
    let (z, x0, shape) = (numbers("z", count), numbers("x0", count), format!("{rows} x {DIM}"));
    let coefficients = vec![forward_noise::Coefficients { signal: 0.9, noise: 0.4 }; rows];
    meter.measure("forward noise", shape.clone(), forward_noise::cost(rows, DIM), || {
        Ok(forward_noise::run(&z, &x0, &coefficients, &mut out)?)
    })?;
    let coefficients = ddim_step::Coefficients { state: 0.5, prediction: 0.25, noise: 0.125 };
    meter.measure("DDIM step", shape, ddim_step::cost(count), || Ok(ddim_step::run(coefficients, &mut out, &x0, &z)?))
}

fn errors(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let rows = meter.rows(DIM);
    let (layers, shape) = (layers(DIM), format!("{rows} x {DIM}, {} layers", layers(DIM).len()));
    let (sample, made) = (numbers("sample", rows * DIM), numbers("made", rows * DIM));
    let mut out = vec![0.0; rows * DIM];
    meter
        .measure("z-score", shape.clone(), zscore::cost(rows, DIM), || Ok(zscore::run(&sample, &layers, &mut out)?))?;
    let mut sums = vec![0.0; rows];
    meter.measure("squared errors", shape.clone(), reconstruction::squared_errors_cost(rows, DIM), || {
        Ok(reconstruction::squared_errors(&sample, &made, &mut sums)?)
    })?;
    let mut cosines = vec![0.0; rows * layers.len()];
    meter.measure("cosines of layers", shape, reconstruction::layer_cosines_cost(rows, DIM, layers.len()), || {
        Ok(reconstruction::layer_cosines(&sample, &made, DIM, &layers, &mut cosines)?)
    })
}

/// The network's parts between its products, as its engine runs them: rows in the lanes of vectors.
fn norms(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let (rows, set) = (meter.rows(WIDTH), InstructionSet::detect());
    let (shape, count) = (format!("{rows} x {WIDTH} in panels"), layout::panels_len(rows, WIDTH));
    let (x, mut gradient) = (numbers("x", count), numbers("gradient", count));
    let (weight, bias) = (numbers("weight", WIDTH), numbers("bias", WIDTH));
    let norm = Norm { weight: &weight, bias: &bias };
    let (mut out, mut of_x) = (vec![0.0; count], vec![0.0; count]);
    let mut statistics = vec![0.0; panels::statistics_len(rows)];
    meter.measure("group norm, SiLU", shape.clone(), group_norm::forward_cost(rows, WIDTH), || {
        Ok(panels::forward(set, rows, norm, &x, &mut out, &mut statistics)?)
    })?;
    // The output is written once more, to save keeping it.
    let cost = group_norm::backward_cost(rows, WIDTH).and(Cost::elements(rows * WIDTH, 1, 0));
    let mut scratch = vec![0.0; panels::scratch_len(rows, WIDTH)];
    let (mut of_weight, mut of_bias) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
    meter.measure("group norm, SiLU, backward", shape, cost, || {
        let (gradient, x_gradient, out, scratch) = (&mut gradient, &mut of_x, &mut out, &mut scratch);
        let into = NormGradient { weight: &mut of_weight, bias: &mut of_bias };
        Ok(panels::backward(set, rows, norm, &x, &statistics, gradient, false, x_gradient, out, scratch, into)?)
    })?;
    meter.measure("SiLU", format!("{count}"), silu::cost(count), || Ok(silu::forward(set, &x, &mut out)?))?;
    meter.measure("SiLU, backward", format!("{count}"), silu::backward_cost(count), || {
        Ok(silu::backward(set, &x, &out, &mut of_x)?)
    })
}

/// A square layer's products, and the step of its weights that keeps no gradient, in each precision that the processor has.
fn products(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    // A whole layer of the paper's width where so much is asked for, else one of as many values.
    let width = meter.config.values.isqrt().clamp(PANEL, WIDTH);
    let rows = meter.rows(width).min(BATCH);
    let shape = Shape { inputs: width, outputs: width, rows };
    let count = layout::panels_len(rows, width);
    let (weight, bias, x) = (numbers("weight", width * width), numbers("bias", width), numbers("x", count));
    let (gradient, mut out) = (numbers("gradient", count), vec![0.0; count]);
    let mut by_features = vec![0.0; layout::by_features_len(rows, width)];
    layout::by_features(rows, width, &x, &mut by_features)?;
    let mut values = [(); 4].map(|()| vec![0.5; width * width]);
    let single = Some(Numbers::single(InstructionSet::detect()));
    for (precision, numbers) in [("f32", single), ("bf16", Numbers::half())] {
        let Some(numbers) = numbers else { continue };
        let told = format!("{rows} x {width} to {width}, {precision}");
        let cost = Cost::product(rows, width, width);
        meter.measure("linear layer", told.clone(), cost, || {
            Ok(linear::forward(numbers, shape, &weight, &bias, &x, Begin::Nothing, &mut out)?)
        })?;
        meter.measure("linear layer, gradient of its input", told.clone(), cost, || {
            Ok(linear::input_gradient(numbers, shape, &weight, &gradient, false, &mut out)?)
        })?;
        meter.measure("linear layer, step of its weights", told, linear::weight_step_cost(shape), || {
            let [parameters, average, first_moment, second_moment] = &mut values;
            let slices = adamw::Slices { parameters, average, first_moment, second_moment };
            Ok(linear::weight_step(numbers, shape, &gradient, &by_features, STEP, slices)?)
        })?;
    }
    Ok(())
}

fn optimiser(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let count = meter.config.values;
    let gradients = numbers("gradients", count);
    meter.measure("squares of gradients", format!("{count}"), adamw::squares_cost(count), || {
        std::hint::black_box(adamw::clip_scale(&gradients, 1.0));
        Ok(())
    })?;
    let mut values = [(); 4].map(|()| vec![0.5; count]);
    meter.measure("AdamW with average", format!("{count}"), adamw::cost(count), || {
        let [parameters, average, first_moment, second_moment] = &mut values;
        let slices = adamw::Slices { parameters, average, first_moment, second_moment };
        Ok(adamw::run(STEP, slices, &gradients)?)
    })
}

/// Numbers of a step that keep the values where they are.
pub(super) const STEP: adamw::Coefficients = adamw::Coefficients {
    scale: 1.0,
    keep: 0.999_99,
    first: 0.1,
    second: 0.001,
    second_keep: 0.999,
    rate: 1e-4,
    unbias: 1.0,
    epsilon: 1e-8,
    follow: 0.01,
};
