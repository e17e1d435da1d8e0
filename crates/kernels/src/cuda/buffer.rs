//! Memory of a GPU.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{CudaError, Gpu, Machine};
use crate::simd::{SizeError, at_least};

/// What buffers hold.
///
/// # Safety
/// Any bytes are a value, zero bytes among them, and there is no padding.
pub unsafe trait Element: Copy + 'static {}
// SAFETY: plain numbers.
unsafe impl Element for f32 {}
// SAFETY: as above.
unsafe impl Element for f64 {}
// SAFETY: as above.
unsafe impl Element for u8 {}
// SAFETY: as above.
unsafe impl Element for u32 {}

/// Elements in the memory of a GPU, freed when dropped.
#[derive(Debug)]
pub struct Buffer<T: Element> {
    machine: Arc<dyn Machine>,
    address: u64,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    pub(super) fn zeros(gpu: &Gpu, len: usize) -> Result<Buffer<T>, CudaError> {
        let most = isize::MAX as usize / size_of::<T>();
        at_least("memory", "largest buffer", most, len)?;
        let address = gpu.machine.allocate((len * size_of::<T>()).max(1))?;
        Ok(Buffer { machine: Arc::clone(&gpu.machine), address, len, elements: PhantomData })
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes the buffer at least `len` long; what it held is lost when it grows.
    ///
    /// # Errors
    /// When the memory is exhausted.
    pub fn reserve(&mut self, len: usize) -> Result<(), CudaError> {
        if len > self.len {
            let gpu = Gpu { machine: Arc::clone(&self.machine) };
            *self = Buffer::zeros(&gpu, len)?;
        }
        Ok(())
    }

    /// Overwrites the first `values.len()` elements.
    ///
    /// # Errors
    /// When there are fewer, or the driver refuses.
    pub fn write(&mut self, values: &[T]) -> Result<(), CudaError> {
        at_least("memory", "length of the buffer", self.len, values.len())?;
        // SAFETY: `T` has no padding, so that its bytes are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
        // SAFETY: the buffer holds at least as many bytes.
        unsafe { self.machine.upload(bytes, self.address) }
    }

    /// Queues a copy of the first `len` elements of another buffer of the same GPU.
    ///
    /// # Errors
    /// When one of them is shorter, they lie on different GPUs, or the driver refuses.
    pub fn copy_from(&mut self, from: &Buffer<T>, len: usize) -> Result<(), CudaError> {
        if !Arc::ptr_eq(&self.machine, &from.machine) {
            return Err(CudaError::OtherGpu { kernel: "memory", what: "what is copied" });
        }
        at_least("memory", "length of the buffer", self.len, len)?;
        at_least("memory", "length of what is copied", from.len, len)?;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: both hold as many bytes, and `self` is borrowed alone, so that they do not overlap.
        unsafe { self.machine.copy(from.address, self.address, len * size_of::<T>()) }
    }

    /// Waits for the queued work and copies the first `into.len()` elements.
    ///
    /// # Errors
    /// When there are fewer, or work before this failed.
    pub fn read_into(&self, into: &mut [T]) -> Result<(), CudaError> {
        at_least("memory", "length of the buffer", self.len, into.len())?;
        // SAFETY: any bytes are a `T`, and there is no padding.
        let bytes = unsafe { std::slice::from_raw_parts_mut(into.as_mut_ptr().cast::<u8>(), size_of_val(into)) };
        // SAFETY: the buffer holds at least as many bytes.
        unsafe { self.machine.download(self.address, bytes) }
    }

    /// Waits for the queued work and copies the first `len` elements.
    ///
    /// # Errors
    /// As [`Buffer::read_into`].
    pub fn read(&self, len: usize) -> Result<Vec<T>, CudaError> {
        if len > self.len {
            let (kernel, what) = ("memory", "length of the buffer");
            return Err(SizeError { kernel, what, found: self.len, expected: len }.into());
        }
        // SAFETY: zero bytes are a `T`.
        let mut values = vec![unsafe { std::mem::zeroed() }; len];
        self.read_into(&mut values)?;
        Ok(values)
    }

    pub(super) fn machine(&self) -> &Arc<dyn Machine> {
        &self.machine
    }

    pub(super) fn address(&self) -> u64 {
        self.address
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: the address came from `allocate` with this many bytes; nothing holds it any more.
        unsafe { self.machine.release(self.address, (self.len * size_of::<T>()).max(1)) }
    }
}
