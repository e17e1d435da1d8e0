//! Forward noise q(z_t | z_0): `out = sqrt(alpha_bar[t]) z + sqrt(1 - alpha_bar[t]) noise`, with a step t of its own for every row.
//!
//! * Shapes: `z`, `noise`, `out` `[rows, width]` f32; `rows` pairs of coefficients, computed in f64 and narrowed once.
//! * Source: Ho et al. 2020, equation 4; DLSR (arXiv 2411.10701), section 3.

mod cpu;
pub mod cuda;
#[cfg(test)]
mod tests;

pub use cpu::{Coefficients, run};

/// Sample and noise read, one value written, three operations; two coefficients a row.
#[must_use]
pub fn cost(rows: usize, width: usize) -> crate::cost::Cost {
    crate::cost::Cost::elements(rows * width, 3, 3).and(crate::cost::Cost::elements(rows, 2, 0))
}
