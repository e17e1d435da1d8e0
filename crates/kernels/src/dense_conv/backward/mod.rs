//! Dense convolution of planes (NCHW) and its gradients with respect to input and weight: for training and for the
//! gradients of images.
//!
//! `out[n, o, y, x] = Σ_{i, ky, kx} in[n, i, y·s + ky - top, x·s + kx - left] · weight[o, i, ky, kx]`.
//!
//! Windows are unfolded into the columns of a matrix, a few hundred at a time so that they stay in the second cache: part
//! of one image where maps are large, several images where they are small. Pointwise convolutions of large maps are not
//! unfolded at all. Products are those of [`crate::pointwise_conv::backward`]; the work is cut by the shape alone, so the
//! bits do not depend on the number of threads.

#[cfg(test)]
mod tests;
mod unfold;

use std::ops::Range;

use rayon::prelude::*;

use super::Padding;
use crate::pointwise_conv::backward::{self as product, Rows, RowsMut, Write};
use crate::simd::{SizeError, at_least, equal};
use unfold::Block;

const KERNEL: &str = "convolution of planes";
/// Pixels in one product, about.
const PIXELS: usize = 512;
/// Unfolded rows in one product, about: with [`PIXELS`] columns they fill 1 MiB.
const UNFOLDED_ROWS: usize = 512;
/// The same for the weight's gradient, where they are columns of the sum that is kept in cache.
const GRADIENT_ROWS: usize = 144;
/// Into how many tasks the weight's gradient is cut, at least, where the shape allows.
const GRADIENT_TASKS: usize = 32;

/// Sizes of a convolution of planes; one square kernel and stride for both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaneShape {
    /// Images of the batch.
    pub images: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Side of the kernel.
    pub size: usize,
    /// Distance between two windows.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
}

impl PlaneShape {
    /// Rows and columns of the output.
    ///
    /// # Errors
    /// When the kernel does not fit the padded input, or a size is zero.
    pub fn output_size(&self) -> Result<(usize, usize), SizeError> {
        at_least(KERNEL, "kernel size", self.size, 1)?;
        at_least(KERNEL, "stride", self.stride, 1)?;
        at_least(KERNEL, "number of inputs", self.inputs, 1)?;
        at_least(KERNEL, "number of outputs", self.outputs, 1)?;
        at_least(KERNEL, "size of the image", self.height.min(self.width), 1)?;
        let found = self.height.min(self.width);
        let error = SizeError { kernel: KERNEL, what: "size of the image", found, expected: self.size };
        self.padding.output_size(self.height, self.width, self.size, self.stride).ok_or(error)
    }

    /// Whether the input itself is the unfolded matrix.
    fn is_pointwise(&self) -> bool {
        self.size == 1 && self.stride == 1 && self.padding == Padding::default()
    }
}

/// How the work on a shape is cut.
struct Cut {
    shape: PlaneShape,
    rows: usize,
    columns: usize,
    /// Images in one product: more than one only if all their pixels are in it.
    together: usize,
    /// Output rows in one product.
    strip: usize,
    /// Input channels in one product.
    channels: usize,
}

impl Cut {
    /// Checks every length; `unfolded_rows` are wanted in one product.
    fn new(
        shape: PlaneShape,
        (input, weight, output): (usize, usize, usize),
        unfolded_rows: usize,
    ) -> Result<Cut, SizeError> {
        let (rows, columns) = shape.output_size()?;
        let length = |factors: [usize; 4]| factors.into_iter().fold(1, usize::saturating_mul);
        equal(KERNEL, "length of the input", input, length([shape.images, shape.inputs, shape.height, shape.width]))?;
        equal(KERNEL, "length of the weight", weight, length([shape.outputs, shape.inputs, shape.size, shape.size]))?;
        equal(KERNEL, "length of the output", output, length([shape.images, shape.outputs, rows, columns]))?;
        let pixels = rows.saturating_mul(columns).max(1);
        let together = (PIXELS / pixels).clamp(1, shape.images.max(1));
        let strip = if together > 1 { rows } else { (PIXELS / columns).clamp(1, rows) };
        let channels = (unfolded_rows / (shape.size * shape.size)).clamp(1, shape.inputs);
        Ok(Cut { shape, rows, columns, together, strip, channels })
    }

    fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Values of one input image.
    fn image(&self) -> usize {
        self.shape.inputs * self.shape.height * self.shape.width
    }

    /// Values of one output image.
    fn map(&self) -> usize {
        self.shape.outputs * self.pixels()
    }

    /// Unfolded rows of all input channels.
    fn window(&self) -> usize {
        self.shape.inputs * self.shape.size * self.shape.size
    }

    /// Columns of the weight that belong to some channels.
    fn weight_columns(&self, channels: &Range<usize>) -> Range<usize> {
        let taps = self.shape.size * self.shape.size;
        channels.start * taps..channels.end * taps
    }

