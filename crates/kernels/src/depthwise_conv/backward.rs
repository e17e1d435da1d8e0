//! Depthwise convolution of planes (NCHW) and its gradients with respect to input and weight.
//!
//! `out[n, c, y, x] = Σ_{ky, kx} in[n, c, y·s + ky - top, x·s + kx - left] · weight[c, ky, kx]`.
//!
//! A plane is copied into a frame of zeros. In the frame, as one long row of pixels, every tap is a fixed distance, so
//! that whole vectors are multiplied whatever the plane's width: the output is computed at the frame's width and at every
//! place, then the wanted places are picked. That is wasted work for a stride, where planes are few; it keeps all three
//! passes one loop. Planes are spread over threads, each is summed in one order: bits do not depend on the threads.

use rayon::prelude::*;

use crate::dense_conv::backward::PlaneShape;
use crate::simd::{InstructionSet, SizeError, Vector, dispatch, equal};

const KERNEL: &str = "depthwise convolution of planes";
/// What vectors may read beyond the end.
const SLACK: usize = 64;
/// Vectors computed together: they share a splat of the weight.
const TOGETHER: usize = 4;
/// Taps whose sums are kept in registers together: all of a 3 × 3 kernel.
const TAPS: usize = 9;

/// Convolves every plane with its own filter.
///
/// # Shapes
/// f32, row-major: `input` `[images, channels, height, width]`, `weight` `[channels, size, size]`, `output` `[images,
/// channels, rows, columns]` with rows and columns of [`PlaneShape::output_size`]; inputs and outputs of `shape` are both the
/// number of channels.
///
/// # Errors
/// When a length does not fit the shape, or the kernel does not fit the image.
pub fn forward(shape: PlaneShape, input: &[f32], weight: &[f32], output: &mut [f32]) -> Result<(), SizeError> {
    let frame = Frame::new(shape, (input.len(), weight.len(), output.len()))?;
    let planes = output.par_chunks_mut(frame.map()).zip(input.par_chunks(frame.image())).enumerate();
    planes.for_each_init(
        || (frame.buffer(0), frame.buffer(0)),
        |(framed, wide), (index, (map, image))| {
            frame.put_image(image, framed);
            let weight = frame.filter(weight, index % shape.inputs);
            frame.correlate(framed, &frame.distances, weight, frame.span, wide);
            frame.take_map(wide, map);
        },
    );
    Ok(())
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
    let frame = Frame::new(shape, (input_gradient.len(), weight.len(), output_gradient.len()))?;
    // Pixel j of the frame was read, by the tap at distance d, for the output at j - d.
    let reach = frame.reach();
    let distances: Vec<usize> = frame.distances.iter().map(|distance| reach - distance).collect();
    let planes = input_gradient.par_chunks_mut(frame.image()).zip(output_gradient.par_chunks(frame.map())).enumerate();
    planes.for_each_init(
        || (frame.buffer(2 * reach), frame.buffer(0)),
        |(wide, framed), (index, (image, map))| {
            frame.put_map(map, &mut wide[reach..]);
            let weight = frame.filter(weight, index % shape.inputs);
            frame.correlate(wide, &distances, weight, frame.pixels(), framed);
            frame.take_image(framed, image);
        },
    );
    Ok(())
}

/// The gradient with respect to the weight, summed over all images in their order, from that with respect to the output.
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
    let frame = Frame::new(shape, (input.len(), weight_gradient.len(), output_gradient.len()))?;
    let taps = frame.distances.len();
    weight_gradient.par_chunks_mut(taps).enumerate().for_each_init(
        || (frame.buffer(0), frame.buffer(0)),
        |(framed, wide), (channel, gradient)| {
            let mut sums = vec![0.0f64; taps];
            let images = input.chunks_exact(frame.image()).skip(channel).step_by(shape.inputs);
            let maps = output_gradient.chunks_exact(frame.map()).skip(channel).step_by(shape.inputs);
            for (image, map) in images.zip(maps) {
                frame.put_image(image, framed);
                frame.put_map(map, wide);
                frame.add_products(wide, framed, &mut sums);
            }
            for (to, from) in gradient.iter_mut().zip(sums) {
                *to = from as f32;
            }
        },
    );
    Ok(())
}

