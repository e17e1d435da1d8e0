//! Gradients of weights and biases: sums over rows.

use std::cell::RefCell;

use rayon::prelude::*;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::half::{self, Left, Place, with_right};

use super::tile::{self, Order, Step};
use super::{CHUNK, KERNEL, Numbers, PANEL, Shape, Shared, TILE, check_panels};
use crate::adamw::{self, Coefficients, Slices};
use crate::cost::Cost;
use crate::pointwise_conv::cpu::Segment;
use crate::shape::{ShapeError, expect};
use crate::simd::{AlignedBuffer, Vector, dispatch};

thread_local! {
    /// Gradients of the weights of one tile.
    static BLOCK: RefCell<AlignedBuffer> = RefCell::new(AlignedBuffer::default());
}

/// The sums of a task's tile.
#[derive(Clone, Copy)]
struct Task<'a> {
    shape: Shape,
    /// The gradient of the tile's first output in the first panel.
    out_gradient: *const f32,
    /// `[panel of features][rows][32]`
    by_features: *const f32,
    /// Outputs of the tile.
    count: usize,
    segments: &'a [Segment],
    /// `[count, inputs]`
    to: *mut f32,
}

/// `dW = dy^T x`, replaced.
///
/// # Shapes
/// `out_gradient` in panels; `by_features`: the layer's input as [`super::layout::by_features`] turns it; `weight_gradient`
/// `[outputs, inputs]` row-major.
///
/// # Errors
/// When a buffer does not fit.
pub fn weight_gradient(
    numbers: Numbers,
    shape: Shape,
    out_gradient: &[f32],
    by_features: &[f32],
    weight_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    shape.check_weight(weight_gradient)?;
    let to = Shared(weight_gradient.as_mut_ptr());
    each_tile(numbers, shape, out_gradient, by_features, |first, fill| {
        // SAFETY: the tile's rows of the gradient lie within it, and no other task has them.
        fill(unsafe { to.get().add(first * shape.inputs) });
    })
}

/// One step of [`adamw`] with the gradient of [`weight_gradient`], which is not kept: each tile's weights, average and
/// moments change while its gradients are in the second cache. The bits are those of one after the other.
///
/// # Shapes
/// As [`weight_gradient`]; `slices` of `[outputs, inputs]`.
///
/// # Errors
/// When a buffer does not fit.
pub fn weight_step(
    numbers: Numbers,
    shape: Shape,
    out_gradient: &[f32],
    by_features: &[f32],
    coefficients: Coefficients,
    slices: Slices<'_>,
) -> Result<(), ShapeError> {
    let Slices { parameters, average, first_moment, second_moment } = slices;
    let all = [parameters, average, first_moment, second_moment];
    for slice in &all {
        shape.check_weight(slice)?;
    }
    let all = all.map(|slice| Shared(slice.as_mut_ptr()));
    each_tile(numbers, shape, out_gradient, by_features, |first, fill| {
        BLOCK.with_borrow_mut(|block| {
            let count = (shape.outputs - first).min(outputs_of_a_tile(numbers)) * shape.inputs;
            block.reserve(count);
            fill(block.as_mut_ptr());
            // SAFETY: the tile's rows lie within the slices, whose lengths were checked, and no other task has them.
            let [p, e, m, v] = all
                .map(|slice| unsafe { std::slice::from_raw_parts_mut(slice.get().add(first * shape.inputs), count) });
            let slices = Slices { parameters: p, average: e, first_moment: m, second_moment: v };
            // Cannot fail: all five are of one length.
            let done = adamw::part(numbers.set(), coefficients, slices, &block[..count]);
            debug_assert_eq!(done, Ok(()));
        });
    })
}

/// [`weight_step`]: the gradient's product, whose result stays in the caches, and a step of AdamW that need not read it: weight, average
/// and two moments read and written, 8 values a weight, besides the layer's input and its output's gradient.
#[must_use]
pub fn weight_step_cost(shape: Shape) -> Cost {
    let Shape { inputs, outputs, rows } = shape;
    let weights = inputs * outputs;
    let operations = Cost::product(outputs, inputs, rows).operations + adamw::cost(weights).operations;
    let moved = Cost::elements(weights, 8, 0).and(Cost::elements(rows * (inputs + outputs), 1, 0));
    Cost { operations, ..moved }
}

