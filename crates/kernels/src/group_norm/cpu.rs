//! The specification.

use rayon::prelude::*;

use crate::shape::{ShapeError, expect};

/// Added to the variance.
pub const EPSILON: f32 = 1e-5;
const KERNEL: &str = "group_norm";
/// Rows of one task: sums over rows are made task by task, so it is part of the result.
const TASK_ROWS: usize = 32;

/// The norm's parameters, both `[width]`.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// Multiplies the normalised values.
    pub weight: &'a [f32],
    /// Added to them.
    pub bias: &'a [f32],
}

/// What is added to rows before they are normalised.
#[derive(Debug, Clone, Copy)]
pub struct Shift<'a> {
    /// One row for each distinct step, `[steps, width]`.
    pub table: &'a [f32],
    /// Which of them each row gets, `[rows]`, below the number of steps.
    pub row: &'a [u32],
}

/// What the backward pass needs of a row.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct Statistics {
    /// Mean of the shifted row.
    pub mean: f32,
    /// 1 / sqrt(variance + epsilon)
    pub scale: f32,
}

impl Norm<'_> {
    /// Checks the lengths; returns the width.
    fn check(&self, rows: usize, x: &[f32], shift: Option<Shift<'_>>) -> Result<usize, ShapeError> {
        let width = self.weight.len();
        expect(KERNEL, "bias", width, self.bias.len())?;
        expect(KERNEL, "x", rows * width, x.len())?;
        if let Some(Shift { table, row }) = shift {
            expect(KERNEL, "row of the shift", rows, row.len())?;
            let steps = table.len().checked_div(width).unwrap_or(0);
            expect(KERNEL, "table of the shift", steps * width, table.len())?;
            let last = row.iter().max().map_or(0, |&last| last as usize + 1);
            expect(KERNEL, "steps of the shift", steps.max(last), steps)?;
        }
        Ok(width)
    }
}

fn shift_of<'a>(shift: Option<Shift<'a>>, row: usize, width: usize) -> Option<&'a [f32]> {
    shift.map(|Shift { table, row: of }| &table[of[row] as usize * width..][..width])
}

/// The shifted values of a row.
fn shifted<'a>(x: &'a [f32], shift: Option<&'a [f32]>) -> impl Iterator<Item = f32> + 'a {
    x.iter().enumerate().map(move |(at, &x)| shift.map_or(x, |shift| x + shift[at]))
}

/// Normalises every row and applies SiLU; keeps what the backward pass needs.
///
/// # Shapes
/// `x`, `out`: `[rows, width]`; `statistics`: `[rows]`.
///
/// # Errors
/// When the lengths do not agree, or a row's shift is not in the table.
pub fn forward(
    norm: Norm<'_>,
    x: &[f32],
    shift: Option<Shift<'_>>,
    out: &mut [f32],
    statistics: &mut [Statistics],
) -> Result<(), ShapeError> {
    let width = norm.check(statistics.len(), x, shift)?;
    expect(KERNEL, "out", x.len(), out.len())?;
    if width == 0 {
        return Ok(());
    }
    let rows = out.par_chunks_mut(width).zip(x.par_chunks(width)).zip(statistics.par_iter_mut()).enumerate();
    rows.with_min_len(TASK_ROWS).for_each(|(row, ((out, x), statistics))| {
        let shift = shift_of(shift, row, width);
        let mean = shifted(x, shift).sum::<f32>() / width as f32;
        let square = shifted(x, shift).map(|u| (u - mean) * (u - mean)).sum::<f32>();
        let scale = 1.0 / (square / width as f32 + EPSILON).sqrt();
        *statistics = Statistics { mean, scale };
        for (((out, u), weight), bias) in out.iter_mut().zip(shifted(x, shift)).zip(norm.weight).zip(norm.bias) {
            let v = (u - mean) * scale * weight + bias;
            *out = v / (1.0 + (-v).exp());
        }
    });
    Ok(())
}

