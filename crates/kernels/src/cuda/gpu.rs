//! A GPU that is open: buffers and launches whose sizes are checked.

use std::sync::Arc;

use super::nvidia::Nvidia;
use super::{Buffer, CudaError, Element, Grid, Kernel, Machine, Parameters};
use crate::simd::{Activation, SizeError, at_least};

/// A GPU and its queue of work; clones share both.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(super) machine: Arc<dyn Machine>,
}

impl Gpu {
    /// Opens the GPU of that number, as the driver counts (`CUDA_VISIBLE_DEVICES` changes it).
    ///
    /// # Errors
    /// When a CUDA library is missing, there is no such GPU, or the driver refuses.
    pub fn open(index: usize) -> Result<Gpu, CudaError> {
        Ok(Gpu { machine: Arc::new(Nvidia::open(index)?) })
    }

    /// Work on a machine of the caller's, for tests.
    #[must_use]
    pub fn on(machine: Arc<dyn Machine>) -> Gpu {
        Gpu { machine }
    }

    /// Name of the device, for logs and reports.
    #[must_use]
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// Name of the device and versions of driver, cuBLAS and NVRTC, for keys and provenance: bits are promised where all of
    /// them are the same.
    #[must_use]
    pub fn numerics(&self) -> &str {
        self.machine.numerics()
    }

    /// Waits until all queued work is done.
    ///
    /// # Errors
    /// What went wrong in it.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.machine.wait()
    }

    /// `len` zeros.
    ///
    /// # Errors
    /// When the memory is exhausted.
    pub fn zeros<T: Element>(&self, len: usize) -> Result<Buffer<T>, CudaError> {
        Buffer::zeros(self, len)
    }

    /// A copy of `values`.
    ///
    /// # Errors
    /// When the memory is exhausted.
    pub fn copy<T: Element>(&self, values: &[T]) -> Result<Buffer<T>, CudaError> {
        let mut buffer = Buffer::zeros(self, values.len())?;
        buffer.write(values)?;
        Ok(buffer)
    }

    /// The address of a buffer that must hold at least `len` elements and lie here.
    pub(crate) fn address<T: Element>(
        &self,
        kernel: &'static str,
        what: &'static str,
        buffer: &Buffer<T>,
        len: usize,
    ) -> Result<u64, CudaError> {
        if !Arc::ptr_eq(&self.machine, buffer.machine()) {
            return Err(CudaError::OtherGpu { kernel, what });
        }
        at_least(kernel, what, buffer.len(), len)?;
        Ok(buffer.address())
    }

    /// The address of `len` elements from `start` on.
    pub(crate) fn address_at<T: Element>(
        &self,
        kernel: &'static str,
        what: &'static str,
        (buffer, start): (&Buffer<T>, usize),
        len: usize,
    ) -> Result<u64, CudaError> {
        let first = self.address(kernel, what, buffer, start.saturating_add(len))?;
        Ok(first + (start * size_of::<T>()) as u64)
    }

    /// Queues a kernel; nothing is launched for an empty grid.
    ///
    /// # Safety
    /// `P` is the structure that the kernel takes, and with these values it stays inside the buffers that the addresses
    /// are of; no output overlaps another argument unless the kernel reads and writes each place in one thread.
    pub(crate) unsafe fn launch<P: Parameters>(
        &self,
        kernel: Kernel,
        grid: Grid,
        parameters: &P,
    ) -> Result<(), CudaError> {
        if grid.shape().0 == 0 {
            return Ok(());
        }
        // SAFETY: the caller vouches for the values; the pointer is to a whole `P`.
        unsafe { self.machine.launch(kernel, grid, std::ptr::from_ref(parameters).cast()) }
    }
}

/// A size as kernels take it. Kernels compute positions in 32 bits, so that a tensor has at most 2^31 - 1 elements.
pub(crate) fn narrow(kernel: &'static str, what: &'static str, value: usize) -> Result<u32, SizeError> {
    const MOST: usize = i32::MAX as usize;
    u32::try_from(value).ok().filter(|&value| value <= MOST as u32).ok_or(SizeError {
        kernel,
        what,
        found: value,
        expected: MOST,
    })
}

/// The numbers of `activate` in `common.cu`.
pub(crate) fn activation_code(activation: Activation) -> u32 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 2,
        Activation::Silu => 3,
        Activation::Sigmoid => 4,
        Activation::Gelu => 5,
    }
}
