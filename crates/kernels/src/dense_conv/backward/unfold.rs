//! Windows of an image as the columns of a matrix (im2col), and the way back.

use std::ops::Range;

use super::PlaneShape;

/// A rectangle of the unfolded matrix of one image: windows of some output rows, of some input channels.
///
/// Row `(c · size + ky) · size + kx` holds, for every output pixel, the input's channel c under the window's tap (ky, kx);
/// c counts from the first channel of the block.
pub(super) struct Block {
    pub channels: Range<usize>,
    pub rows: Range<usize>,
    /// Columns of the output map.
    pub columns: usize,
    /// From one row of the matrix to the next.
    pub stride: usize,
    /// Where this image's columns begin.
    pub offset: usize,
}

impl Block {
    /// Calls `visit` for every tap of every channel and every output row, with where its first column lies in the matrix,
    /// the output columns that see the image there, and where the first of these lies in the image. No range: the row is
    /// outside the image.
    #[inline(always)]
    fn lines(&self, shape: &PlaneShape, mut visit: impl FnMut(usize, Range<usize>, usize)) {
        let PlaneShape { height, width, size, stride, padding, .. } = *shape;
        for (index, channel) in self.channels.clone().enumerate() {
            for ky in 0..size {
                for kx in 0..size {
                    // Output column x sees the image's column x · stride + kx - left.
                    let from = padding.left.saturating_sub(kx).div_ceil(stride).min(self.columns);
                    let to = (width + padding.left).saturating_sub(kx).div_ceil(stride).clamp(from, self.columns);
                    let line = (index * size + ky) * size + kx;
                    for (position, row) in self.rows.clone().enumerate() {
                        let at = line * self.stride + self.offset + position * self.columns;
                        match (row * stride + ky).checked_sub(padding.top).filter(|&y| y < height && to > from) {
                            Some(y) => {
                                let first = (channel * height + y) * width + from * stride + kx - padding.left;
                                visit(at, from..to, first);
                            }
                            None => visit(at, 0..0, 0),
                        }
                    }
                }
            }
        }
    }

    /// Writes the block: zeros where a window leaves the image. `image` `[inputs, height, width]`.
    pub fn unfold(&self, shape: &PlaneShape, image: &[f32], matrix: &mut [f32]) {
        self.lines(shape, |at, seen, first| {
            let line = &mut matrix[at..at + self.columns];
            line[..seen.start].fill(0.0);
            line[seen.end..].fill(0.0);
            if seen.is_empty() {
                line.fill(0.0);
            } else if shape.stride == 1 {
                let count = seen.len();
                line[seen].copy_from_slice(&image[first..first + count]);
            } else {
                for (to, from) in line[seen].iter_mut().zip(image[first..].iter().step_by(shape.stride)) {
                    *to = *from;
                }
            }
        });
    }

    /// Adds every element of the block to the pixel that it was unfolded from.
    pub fn fold(&self, shape: &PlaneShape, matrix: &[f32], image: &mut [f32]) {
        self.lines(shape, |at, seen, first| {
            if seen.is_empty() {
                return;
            }
            let count = seen.len();
            let line = &matrix[at + seen.start..at + seen.end];
            if shape.stride == 1 {
                for (to, from) in image[first..first + count].iter_mut().zip(line) {
                    *to += from;
                }
            } else {
                for (to, from) in image[first..].iter_mut().step_by(shape.stride).zip(line) {
                    *to += from;
                }
            }
        });
    }
}
