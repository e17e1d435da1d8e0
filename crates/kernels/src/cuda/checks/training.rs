//! What training needs beside products: norms, activations, sums, loss, update.

use oodlab_base::Tolerance;
use oodlab_base::golden::Findings;

use super::numbers;
use crate::adamw::cuda::{CudaGuard, CudaTrained};
use crate::adamw::{self, Coefficients};
use crate::cuda::{CudaError, Gpu};
use crate::ddim_step::cuda::{CudaScored, layer_ends, run_scored};
use crate::group_norm::cuda::CudaGroupNorm;
use crate::step_rows::StepIndex;
use crate::step_rows::cuda::CudaStepIndex;
use crate::{ddim_step, dense, reconstruction, squared_loss, step_rows};

/// More rows than a part of the sums, and a row wider than a block of threads.
const ROWS: usize = 19;
const WIDTH: usize = 137;
const NEAR: Tolerance = Tolerance::mixed("2e-6", 2e-6, 2e-6);
const SUMS: Tolerance = Tolerance::mixed("1e-5", 1e-5, 1e-5);

/// The last step of a reconstruction: its state to the bit, its errors as measured in two passes.
pub(super) fn scored_ddim_step(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let length = ROWS * WIDTH;
    let mut x = numbers("x", length);
    let (x0, noise, mut sample) = (numbers("x0", length), numbers("noise", length), numbers("sample", length));
    sample[WIDTH..2 * WIDTH].fill(0.0);
    let layers = [0..3, 3..100, 100..WIDTH];
    let coefficients = ddim_step::Coefficients::new(0.4, 0.3, 0.6, 0.7);
    let (mut state, sample_on) = (gpu.copy(&x)?, gpu.copy(&sample)?);
    let (mut squared, mut cosines) = (gpu.zeros::<f64>(ROWS)?, gpu.zeros::<f64>(ROWS * layers.len())?);
    let scored = CudaScored {
        sample: &sample_on,
        rows: ROWS,
        layers: &layer_ends(gpu, &layers)?,
        squared: &mut squared,
        cosines: &mut cosines,
    };
    run_scored(gpu, coefficients, &mut state, &gpu.copy(&x0)?, &gpu.copy(&noise)?, scored)?;
    ddim_step::run(coefficients, &mut x, &x0, &noise)?;
    findings.add("state", Tolerance::EXACT.compare_f32(&state.read(length)?, &x));
    let tolerance = Tolerance::mixed("1e-12", 1e-12, 1e-12);
    let mut want = vec![0.0; ROWS];
    reconstruction::squared_errors(&sample, &x, &mut want)?;
    findings.add("squared errors", tolerance.compare(squared.read(ROWS)?, want));
    let mut want = vec![0.0; ROWS * layers.len()];
    reconstruction::layer_cosines(&sample, &x, WIDTH, &layers, &mut want)?;
    findings.add("cosines", tolerance.compare(cosines.read(want.len())?, want));
    Ok(())
}

