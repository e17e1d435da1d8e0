//! SiLU, `x / (1 + e^-x)`, and its gradient `dy (s + y - y s)` with s = 1 / (1 + e^-x), of any number of f32.

use rayon::prelude::*;

use crate::cost::Cost;
use crate::shape::{ShapeError, expect};
use crate::simd::{Activation, InstructionSet, Vector, dispatch};

const KERNEL: &str = "silu";
const TASK: usize = 1 << 13;

/// Forward: a value read and one written, four operations.
#[must_use]
pub fn cost(count: usize) -> Cost {
    Cost::elements(count, 2, 4)
}

/// Backward: a value and a gradient read, a gradient written, eight operations.
#[must_use]
pub fn backward_cost(count: usize) -> Cost {
    Cost::elements(count, 3, 8)
}

#[derive(Clone, Copy)]
struct Task {
    x: *const f32,
    /// Null: forward.
    gradient: *const f32,
    out: *mut f32,
    count: usize,
}

/// `out = silu(x)`
///
/// # Errors
/// When the lengths differ.
pub fn forward(set: InstructionSet, x: &[f32], out: &mut [f32]) -> Result<(), ShapeError> {
    expect(KERNEL, "out", x.len(), out.len())?;
    out.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(out, x)| {
        let task = Task { x: x.as_ptr(), gradient: std::ptr::null(), out: out.as_mut_ptr(), count: x.len() };
        dispatch!(set, body, task: Task);
    });
    Ok(())
}

/// `x_gradient = out_gradient silu'(x)`
///
/// # Errors
/// When the lengths differ.
pub fn backward(
    set: InstructionSet,
    x: &[f32],
    out_gradient: &[f32],
    x_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    expect(KERNEL, "gradient of the output", x.len(), out_gradient.len())?;
    expect(KERNEL, "gradient of x", x.len(), x_gradient.len())?;
    let tasks = x_gradient.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).zip(out_gradient.par_chunks(TASK));
    tasks.for_each(|((out, x), gradient)| {
        let task = Task { x: x.as_ptr(), gradient: gradient.as_ptr(), out: out.as_mut_ptr(), count: x.len() };
        dispatch!(set, body, task: Task);
    });
    Ok(())
}

#[inline(always)]
unsafe fn body<V: Vector>(task: Task) {
    let whole = task.count / V::LANES * V::LANES;
    // SAFETY: all pointers have `count` elements; the rest of the last vector goes through vectors of its own.
    unsafe {
        for at in (0..whole).step_by(V::LANES) {
            vector::<V>(task.x.add(at), task.gradient, at, task.out.add(at));
        }
        let left = task.count - whole;
        if left > 0 {
            let (mut x, mut gradient, mut out) = ([0.0f32; 16], [0.0f32; 16], [0.0f32; 16]);
            x.as_mut_ptr().copy_from_nonoverlapping(task.x.add(whole), left);
            if !task.gradient.is_null() {
                gradient.as_mut_ptr().copy_from_nonoverlapping(task.gradient.add(whole), left);
            }
            let of = if task.gradient.is_null() { task.gradient } else { gradient.as_ptr() };
            vector::<V>(x.as_ptr(), of, 0, out.as_mut_ptr());
            task.out.add(whole).copy_from_nonoverlapping(out.as_ptr(), left);
        }
    }
}

/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn vector<V: Vector>(x: *const f32, gradient: *const f32, at: usize, out: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        let x = V::load(x);
        if gradient.is_null() {
            return Activation::Silu.apply(x).store(out);
        }
        let s = V::splat(1.0).divided(x.mul(V::splat(-1.0)).exp().add(V::splat(1.0)));
        let y = x.mul(s);
        let slope = y.mul(V::splat(-1.0)).mul_add(s, s.add(y));
        V::load(gradient.add(at)).mul(slope).store(out);
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Tolerance;

    use super::{backward, forward};
    use crate::simd::testing::{ALL_SETS, numbers};

    #[test]
    fn values_and_gradients_agree_with_f64() {
        let silu = |x: f64| x / (1.0 + (-x).exp());
        for set in ALL_SETS {
            for count in [1, 8, 19, 9_000] {
                let x: Vec<f32> = numbers("x", count).iter().map(|x| 8.0 * x).collect();
                let (dy, mut out, mut dx) = (numbers("dy", count), vec![0.0; count], vec![0.0; count]);
                forward(set, &x, &mut out).expect("one length");
                backward(set, &x, &dy, &mut dx).expect("one length");
                let tolerance = Tolerance::mixed("1e-6", 1e-6, 1e-6);
                let want = x.iter().map(|&x| silu(x.into()));
                tolerance.compare(out.iter().map(|&y| f64::from(y)), want).assert(set.name());
                let want = x.iter().zip(&dy).map(|(&x, &dy)| {
                    let x = f64::from(x);
                    f64::from(dy) * (silu(x + 1e-6) - silu(x - 1e-6)) / 2e-6
                });
                tolerance.compare(dx.iter().map(|&y| f64::from(y)), want).assert(set.name());
            }
        }
        let set = ALL_SETS[0];
        assert!(forward(set, &[0.0; 2], &mut [0.0; 3]).is_err());
        assert!(backward(set, &[0.0; 2], &[0.0; 3], &mut [0.0; 2]).is_err());
    }
}
