//! The diffusion network's kernels on a GPU.

use oodlab_base::Seed;

use super::cpu::STEP;
use super::{BenchError, Meter, layers, numbers};
use crate::adamw::cuda::{CudaGuard, CudaTrained};
use crate::cost::Cost;
use crate::cuda::{Factors, Gpu, Product};
use crate::ddim_step::cuda::CudaScored;
use crate::group_norm::cuda::CudaGroupNorm;
use crate::reconstruction::cuda::CudaPairs;
use crate::step_rows::StepIndex;
use crate::step_rows::cuda::CudaStepIndex;
use crate::{
    adamw, ddim_step, dense, forward_noise, group_norm, normal, reconstruction, squared_loss, step_rows, uniform,
    zscore,
};

/// The paper's channels of a feature vector, its network's width, and its batch.
const DIM: usize = 720;
const WIDTH: usize = 1440;
const BATCH: usize = 128;

pub(super) fn run(gpu: &Gpu, meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let count = meter.config.values;
    let (from, mut to) = (gpu.copy(&numbers("copy", count))?, gpu.zeros::<f32>(count)?);
    meter.copy(count, || Ok(to.copy_from(&from, count)?))?;
    drop((from, to));
    noise(gpu, meter)?;
    errors(gpu, meter)?;
    let rows = meter.rows(WIDTH);
    // Also as many rows as a step has: there the launch counts for more than the memory.
    for rows in [rows, BATCH.min(rows)] {
        norms(gpu, meter, rows)?;
        dense_layer(gpu, meter, rows)?;
        loss(gpu, meter, rows)?;
    }
    optimiser(gpu, meter)?;
    products(gpu, meter)
}

fn noise(gpu: &Gpu, meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let rows = meter.rows(DIM);
    let (count, stream, shape) = (rows * DIM, Seed(1).stream("bench"), format!("{rows} x {DIM}"));
    let mut out = gpu.zeros::<f32>(count)?;
    meter.measure("uniform numbers", format!("{count}"), uniform::cost(count), || {
        Ok(uniform::cuda::fill(gpu, stream, 0, &mut out, count)?)
    })?;
    meter.measure("normal numbers", format!("{count}"), normal::cost(count), || {
        Ok(normal::cuda::fill(gpu, stream, 0, &mut out, count)?)
    })?;
    let (z, x0) = (gpu.copy(&numbers("z", count))?, gpu.copy(&numbers("x0", count))?);
    let coefficients = vec![forward_noise::Coefficients { signal: 0.9, noise: 0.4 }; rows];
    meter.measure("forward noise", shape.clone(), forward_noise::cost(rows, DIM), || {
        Ok(forward_noise::cuda::run(gpu, &z, &x0, DIM, &coefficients, &mut out)?)
    })?;
    let step = ddim_step::Coefficients { state: 0.5, prediction: 0.25, noise: 0.125 };
    meter.measure("DDIM step", shape.clone(), ddim_step::cost(count), || {
        Ok(ddim_step::cuda::run(gpu, step, &mut out, &x0, &z, count)?)
    })?;
    let layers = ddim_step::cuda::layer_ends(gpu, &layers(DIM))?;
    let (mut squared, mut cosines) = (gpu.zeros(rows)?, gpu.zeros(5 * rows)?);
    meter.measure("DDIM step with errors", shape, ddim_step::scored_cost(rows, DIM, 5), || {
        let (squared, cosines) = (&mut squared, &mut cosines);
        let scored = CudaScored { sample: &z, rows, layers: &layers, squared, cosines };
        Ok(ddim_step::cuda::run_scored(gpu, step, &mut out, &x0, &z, scored)?)
    })
}

