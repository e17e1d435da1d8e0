//! Whether the CUDA libraries are there: to be asked before any call, since a call into an absent library panics.

/// A library that a GPU needs and that this machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("CUDA is not available: {library} was not found; {hint}")]
pub struct CudaMissing {
    /// The library, as its file is named on Linux.
    pub library: &'static str,
    /// What the user can do.
    pub hint: &'static str,
}

const DRIVER_HINT: &str = "install the NVIDIA driver, or compute with --device cpu";
const TOOLKIT_HINT: &str = "install the CUDA 12 libraries, or put the folders site-packages/nvidia/*/lib of a Python environment \
     with PyTorch for CUDA 12 on LD_LIBRARY_PATH, or compute with --device cpu";

/// Looks for the driver, the run-time compiler and the products, in this order.
///
/// # Errors
/// Names the first library that is missing.
pub fn available() -> Result<(), CudaMissing> {
    // SAFETY: asking only tries to load libraries of fixed names, which run no code of their own but initialisers.
    let driver = unsafe { cudarc::driver::sys::is_culib_present() };
    if !driver {
        return Err(CudaMissing { library: "libcuda.so", hint: DRIVER_HINT });
    }
    if !compiler_available() {
        return Err(CudaMissing { library: "libnvrtc.so", hint: TOOLKIT_HINT });
    }
    // SAFETY: as above.
    let products = unsafe { cudarc::cublas::sys::is_culib_present() };
    if !products {
        return Err(CudaMissing { library: "libcublas.so", hint: TOOLKIT_HINT });
    }
    Ok(())
}

/// Whether kernels can be compiled; that needs neither a driver nor a GPU.
pub(super) fn compiler_available() -> bool {
    // SAFETY: as in `available`.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

/// The error of a machine without the compiler.
pub(super) fn compiler_missing() -> CudaMissing {
    CudaMissing { library: "libnvrtc.so", hint: TOOLKIT_HINT }
}
