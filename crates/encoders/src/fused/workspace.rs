//! The buffers of one image on one thread, kept from image to image.

use oodlab_kernels::simd::AlignedBuffer;

/// Grows to the largest map once, then nothing is allocated any more.
#[derive(Default)]
pub(crate) struct Workspace {
    /// The normalised image, HWC, three channels.
    pub image: AlignedBuffer,
    /// The map that the next operation reads.
    pub current: AlignedBuffer,
    /// The map that it writes.
    pub next: AlignedBuffer,
    /// Unfolded windows of the stem; the padded, expanded strip of a block.
    pub strip: AlignedBuffer,
    /// The depthwise convolution's output: a strip of it, or all where a gate must see it first.
    pub filtered: AlignedBuffer,
    /// Sums over pixels, then means, of each channel.
    pub sums: AlignedBuffer,
    /// The squeezed means.
    pub squeezed: AlignedBuffer,
    /// One factor a channel.
    pub gate: AlignedBuffer,
    /// Weights with the gate folded in.
    pub gated_weights: AlignedBuffer,
    /// A pooled map.
    pub pooled: AlignedBuffer,
}

impl Workspace {
    /// What was written becomes what is read.
    pub fn advance(&mut self) {
        std::mem::swap(&mut self.current, &mut self.next);
    }
}
