//! Layer normalisation of rows (Ba et al., 2016): `(x - mean) / √(variance + ε) · weight + bias`, f32.
//!
//! Mean and (biased) variance over the row in two passes, each a vector of sums whose lanes are added in order.

pub mod cuda;
#[cfg(test)]
mod tests;

use crate::simd::{InstructionSet, SizeError, Vector, at_least, dispatch};

const KERNEL: &str = "layer normalisation";
/// The widest vector.
const LANES: usize = 16;

#[derive(Clone, Copy)]
struct Rows {
    input: *const f32,
    rows: usize,
    stride: usize,
    width: usize,
    weight: *const f32,
    bias: *const f32,
    epsilon: f32,
    output: *mut f32,
}

/// Normalises each row.
///
/// # Shapes
/// Row r of `input` and of `output` begins at `r · stride` and has `width` values; what follows is neither read nor
/// written. `weight` and `bias` `[width]`.
///
/// # Errors
/// When a slice or the stride is too short, or the rows are empty.
#[expect(clippy::too_many_arguments, reason = "two maps and their parameters")]
pub fn rows(
    set: InstructionSet,
    input: &[f32],
    rows: usize,
    stride: usize,
    width: usize,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    output: &mut [f32],
) -> Result<(), SizeError> {
    if rows == 0 {
        return Ok(());
    }
    at_least(KERNEL, "width of a row", width, 1)?;
    at_least(KERNEL, "stride of the rows", stride, width)?;
    at_least(KERNEL, "length of the input", input.len(), (rows - 1).saturating_mul(stride).saturating_add(width))?;
    at_least(KERNEL, "length of the output", output.len(), (rows - 1).saturating_mul(stride).saturating_add(width))?;
    at_least(KERNEL, "length of the weight", weight.len(), width)?;
    at_least(KERNEL, "length of the bias", bias.len(), width)?;
    let rows = Rows {
        input: input.as_ptr(),
        rows,
        stride,
        width,
        weight: weight.as_ptr(),
        bias: bias.as_ptr(),
        epsilon,
        output: output.as_mut_ptr(),
    };
    dispatch!(set, body, rows: Rows);
    Ok(())
}

#[inline(always)]
unsafe fn body<V: Vector>(rows: Rows) {
    for row in 0..rows.rows {
        // SAFETY: `rows` checked the lengths.
        unsafe { normalise::<V>(&rows, rows.input.add(row * rows.stride), rows.output.add(row * rows.stride)) };
    }
}

#[inline(always)]
unsafe fn normalise<V: Vector>(rows: &Rows, from: *const f32, to: *mut f32) {
    let whole = rows.width / V::LANES * V::LANES;
    let length = rows.width as f32;
    // SAFETY: as for `body`; vectors stay below `whole`, the rest goes one by one.
    unsafe {
        let mut sums = V::splat(0.0);
        for at in (0..whole).step_by(V::LANES) {
            sums = sums.add(V::load(from.add(at)));
        }
        let mut sum = total(sums);
        for at in whole..rows.width {
            sum += *from.add(at);
        }
        let mean = sum / length;
        let minus = V::splat(-mean);
        let mut squares = V::splat(0.0);
        for at in (0..whole).step_by(V::LANES) {
            let distance = V::load(from.add(at)).add(minus);
            squares = distance.mul_add(distance, squares);
        }
        let mut square = total(squares);
        for at in whole..rows.width {
            let distance = *from.add(at) - mean;
            square += distance * distance;
        }
        let factor = 1.0 / (square / length + rows.epsilon).sqrt();
        let factors = V::splat(factor);
        for at in (0..whole).step_by(V::LANES) {
            let value = V::load(from.add(at)).add(minus).mul(factors);
            value.mul_add(V::load(rows.weight.add(at)), V::load(rows.bias.add(at))).store(to.add(at));
        }
        for at in whole..rows.width {
            *to.add(at) = (*from.add(at) - mean) * factor * *rows.weight.add(at) + *rows.bias.add(at);
        }
    }
}

/// The sum of a vector's lanes, in order.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn total<V: Vector>(vector: V) -> f32 {
    let mut lanes = [0.0f32; LANES];
    // SAFETY: no vector has more lanes.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes[..V::LANES].iter().sum()
}
