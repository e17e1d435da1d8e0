//! Forward product and the gradient of its input.

use std::mem::MaybeUninit;

use rayon::prelude::*;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use {
    super::half::{self, Left, Place, with_right},
    crate::simd::{AlignedBuffer, F32x16},
    std::cell::RefCell,
};

use super::tile::{self, Order, PACKED, Step};
use super::{CHUNK, KERNEL, Numbers, PANEL, Shape, Shared, TILE, check_panels, chunk};
use crate::pointwise_conv::cpu::Segment;
use crate::shape::{ShapeError, expect};
use crate::simd::{Vector, dispatch};

/// Tiles of one task: its weights' chunk stays in the second cache while all panels pass.
const TASK_TILES: usize = 4;

/// What is added to the product besides the bias.
#[derive(Debug, Clone, Copy)]
pub enum Begin<'a> {
    /// Nothing.
    Nothing,
    /// Another value for each output, in panels.
    Residual(&'a [f32]),
    /// What each row is told: a table of some rows in panels, of as many features as come out, and which of its rows each row gets.
    Shift {
        /// The table, in panels.
        table: &'a [f32],
        /// Rows of the table.
        steps: usize,
        /// `[rows]`, below `steps`.
        row: &'a [u32],
    },
}

impl Begin<'_> {
    fn check(self, shape: Shape) -> Result<(), ShapeError> {
        match self {
            Begin::Nothing => Ok(()),
            Begin::Residual(values) => check_panels("residual", shape.rows, shape.outputs, values),
            Begin::Shift { table, steps, row } => {
                check_panels("table of the shift", steps, shape.outputs, table)?;
                expect(KERNEL, "row of the shift", shape.rows, row.len())?;
                let last = row.iter().max().map_or(0, |&last| last as usize + 1);
                expect(KERNEL, "steps of the shift", steps.max(last), steps)
            }
        }
    }
}

/// A task's part of a product.
#[derive(Clone, Copy)]
struct Task<'a> {
    shape: Shape,
    /// Features that this task computes.
    first: usize,
    end: usize,
    weight: *const f32,
    bias: *const f32,
    begin: Begin<'a>,
    from: *const f32,
    to: *mut f32,
    /// Whether the sums begin with what `to` holds; for input gradients.
    add: bool,
}

