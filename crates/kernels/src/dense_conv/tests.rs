use proptest::prelude::*;

use super::{DenseConv, Padding};
use crate::simd::testing::{ALL_SETS, TOLERANCE, gather, numbers};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, padded_channels};

fn padding() -> impl Strategy<Value = Padding> {
    (0usize..3, 0usize..3, 0usize..3, 0usize..3).prop_map(|(top, bottom, left, right)| Padding {
        top,
        bottom,
        left,
        right,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_the_defining_sum(
        inputs in 1usize..5, outputs in 1usize..40, size in 1usize..6, stride in 1usize..4,
        height in 1usize..14, width in 1usize..14, padding in padding(),
    ) {
        let weight = numbers("weight", outputs * inputs * size * size);
        let bias = numbers("bias", outputs);
        let input = numbers("input", height * width * inputs);
        let conv = DenseConv::new(&weight, &bias, (inputs, outputs), size, stride, padding, Activation::Relu).expect("fits");
        let Some((rows, columns)) = conv.output_size(height, width) else {
            prop_assert!(height + padding.top + padding.bottom < size || width + padding.left + padding.right < size);
            let mut scratch = AlignedBuffer::default();
            prop_assert!(conv.run(InstructionSet::detect(), &input, (height, width), &mut [], &mut scratch).is_err());
            return Ok(());
        };
        let pixel = |y: usize, x: usize, i: usize| {
            let y = y.checked_sub(padding.top).filter(|&y| y < height);
            let x = x.checked_sub(padding.left).filter(|&x| x < width);
            y.zip(x).map_or(0.0, |(y, x)| f64::from(input[(y * width + x) * inputs + i]))
        };
        let mut want = Vec::new();
        for y in 0..rows {
            for x in 0..columns {
                for o in 0..outputs {
                    let mut sum = f64::from(bias[o]);
                    for i in 0..inputs {
                        for ky in 0..size {
                            for kx in 0..size {
                                let weight = weight[((o * inputs + i) * size + ky) * size + kx];
                                sum += f64::from(weight) * pixel(y * stride + ky, x * stride + kx, i);
                            }
                        }
                    }
                    want.push(sum.max(0.0));
                }
            }
        }
        for set in ALL_SETS {
            let mut output = AlignedBuffer::zeroed(rows * columns * padded_channels(outputs));
            let mut scratch = AlignedBuffer::default();
            conv.run(set, &input, (height, width), &mut output, &mut scratch).expect("fits");
            TOLERANCE.compare(gather(&output, outputs), want.iter().copied()).assert(set.name());
        }
    }
}

/// A convolution of maps whose pixels lie apart, and the sums that define it.
struct Case {
    channels: (usize, usize),
    size: usize,
    stride: usize,
    padding: Padding,
    map: (usize, usize),
    weight: Vec<f32>,
    bias: Vec<f32>,
    input: Vec<f32>,
}

impl Case {
    fn new(channels: (usize, usize), size: usize, stride: usize, padding: Padding, map: (usize, usize)) -> Case {
        let weight = numbers("weight", channels.0 * channels.1 * size * size);
        let (bias, input) = (numbers("bias", channels.1), numbers("input", map.0 * map.1 * channels.0));
        Case { channels, size, stride, padding, map, weight, bias, input }
    }

    fn conv(&self, activation: Activation) -> DenseConv {
        let Case { channels, size, stride, padding, weight, bias, .. } = self;
        DenseConv::new(weight, bias, *channels, *size, *stride, *padding, activation).expect("fits")
    }

    /// A value of the padded map.
    fn at(&self, y: usize, x: usize, channel: usize) -> f32 {
        let y = y.checked_sub(self.padding.top).filter(|&y| y < self.map.0);
        let x = x.checked_sub(self.padding.left).filter(|&x| x < self.map.1);
        y.zip(x).map_or(0.0, |(y, x)| self.input[(y * self.map.1 + x) * self.channels.0 + channel])
    }

    /// Bias and sum of each output value.
    fn sums(&self, (rows, columns): (usize, usize)) -> Vec<f64> {
        let (inputs, outputs) = self.channels;
        let mut sums = Vec::with_capacity(rows * columns * outputs);
        for (y, x) in (0..rows * columns).map(|pixel| (pixel / columns, pixel % columns)) {
            for output in 0..outputs {
                let mut sum = f64::from(self.bias[output]);
                for (input, tap) in (0..inputs).flat_map(|i| (0..self.size * self.size).map(move |tap| (i, tap))) {
                    let (ky, kx) = (tap / self.size, tap % self.size);
                    let weight = self.weight[(output * inputs + input) * self.size * self.size + tap];
                    sum += f64::from(weight) * f64::from(self.at(y * self.stride + ky, x * self.stride + kx, input));
                }
                sums.push(sum);
            }
        }
        sums
    }
}

/// Dense pixels spread to a stride; what lies between them is `gap`.
fn apart(dense: &[f32], channels: usize, stride: usize, gap: f32) -> Vec<f32> {
    let mut values = vec![gap; dense.len() / channels * stride];
    for (to, from) in values.chunks_exact_mut(stride).zip(dense.chunks_exact(channels)) {
        to[..channels].copy_from_slice(from);
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn maps_agree_with_the_defining_sum(
        inputs in 1usize..40, outputs in 1usize..70, size in 1usize..4, stride in 1usize..4, height in 1usize..18,
        width in 1usize..33, padding in padding(), gaps in (0usize..20, 0usize..20, 0usize..20), residual: bool, last: bool,
    ) {
        let case = Case::new((inputs, outputs), size, stride, padding, (height, width));
        let conv = case.conv(Activation::Relu);
        let conv = if last { conv.activated_after_residual() } else { conv };
        let Some((rows, columns)) = conv.output_size(height, width) else { return Ok(()) };
        let skip = numbers("skip", rows * columns * outputs);
        let want = case.sums((rows, columns)).into_iter().zip(&skip).map(|(sum, &skip)| {
            let skip = if residual { f64::from(skip) } else { 0.0 };
            if last { (sum + skip).max(0.0) } else { sum.max(0.0) + skip }
        });
        let channels = padded_channels(outputs);
        let (input_stride, output_stride, skip_stride) = (inputs + gaps.0, channels + gaps.1, channels + gaps.2);
        let input = apart(&case.input, inputs, input_stride, f32::NAN);
        let skip = apart(&skip, outputs, skip_stride, f32::NAN);
        let tolerance = oodlab_base::Tolerance::mixed("1e-5", 1e-5, 1e-5);
        for set in ALL_SETS {
            let mut output = vec![7.0; rows * columns * output_stride];
            let mut scratch = AlignedBuffer::default();
            let skip = residual.then_some((&skip[..], skip_stride));
            conv.run_map(set, &input, input_stride, (height, width), &mut output, output_stride, skip, &mut scratch)
                .expect("fits");
            let got = output.chunks_exact(output_stride).flat_map(|pixel| pixel[..outputs].iter().copied());
            tolerance.compare(got.map(f64::from), want.clone()).assert(set.name());
            prop_assert!(output.chunks_exact(output_stride).all(|pixel| pixel[channels..].iter().all(|&x| x == 7.0)));
        }
    }
}

/// The bits of a pixel are those of its window alone, wherever it lies, in every kind of tile and strip.
#[test]
fn a_pixel_does_not_depend_on_its_place() {
    let one = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    for (channels, stride, map) in
        [((20, 40), 1, (16, 33)), ((512, 16), 2, (5, 9)), ((96, 48), 1, (7, 7)), ((600, 20), 1, (17, 14))]
    {
        let case = Case::new(channels, 3, stride, one, map);
        let conv = case.conv(Activation::Silu);
        let (rows, columns) = conv.output_size(map.0, map.1).expect("fits");
        let step = padded_channels(channels.1);
        let mut window = Case::new(channels, 3, 1, Padding::default(), (3, 3));
        let window_conv = window.conv(Activation::Silu);
        for set in ALL_SETS {
            let (mut output, mut scratch) = (vec![0.0; rows * columns * step], AlignedBuffer::default());
            conv.run_map(set, &case.input, channels.0, map, &mut output, step, None, &mut scratch).expect("fits");
            for pixel in 0..rows * columns {
                let (y, x) = (pixel / columns * stride, pixel % columns * stride);
                window.input = (0..9)
                    .flat_map(|tap| (0..channels.0).map(move |i| (tap, i)))
                    .map(|(tap, i)| case.at(y + tap / 3, x + tap % 3, i))
                    .collect();
                // The window's rows are not merged where its pixels lie apart.
                let stride = channels.0 + pixel % 2;
                let apart = apart(&window.input, channels.0, stride, f32::NAN);
                let mut alone = vec![0.0; step];
                window_conv.run_map(set, &apart, stride, (3, 3), &mut alone, step, None, &mut scratch).expect("fits");
                assert_eq!(alone[..], output[pixel * step..][..step], "{} pixel {pixel} of {map:?}", set.name());
            }
        }
    }
}

#[test]
fn slices_that_are_too_short_are_errors() {
    let set = InstructionSet::detect();
    for padding in [Padding::default(), Padding { top: 1, bottom: 1, left: 1, right: 1 }] {
        let conv = DenseConv::new(&[0.0; 2 * 3 * 9], &[0.0; 2], (3, 2), 3, 1, padding, Activation::None).expect("fits");
        let (rows, columns) = conv.output_size(4, 4).expect("fits");
        let pixels = rows * columns;
        let run = |input: usize, from: usize, output: usize, to: usize, residual: Option<(usize, usize)>| {
            let (values, mut output) = (vec![0.0; 2000], vec![0.0; output]);
            let residual = residual.map(|(length, stride)| (&values[..length], stride));
            let mut scratch = AlignedBuffer::default();
            conv.run_map(set, &values[..input], from, (4, 4), &mut output, to, residual, &mut scratch)
        };
        let (least, skip) = ((pixels - 1) * 20 + 16, (pixels - 1) * 17 + 16);
        assert!(run(15 * 5 + 3, 5, least, 20, Some((skip, 17))).is_ok());
        assert!(run(15 * 5 + 2, 5, least, 20, None).is_err());
        assert!(run(1000, 2, least, 20, None).is_err());
        assert!(run(15 * 5 + 3, 5, least - 1, 20, None).is_err());
        assert!(run(15 * 5 + 3, 5, least, 15, None).is_err());
        assert!(run(15 * 5 + 3, 5, least, 20, Some((skip - 1, 17))).is_err());
        assert!(run(15 * 5 + 3, 5, least, 20, Some((skip, 15))).is_err());
    }
    assert!(DenseConv::new(&[0.0; 9], &[0.0], (1, 1), 3, 0, Padding::default(), Activation::None).is_err());
    assert!(DenseConv::new(&[0.0; 8], &[0.0], (1, 1), 3, 1, Padding::default(), Activation::None).is_err());
}

/// Against the defining sum of inputs and weights rounded to bfloat16, on maps of every kind of tile.
#[test]
fn bfloat16_agrees_with_the_sum_of_rounded_numbers() {
    let one = Padding { top: 1, bottom: 1, left: 1, right: 1 };
    let round = |values: &mut Vec<f32>| {
        values.iter_mut().for_each(|x| {
            *x = f32::from_bits((x.to_bits() + 0x7fff + (x.to_bits() >> 16 & 1)) & 0xffff_0000);
        });
    };
    for (channels, size, stride, padding, map) in [
        ((3, 20), 3, 2, one, (9, 31)),
        ((32, 48), 3, 1, one, (7, 7)),
        ((40, 16), 3, 1, Padding::default(), (6, 40)),
        ((64, 33), 3, 2, one, (14, 14)),
        ((17, 64), 1, 2, Padding::default(), (9, 9)),
        ((5, 8), 2, 1, Padding { top: 0, bottom: 1, left: 2, right: 0 }, (20, 3)),
    ] {
        let mut case = Case::new(channels, size, stride, padding, map);
        let Some(conv) = case.conv(Activation::Relu).in_bf16() else {
            assert!(!crate::simd::has_bf16(), "refused though the processor has such products");
            return;
        };
        let conv = conv.activated_after_residual();
        let (rows, columns) = conv.output_size(map.0, map.1).expect("fits");
        let (inputs, outputs) = channels;
        let skip = numbers("skip", rows * columns * outputs);
        let (input_stride, output_stride) = (inputs + 2, padded_channels(outputs) + 3);
        let input = apart(&case.input, inputs, input_stride, f32::NAN);
        let skip_apart = apart(&skip, outputs, output_stride, f32::NAN);
        let (mut output, mut scratch) = (vec![7.0; rows * columns * output_stride], AlignedBuffer::default());
        conv.run_map(
            InstructionSet::detect(),
            &input,
            input_stride,
            map,
            &mut output,
            output_stride,
            Some((&skip_apart, output_stride)),
            &mut scratch,
        )
        .expect("fits");
        round(&mut case.input);
        round(&mut case.weight);
        let want =
            case.sums((rows, columns)).into_iter().zip(&skip).map(|(sum, &skip)| (sum + f64::from(skip)).max(0.0));
        let got = output.chunks_exact(output_stride).flat_map(|pixel| pixel[..outputs].iter().copied());
        let tolerance = oodlab_base::Tolerance::mixed("2e-5", 2e-5, 2e-5);
        tolerance.compare(got.map(f64::from), want).assert(&format!("{channels:?} {size} {stride} {map:?}"));
        let channels = padded_channels(outputs);
        assert!(output.chunks_exact(output_stride).all(|pixel| pixel[channels..].iter().all(|&x| x == 7.0)));
    }
}
