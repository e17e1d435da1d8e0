//! The buffers of one image on one thread, kept from image to image.

use oodlab_kernels::simd::AlignedBuffer;

/// Grows to the largest maps once, then nothing is allocated any more.
#[derive(Default)]
pub(crate) struct Workspace {
    /// The maps by number; map 0 is the normalised image, HWC, three channels.
    pub maps: Vec<AlignedBuffer>,
    /// What a step needs beside them.
    pub scratch: Scratch,
}

impl Workspace {
    /// The image's map, at least `length` long.
    pub fn image(&mut self, length: usize) -> &mut AlignedBuffer {
        if self.maps.is_empty() {
            self.maps.push(AlignedBuffer::default());
        }
        let image = &mut self.maps[0];
        image.reserve(length);
        image
    }
}

/// Buffers within a step.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Unfolded windows of a convolution; the padded, expanded strip of a block; hidden tokens of a transformer.
    pub strip: AlignedBuffer,
    /// The depthwise convolution's output: a strip of it, or all where a gate must see it first; normalised tokens.
    pub filtered: AlignedBuffer,
    /// Sums over pixels, then means, of each channel.
    pub sums: AlignedBuffer,
    /// The squeezed means.
    pub squeezed: AlignedBuffer,
    /// One factor a channel.
    pub gate: AlignedBuffer,
    /// Weights with the gate folded in.
    pub gated_weights: AlignedBuffer,
    /// A pooled map; attention's output.
    pub pooled: AlignedBuffer,
}