/// SiLU and its gradient, bias and residual, sums of columns written and added, behind other values.
pub(super) fn dense_layer(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let length = ROWS * WIDTH;
    let input: Vec<f32> = numbers("input", length).into_iter().map(|x| 9.0 * x).collect();
    let on_gpu = gpu.copy(&input)?;
    let mut want = vec![0.0; length];
    dense::silu(&input, &mut want)?;
    let mut got = gpu.zeros(length)?;
    dense::cuda::silu(gpu, &on_gpu, length, &mut got)?;
    findings.add("SiLU", NEAR.compare_f32(&got.read(length)?, &want));

    let mut want = numbers("gradient", length);
    let mut got = gpu.copy(&want)?;
    dense::silu_gradient(&input, &mut want)?;
    dense::cuda::silu_gradient(gpu, &on_gpu, length, &mut got)?;
    findings.add("gradient of SiLU", NEAR.compare_f32(&got.read(length)?, &want));

    let (bias, residual, start) = (numbers("bias", 5 + WIDTH), numbers("residual", length), 5);
    let (bias_on, residual_on) = (gpu.copy(&bias)?, gpu.copy(&residual)?);
    for (name, of_host, of_gpu) in
        [("bias", None, None), ("bias and residual", Some(residual.as_slice()), Some(&residual_on))]
    {
        let mut want = input.clone();
        let mut got = gpu.copy(&want)?;
        dense::add_bias(&mut want, &bias[start..], of_host)?;
        dense::cuda::add_bias(gpu, &mut got, (ROWS, WIDTH), (&bias_on, start), of_gpu)?;
        findings.add(name, Tolerance::EXACT.compare_f32(&got.read(length)?, &want));
    }

    let mut sums = vec![0.0; WIDTH];
    dense::column_sums(&input, &mut sums)?;
    let (mut got, mut scratch) = (gpu.copy(&bias)?, gpu.zeros(0)?);
    for (name, accumulate) in [("sums of columns", false), ("sums added", true)] {
        dense::cuda::column_sums(gpu, &on_gpu, (ROWS, WIDTH), &mut scratch, (&mut got, start), accumulate)?;
        let times = if accumulate { 2.0 } else { 1.0 };
        let want: Vec<f32> = bias[..start].iter().copied().chain(sums.iter().map(|sum| times * sum)).collect();
        findings.add(name, Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));
    }
    Ok(())
}

/// Steps without rows and with several; to the bit.
pub(super) fn step_rows(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let (steps, index) = steps()?;
    let on_gpu = CudaStepIndex::new(gpu, &index)?;
    let (table, values) = (numbers("table", steps * WIDTH), numbers("values", ROWS * WIDTH));
    let mut want = vec![0.0; ROWS * WIDTH];
    step_rows::gather(&index, &table, WIDTH, &mut want)?;
    let mut got = gpu.zeros(want.len())?;
    on_gpu.gather(&gpu.copy(&table)?, WIDTH, &mut got)?;
    findings.add("gathered", Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));
    let mut want = vec![0.0; steps * WIDTH];
    step_rows::sums(&index, &values, WIDTH, &mut want)?;
    let mut got = gpu.copy(&numbers("stale", want.len()))?;
    on_gpu.sums(&gpu.copy(&values)?, WIDTH, &mut got)?;
    findings.add("sums", Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));
    Ok(())
}

/// A batch whose rows take three of four steps.
fn steps() -> Result<(usize, StepIndex), CudaError> {
    let index: Vec<u32> = (0..ROWS as u32).map(|row| [3, 0, 0, 1, 3][row as usize % 5]).collect();
    Ok((4, StepIndex::new(&index, 4)?))
}

/// The loss of two parts of a step, and their gradients.
pub(super) fn loss(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let bias = numbers("bias", WIDTH);
    let (on_gpu, mut guard, mut sums) = (gpu.copy(&bias)?, gpu.zeros::<f64>(2)?, gpu.zeros(0)?);
    let (mut total, count) = (0.0, (ROWS + 4) * WIDTH);
    for (part, rows) in [(0, ROWS), (1, 4)] {
        let target = numbers("target", rows * WIDTH);
        let mut want = numbers("prediction", rows * WIDTH);
        let mut got = gpu.copy(&want)?;
        total += squared_loss::run(&mut want, &bias, &target, count)?;
        let (shape, target) = ((rows, WIDTH), gpu.copy(&target)?);
        let (bias, accumulate) = ((&on_gpu, 0), part > 0);
        squared_loss::cuda::run(gpu, &mut got, shape, bias, &target, count, &mut sums, &mut guard, accumulate)?;
        findings.add("gradient", Tolerance::EXACT.compare_f32(&got.read(want.len())?, &want));
        let tolerance = Tolerance::mixed("1e-12", 1e-12, 1e-12);
        findings.add("loss", tolerance.compare(guard.read(1)?, [total]));
    }
    Ok(())
}