/// A plane within its padding, as one long row.
struct Frame {
    shape: PlaneShape,
    set: InstructionSet,
    rows: usize,
    columns: usize,
    /// Pixels in a row of the frame.
    width: usize,
    height: usize,
    /// Places of the frame, from the first, at which a window may begin.
    span: usize,
    /// From a window's beginning to each of its taps.
    distances: Vec<usize>,
}

impl Frame {
    fn new(shape: PlaneShape, (input, weight, output): (usize, usize, usize)) -> Result<Frame, SizeError> {
        let (rows, columns) = shape.output_size()?;
        let length = |factors: [usize; 4]| factors.into_iter().fold(1, usize::saturating_mul);
        equal(KERNEL, "number of outputs", shape.outputs, shape.inputs)?;
        equal(KERNEL, "length of the input", input, length([shape.images, shape.inputs, shape.height, shape.width]))?;
        equal(KERNEL, "length of the weight", weight, length([shape.inputs, shape.size, shape.size, 1]))?;
        equal(KERNEL, "length of the output", output, length([shape.images, shape.outputs, rows, columns]))?;
        let width = shape.width + shape.padding.left + shape.padding.right;
        let height = shape.height + shape.padding.top + shape.padding.bottom;
        let span = (height - shape.size) * width + width - shape.size + 1;
        let distances = (0..shape.size * shape.size).map(|tap| tap / shape.size * width + tap % shape.size).collect();
        let set = InstructionSet::detect();
        Ok(Frame { shape, set, rows, columns, width, height, span, distances })
    }

    /// Pixels of an input plane.
    fn image(&self) -> usize {
        self.shape.height * self.shape.width
    }

    /// Pixels of an output plane.
    fn map(&self) -> usize {
        self.rows * self.columns
    }

    /// Pixels of the frame.
    fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// From a window's first tap to its last.
    fn reach(&self) -> usize {
        self.distances.last().copied().unwrap_or(0)
    }

    fn buffer(&self, more: usize) -> Vec<f32> {
        vec![0.0; self.pixels() + more + SLACK]
    }

    fn filter<'a>(&self, weight: &'a [f32], channel: usize) -> &'a [f32] {
        &weight[channel * self.distances.len()..][..self.distances.len()]
    }

    /// Writes the plane into the frame, whose border stays zero.
    fn put_image(&self, image: &[f32], framed: &mut [f32]) {
        let first = self.shape.padding.top * self.width + self.shape.padding.left;
        let lines = framed[first..].chunks_mut(self.width);
        for (line, row) in lines.zip(image.chunks_exact(self.shape.width)) {
            line[..row.len()].copy_from_slice(row);
        }
    }

    fn take_image(&self, framed: &[f32], image: &mut [f32]) {
        let first = self.shape.padding.top * self.width + self.shape.padding.left;
        for (line, row) in framed[first..].chunks(self.width).zip(image.chunks_exact_mut(self.shape.width)) {
            row.copy_from_slice(&line[..row.len()]);
        }
    }

    /// Writes an output plane to the places where its windows begin; all other places stay zero.
    fn put_map(&self, map: &[f32], wide: &mut [f32]) {
        let lines = wide.chunks_mut(self.shape.stride * self.width);
        for (line, row) in lines.zip(map.chunks_exact(self.columns)) {
            for (to, from) in line.iter_mut().step_by(self.shape.stride).zip(row) {
                *to = *from;
            }
        }
    }

    fn take_map(&self, wide: &[f32], map: &mut [f32]) {
        let lines = wide.chunks(self.shape.stride * self.width);
        for (line, row) in lines.zip(map.chunks_exact_mut(self.columns)) {
            for (to, from) in row.iter_mut().zip(line.iter().step_by(self.shape.stride)) {
                *to = *from;
            }
        }
    }

    /// `output[j] = Σ_t input[j + distance_t] · weight[t]` for j below `count` (and some beyond).
    fn correlate(&self, input: &[f32], distances: &[usize], weight: &[f32], count: usize, output: &mut [f32]) {
        let reach = distances.iter().copied().max().unwrap_or(0);
        let whole = count.div_ceil(TOGETHER * LARGEST_LANES) * TOGETHER * LARGEST_LANES;
        assert!(whole + reach <= input.len() && whole <= output.len() && distances.len() == weight.len(), "slack");
        let arguments = Correlation { input, distances, weight, whole, output };
        dispatch!(self.set, correlate, arguments: Correlation<'_>);
    }

    /// `sums[t] += Σ_j gradient[j] · input[j + distance_t]`.
    fn add_products(&self, gradient: &[f32], input: &[f32], sums: &mut [f64]) {
        let whole = self.span.div_ceil(LARGEST_LANES) * LARGEST_LANES;
        let reach = self.reach();
        assert!(whole + reach <= input.len() && whole <= gradient.len() && sums.len() == self.distances.len(), "slack");
        let arguments = Products { gradient, input, distances: &self.distances, whole, sums };
        dispatch!(self.set, add_products, arguments: Products<'_>);
    }
}

/// Lanes of the widest vector.
const LARGEST_LANES: usize = 16;

struct Correlation<'a> {
    input: &'a [f32],
    distances: &'a [usize],
    weight: &'a [f32],
    /// A multiple of `TOGETHER · LARGEST_LANES`.
    whole: usize,
    output: &'a mut [f32],
}

