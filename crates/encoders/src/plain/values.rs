//! Plain slices in and out of candle's tensors.

use candle_core::{CpuStorage, Error, Layout, Result, Storage, StorageRef, Tensor};

/// The values of a contiguous tensor on the processor, borrowed.
pub(super) struct Values<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Values<'a> {
    /// Locks the tensor's storage for reading.
    pub fn of(tensor: &'a Tensor) -> Values<'a> {
        let (storage, layout) = tensor.storage_and_layout();
        Values { storage, layout }
    }

    /// The values, row-major.
    pub fn slice(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => slice(storage, self.layout),
            _ => Err(Error::msg("the plain network runs on the processor only")),
        }
    }
}

/// The part of a storage that a contiguous layout describes.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| Error::msg("expected a contiguous tensor"))?;
    let values = storage.as_slice::<f32>()?;
    values.get(start..end).ok_or_else(|| Error::msg("a layout reaches beyond its storage"))
}
