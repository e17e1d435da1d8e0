//! The specification.

use rayon::prelude::*;

use crate::shape::{ShapeError, expect};
use crate::simd::{InstructionSet, Vector, dispatch};

/// Elements of one task: sums of squares are made task by task, so it is part of the result.
const TASK: usize = 1 << 15;

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    /// Multiplies gradients: 1, or less to clip them ([`clip_scale`]).
    pub scale: f32,
    /// 1 - learning rate · decay
    pub keep: f32,
    /// 1 - beta1
    pub first: f32,
    /// 1 - beta2
    pub second: f32,
    /// beta2
    pub second_keep: f32,
    /// learning rate / (1 - beta1^n)
    pub rate: f32,
    /// 1 / sqrt(1 - beta2^n)
    pub unbias: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// 1 - the average's decay; 1 makes the average equal to the parameters.
    pub follow: f32,
}

/// What a step changes: all of one length.
#[derive(Debug)]
pub struct Slices<'a> {
    /// Parameters.
    pub parameters: &'a mut [f32],
    /// Their average.
    pub average: &'a mut [f32],
    /// First moment of the gradients.
    pub first_moment: &'a mut [f32],
    /// Second moment of the gradients.
    pub second_moment: &'a mut [f32],
}

/// One step on all threads; every element is on its own, so the bits do not depend on their number.
///
/// # Errors
/// When the lengths differ.
pub fn run(coefficients: Coefficients, slices: Slices<'_>, gradients: &[f32]) -> Result<(), ShapeError> {
    check(&slices, gradients)?;
    let Slices { parameters, average, first_moment, second_moment } = slices;
    let set = InstructionSet::detect();
    let values = parameters.par_chunks_mut(TASK).zip(average.par_chunks_mut(TASK));
    let moments = first_moment.par_chunks_mut(TASK).zip(second_moment.par_chunks_mut(TASK));
    values.zip(moments).zip(gradients.par_chunks(TASK)).try_for_each(|(((p, e), (m, v)), g)| {
        let slices = Slices { parameters: p, average: e, first_moment: m, second_moment: v };
        part(set, coefficients, slices, g)
    })
}

/// [`run`] on the calling thread.
///
/// # Errors
/// When the lengths differ.
pub fn part(
    set: InstructionSet,
    coefficients: Coefficients,
    slices: Slices<'_>,
    gradients: &[f32],
) -> Result<(), ShapeError> {
    check(&slices, gradients)?;
    let Slices { parameters, average, first_moment, second_moment } = slices;
    let task = Task {
        coefficients,
        p: parameters.as_mut_ptr(),
        e: average.as_mut_ptr(),
        m: first_moment.as_mut_ptr(),
        v: second_moment.as_mut_ptr(),
        g: gradients.as_ptr(),
        count: gradients.len(),
    };
    dispatch!(set, body, task: Task);
    Ok(())
}

fn check(slices: &Slices<'_>, gradients: &[f32]) -> Result<(), ShapeError> {
    const KERNEL: &str = "adamw";
    let count = slices.parameters.len();
    expect(KERNEL, "average", count, slices.average.len())?;
    expect(KERNEL, "first moment", count, slices.first_moment.len())?;
    expect(KERNEL, "second moment", count, slices.second_moment.len())?;
    expect(KERNEL, "gradients", count, gradients.len())
}

/// Checked arguments of [`body`].
#[derive(Clone, Copy)]
struct Task {
    coefficients: Coefficients,
    p: *mut f32,
    e: *mut f32,
    m: *mut f32,
    v: *mut f32,
    g: *const f32,
    count: usize,
}

#[inline(always)]
unsafe fn body<V: Vector>(task: Task) {
    let whole = task.count / V::LANES * V::LANES;
    // SAFETY: all pointers have `count` elements; the rest of the last vector goes through a vector of its own.
    unsafe {
        for at in (0..whole).step_by(V::LANES) {
            let [p, e, m, v] = [task.p, task.e, task.m, task.v].map(|slice| slice.add(at));
            vector::<V>(&task.coefficients, p, e, m, v, task.g.add(at));
        }
        let left = task.count - whole;
        if left > 0 {
            let mut rest = [[0.0f32; 16]; 5];
            for (rest, from) in rest.iter_mut().zip([task.p, task.e, task.m, task.v, task.g.cast_mut()]) {
                rest.as_mut_ptr().copy_from_nonoverlapping(from.add(whole), left);
            }
            let [p, e, m, v, g] = &mut rest;
            let [p, e, m, v] = [p, e, m, v].map(|slice| slice.as_mut_ptr());
            vector::<V>(&task.coefficients, p, e, m, v, g.as_ptr());
            for (to, from) in [task.p, task.e, task.m, task.v].into_iter().zip([p, e, m, v]) {
                to.add(whole).copy_from_nonoverlapping(from, left);
            }
        }
    }
}

/// # Safety
/// As [`Vector`]: `V::LANES` valid elements everywhere.
#[inline(always)]
unsafe fn vector<V: Vector>(c: &Coefficients, p: *mut f32, e: *mut f32, m: *mut f32, v: *mut f32, g: *const f32) {
    // SAFETY: the caller's.
    unsafe {
        let minus = V::splat(-1.0);
        let gradient = V::load(g).mul(V::splat(c.scale));
        let first = V::load(m);
        let first = gradient.add(first.mul(minus)).mul_add(V::splat(c.first), first);
        first.store(m);
        let square = gradient.mul(gradient).mul(V::splat(c.second));
        let second = V::load(v).mul_add(V::splat(c.second_keep), square);
        second.store(v);
        let divisor = second.sqrt().mul_add(V::splat(c.unbias), V::splat(c.epsilon));
        let step = first.mul(V::splat(-c.rate)).div(divisor);
        let parameter = V::load(p).mul_add(V::splat(c.keep), step);
        parameter.store(p);
        let average = V::load(e);
        // Exactly the parameters where the average follows at once.
        let average = if c.follow == 1.0 {
            parameter
        } else {
            parameter.add(average.mul(minus)).mul_add(V::splat(c.follow), average)
        };
        average.store(e);
    }
}

/// What scales a gradient down to the length `most`; 1 for a shorter one. Squares are summed in f64, task by task in order.
#[must_use]
pub fn clip_scale(gradients: &[f32], most: f64) -> f32 {
    let sums: Vec<f64> = gradients.par_chunks(TASK).map(sum_of_squares).collect();
    let norm = sums.iter().sum::<f64>().sqrt();
    if norm > most { (most / norm) as f32 } else { 1.0 }
}

/// In eight sums of every eighth element, which are added in order.
fn sum_of_squares(values: &[f32]) -> f64 {
    let (whole, rest) = values.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for part in whole {
        for (sum, &value) in sums.iter_mut().zip(part) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(value) * f64::from(value);
    }
    sums.iter().sum()
}