    fn strips(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, strip) = (self.rows, self.strip);
        (0..rows).step_by(strip).map(move |first| first..rows.min(first + strip))
    }

    fn channel_blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (inputs, channels) = (self.shape.inputs, self.channels);
        (0..inputs).step_by(channels).map(move |first| first..inputs.min(first + channels))
    }

    /// Unfolds some channels and rows of neighbouring images, or finds them in the only image as they are.
    fn unfold<'a>(
        &self,
        images: &'a [f32],
        channels: &Range<usize>,
        rows: &Range<usize>,
        matrix: &'a mut Vec<f32>,
    ) -> Rows<'a> {
        let count = self.weight_columns(channels).len();
        let pixels = rows.len() * self.columns;
        if self.shape.is_pointwise() && images.len() == self.image() {
            let plane = self.pixels();
            let values = &images[channels.start * plane + rows.start * self.columns..];
            return Rows { values, count, length: pixels, stride: plane };
        }
        let length = images.len() / self.image() * pixels;
        matrix.resize(count * length, 0.0);
        for (index, image) in images.chunks_exact(self.image()).enumerate() {
            self.block(channels, rows, length, index * pixels).unfold(&self.shape, image, matrix);
        }
        Rows::dense(matrix, count, length)
    }

    fn block(&self, channels: &Range<usize>, rows: &Range<usize>, stride: usize, offset: usize) -> Block {
        Block { channels: channels.clone(), rows: rows.clone(), columns: self.columns, stride, offset }
    }

    /// Some rows of the output maps of neighbouring images, pixels of all images side by side.
    fn gather<'a>(&self, maps: &'a [f32], rows: &Range<usize>, matrix: &'a mut Vec<f32>) -> Rows<'a> {
        let (pixels, count) = (self.pixels(), self.shape.outputs);
        if maps.len() == self.map() {
            let values = &maps[rows.start * self.columns..];
            return Rows { values, count, length: rows.len() * self.columns, stride: pixels };
        }
        matrix.resize(maps.len(), 0.0);
        let length = maps.len() / count;
        for (index, map) in maps.chunks_exact(self.map()).enumerate() {
            for (output, plane) in map.chunks_exact(pixels).enumerate() {
                matrix[output * length + index * pixels..][..pixels].copy_from_slice(plane);
            }
        }
        Rows::dense(matrix, count, length)
    }
}

/// Convolves a batch; several images at a time, each part on one thread.
///
/// # Shapes
/// f32, row-major: `input` `[images, inputs, height, width]`, `weight` `[outputs, inputs, size, size]`, `output` `[images,
/// outputs, rows, columns]` with rows and columns of [`PlaneShape::output_size`].
///
/// # Errors
/// When a length does not fit the shape, or the kernel does not fit the image.
pub fn forward(shape: PlaneShape, input: &[f32], weight: &[f32], output: &mut [f32]) -> Result<(), SizeError> {
    let cut = Cut::new(shape, (input.len(), weight.len(), output.len()), UNFOLDED_ROWS)?;
    if shape.images == 0 {
        return Ok(());
    }
    let (pixels, outputs) = (cut.pixels(), shape.outputs);
    let parts = output.par_chunks_mut(cut.together * cut.map()).zip(input.par_chunks(cut.together * cut.image()));
    parts.try_for_each_init(Buffers::default, |buffers, (maps, images)| {
        let count = images.len() / cut.image();
        buffers.maps.resize(if count > 1 { maps.len() } else { 0 }, 0.0);
        for rows in cut.strips() {
            for channels in cut.channel_blocks() {
                let columns = cut.weight_columns(&channels);
                let values = &weight[columns.start..];
                let weight = Rows { values, count: outputs, length: columns.len(), stride: cut.window() };
                let unfolded = cut.unfold(images, &channels, &rows, &mut buffers.windows);
                let write = if channels.start == 0 { Write::Replace } else { Write::Add };
                let mut product = if count > 1 {
                    RowsMut::dense(&mut buffers.maps, outputs, count * pixels)
                } else {
                    let values = &mut maps[rows.start * cut.columns..];
                    RowsMut { values, count: outputs, length: rows.len() * cut.columns, stride: pixels }
                };
                product::forward(weight, unfolded, &mut product, write)?;
            }
        }
        if count > 1 {
            for (index, map) in maps.chunks_exact_mut(cut.map()).enumerate() {
                for (output, plane) in map.chunks_exact_mut(pixels).enumerate() {
                    plane.copy_from_slice(&buffers.maps[(output * count + index) * pixels..][..pixels]);
                }
            }
        }
        Ok(())
    })
}