fn errors(gpu: &Gpu, meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let rows = meter.rows(DIM);
    let (layers, shape) = (layers(DIM), format!("{rows} x {DIM}, {} layers", layers(DIM).len()));
    let (sample, made) = (gpu.copy(&numbers("sample", rows * DIM))?, gpu.copy(&numbers("made", rows * DIM))?);
    let mut out = gpu.zeros(rows * DIM)?;
    meter.measure("z-score", shape.clone(), zscore::cost(rows, DIM), || {
        Ok(zscore::cuda::run(gpu, &sample, rows, &layers, &mut out)?)
    })?;
    let pairs = CudaPairs { sample: &sample, reconstruction: &made, rows, width: DIM };
    let mut out = gpu.zeros(rows * layers.len())?;
    meter.measure("squared errors", shape.clone(), reconstruction::squared_errors_cost(rows, DIM), || {
        Ok(reconstruction::cuda::squared_errors(gpu, pairs, &mut out)?)
    })?;
    meter.measure("cosines of layers", shape, reconstruction::layer_cosines_cost(rows, DIM, layers.len()), || {
        Ok(reconstruction::cuda::layer_cosines(gpu, pairs, &layers, &mut out)?)
    })
}

/// Steps of a batch, and the rows' index of them.
fn index(gpu: &Gpu, rows: usize) -> Result<(usize, CudaStepIndex), BenchError> {
    let steps = 100;
    let index: Vec<u32> = (0..rows as u32).map(|row| row % steps as u32).collect();
    Ok((steps, CudaStepIndex::new(gpu, &StepIndex::new(&index, steps)?)?))
}

fn norms(gpu: &Gpu, meter: &mut Meter<'_>, rows: usize) -> Result<(), BenchError> {
    let (steps, index) = index(gpu, rows)?;
    let shape = format!("{rows} x {WIDTH}, {steps} steps");
    let (x, gradient) = (gpu.copy(&numbers("x", rows * WIDTH))?, gpu.copy(&numbers("gradient", rows * WIDTH))?);
    let (mut table, weights) = (gpu.copy(&numbers("table", steps * WIDTH))?, gpu.copy(&numbers("weights", 2 * WIDTH))?);
    let (mut out, mut statistics) = (gpu.zeros(rows * WIDTH)?, gpu.zeros(2 * rows)?);
    let (mut scratch, mut gradients) = (gpu.zeros(0)?, gpu.zeros(2 * WIDTH)?);
    let norm = CudaGroupNorm {
        input: &x,
        shift: Some(((&table, 0), &index)),
        weight: (&weights, 0),
        bias: (&weights, WIDTH),
        rows,
        width: WIDTH,
        epsilon: 1e-5,
    };
    meter.measure("group norm, SiLU", shape.clone(), group_norm::forward_cost(rows, WIDTH), || {
        Ok(norm.forward(gpu, &mut out, &mut statistics)?)
    })?;
    meter.measure("group norm, SiLU, backward", shape.clone(), group_norm::backward_cost(rows, WIDTH), || {
        norm.backward(gpu, &gradient, &statistics, None, &mut out)?;
        Ok(norm.weight_gradients(gpu, &gradient, &statistics, &mut scratch, (&mut gradients, 0), false)?)
    })?;
    meter.measure("gathered steps", shape.clone(), step_rows::gather_cost(rows, WIDTH), || {
        Ok(index.gather(&table, WIDTH, &mut out)?)
    })?;
    meter.measure("sums by step", shape, step_rows::sums_cost(rows, steps, WIDTH), || {
        Ok(index.sums(&gradient, WIDTH, &mut table)?)
    })
}