/// Calls `work(first output, fill)` for each tile; `fill(to)` writes its gradients.
fn each_tile(
    numbers: Numbers,
    shape: Shape,
    out_gradient: &[f32],
    by_features: &[f32],
    work: impl Fn(usize, &dyn Fn(*mut f32)) + Sync,
) -> Result<(), ShapeError> {
    if shape.rows == 0 {
        return Err(ShapeError { kernel: KERNEL, buffer: "rows", expected: 1, found: 0 });
    }
    check_panels("gradient of the output", shape.rows, shape.outputs, out_gradient)?;
    expect(KERNEL, "input by features", super::layout::by_features_len(shape.rows, shape.inputs), by_features.len())?;
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if numbers.is_half() {
        let padded = shape.panels() * PANEL;
        with_right(by_features, shape.inputs.div_ceil(PANEL), padded * PANEL, shape.rows, |right| {
            tiles(shape.outputs, half::BLOCK, |first| {
                work(first, &|to| {
                    let count = (shape.outputs - first).min(half::BLOCK);
                    let left = out_gradient[first * PANEL..].as_ptr();
                    // SAFETY: `numbers` vouches for the processor, the lengths were checked, and `to` has the tile's rows.
                    unsafe { half_tile(shape, left, right.get(), count, to) };
                });
            });
        });
        return Ok(());
    }
    let set = numbers.set();
    let panel_bytes = shape.outputs * PANEL * size_of::<f32>();
    let segments: Vec<Segment> = (0..shape.panels())
        .map(|panel| Segment { offset: panel * panel_bytes, count: (shape.rows - panel * PANEL).min(PANEL) })
        .collect();
    tiles(shape.outputs, TILE, |first| {
        work(first, &|to| {
            let task = Task {
                shape,
                out_gradient: out_gradient[first * PANEL..].as_ptr(),
                by_features: by_features.as_ptr(),
                count: (shape.outputs - first).min(TILE),
                segments: &segments,
                to,
            };
            dispatch!(set, tile_body, task: Task<'_>);
        });
    });
    Ok(())
}

/// Outputs whose gradients one task computes.
fn outputs_of_a_tile(numbers: Numbers) -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if numbers.is_half() {
        return half::BLOCK;
    }
    let _ = numbers;
    TILE
}

/// Calls `work(first)` for every `size` outputs, on all threads.
fn tiles(outputs: usize, size: usize, work: impl Fn(usize) + Sync) {
    (0..outputs.div_ceil(size)).into_par_iter().with_max_len(1).for_each(|tile| work(tile * size));
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
thread_local! {
    /// A task's gradient of the output, rounded.
    static LEFT: RefCell<AlignedBuffer> = RefCell::new(AlignedBuffer::default());
}

/// The gradients of `count` outputs in bfloat16.
///
/// # Safety
/// [`crate::simd::has_bf16`]; `left` is the first output's place in the first panel, `right` the rounded input, and `to` has
/// `[count, inputs]` values.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[target_feature(enable = "avx512f")]
unsafe fn half_tile(shape: Shape, left: *const f32, right: *const u16, count: usize, to: *mut f32) {
    let Shape { inputs, outputs, rows } = shape;
    LEFT.with_borrow_mut(|rounded| {
        // SAFETY: the caller's.
        unsafe {
            let left = Left { first: left, chunk: outputs * PANEL, feature: PANEL };
            half::round_left(left, count, rows, rounded);
            let _tiles = half::Tiles::configure();
            half::add_panels(rounded.as_ptr().cast(), right, rows, inputs.div_ceil(PANEL), true, |panel| Place {
                first: to.add(panel * PANEL),
                stride: inputs,
                rows: count,
                columns: (inputs - panel * PANEL).min(PANEL),
            });
        }
    });
}

#[inline(always)]
unsafe fn tile_body<V: Vector>(task: Task<'_>) {
    let Shape { inputs, rows, .. } = task.shape;
    let padded = task.shape.panels() * PANEL;
    let mut sums = Sums([0.0; TILE * PANEL]);
    for first in (0..inputs).step_by(PANEL) {
        // SAFETY: `each_tile` checked the lengths.
        unsafe {
            let column = task.by_features.add(first * padded);
            for (chunk, segments) in task.segments.chunks(CHUNK / PANEL).enumerate() {
                let right = column.add(chunk * CHUNK * PANEL);
                let step = Step {
                    left: task.out_gradient,
                    order: Order::Rows(PANEL),
                    segments,
                    right,
                    sums: sums.0.as_mut_ptr(),
                    fresh: chunk == 0,
                    ahead: right.wrapping_add(CHUNK.min(rows) * PANEL),
                    ahead_step: PANEL,
                };
                tile::add::<V>(&step, task.count);
            }
            let width = (inputs - first).min(PANEL);
            for (m, sums) in sums.0.chunks_exact(PANEL).take(task.count).enumerate() {
                let to = task.to.add(m * inputs + first);
                if width == PANEL {
                    for lane in (0..PANEL).step_by(V::LANES) {
                        V::load(sums.as_ptr().add(lane)).store(to.add(lane));
                    }
                } else {
                    to.copy_from_nonoverlapping(sums.as_ptr(), width);
                }
            }
        }
    }
}

/// A tile's sums.
#[repr(align(64))]
struct Sums([f32; TILE * PANEL]);

/// `db`: `out_gradient` summed over rows, replaced. Lanes that no row fills must hold zeros.
///
/// # Errors
/// When a buffer does not fit.
pub fn bias_gradient(
    rows: usize,
    outputs: usize,
    out_gradient: &[f32],
    bias_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    check_panels("gradient of the output", rows, outputs, out_gradient)?;
    expect(KERNEL, "gradient of the bias", outputs, bias_gradient.len())?;
    bias_gradient.par_iter_mut().with_min_len(64).enumerate().for_each(|(o, sum)| {
        let mut lanes = [0.0f32; PANEL];
        for panel in 0..rows.div_ceil(PANEL) {
            let values = &out_gradient[(panel * outputs + o) * PANEL..][..PANEL];
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += value;
            }
        }
        let mut left = PANEL;
        while left > 1 {
            left /= 2;
            for lane in 0..left {
                lanes[lane] += lanes[lane + left];
            }
        }
        *sum = lanes[0];
    });
    Ok(())
}