#[inline(always)]
unsafe fn correlate<V: Vector>(arguments: Correlation<'_>) {
    let Correlation { input, distances, weight, whole, output } = arguments;
    let mut at = 0;
    while at < whole {
        // SAFETY: `Frame::correlate` checked that `whole` values can be written, and `whole` beyond every distance read;
        // `whole` is a multiple of the step. The caller chose a vector that the processor has.
        unsafe {
            let mut sums = [V::splat(0.0); TOGETHER];
            for (&distance, &weight) in distances.iter().zip(weight) {
                let factor = V::splat(weight);
                let from = input.as_ptr().add(at + distance);
                for (index, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(from.add(index * V::LANES)).mul_add(factor, *sum);
                }
            }
            for (index, sum) in sums.into_iter().enumerate() {
                sum.store(output.as_mut_ptr().add(at + index * V::LANES));
            }
        }
        at += TOGETHER * V::LANES;
    }
}

struct Products<'a> {
    gradient: &'a [f32],
    input: &'a [f32],
    distances: &'a [usize],
    /// A multiple of `LARGEST_LANES`.
    whole: usize,
    sums: &'a mut [f64],
}

#[inline(always)]
unsafe fn add_products<V: Vector>(arguments: Products<'_>) {
    let Products { gradient, input, distances, whole, sums } = arguments;
    for (distances, sums) in distances.chunks(TAPS).zip(sums.chunks_mut(TAPS)) {
        // The last taps may be fewer: the first fills their places, and its other sums are left.
        let mut padded = [distances[0]; TAPS];
        padded[..distances.len()].copy_from_slice(distances);
        // SAFETY: as for `correlate`; a vector's lanes are stored to an array of the largest size.
        unsafe {
            let mut totals = [V::splat(0.0); TAPS];
            let mut at = 0;
            while at < whole {
                let slope = V::load(gradient.as_ptr().add(at));
                for (total, distance) in totals.iter_mut().zip(padded) {
                    *total = slope.mul_add(V::load(input.as_ptr().add(at + distance)), *total);
                }
                at += V::LANES;
            }
            for (sum, total) in sums.iter_mut().zip(totals) {
                let mut lanes = [0.0f32; LARGEST_LANES];
                total.store(lanes.as_mut_ptr());
                *sum += lanes[..V::LANES].iter().map(|&lane| f64::from(lane)).sum::<f64>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use oodlab_base::Tolerance;
    use proptest::prelude::*;

    use super::{PlaneShape, forward, input_gradient, weight_gradient};
    use crate::dense_conv::Padding;
    use crate::dense_conv::backward as dense;
    use crate::simd::testing::{TOLERANCE, numbers};

    struct Passes {
        output: Vec<f32>,
        input: Vec<f32>,
        weight: Vec<f32>,
    }

    fn run(shape: PlaneShape) -> Option<Passes> {
        let (rows, columns) = shape.output_size().ok()?;
        let length = shape.images * shape.inputs;
        let input = numbers("input", length * shape.height * shape.width);
        let weight = numbers("weight", shape.inputs * shape.size * shape.size);
        let gradient = numbers("gradient", length * rows * columns);
        let mut passes = Passes {
            output: vec![f32::NAN; gradient.len()],
            input: vec![f32::NAN; input.len()],
            weight: vec![f32::NAN; weight.len()],
        };
        forward(shape, &input, &weight, &mut passes.output).expect("fits");
        input_gradient(shape, &weight, &gradient, &mut passes.input).expect("fits");
        weight_gradient(shape, &input, &gradient, &mut passes.weight).expect("fits");
        Some(passes)
    }

    /// Each channel as a dense convolution of its own, which has its own tests against the defining sum.
    fn dense(shape: PlaneShape) -> Passes {
        let (rows, columns) = shape.output_size().expect("fits");
        let (plane, map, taps) = (shape.height * shape.width, rows * columns, shape.size * shape.size);
        let planes = shape.images * shape.inputs;
        let input = numbers("input", planes * plane);
        let weight = numbers("weight", shape.inputs * taps);
        let gradient = numbers("gradient", planes * map);
        let mut passes = Passes {
            output: vec![0.0; gradient.len()],
            input: vec![0.0; input.len()],
            weight: vec![0.0; weight.len()],
        };
        let single = PlaneShape { images: 1, inputs: 1, outputs: 1, ..shape };
        for index in 0..planes {
            let (x, g) = (&input[index * plane..][..plane], &gradient[index * map..][..map]);
            let channel = index % shape.inputs * taps..(index % shape.inputs + 1) * taps;
            dense::forward(single, x, &weight[channel.clone()], &mut passes.output[index * map..][..map])
                .expect("fits");
            let slope = &mut passes.input[index * plane..][..plane];
            dense::input_gradient(single, &weight[channel.clone()], g, slope).expect("fits");
            let mut slope = vec![0.0; taps];
            dense::weight_gradient(single, x, g, &mut slope).expect("fits");
            for (to, from) in passes.weight[channel].iter_mut().zip(slope) {
                *to += from;
            }
        }
        passes
    }

    fn compare(got: &Passes, want: &Passes, shape: &PlaneShape) {
        let long = Tolerance::mixed("3e-5", 3e-5, 1e-5);
        TOLERANCE.compare_f32(&got.output, &want.output).assert(&format!("output: {shape:?}"));
        TOLERANCE.compare_f32(&got.input, &want.input).assert(&format!("input's gradient: {shape:?}"));
        long.compare_f32(&got.weight, &want.weight).assert(&format!("weight's gradient: {shape:?}"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn agrees_with_dense_convolutions_of_single_planes(
            images in 0usize..4, channels in 1usize..7, height in 1usize..20, width in 1usize..20,
            size in 1usize..6, stride in 1usize..4, sides in (0usize..4, 0usize..4, 0usize..4, 0usize..4),
        ) {
            let padding = Padding { top: sides.0, bottom: sides.1, left: sides.2, right: sides.3 };
            let shape = PlaneShape { images, inputs: channels, outputs: channels, height, width, size, stride, padding };
            if let Some(got) = run(shape) {
                compare(&got, &dense(shape), &shape);
            } else {
                prop_assert!(height + padding.top + padding.bottom < size || width + padding.left + padding.right < size);
            }
        }
    }

    #[test]
    fn large_planes_and_threads() {
        let padding = Padding { top: 2, bottom: 2, left: 2, right: 2 };
        let shape = PlaneShape { images: 3, inputs: 5, outputs: 5, height: 61, width: 57, size: 5, stride: 2, padding };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let alone = pool(1).install(|| run(shape)).expect("fits");
        compare(&alone, &dense(shape), &shape);
        for threads in [2, 5] {
            let got = pool(threads).install(|| run(shape)).expect("fits");
            assert!(
                (got.output, got.input, got.weight)
                    == (alone.output.clone(), alone.input.clone(), alone.weight.clone())
            );
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let padding = Padding::default();
        let shape = PlaneShape { images: 1, inputs: 2, outputs: 2, height: 3, width: 3, size: 2, stride: 1, padding };
        let mut output = [0.0; 8];
        assert!(forward(shape, &[0.0; 18], &[0.0; 8], &mut output).is_ok());
        assert!(forward(shape, &[0.0; 17], &[0.0; 8], &mut output).is_err());
        assert!(forward(shape, &[0.0; 18], &[0.0; 9], &mut output).is_err());
        assert!(forward(shape, &[0.0; 18], &[0.0; 8], &mut output[1..]).is_err());
        assert!(forward(PlaneShape { outputs: 1, ..shape }, &[0.0; 18], &[0.0; 8], &mut output).is_err());
        assert!(forward(PlaneShape { size: 4, ..shape }, &[0.0; 18], &[0.0; 8], &mut output).is_err());
    }
}
