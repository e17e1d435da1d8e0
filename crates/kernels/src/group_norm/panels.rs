//! The norm on rows in the lanes of vectors ([`crate::linear`]): sums over a row are sums of vectors, one row a lane.
//!
//! Every sum over a row runs in four accumulators of every fourth feature. Lanes that no row fills may hold anything
//! finite; where their output's gradient is 0, all their gradients are.

use rayon::prelude::*;

use super::{EPSILON, Norm};
use crate::linear::{PANEL, Shared, check_panels};
use crate::shape::{ShapeError, expect};
use crate::simd::{Activation, InstructionSet, Vector, dispatch};

const KERNEL: &str = "group_norm";
/// Lanes of one task: a cache line, half a panel.
const LINE: usize = 16;
/// Accumulators of a sum over a row.
const SUMS: usize = 4;

/// Values that the statistics of `rows` rows take: mean and scale of each lane, `[panels][2][32]`.
#[must_use]
pub fn statistics_len(rows: usize) -> usize {
    2 * PANEL * rows.div_ceil(PANEL)
}

/// Values of scratch that [`backward`] needs.
#[must_use]
pub fn scratch_len(rows: usize, width: usize) -> usize {
    rows.div_ceil(PANEL) * (PANEL / LINE) * 2 * width
}

/// A norm's gradients, both `[width]`, replaced.
#[derive(Debug)]
pub struct NormGradient<'a> {
    /// Of the weight.
    pub weight: &'a mut [f32],
    /// Of the bias.
    pub bias: &'a mut [f32],
}

/// One line of lanes: everything begins at its first lane.
#[derive(Clone, Copy)]
struct Line<'a> {
    norm: Norm<'a>,
    x: *const f32,
    out: *mut f32,
    /// Means; scales are a panel further on.
    statistics: *mut f32,
}

/// Normalises every row and applies SiLU; keeps what [`backward`] needs. The shift, if any, is in `x` already.
///
/// # Shapes
/// `x`, `out` in panels; `statistics` of [`statistics_len`].
///
/// # Errors
/// When a buffer does not fit.
pub fn forward(
    set: InstructionSet,
    rows: usize,
    norm: Norm<'_>,
    x: &[f32],
    out: &mut [f32],
    statistics: &mut [f32],
) -> Result<(), ShapeError> {
    let width = norm.weight.len();
    expect(KERNEL, "bias", width, norm.bias.len())?;
    check_panels("x", rows, width, x)?;
    check_panels("out", rows, width, out)?;
    expect(KERNEL, "statistics", statistics_len(rows), statistics.len())?;
    let (out, statistics) = (Shared(out.as_mut_ptr()), Shared(statistics.as_mut_ptr()));
    lines(rows).for_each(|(panel, lane)| {
        let at = panel * width * PANEL + lane;
        // SAFETY: the buffers hold all panels; tasks have different lanes.
        let line = unsafe {
            Line {
                norm,
                x: x.as_ptr().add(at),
                out: out.get().add(at),
                statistics: statistics.get().add(panel * 2 * PANEL + lane),
            }
        };
        dispatch!(set, forward_line, line: Line<'_>);
    });
    Ok(())
}

/// (panel, first lane) of every line.
fn lines(rows: usize) -> impl IndexedParallelIterator<Item = (usize, usize)> {
    let each = PANEL / LINE;
    (0..rows.div_ceil(PANEL) * each).into_par_iter().map(move |line| (line / each, line % each * LINE))
}

#[inline(always)]
unsafe fn forward_line<V: Vector>(line: Line<'_>) {
    let width = line.norm.weight.len();
    for lane in (0..LINE).step_by(V::LANES) {
        // SAFETY: `forward` checked the lengths.
        unsafe {
            let (x, out) = (line.x.add(lane), line.out.add(lane));
            let length = V::splat(width as f32);
            let mean = sum::<V>(width, |f| V::load(x.add(f * PANEL))).div(length);
            let minus = mean.mul(V::splat(-1.0));
            let squares = sum::<V>(width, |f| {
                let distance = V::load(x.add(f * PANEL)).add(minus);
                distance.mul(distance)
            });
            let deviation = squares.div(length).add(V::splat(EPSILON)).sqrt();
            let scale = V::splat(1.0).div(deviation);
            mean.store(line.statistics.add(lane));
            scale.store(line.statistics.add(PANEL + lane));
            for f in 0..width {
                let n = V::load(x.add(f * PANEL)).add(minus).mul(scale);
                let (weight, bias) = (*line.norm.weight.get_unchecked(f), *line.norm.bias.get_unchecked(f));
                let v = n.mul_add(V::splat(weight), V::splat(bias));
                Activation::Silu.apply(v).store(out.add(f * PANEL));
            }
        }
    }
}

/// The sum of `of(f)` over all features.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn sum<V: Vector>(width: usize, of: impl Fn(usize) -> V) -> V {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [V::splat(0.0); SUMS];
        let whole = width / SUMS * SUMS;
        for f in (0..whole).step_by(SUMS) {
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add(of(f + at));
            }
        }
        for (f, sum) in (whole..width).zip(&mut sums) {
            *sum = sum.add(of(f));
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3]))
    }
}

