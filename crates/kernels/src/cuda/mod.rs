//! The same kernels on an NVIDIA GPU: memory, launches, run-time compilation, products.
//!
//! Nothing of CUDA is needed to build or to start: the driver, NVRTC and cuBLAS are looked for when a GPU is asked for
//! ([`available`] says what is missing). Each kernel's folder holds `kernel.cu`, compiled when it is first launched, and
//! `cuda.rs`, which checks all sizes in safe code before it launches.
//!
//! * Layout as on the processor: NHWC, f32, channels padded to [`crate::simd::BLOCK`]; a whole batch is one tensor.
//! * All work of a [`Gpu`] goes through one queue, in order; only [`Buffer::read`] and [`Gpu::wait`] wait for it.
//! * Same bits each time on the same GPU and libraries: sums have a fixed order, nothing is added atomically, and products
//!   are full f32 (no TF32). The processor's code is the specification: [`checks`] compares every kernel with it.
//! * A [`Machine`] is what runs the work. Tests run every check on one that executes the kernels' own text on the
//!   processor, since most build machines have no GPU.

mod available;
mod buffer;
pub mod checks;
mod error;
mod gpu;
mod machine;
mod nvidia;
mod product;
pub mod rearrange;
pub mod source;

pub use available::{CudaMissing, available};
pub use buffer::{Buffer, Element};
pub use error::CudaError;
pub use gpu::Gpu;
pub(crate) use gpu::{activation_code, narrow};
pub use machine::{Factors, Grid, Kernel, Machine, RawProduct};
pub(crate) use machine::{Parameters, parameters};
pub use nvidia::compile;
pub use product::{Product, Right};
pub use source::Source;

#[cfg(test)]
mod tests;
