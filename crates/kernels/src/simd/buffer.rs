//! Memory for activations and packed weights: aligned to a cache line, so that no vector crosses one.

use std::ops::{Deref, DerefMut};

use super::BLOCK;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; BLOCK]);

/// A growable f32 buffer whose first element is aligned to 64 bytes.
#[derive(Clone, Default)]
pub struct AlignedBuffer {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBuffer {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> AlignedBuffer {
        let mut buffer = AlignedBuffer::default();
        buffer.reserve(len);
        buffer
    }

    /// Makes the buffer at least `len` long; new elements are zero, old ones stay.
    pub fn reserve(&mut self, len: usize) {
        if len > self.len {
            self.lines.resize(len.div_ceil(BLOCK), Line([0.0; BLOCK]));
            self.len = len;
        }
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `lines` holds at least `len` contiguous, initialised f32 (`Line` is `repr(C)`, 64 bytes, no padding).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as for `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