/// The formulas in f64, with and without shift.
struct GroupNormFormula {
    out: Vec<f64>,
    gradient: Vec<f64>,
    of_weight: Vec<f64>,
    of_bias: Vec<f64>,
}

fn group_norm_formula(input: &[f64], weight: &[f32], bias: &[f32], of_output: &[f32]) -> GroupNormFormula {
    let width = weight.len();
    let mut found = GroupNormFormula {
        out: Vec::new(),
        gradient: Vec::new(),
        of_weight: vec![0.0; width],
        of_bias: vec![0.0; width],
    };
    for (row, of_output) in input.chunks_exact(width).zip(of_output.chunks_exact(width)) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let scale = 1.0 / (variance + 1e-5).sqrt();
        let normal: Vec<f64> = row.iter().map(|x| (x - mean) * scale).collect();
        let mut of_normal = Vec::new();
        for at in 0..width {
            let value = normal[at] * f64::from(weight[at]) + f64::from(bias[at]);
            let s = 1.0 / (1.0 + (-value).exp());
            found.out.push(value * s);
            let gradient = f64::from(of_output[at]) * (s * (1.0 + value * (1.0 - s)));
            found.of_weight[at] += gradient * normal[at];
            found.of_bias[at] += gradient;
            of_normal.push(gradient * f64::from(weight[at]));
        }
        let sum = of_normal.iter().sum::<f64>() / width as f64;
        let products = of_normal.iter().zip(&normal).map(|(a, b)| a * b).sum::<f64>() / width as f64;
        found.gradient.extend(of_normal.iter().zip(&normal).map(|(g, n)| scale * (g - sum - n * products)));
    }
    found
}

/// Against the formulas in f64; the shift's gradient by step is that of the input summed by step.
pub(super) fn group_norm(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let length = ROWS * WIDTH;
    let (steps, index) = steps()?;
    let on_gpu = CudaStepIndex::new(gpu, &index)?;
    let (input, table) = (numbers("input", length), numbers("table", 3 + steps * WIDTH));
    let (weights, of_output) = (numbers("weights", 2 * WIDTH), numbers("gradient", length));
    let (weight, bias) = weights.split_at(WIDTH);
    let buffers = [&input, &table, &weights, &of_output].map(|values| gpu.copy(values));
    let [input_on, table_on, weights_on, of_output_on] = buffers;
    let (input_on, table_on, weights_on, of_output_on) = (input_on?, table_on?, weights_on?, of_output_on?);
    for shifted in [false, true] {
        let of_row = |at: usize| f64::from(table[3 + index.index()[at / WIDTH] as usize * WIDTH + at % WIDTH]);
        let shift = |at| if shifted { of_row(at) } else { 0.0 };
        let values: Vec<f64> = input.iter().enumerate().map(|(at, &x)| f64::from(x) + shift(at)).collect();
        let want = group_norm_formula(&values, weight, bias, &of_output);
        let norm = CudaGroupNorm {
            input: &input_on,
            shift: shifted.then_some(((&table_on, 3), &on_gpu)),
            weight: (&weights_on, 0),
            bias: (&weights_on, WIDTH),
            rows: ROWS,
            width: WIDTH,
            epsilon: 1e-5,
        };
        let doubles = |values: Vec<f32>| values.into_iter().map(f64::from);
        let name = |part: &str| format!("{part}{}", if shifted { ", shifted" } else { "" });
        let (mut out, mut statistics) = (gpu.zeros(length)?, gpu.zeros(2 * ROWS)?);
        norm.forward(gpu, &mut out, &mut statistics)?;
        findings.add(name("forward"), SUMS.compare(doubles(out.read(length)?), want.out.iter().copied()));
        norm.backward(gpu, &of_output_on, &statistics, None, &mut out)?;
        findings.add(name("backward"), SUMS.compare(doubles(out.read(length)?), want.gradient.iter().copied()));
        norm.backward(gpu, &of_output_on, &statistics, Some(&input_on), &mut out)?;
        let added = want.gradient.iter().zip(&input).map(|(gradient, &x)| gradient + f64::from(x));
        findings.add(name("backward, added"), SUMS.compare(doubles(out.read(length)?), added));
        let (mut got, mut scratch) = (gpu.copy(&numbers("stale", 1 + 2 * WIDTH))?, gpu.zeros(0)?);
        for accumulate in [false, true] {
            norm.weight_gradients(gpu, &of_output_on, &statistics, &mut scratch, (&mut got, 1), accumulate)?;
        }
        let both = want.of_weight.iter().chain(&want.of_bias).map(|&gradient| 2.0 * gradient);
        let got = doubles(got.read(1 + 2 * WIDTH)?).skip(1);
        findings.add(name("weight and bias"), Tolerance::mixed("2e-5", 2e-5, 2e-5).compare(got, both));
    }
    Ok(())
}

