//! Maximum and average of windows as a candle operation with gradients: candle's own has no padding, and no gradient where
//! windows overlap.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use oodlab_kernels::dense_conv::Padding;
use rayon::prelude::*;

use super::values::{Values, slice};
use crate::network::PoolKind;

/// Pools windows of `[images, channels, height, width]`. Padding does not count for a maximum, and as zeros for an average.
/// The gradient of a maximum goes to the first of equal values.
pub(super) fn window_pool(
    input: &Tensor,
    kind: PoolKind,
    size: usize,
    stride: usize,
    padding: Padding,
) -> Result<Tensor> {
    let (images, channels, height, width) = input.dims4()?;
    let fits = padding.output_size(height, width, size, stride).filter(|_| size > 0 && stride > 0);
    // A window that lies in the padding as a whole would have no value.
    let inside = padding.top.max(padding.bottom).max(padding.left).max(padding.right) < size;
    let Some((rows, columns)) = fits.filter(|_| inside) else {
        return Err(Error::msg(format!("windows of {size} × {size} do not fit a map of {height} × {width}")));
    };
    let shape = Shape::from((images, channels, rows, columns));
    let pool = WindowPool { kind, size, stride, padding, image: (height, width), map: (rows, columns), shape };
    input.contiguous()?.apply_op1(pool)
}

struct WindowPool {
    kind: PoolKind,
    size: usize,
    stride: usize,
    padding: Padding,
    image: (usize, usize),
    map: (usize, usize),
    shape: Shape,
}

impl WindowPool {
    /// The pixels of window (y, x), in row-major order.
    fn window(&self, y: usize, x: usize) -> impl Iterator<Item = usize> + use<> {
        let range = |at: usize, before: usize, length: usize| {
            let from = (at * self.stride).saturating_sub(before);
            from..(at * self.stride + self.size).saturating_sub(before).min(length)
        };
        let (rows, columns) = (range(y, self.padding.top, self.image.0), range(x, self.padding.left, self.image.1));
        let width = self.image.1;
        rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
    }

    fn area(&self) -> f32 {
        (self.size * self.size) as f32
    }

    /// The first pixel of the window with the largest value; a NaN is larger than anything.
    fn largest(&self, plane: &[f32], y: usize, x: usize) -> usize {
        let larger = |best: usize, at: usize| {
            if plane[at] > plane[best] || (plane[at].is_nan() && !plane[best].is_nan()) { at } else { best }
        };
        self.window(y, x).reduce(larger).unwrap_or(0)
    }
}

impl CustomOp1 for WindowPool {
    fn name(&self) -> &'static str {
        "window pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = slice(storage, layout)?;
        let mut output = vec![0.0; self.shape.elem_count()];
        let planes = output.par_chunks_mut(self.map.0 * self.map.1).zip(input.par_chunks(self.image.0 * self.image.1));
        planes.for_each(|(map, plane)| {
            for (at, value) in map.iter_mut().enumerate() {
                let (y, x) = (at / self.map.1, at % self.map.1);
                *value = match self.kind {
                    PoolKind::Max => plane[self.largest(plane, y, x)],
                    PoolKind::Average => self.window(y, x).map(|pixel| plane[pixel]).sum::<f32>() / self.area(),
                };
            }
        });
        Ok((CpuStorage::F32(output), self.shape.clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (inputs, gradients) = (Values::of(input), Values::of(&gradient));
        let (inputs, gradients) = (inputs.slice()?, gradients.slice()?);
        let mut slope = vec![0.0; inputs.len()];
        let pixels = self.image.0 * self.image.1;
        let planes = slope.par_chunks_mut(pixels).zip(inputs.par_chunks(pixels));
        planes.zip(gradients.par_chunks(self.map.0 * self.map.1)).for_each(|((to, plane), gradient)| {
            for (at, gradient) in gradient.iter().enumerate() {
                let (y, x) = (at / self.map.1, at % self.map.1);
                match self.kind {
                    PoolKind::Max => to[self.largest(plane, y, x)] += gradient,
                    PoolKind::Average => {
                        let share = gradient / self.area();
                        self.window(y, x).for_each(|pixel| to[pixel] += share);
                    }
                }
            }
        });
        Tensor::from_vec(slope, input.dims(), input.device()).map(Some)
    }
}