/// `out = x W^T + b`, and what `begin` adds.
///
/// # Shapes
/// `weight` `[outputs, inputs]` row-major, `bias` `[outputs]`; `x` and `out` in panels.
///
/// # Errors
/// When a buffer does not fit.
pub fn forward(
    numbers: Numbers,
    shape: Shape,
    weight: &[f32],
    bias: &[f32],
    x: &[f32],
    begin: Begin<'_>,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    shape.check_weight(weight)?;
    expect(KERNEL, "bias", shape.outputs, bias.len())?;
    check_panels("x", shape.rows, shape.inputs, x)?;
    check_panels("out", shape.rows, shape.outputs, out)?;
    begin.check(shape)?;
    let to = Shared(out.as_mut_ptr());
    // Pointers as numbers that threads may share: all of them are borrowed until the tasks are done.
    let (weight, bias, from) = (Reading(weight.as_ptr()), Reading(bias.as_ptr()), Reading(x.as_ptr()));
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if numbers.is_half() {
        with_right(x, shape.panels(), shape.inputs * PANEL, shape.inputs, |right| {
            tasks(shape.outputs, half::BLOCK, |first, end| {
                let (weight, bias, from, to) = (weight.get(), bias.get(), from.get(), to.get());
                let task = Task { shape, first, end, weight, bias, begin, from, to, add: true };
                // SAFETY: `numbers` vouches for the processor, and the lengths were checked.
                unsafe { half_task(task, right.get(), false) };
            });
        });
        return Ok(());
    }
    let set = numbers.set();
    tasks(shape.outputs, TASK_TILES * TILE, |first, end| {
        let (weight, bias, from, to) = (weight.get(), bias.get(), from.get(), to.get());
        let task = Task { shape, first, end, weight, bias, begin, from, to, add: false };
        dispatch!(set, forward_task, task: Task<'_>);
    });
    Ok(())
}

/// `dx = dy W`, or that added to `dx`.
///
/// # Shapes
/// `weight` `[outputs, inputs]` row-major; `out_gradient` and `x_gradient` in panels.
///
/// # Errors
/// When a buffer does not fit.
pub fn input_gradient(
    numbers: Numbers,
    shape: Shape,
    weight: &[f32],
    out_gradient: &[f32],
    add: bool,
    x_gradient: &mut [f32],
) -> Result<(), ShapeError> {
    shape.check_weight(weight)?;
    check_panels("gradient of the output", shape.rows, shape.outputs, out_gradient)?;
    check_panels("gradient of x", shape.rows, shape.inputs, x_gradient)?;
    let to = Shared(x_gradient.as_mut_ptr());
    let (weight, from) = (Reading(weight.as_ptr()), Reading(out_gradient.as_ptr()));
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if numbers.is_half() {
        with_right(out_gradient, shape.panels(), shape.outputs * PANEL, shape.outputs, |right| {
            tasks(shape.inputs, half::BLOCK, |first, end| {
                let (weight, from, to) = (weight.get(), from.get(), to.get());
                let task = Task { shape, first, end, weight, bias: weight, begin: Begin::Nothing, from, to, add };
                // SAFETY: as in `forward`.
                unsafe { half_task(task, right.get(), true) };
            });
        });
        return Ok(());
    }
    let set = numbers.set();
    tasks(shape.inputs, TASK_TILES * TILE, |first, end| {
        let (weight, from, to) = (weight.get(), from.get(), to.get());
        let task = Task { shape, first, end, weight, bias: weight, begin: Begin::Nothing, from, to, add };
        dispatch!(set, gradient_task, task: Task<'_>);
    });
    Ok(())
}

/// Memory that tasks only read.
#[derive(Clone, Copy)]
struct Reading(*const f32);

// SAFETY: nobody writes while it is read.
unsafe impl Send for Reading {}
// SAFETY: as above.
unsafe impl Sync for Reading {}

impl Reading {
    fn get(self) -> *const f32 {
        self.0
    }
}

/// Runs `work(first, end)` over all features, `size` at a time, on all threads.
fn tasks(features: usize, size: usize, work: impl Fn(usize, usize) + Sync) {
    (0..features.div_ceil(size)).into_par_iter().with_max_len(1).for_each(|task| {
        work(task * size, ((task + 1) * size).min(features));
    });
}

/// The chunks of a sum.
fn chunks(length: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = chunk(length);
    (0..length).step_by(step).map(move |from| (from, (from + step).min(length)))
}

#[inline(always)]
unsafe fn forward_task<V: Vector>(task: Task<'_>) {
    let Shape { inputs, outputs, .. } = task.shape;
    let panels = task.shape.panels();
    // SAFETY: `forward` checked the lengths; no other task writes these features.
    unsafe {
        for panel in 0..panels {
            begin::<V>(&task, panel);
        }
        for (from, to) in chunks(inputs) {
            let segments = [Segment { offset: from * size_of::<f32>(), count: to - from }];
            for panel in 0..panels {
                let right = task.from.add((panel * inputs + from) * PANEL);
                let next = task.from.wrapping_add(((panel + 1) % panels * inputs + from) * PANEL);
                let left = task.weight.wrapping_add(task.first * inputs);
                let sums = task.to.add((panel * outputs + task.first) * PANEL);
                tiles::<V>(&task, &segments, right, next, sums, |tile| {
                    (left.wrapping_add(tile * TILE * inputs), Order::Rows(inputs))
                });
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
thread_local! {
    /// A task's left factor, rounded.
    static LEFT: RefCell<AlignedBuffer> = RefCell::new(AlignedBuffer::default());
}

/// A task of either product in bfloat16; `turned` for input gradients.
///
/// # Safety
/// [`crate::simd::has_bf16`]; `right` holds the rounded rows, and the rest is as for the other tasks.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[target_feature(enable = "avx512f")]
unsafe fn half_task(task: Task<'_>, right: *const u16, turned: bool) {
    let Shape { inputs, outputs, .. } = task.shape;
    let (panels, count) = (task.shape.panels(), task.end - task.first);
    let (features, terms) = if turned { (inputs, outputs) } else { (outputs, inputs) };
    LEFT.with_borrow_mut(|left| {
        // SAFETY: the caller's; no other task writes these features.
        unsafe {
            if turned {
                half::round_left_turned(task.weight.add(task.first), inputs, count, terms, left);
            } else {
                for panel in 0..panels {
                    begin::<F32x16>(&task, panel);
                }
                let first = task.weight.add(task.first * inputs);
                half::round_left(Left { first, chunk: 32, feature: inputs }, count, terms, left);
            }
            let _tiles = half::Tiles::configure();
            half::add_panels(left.as_ptr().cast(), right, terms, panels, !task.add, |panel| Place {
                first: task.to.add((panel * features + task.first) * PANEL),
                stride: PANEL,
                rows: count,
                columns: PANEL,
            });
        }
    });
}

/// What the sums of one panel begin with.
#[inline(always)]
unsafe fn begin<V: Vector>(task: &Task<'_>, panel: usize) {
    let outputs = task.shape.outputs;
    // SAFETY: as for `forward_task`; `Begin::check` has seen the rest.
    unsafe {
        match task.begin {
            Begin::Nothing => {
                for o in task.first..task.end {
                    let bias = V::splat(*task.bias.add(o));
                    for lane in (0..PANEL).step_by(V::LANES) {
                        bias.store(task.to.add((panel * outputs + o) * PANEL + lane));
                    }
                }
            }
            Begin::Residual(values) => {
                for o in task.first..task.end {
                    let bias = V::splat(*task.bias.add(o));
                    for lane in (0..PANEL).step_by(V::LANES) {
                        let at = (panel * outputs + o) * PANEL + lane;
                        V::load(values.as_ptr().add(at)).add(bias).store(task.to.add(at));
                    }
                }
            }
            Begin::Shift { table, row, .. } => {
                // Where each row's shift begins; rows that are not there get the first one's.
                let mut places = [0usize; PANEL];
                for (place, &row) in places.iter_mut().zip(&row[panel * PANEL..]) {
                    *place = (row as usize / PANEL * outputs) * PANEL + row as usize % PANEL;
                }
                for o in task.first..task.end {
                    let bias = *task.bias.add(o);
                    let to = task.to.add((panel * outputs + o) * PANEL);
                    let from = table.as_ptr().add(o * PANEL);
                    for (lane, &place) in places.iter().enumerate() {
                        *to.add(lane) = bias + *from.add(place);
                    }
                }
            }
        }
    }
}

/// Adds one chunk to the sums of all tiles of a task × one panel.
#[inline(always)]
unsafe fn tiles<V: Vector>(
    task: &Task<'_>,
    segments: &[Segment],
    right: *const f32,
    next: *const f32,
    sums: *mut f32,
    left: impl Fn(usize) -> (*const f32, Order),
) {
    let count = (task.end - task.first).div_ceil(TILE);
    let terms = segments[0].count;
    for tile in 0..count {
        let (left, order) = left(tile);
        let step = Step {
            left,
            order,
            segments,
            right,
            // SAFETY: tiles lie within the task's features.
            sums: unsafe { sums.add(tile * TILE * PANEL) },
            fresh: false,
            // Every tile asks for its share of the next panel.
            ahead: next.wrapping_add(terms * PANEL / count * tile),
            ahead_step: PANEL / count,
        };
        // SAFETY: the caller's.
        unsafe { tile::add::<V>(&step, (task.end - task.first - tile * TILE).min(TILE)) };
    }
}

/// Weights of the task's tiles and one chunk, `[tile][k][16]`.
#[repr(align(64))]
struct Packed([MaybeUninit<f32>; TASK_TILES * CHUNK * PACKED]);

#[inline(always)]
unsafe fn gradient_task<V: Vector>(task: Task<'_>) {
    let Shape { inputs, outputs, .. } = task.shape;
    let panels = task.shape.panels();
    let mut packed = Packed([MaybeUninit::uninit(); TASK_TILES * CHUNK * PACKED]);
    let packed: *mut f32 = packed.0.as_mut_ptr().cast();
    // SAFETY: `input_gradient` checked the lengths; no other task writes these features.
    unsafe {
        if !task.add {
            for panel in 0..panels {
                let to = task.to.add((panel * inputs + task.first) * PANEL);
                std::slice::from_raw_parts_mut(to, (task.end - task.first) * PANEL).fill(0.0);
            }
        }
        for (from, to) in chunks(outputs) {
            for (tile, first) in (task.first..task.end).step_by(TILE).enumerate() {
                let count = (task.end - first).min(TILE);
                for k in from..to {
                    let source = task.weight.add(k * inputs + first);
                    let place = packed.add((tile * CHUNK + k - from) * PACKED);
                    if first + PACKED <= inputs {
                        for lane in (0..PACKED).step_by(V::LANES) {
                            V::load(source.add(lane)).store(place.add(lane));
                        }
                    } else {
                        place.copy_from_nonoverlapping(source, count);
                    }
                }
            }
            let segments = [Segment { offset: 0, count: to - from }];
            for panel in 0..panels {
                let right = task.from.add((panel * outputs + from) * PANEL);
                let next = task.from.wrapping_add(((panel + 1) % panels * outputs + from) * PANEL);
                let sums = task.to.add((panel * inputs + task.first) * PANEL);
                tiles::<V>(&task, &segments, right, next, sums, |tile| {
                    (packed.wrapping_add(tile * CHUNK * PACKED).cast_const(), Order::Packed)
                });
            }
        }
    }
}
