//! The processor's kernels that move memory; its products and convolutions are measured by `oodlab bench encoder` and
//! `oodlab bench lfdn`, where caches matter as they do in use.

use oodlab_base::Seed;
use rayon::prelude::*;

use super::{BenchError, Meter, layers, numbers};
use crate::group_norm::{Norm, Shift, Statistics};
use crate::{adamw, ddim_step, forward_noise, group_norm, normal, reconstruction, uniform, zscore};

/// The paper's channels of a feature vector, and its network's width.
const DIM: usize = 720;
const WIDTH: usize = 1440;
/// Values that one task copies.
const TASK: usize = 1 << 16;

pub(super) fn run(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    copy(meter)?;
    noise(meter)?;
    errors(meter)?;
    norms(meter)?;
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

fn norms(meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let (rows, steps) = (meter.rows(WIDTH), 100);
    let shape = format!("{rows} x {WIDTH}, {steps} steps");
    let (x, gradient, table) =
        (numbers("x", rows * WIDTH), numbers("gradient", rows * WIDTH), numbers("table", steps * WIDTH));
    let (weight, bias) = (numbers("weight", WIDTH), numbers("bias", WIDTH));
    let row: Vec<u32> = (0..rows as u32).map(|row| row % steps as u32).collect();
    let (norm, shift) = (Norm { weight: &weight, bias: &bias }, Some(Shift { table: &table, row: &row }));
    let (mut out, mut statistics) = (vec![0.0; rows * WIDTH], vec![Statistics::default(); rows]);
    meter.measure("group norm, SiLU", shape.clone(), group_norm::forward_cost(rows, WIDTH), || {
        Ok(group_norm::forward(norm, &x, shift, &mut out, &mut statistics)?)
    })?;
    let (mut of_weight, mut of_bias) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
    meter.measure("group norm, SiLU, backward", shape, group_norm::backward_cost(rows, WIDTH), || {
        let into = (&mut of_weight, &mut of_bias);
        Ok(group_norm::backward(norm, &x, shift, &statistics, &gradient, &mut out, into.0, into.1)?)
    })
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