/// A count that is no multiple of four and more than one part of the squares, against the formulas in f64: a short gradient,
/// a clipped one, and a loss that is not finite.
pub(super) fn adamw(gpu: &Gpu, findings: &mut Findings) -> Result<(), CudaError> {
    let count = (1 << 16) + 4099;
    let gradient: Vec<f32> = numbers("gradient", count).into_iter().map(|g| g * g * g).collect();
    let gradient_on = gpu.copy(&gradient)?;
    let state = ["parameters", "average", "first", "second"].map(|name| numbers(name, count));
    let [parameters, average, first, second] = &state;
    let squares: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    let second: Vec<f32> = second.iter().map(|v| v.abs()).collect();
    let c = Coefficients {
        scale: 1.0,
        keep: 0.999,
        first: 0.1,
        second_keep: 0.999,
        second: 0.001,
        rate: 0.02,
        unbias: 3.0,
        epsilon: 1e-8,
        follow: 0.25,
    };
    for (name, loss, most) in [
        ("step", 0.5, None),
        ("long enough", 0.5, Some(1e9)),
        ("clipped", 0.5, Some(2.0)),
        ("not finite", f64::NAN, None),
    ] {
        let mut trained = CudaTrained {
            parameters: gpu.copy(parameters)?,
            average: gpu.copy(average)?,
            first_moment: gpu.copy(first)?,
            second_moment: gpu.copy(&second)?,
        };
        let mut guard = CudaGuard::new(gpu)?;
        guard.loss_mut().write(&[loss])?;
        guard.sum_squares(gpu, &gradient_on, count)?;
        adamw::cuda::run(gpu, c, most, &mut trained, &gradient_on, count, &guard)?;
        findings.add("squares", Tolerance::mixed("1e-12", 1e-12, 1e-12).compare([guard.squares()?], [squares]));
        let scale = most.map_or(1.0, |most: f64| (most / squares.sqrt()).min(1.0));
        let mut want = [const { Vec::new() }; 4];
        for at in 0..count {
            let [mut p, mut a, mut m, mut v] = [parameters[at], average[at], first[at], second[at]].map(f64::from);
            if loss.is_finite() {
                let g = scale * f64::from(gradient[at]);
                m += f64::from(c.first) * (g - m);
                v = f64::from(c.second_keep) * v + f64::from(c.second) * g * g;
                p = p * f64::from(c.keep)
                    - f64::from(c.rate) * m / (v.sqrt() * f64::from(c.unbias) + f64::from(c.epsilon));
                a += f64::from(c.follow) * (p - a);
            }
            for (want, value) in want.iter_mut().zip([p, a, m, v]) {
                want.push(value);
            }
        }
        let got = [&trained.parameters, &trained.average, &trained.first_moment, &trained.second_moment];
        let tolerance = if loss.is_finite() { NEAR } else { Tolerance::EXACT };
        for (part, (got, want)) in
            ["parameters", "average", "first moment", "second moment"].iter().zip(got.into_iter().zip(want))
        {
            let got = got.read(count)?;
            findings.add(format!("{name}, {part}"), tolerance.compare(got.into_iter().map(f64::from), want));
        }
    }
    Ok(())
}
