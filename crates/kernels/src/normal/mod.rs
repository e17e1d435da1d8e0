//! Standard normal draws: `out[i] = stream.normal(first + i)`.
//!
//! * Shapes: `out` `[n]` f32; `first` any position of the stream, so that a part of a sequence can be drawn alone.
//! * Source: Philox4x32-10 and Box–Muller in f64, narrowed once ([`oodlab_base::seed::normals_from_block`]).
//! * The result does not depend on the number of threads nor on how the positions are cut into calls.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

pub use cpu::fill;

/// `count` numbers written, six operations in f64 each; the generator's integer operations are not counted.
#[must_use]
pub fn cost(count: usize) -> crate::cost::Cost {
    crate::cost::Cost::elements(count, 1, 6)
}