/// The gradients of [`forward`]. `x_gradient` is also that of the shift of each row.
///
/// Sums over rows go in order within tasks of 32 rows, whose sums are added in order.
///
/// # Shapes
/// `x`, `out_gradient`, `x_gradient`: `[rows, width]`; `statistics`: `[rows]`, as [`forward`] left them; `weight_gradient`,
/// `bias_gradient`: `[width]`. All gradients are replaced.
///
/// # Errors
/// As [`forward`].
#[expect(clippy::too_many_arguments, reason = "what goes into the norm and the gradients of all of it")]
pub fn backward(
    norm: Norm<'_>,
    x: &[f32],
    shift: Option<Shift<'_>>,
    statistics: &[Statistics],
    out_gradient: &[f32],
    x_gradient: &mut [f32],
    weight_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    let width = norm.check(statistics.len(), x, shift)?;
    expect(KERNEL, "gradient of the output", x.len(), out_gradient.len())?;
    expect(KERNEL, "gradient of x", x.len(), x_gradient.len())?;
    expect(KERNEL, "gradient of the weight", width, weight_gradient.len())?;
    expect(KERNEL, "gradient of the bias", width, bias_gradient.len())?;
    weight_gradient.fill(0.0);
    bias_gradient.fill(0.0);
    if width == 0 {
        return Ok(());
    }
    let tasks = x_gradient.par_chunks_mut(TASK_ROWS * width).enumerate();
    let sums: Vec<[Vec<f32>; 2]> = tasks
        .map(|(task, dx)| {
            let mut sums = [vec![0.0; width], vec![0.0; width]];
            for (row, dx) in (task * TASK_ROWS..).zip(dx.chunks_mut(width)) {
                let (x, dy) = (&x[row * width..][..width], &out_gradient[row * width..][..width]);
                backward_row(norm, shifted(x, shift_of(shift, row, width)), statistics[row], dy, dx, &mut sums);
            }
            sums
        })
        .collect();
    for [weight, bias] in &sums {
        add(weight_gradient, weight);
        add(bias_gradient, bias);
    }
    Ok(())
}

fn backward_row(
    norm: Norm<'_>,
    u: impl Iterator<Item = f32>,
    Statistics { mean, scale }: Statistics,
    dy: &[f32],
    dx: &mut [f32],
    [weights, biases]: &mut [Vec<f32>; 2],
) {
    let width = dx.len();
    // Both sums over the row must be known before any of its gradients.
    let (mut sum, mut product) = (0.0, 0.0);
    let mut normalised = Vec::with_capacity(width);
    for (at, u) in u.enumerate() {
        let n = (u - mean) * scale;
        let v = n * norm.weight[at] + norm.bias[at];
        let s = 1.0 / (1.0 + (-v).exp());
        let dv = dy[at] * (s + v * s * (1.0 - s));
        biases[at] += dv;
        weights[at] += dv * n;
        let h = dv * norm.weight[at];
        sum += h;
        product += h * n;
        dx[at] = h;
        normalised.push(n);
    }
    let (sum, product) = (sum / width as f32, product / width as f32);
    for (dx, n) in dx.iter_mut().zip(normalised) {
        *dx = scale * (*dx - sum - n * product);
    }
}

/// The gradient of a shift's table: `x_gradient` summed over the rows that got each of its rows, in order.
///
/// # Shapes
/// `x_gradient`: `[rows, width]`; `row`: `[rows]`; `table_gradient`: `[steps, width]`, replaced.
///
/// # Errors
/// When the lengths do not agree, or a row's shift is not in the table.
pub fn shift_gradient(
    x_gradient: &[f32],
    row: &[u32],
    width: usize,
    table_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    expect(KERNEL, "gradient of x", row.len() * width, x_gradient.len())?;
    let steps = table_gradient.len().checked_div(width).unwrap_or(0);
    expect(KERNEL, "gradient of the table", steps * width, table_gradient.len())?;
    table_gradient.fill(0.0);
    for (dx, &step) in x_gradient.chunks(width.max(1)).zip(row) {
        let step = step as usize;
        expect(KERNEL, "steps of the shift", steps.max(step + 1), steps)?;
        add(&mut table_gradient[step * width..][..width], dx);
    }
    Ok(())
}

fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
