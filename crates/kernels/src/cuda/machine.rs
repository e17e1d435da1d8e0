//! The narrow, unsafe interface to whatever runs the work; everything above it is checked.

use std::ffi::c_void;
use std::fmt::Debug;

use super::{CudaError, Source};

/// A `__global__` function that takes one structure of parameters by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Where it is defined.
    pub source: Source,
    /// Its name there.
    pub name: &'static str,
}

/// How many threads run a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// One thread for each of so many outputs, in blocks of [`Grid::BLOCK`]; the kernel ignores threads beyond.
    Each(u32),
    /// A block of [`Grid::ROW_BLOCK`] threads for each of so many rows, which may wait for one another.
    Rows(u32),
}

impl Grid {
    /// Threads of a block where each works alone.
    pub const BLOCK: u32 = 256;
    /// Threads of a block that works on one row.
    pub const ROW_BLOCK: u32 = 128;

    /// Blocks and threads of a block.
    #[must_use]
    pub fn shape(self) -> (u32, u32) {
        match self {
            Grid::Each(count) => (count.div_ceil(Grid::BLOCK), Grid::BLOCK),
            Grid::Rows(count) => (count, Grid::ROW_BLOCK),
        }
    }
}

/// A structure that a kernel takes as its one argument.
///
/// # Safety
/// The type is `repr(C)`, without padding, and has the size and field order of the structure in the kernel's source
/// (both sides assert the size); every address in it is a pointer there.
pub(crate) unsafe trait Parameters: Copy {}

/// Declares a parameter structure: addresses first (8 bytes each), then numbers (4 bytes each, an even number of them), so
/// that there is no padding. The size is asserted here and, by the same number, in the kernel's source.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident, $size:literal, { $($address:ident),* $(,)? } { $($number:ident : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct $name {
            $($address: u64,)*
            $($number: $type,)*
        }
        const _: () = assert!(size_of::<$name>() == $size && align_of::<$name>() == 8);
        const _: () = assert!(0 $(+ { let _ = stringify!($address); 8 })* $(+ size_of::<$type>())* == $size);
        // SAFETY: `repr(C)`; the second assertion shows that no byte is padding; the source asserts the same size.
        unsafe impl $crate::cuda::Parameters for $name {}
    };
}
pub(crate) use parameters;

/// What the factors of a product are rounded to before they are multiplied; sums are single precision in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Factors {
    /// Nothing is rounded: full single precision.
    #[default]
    Full,
    /// 10 bits behind the leading one, where the GPU's tensor cores do so (Ampere and later); else as [`Factors::Full`].
    Tf32,
    /// 7 bits behind the leading one (bfloat16), likewise.
    Bf16,
}

/// `output = scale · left × right (+ output)` for row-major f32 matrices, `batch` times; every address and distance was
/// checked.
#[derive(Debug, Clone, Copy)]
pub struct RawProduct {
    /// `[rows, depth]`, or `[depth, rows]` when `left_transposed`; rows `left_stride` apart.
    pub left: u64,
    /// Whether the columns of `left` are the rows of the output (an output's gradient, in the gradient of a weight).
    pub left_transposed: bool,
    /// From one row to the next, in elements.
    pub left_stride: i32,
    /// `[columns, depth]` when `transposed`, else `[depth, columns]`.
    pub right: u64,
    /// From one row to the next, in elements.
    pub right_stride: i32,
    /// Whether the rows of `right` are the columns of the output (a weight `[outputs, inputs]`).
    pub transposed: bool,
    /// `[rows, columns]`, written.
    pub output: u64,
    /// From one row to the next, in elements.
    pub output_stride: i32,
    /// Rows of left and output.
    pub rows: i32,
    /// Columns of the output.
    pub columns: i32,
    /// What is summed over.
    pub depth: i32,
    /// Multiplies the sums.
    pub scale: f32,
    /// Whether the sums are added to what `output` holds.
    pub accumulate: bool,
    /// What the factors are rounded to.
    pub factors: Factors,
    /// Products.
    pub batch: i32,
    /// From one product's matrix to the next: left, right, output, in elements.
    pub distances: [i64; 3],
}

/// Runs kernels and products, one after the other, over memory of its own.
pub trait Machine: Debug + Send + Sync {
    /// What it is, for logs and provenance.
    fn name(&self) -> &str;

    /// Everything of the machine that the bits of its results depend on, for keys and provenance: its name, and the versions of
    /// what compiles kernels and multiplies matrices.
    fn numerics(&self) -> &str;

    /// `bytes` (at least 1) zeroed bytes, aligned to 256.
    ///
    /// # Errors
    /// When there is no room.
    fn allocate(&self, bytes: usize) -> Result<u64, CudaError>;

    /// Gives memory back when the work so far is done.
    ///
    /// # Safety
    /// `address` came from [`Machine::allocate`] with the same `bytes`, and is not used again.
    unsafe fn release(&self, address: u64, bytes: usize);

    /// Copies to the machine; `from` may be changed when this returns.
    ///
    /// # Errors
    /// What the driver says.
    ///
    /// # Safety
    /// `from.len()` bytes at `to` were allocated here.
    unsafe fn upload(&self, from: &[u8], to: u64) -> Result<(), CudaError>;

    /// Copies from the machine when the work so far is done, and waits for it.
    ///
    /// # Errors
    /// What the driver says, also of work before.
    ///
    /// # Safety
    /// `to.len()` bytes at `from` were allocated here.
    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<(), CudaError>;

    /// Queues a copy within the machine.
    ///
    /// # Errors
    /// What the driver says.
    ///
    /// # Safety
    /// `bytes` bytes at both addresses were allocated here, and they do not overlap.
    unsafe fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), CudaError>;

    /// Queues a kernel.
    ///
    /// # Errors
    /// When it cannot be compiled or launched.
    ///
    /// # Safety
    /// `parameters` points to the structure that the kernel takes; all that the kernel reads and writes with it lies in
    /// memory allocated here, and no thread writes where another reads or writes.
    unsafe fn launch(&self, kernel: Kernel, grid: Grid, parameters: *const c_void) -> Result<(), CudaError>;

    /// Queues products.
    ///
    /// # Errors
    /// When cuBLAS refuses.
    ///
    /// # Safety
    /// All matrices lie in memory allocated here, and the output overlaps neither of the others.
    unsafe fn product(&self, product: &RawProduct) -> Result<(), CudaError>;

    /// Waits for all work.
    ///
    /// # Errors
    /// What went wrong in it.
    fn wait(&self) -> Result<(), CudaError>;
}
