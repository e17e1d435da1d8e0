//! Uniform draws in [0, 1): `out[i] = stream.uniform(first + i)`.
//!
//! * Shapes: `out` `[n]` f32; `first` any position of the stream.
//! * Source: Philox4x32-10, the upper 24 bits of a word ([`oodlab_base::seed::uniform_from_word`]), equal to the bit on every device.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

pub use cpu::fill;
pub(crate) use cpu::fill_by_blocks;

/// `count` numbers written, two operations each; the generator's integer operations (about 25 a number) are not counted.
#[must_use]
pub fn cost(count: usize) -> crate::cost::Cost {
    crate::cost::Cost::elements(count, 1, 2)
}