fn dense_layer(gpu: &Gpu, meter: &mut Meter<'_>, rows: usize) -> Result<(), BenchError> {
    let (length, shape) = (rows * WIDTH, format!("{rows} x {WIDTH}"));
    let (x, bias) = (gpu.copy(&numbers("x", length))?, gpu.copy(&numbers("bias", WIDTH))?);
    let (mut out, mut scratch, mut sums) = (gpu.zeros(length)?, gpu.zeros(0)?, gpu.zeros(WIDTH)?);
    meter.measure("SiLU", shape.clone(), dense::silu_cost(length), || {
        Ok(dense::cuda::silu(gpu, &x, length, &mut out)?)
    })?;
    meter.measure("SiLU, backward", shape.clone(), dense::silu_gradient_cost(length), || {
        Ok(dense::cuda::silu_gradient(gpu, &x, length, &mut out)?)
    })?;
    meter.measure("bias and residual", shape.clone(), dense::add_bias_cost(rows, WIDTH), || {
        Ok(dense::cuda::add_bias(gpu, &mut out, (rows, WIDTH), (&bias, 0), Some(&x))?)
    })?;
    meter.measure("sums of columns", shape, dense::column_sums_cost(rows, WIDTH), || {
        Ok(dense::cuda::column_sums(gpu, &x, (rows, WIDTH), &mut scratch, (&mut sums, 0), false)?)
    })
}

fn loss(gpu: &Gpu, meter: &mut Meter<'_>, rows: usize) -> Result<(), BenchError> {
    let count = rows * DIM;
    let (mut made, target) = (gpu.copy(&numbers("made", count))?, gpu.copy(&numbers("target", count))?);
    let (bias, mut sums, mut loss) = (gpu.copy(&numbers("bias", DIM))?, gpu.zeros(0)?, gpu.zeros(1)?);
    meter.measure("loss and its gradient", format!("{rows} x {DIM}"), squared_loss::cost(rows, DIM), || {
        let (shape, bias) = ((rows, DIM), (&bias, 0));
        Ok(squared_loss::cuda::run(gpu, &mut made, shape, bias, &target, count, &mut sums, &mut loss, false)?)
    })
}

fn optimiser(gpu: &Gpu, meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let count = meter.config.values;
    let (gradients, mut guard) = (gpu.copy(&numbers("gradients", count))?, CudaGuard::new(gpu)?);
    meter.measure("squares of gradients", format!("{count}"), adamw::squares_cost(count), || {
        Ok(guard.sum_squares(gpu, &gradients, count)?)
    })?;
    let values = || gpu.copy(&numbers("values", count));
    let (first_moment, second_moment) = (gpu.zeros(count)?, gpu.zeros(count)?);
    let mut trained = CudaTrained { parameters: values()?, average: values()?, first_moment, second_moment };
    meter.measure("AdamW with average", format!("{count}"), adamw::cost(count), || {
        Ok(adamw::cuda::run(gpu, STEP, Some(1.0), &mut trained, &gradients, count, &guard)?)
    })
}

/// A block's product and the gradient of its weight, in full and rounded, at the paper's batch.
fn products(gpu: &Gpu, meter: &mut Meter<'_>) -> Result<(), BenchError> {
    let (rows, width) = (BATCH.min(meter.rows(WIDTH)), if meter.rows(WIDTH) < BATCH { 48 } else { WIDTH });
    let (x, weight) = (gpu.copy(&numbers("x", rows * width))?, gpu.copy(&numbers("weight", width * width))?);
    let mut out = gpu.zeros(width * width)?;
    for (name, factors) in [("f32", Factors::Full), ("tf32", Factors::Tf32), ("bf16", Factors::Bf16)] {
        let forward = Product { factors, ..Product::with_weight(rows, (&x, width), (&weight, width, width)) };
        let (shape, cost) = (format!("{rows} x {width} x {width}"), Cost::product(rows, width, width));
        meter
            .measure(&format!("product, {name}"), shape, cost, || Ok(gpu.product(&forward, &mut out, (0, width))?))?;
        let gradient = Product {
            rows: width,
            depth: rows,
            left_transposed: true,
            right: &x,
            layout: crate::cuda::Right::Plain,
            ..forward
        };
        let (shape, cost) = (format!("{width} x {rows} x {width}"), Cost::product(width, width, rows));
        let name = format!("weight's gradient, {name}");
        meter.measure(&name, shape, cost, || Ok(gpu.product(&gradient, &mut out, (0, width))?))?;
    }
    Ok(())
}