/// The gradient with respect to the input, from the gradient with respect to the output.
///
/// # Shapes
/// As [`forward`]; `input_gradient` like its input, `output_gradient` like its output. What `input_gradient` held is lost.
///
/// # Errors
/// As [`forward`].
pub fn input_gradient(
    shape: PlaneShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) -> Result<(), SizeError> {
    let cut = Cut::new(shape, (input_gradient.len(), weight.len(), output_gradient.len()), UNFOLDED_ROWS)?;
    if shape.images == 0 {
        return Ok(());
    }
    let images = input_gradient.par_chunks_mut(cut.together * cut.image());
    let parts = images.zip(output_gradient.par_chunks(cut.together * cut.map()));
    parts.try_for_each_init(Buffers::default, |buffers, (images, maps)| {
        let direct = shape.is_pointwise() && images.len() == cut.image();
        if !direct {
            images.fill(0.0);
        }
        for rows in cut.strips() {
            let gradient = cut.gather(maps, &rows, &mut buffers.maps);
            for channels in cut.channel_blocks() {
                let columns = cut.weight_columns(&channels);
                let values = &weight[columns.start..];
                let weight = Rows { values, count: shape.outputs, length: columns.len(), stride: cut.window() };
                if direct {
                    let plane = cut.pixels();
                    let values = &mut images[channels.start * plane + rows.start * cut.columns..];
                    let mut pixels = RowsMut { values, count: channels.len(), length: gradient.length, stride: plane };
                    product::input_gradient(weight, gradient, &mut pixels)?;
                    continue;
                }
                buffers.windows.resize(columns.len() * gradient.length, 0.0);
                let mut windows = RowsMut::dense(&mut buffers.windows, columns.len(), gradient.length);
                product::input_gradient(weight, gradient, &mut windows)?;
                let pixels = rows.len() * cut.columns;
                for (index, image) in images.chunks_exact_mut(cut.image()).enumerate() {
                    let block = cut.block(&channels, &rows, gradient.length, index * pixels);
                    block.fold(&shape, &buffers.windows, image);
                }
            }
        }
        Ok(())
    })
}

/// The gradient with respect to the weight, summed over all images, from the gradient with respect to the output.
///
/// Input channels and, where they are few, spans of images are spread over threads; spans are then added in order.
///
/// # Shapes
/// As [`forward`]; `weight_gradient` like its weight. What `weight_gradient` held is lost.
///
/// # Errors
/// As [`forward`].
pub fn weight_gradient(
    shape: PlaneShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) -> Result<(), SizeError> {
    let cut = Cut::new(shape, (input.len(), weight_gradient.len(), output_gradient.len()), GRADIENT_ROWS)?;
    weight_gradient.fill(0.0);
    if shape.images == 0 {
        return Ok(());
    }
    let blocks: Vec<Range<usize>> = cut.channel_blocks().collect();
    let parts = shape.images.div_ceil(cut.together).max(1);
    let spans = GRADIENT_TASKS.div_ceil(blocks.len()).min(parts);
    // Whole parts, so that only the last product of the batch can be smaller than the others.
    let span = parts.div_ceil(spans) * cut.together;
    let tasks: Vec<(Range<usize>, &Range<usize>)> = (0..spans)
        .flat_map(|index| blocks.iter().map(move |channels| (index * span..(index + 1) * span, channels)))
        .collect();
    let sums = tasks.par_iter().map_init(Buffers::default, |buffers, (images, channels)| {
        let images = images.start.min(shape.images)..images.end.min(shape.images);
        let columns = cut.weight_columns(channels).len();
        let mut sum = vec![0.0; shape.outputs * columns];
        let input = input[images.start * cut.image()..images.end * cut.image()].chunks(cut.together * cut.image());
        let maps = output_gradient[images.start * cut.map()..images.end * cut.map()].chunks(cut.together * cut.map());
        for (images, maps) in input.zip(maps) {
            for rows in cut.strips() {
                let windows = cut.unfold(images, channels, &rows, &mut buffers.windows);
                let gradient = cut.gather(maps, &rows, &mut buffers.maps);
                let mut rows = RowsMut::dense(&mut sum, shape.outputs, columns);
                product::weight_gradient(windows, gradient, &mut rows, Write::Add)?;
            }
        }
        Ok(sum)
    });
    let sums: Vec<Vec<f32>> = sums.collect::<Result<_, SizeError>>()?;
    for ((_, channels), sum) in tasks.iter().zip(&sums) {
        let columns = cut.weight_columns(channels);
        for (row, sum) in weight_gradient.chunks_exact_mut(cut.window()).zip(sum.chunks_exact(columns.len())) {
            for (to, from) in row[columns.clone()].iter_mut().zip(sum) {
                *to += from;
            }
        }
    }
    Ok(())
}

/// What one thread reuses from part to part.
#[derive(Default)]
struct Buffers {
    windows: Vec<f32>,
    maps: Vec<f32>,
}