/// One line of lanes, backward.
#[derive(Clone, Copy)]
struct LineBack<'a> {
    line: Line<'a>,
    /// The output's gradient, then that of the normalised values.
    gradient: *mut f32,
    x_gradient: *mut f32,
    add: bool,
    /// The line's part of the weight's gradient, then of the bias's.
    sums: *mut f32,
}

/// The gradients of [`forward`], and its output once more (to save keeping it).
///
/// # Shapes
/// `x`, `gradient` (of the output; destroyed), `x_gradient` (replaced, or added to when `add`), `out` (written) in panels;
/// `statistics` as [`forward`] left them; `scratch` of [`scratch_len`].
///
/// # Errors
/// When a buffer does not fit.
#[expect(clippy::too_many_arguments, reason = "what goes into the norm and the gradients of all of it")]
pub fn backward(
    set: InstructionSet,
    rows: usize,
    norm: Norm<'_>,
    x: &[f32],
    statistics: &[f32],
    gradient: &mut [f32],
    add: bool,
    x_gradient: &mut [f32],
    out: &mut [f32],
    scratch: &mut [f32],
    norm_gradient: NormGradient<'_>,
) -> Result<(), ShapeError> {
    let width = norm.weight.len();
    expect(KERNEL, "bias", width, norm.bias.len())?;
    check_panels("x", rows, width, x)?;
    check_panels("gradient of the output", rows, width, gradient)?;
    check_panels("gradient of x", rows, width, x_gradient)?;
    check_panels("out", rows, width, out)?;
    expect(KERNEL, "statistics", statistics_len(rows), statistics.len())?;
    expect(KERNEL, "scratch", scratch_len(rows, width), scratch.len())?;
    expect(KERNEL, "gradient of the weight", width, norm_gradient.weight.len())?;
    expect(KERNEL, "gradient of the bias", width, norm_gradient.bias.len())?;
    let writing = [&mut *gradient, x_gradient, out, &mut *scratch].map(|slice| Shared(slice.as_mut_ptr()));
    lines(rows).for_each(|(panel, lane)| {
        let at = panel * width * PANEL + lane;
        let [gradient, x_gradient, out, sums] = writing.map(Shared::get);
        // SAFETY: the buffers hold all panels; tasks have different lanes and different sums. Statistics are only read.
        let line = unsafe {
            LineBack {
                line: Line {
                    norm,
                    x: x.as_ptr().add(at),
                    out: out.add(at),
                    statistics: statistics.as_ptr().add(panel * 2 * PANEL + lane).cast_mut(),
                },
                gradient: gradient.add(at),
                x_gradient: x_gradient.add(at),
                add,
                sums: sums.add((panel * (PANEL / LINE) + lane / LINE) * 2 * width),
            }
        };
        dispatch!(set, backward_line, line: LineBack<'_>);
    });
    let NormGradient { weight, bias } = norm_gradient;
    for (at, total) in [weight, bias].into_iter().enumerate() {
        total.fill(0.0);
        for sums in scratch.chunks_exact(2 * width.max(1)) {
            for (total, sum) in total.iter_mut().zip(&sums[at * width..]) {
                *total += sum;
            }
        }
    }
    Ok(())
}

#[inline(always)]
unsafe fn backward_line<V: Vector>(task: LineBack<'_>) {
    let LineBack { line, gradient, x_gradient, add, sums } = task;
    let Norm { weight, bias } = line.norm;
    let width = weight.len();
    for lane in (0..LINE).step_by(V::LANES) {
        // SAFETY: `backward` checked the lengths.
        unsafe {
            let (x, out) = (line.x.add(lane), line.out.add(lane));
            let (gradient, x_gradient) = (gradient.add(lane), x_gradient.add(lane));
            let minus = V::load(line.statistics.add(lane)).mul(V::splat(-1.0));
            let scale = V::load(line.statistics.add(PANEL + lane));
            let one = V::splat(1.0);
            let (mut sum, mut product) = (V::splat(0.0), V::splat(0.0));
            for f in 0..width {
                let n = V::load(x.add(f * PANEL)).add(minus).mul(scale);
                let weight = V::splat(*weight.get_unchecked(f));
                let v = n.mul_add(weight, V::splat(*bias.get_unchecked(f)));
                let s = one.divided(v.mul(V::splat(-1.0)).exp().add(one));
                let y = v.mul(s);
                y.store(out.add(f * PANEL));
                // s + v s (1 - s) = s + y - y s
                let slope = y.mul(V::splat(-1.0)).mul_add(s, s.add(y));
                let dv = V::load(gradient.add(f * PANEL)).mul(slope);
                let (to_weight, to_bias) = (sums.add(f), sums.add(width + f));
                let first = lane == 0;
                *to_weight = if first { 0.0 } else { *to_weight } + dv.mul(n).total();
                *to_bias = if first { 0.0 } else { *to_bias } + dv.total();
                let h = dv.mul(weight);
                h.store(gradient.add(f * PANEL));
                sum = sum.add(h);
                product = h.mul_add(n, product);
            }
            let length = V::splat(width as f32);
            let (sum, product) = (sum.div(length).mul(V::splat(-1.0)), product.div(length).mul(V::splat(-1.0)));
            for f in 0..width {
                let n = V::load(x.add(f * PANEL)).add(minus).mul(scale);
                let inner = n.mul_add(product, V::load(gradient.add(f * PANEL)).add(sum));
                let to = x_gradient.add(f * PANEL);
                if add {
                    inner.mul_add(scale, V::load(to)).store(to);
                } else {
                    inner.mul(scale).store(to);
                }
            }
        }
    }
}

/// The gradient of a shift's table: `x_gradient` summed over the rows that got each of its rows, in order.
///
/// # Shapes
/// `x_gradient` `[rows, width]` and `table_gradient` `[steps, width]`, both in panels; the latter is replaced, its unused
/// lanes with 0. `row` `[rows]`, below `steps`.
///
/// # Errors
/// When a buffer does not fit, or a row's shift is not in the table.
pub fn shift_gradient(
    row: &[u32],
    steps: usize,
    width: usize,
    x_gradient: &[f32],
    table_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    check_panels("gradient of x", row.len(), width, x_gradient)?;
    check_panels("gradient of the table", steps, width, table_gradient)?;
    let last = row.iter().max().map_or(0, |&last| last as usize + 1);
    expect(KERNEL, "steps of the shift", steps.max(last), steps)?;
    // Where each row's sum is, from the place of its feature.
    let places: Vec<usize> =
        row.iter().map(|&row| row as usize / PANEL * width * PANEL + row as usize % PANEL).collect();
    let panels = steps.div_ceil(PANEL);
    let to = Shared(table_gradient.as_mut_ptr());
    (0..width).into_par_iter().with_min_len(32).for_each(|f| {
        for panel in 0..panels {
            // SAFETY: the table holds all panels; tasks have different features.
            unsafe { std::slice::from_raw_parts_mut(to.get().add((panel * width + f) * PANEL), PANEL) }.fill(0.0);
        }
        for (panel, places) in places.chunks(PANEL).enumerate() {
            let from = &x_gradient[(panel * width + f) * PANEL..][..PANEL];
            for (value, place) in from.iter().zip(places) {
                // SAFETY: as above; `steps` bounds the places.
                unsafe { *to.get().add(f * PANEL + place) += value };
            }
        }
    });
    Ok(())
}
