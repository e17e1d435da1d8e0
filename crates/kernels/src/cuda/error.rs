//! What can go wrong on a GPU.

use super::CudaMissing;
use crate::shape::ShapeError;
use crate::simd::SizeError;

/// A GPU that cannot be used, or work that it refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CudaError {
    /// A library is absent.
    #[error(transparent)]
    Missing(#[from] CudaMissing),
    /// No GPU of that number.
    #[error("there is no GPU {index}: this machine has {count}; numbers begin at 0")]
    NoSuchGpu {
        /// The number asked for.
        index: usize,
        /// GPUs that the driver sees.
        count: usize,
    },
    /// The driver or cuBLAS refused.
    #[error("{what} failed: {message}")]
    Driver {
        /// What was tried.
        what: &'static str,
        /// The library's words.
        message: String,
    },
    /// The run-time compiler refused a kernel.
    #[error("kernel source {source_name} does not compile: {log}")]
    Compile {
        /// Name of the source.
        source_name: &'static str,
        /// The compiler's log.
        log: String,
    },
    /// Sizes that do not fit together; nothing was launched.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Lengths that do not fit together; nothing was launched.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A buffer of another GPU.
    #[error("{kernel}: {what} lies in the memory of another GPU")]
    OtherGpu {
        /// The kernel.
        kernel: &'static str,
        /// The argument.
        what: &'static str,
    },
}
