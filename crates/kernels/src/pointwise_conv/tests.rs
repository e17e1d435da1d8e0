use proptest::prelude::*;

use super::{Pixels, Placement, PointwiseConv};

fn px(values: &[f32], stride: usize, count: usize) -> Pixels<'_> {
    Pixels { values, stride, count }
}
use crate::simd::testing::{ALL_SETS, TOLERANCE, gather, numbers, spread};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, padded_channels};

/// The defining sum, in f64.
fn naive(input: &[f32], weight: &[f32], bias: &[f32], inputs: usize, activation: Activation) -> Vec<f64> {
    let row = |pixel: &[f32]| -> Vec<f64> {
        let sum = |(weight, bias): (&[f32], &f32)| {
            let products = weight.iter().zip(pixel).map(|(&w, &x)| f64::from(w) * f64::from(x));
            activation.of(f64::from(*bias) + products.sum::<f64>())
        };
        weight.chunks_exact(inputs).zip(bias).map(sum).collect()
    };
    input.chunks_exact(inputs).flat_map(row).collect()
}

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(vec![Activation::None, Activation::Relu6, Activation::Silu])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_defining_sum(
        inputs in 1usize..40, outputs in 1usize..130, pixels in 1usize..40, residual: bool, activation in activation(),
    ) {
        let (weight, bias) = (numbers("weight", inputs * outputs), numbers("bias", outputs));
        let (input, skip) = (numbers("input", inputs * pixels), numbers("skip", outputs * pixels));
        let mut want = naive(&input, &weight, &bias, inputs, activation);
        if residual {
            want.iter_mut().zip(&skip).for_each(|(want, &skip)| *want += f64::from(skip));
        }
        let conv = PointwiseConv::new(&weight, &bias, inputs, outputs, activation).expect("fits");
        let (padded, skip) = (spread(&input, inputs), spread(&skip, outputs));
        for set in ALL_SETS {
            let mut output = AlignedBuffer::zeroed(pixels * padded_channels(outputs));
            let skip = residual.then_some(&skip[..]);
            conv.run(set, px(&padded, padded_channels(inputs), pixels), &mut output, Placement::dense(0), skip).expect("fits");
            TOLERANCE.compare(gather(&output, outputs), want.iter().copied()).assert(set.name());
        }
    }

    #[test]
    fn rows_land_in_their_frame_and_nowhere_else(rows in 1usize..6, width in 1usize..12, frame in 0usize..4) {
        let (inputs, outputs, stride) = (5, 20, width + 2 * frame);
        let pixels = rows * width;
        let input = numbers("input", inputs * pixels);
        let conv = PointwiseConv::new(&numbers("weight", inputs * outputs), &numbers("bias", outputs), inputs, outputs, Activation::None).expect("fits");
        let set = InstructionSet::detect();
        let mut dense = AlignedBuffer::zeroed(pixels * 32);
        conv.run(set, px(&input, inputs, pixels), &mut dense, Placement::dense(0), None).expect("fits");
        let mut framed = AlignedBuffer::zeroed((rows * stride + frame) * 32);
        framed.fill(7.0);
        let placement = Placement { first: frame, width, row_stride: stride };
        conv.run(set, px(&input, inputs, pixels), &mut framed, placement, None).expect("fits");
        for (at, pixel) in framed.chunks_exact(32).enumerate() {
            let (row, column) = (at / stride, (at % stride).wrapping_sub(frame));
            if row < rows && column < width {
                prop_assert_eq!(pixel, &dense[(row * width + column) * 32..][..32]);
            } else {
                prop_assert!(pixel.iter().all(|&x| x == 7.0), "pixel {} was touched", at);
            }
        }
    }
}

/// Every pixel alone gives the bits that it gives among others: tiles of any height sum in the same order.
#[test]
fn a_pixel_does_not_depend_on_its_neighbours() {
    let (inputs, outputs, pixels) = (37, 100, 23);
    let conv =
        PointwiseConv::new(&numbers("w", inputs * outputs), &numbers("b", outputs), inputs, outputs, Activation::Silu)
            .expect("fits");
    let (input, stride) = (numbers("x", inputs * pixels), padded_channels(outputs));
    for set in ALL_SETS {
        let mut together = AlignedBuffer::zeroed(pixels * stride);
        conv.run(set, px(&input, inputs, pixels), &mut together, Placement::dense(0), None).expect("fits");
        for pixel in 0..pixels {
            let mut alone = AlignedBuffer::zeroed(stride);
            conv.run(set, px(&input[pixel * inputs..], inputs, 1), &mut alone, Placement::dense(0), None)
                .expect("fits");
            assert_eq!(alone[..], together[pixel * stride..][..stride], "{} pixel {pixel}", set.name());
        }
    }
}

/// Both loop orders (small panels, and weights in between) and the gate in the weights.
#[test]
fn long_sums_and_gates() {
    for (inputs, outputs) in [(64, 96), (700, 80), (900, 400)] {
        let pixels = 9;
        let (weight, bias) = (numbers("w", inputs * outputs), numbers("b", outputs));
        let (input, gate) = (numbers("x", inputs * pixels), numbers("g", inputs));
        let gated: Vec<f32> = input.iter().zip(gate.iter().cycle()).map(|(x, g)| x * g).collect();
        let want = naive(&gated, &weight, &bias, inputs, Activation::None);
        let conv = PointwiseConv::new(&weight, &bias, inputs, outputs, Activation::None).expect("fits");
        for set in ALL_SETS {
            let mut output = AlignedBuffer::zeroed(pixels * padded_channels(outputs));
            let mut scratch = AlignedBuffer::default();
            conv.run_scaled(
                &gate,
                &mut scratch,
                set,
                px(&input, inputs, pixels),
                &mut output,
                Placement::dense(0),
                None,
            )
            .expect("fits");
            let tolerance = oodlab_base::Tolerance::absolute("3e-5", 3e-5);
            tolerance.compare(gather(&output, outputs), want.iter().copied()).assert(set.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any distance between pixels, both orders of activation and residual, several chunks of the sum.
    #[test]
    fn strided_pixels_agree_with_the_defining_sum(
        inputs in prop::sample::select(vec![1usize, 3, 16, 40, 250, 300, 700, 1024]), outputs in 1usize..90,
        pixels in 1usize..70, gaps in (0usize..20, 0usize..20, 0usize..20), residual: bool, last: bool,
    ) {
        let (weight, bias) = (numbers("weight", inputs * outputs), numbers("bias", outputs));
        let (input, skip) = (numbers("input", inputs * pixels), numbers("skip", outputs * pixels));
        let want = naive(&input, &weight, &bias, inputs, Activation::None).into_iter().zip(&skip).map(|(sum, &skip)| {
            let (relu, skip) = (Activation::Relu, if residual { f64::from(skip) } else { 0.0 });
            if last { relu.of(sum + skip) } else { relu.of(sum) + skip }
        });
        let conv = PointwiseConv::new(&weight, &bias, inputs, outputs, Activation::Relu).expect("fits");
        let conv = if last { conv.activated_after_residual() } else { conv };
        let channels = padded_channels(outputs);
        let apart = |dense: &[f32], channels: usize, stride: usize| {
            let mut values = vec![f32::NAN; dense.len() / channels * stride];
            for (to, from) in values.chunks_exact_mut(stride).zip(dense.chunks_exact(channels)) {
                to[..channels].copy_from_slice(from);
            }
            values
        };
        let (from, to, step) = (inputs + gaps.0, channels + gaps.1, channels + gaps.2);
        let (input, skip) = (apart(&input, inputs, from), apart(&skip, outputs, step));
        let tolerance = oodlab_base::Tolerance::mixed("3e-5", 3e-5, 3e-5);
        for set in ALL_SETS {
            let mut output = vec![7.0; pixels * to];
            let skip = residual.then_some((&skip[..], step));
            conv.run_strided(set, px(&input, from, pixels), &mut output, to, skip).expect("fits");
            let got = output.chunks_exact(to).flat_map(|pixel| pixel[..outputs].iter().copied());
            tolerance.compare(got.map(f64::from), want.clone()).assert(set.name());
            prop_assert!(output.chunks_exact(to).all(|pixel| pixel[channels..].iter().all(|&x| x == 7.0)));
        }
    }
}

#[test]
fn strides_and_slices_that_are_too_short_are_errors() {
    let conv = PointwiseConv::new(&[0.0; 6], &[0.0; 2], 3, 2, Activation::None).expect("fits");
    let set = InstructionSet::detect();
    let run = |input: usize, from: usize, output: usize, to: usize, residual: Option<(usize, usize)>| {
        let (values, mut output) = (vec![0.0; 100], vec![0.0; output]);
        let residual = residual.map(|(length, stride)| (&values[..length], stride));
        conv.run_strided(set, px(&values[..input], from, 2), &mut output, to, residual)
    };
    assert!(run(7, 4, 34, 18, Some((33, 17))).is_ok());
    assert!(run(6, 4, 34, 18, None).is_err());
    assert!(run(7, 2, 34, 18, None).is_err());
    assert!(run(7, 4, 33, 18, None).is_err());
    assert!(run(7, 4, 34, 15, None).is_err());
    assert!(run(7, 4, 34, 18, Some((32, 17))).is_err());
    assert!(run(7, 4, 34, 18, Some((33, 15))).is_err());
    assert!(run(7, 4, 34, usize::MAX, None).is_err());
}

#[test]
fn slices_that_are_too_short_are_errors() {
    assert!(PointwiseConv::new(&[0.0; 5], &[0.0; 2], 3, 2, Activation::None).is_err());
    assert!(PointwiseConv::new(&[0.0; 6], &[0.0; 3], 3, 2, Activation::None).is_err());
    assert!(PointwiseConv::new(&[], &[], 0, 0, Activation::None).is_err());
    let conv = PointwiseConv::new(&[0.0; 6], &[0.0; 2], 3, 2, Activation::None).expect("fits");
    let set = InstructionSet::detect();
    let mut output = [0.0; 32];
    let dense = Placement::dense(0);
    assert!(conv.run(set, px(&[0.0; 6], 3, 2), &mut output, dense, None).is_ok());
    assert!(conv.run(set, px(&[0.0; 5], 3, 2), &mut output, dense, None).is_err());
    assert!(conv.run(set, px(&[0.0; 6], 2, 2), &mut output, dense, None).is_err());
    assert!(conv.run(set, px(&[0.0; 6], 3, 2), &mut output[..31], dense, None).is_err());
    assert!(conv.run(set, px(&[0.0; 6], 3, 2), &mut output, Placement::dense(1), None).is_err());
    assert!(conv.run(set, px(&[0.0; 6], 3, 2), &mut output, dense, Some(&[0.0; 31])).is_err());
    assert!(
        conv.run(set, px(&[0.0; 6], 3, 2), &mut output, Placement { first: 0, width: 0, row_stride: 1 }, None).is_err()
    );
    assert!(
        conv.run_scaled(&[1.0; 2], &mut AlignedBuffer::default(), set, px(&[0.0; 6], 3, 2), &mut output, dense, None)
            .is_err()
    );
}

/// To bfloat16 and back, ties to even.
fn rounded(values: &[f32]) -> Vec<f32> {
    let bits = |x: &f32| x.to_bits() + 0x7fff + (x.to_bits() >> 16 & 1);
    values.iter().map(|x| f32::from_bits(bits(x) & 0xffff_0000)).collect()
}

/// Against the defining sum of rounded inputs and weights, which differs from that of the numbers themselves.
#[test]
fn bfloat16_agrees_with_the_sum_of_rounded_numbers() {
    let has = crate::simd::has_bf16();
    for (inputs, outputs, pixels) in [(1, 1, 1), (3, 20, 5), (32, 16, 16), (40, 96, 33), (300, 70, 50), (64, 40, 700)] {
        let (weight, bias) = (numbers("weight", inputs * outputs), numbers("bias", outputs));
        let (input, skip) = (numbers("input", inputs * pixels), numbers("skip", outputs * pixels));
        let gate: Vec<f32> = (0..inputs).map(|i| [0.5, 1.0, 2.0][i % 3]).collect();
        let conv = PointwiseConv::new(&weight, &bias, inputs, outputs, Activation::Silu).expect("fits");
        let Some(conv) = conv.in_bf16() else {
            assert!(!has);
            continue;
        };
        assert!(has);
        let (padded, skip_padded, stride) = (spread(&input, inputs), spread(&skip, outputs), padded_channels(outputs));
        let (set, from) = (InstructionSet::detect(), px(&padded, padded_channels(inputs), pixels));
        let tolerance = oodlab_base::Tolerance::mixed("2e-5", 2e-5, 2e-5);
        let want = |input: &[f32], last: bool| {
            let sums = naive(&rounded(input), &rounded(&weight), &bias, inputs, Activation::None);
            let of = move |(sum, skip): (f64, f32)| match last {
                true => Activation::Silu.of(sum + f64::from(skip)),
                false => Activation::Silu.of(sum) + f64::from(skip),
            };
            sums.into_iter().zip(skip.clone()).map(of)
        };
        let mut output = vec![f32::NAN; pixels * stride];
        conv.run_strided(set, from, &mut output, stride, Some((&skip_padded, stride))).expect("fits");
        tolerance.compare(gather(&output, outputs), want(&input, false)).assert("residual after");
        // A gate of powers of two commutes with rounding.
        let gated: Vec<f32> = input.iter().zip(gate.iter().cycle()).map(|(x, g)| x * g).collect();
        let (mut scratch, dense) = (AlignedBuffer::default(), Placement::dense(0));
        conv.run_scaled(&gate, &mut scratch, set, from, &mut output, dense, Some(&skip_padded)).expect("fits");
        tolerance.compare(gather(&output, outputs), want(&gated, false)).assert("gate");
        let conv = conv.activated_after_residual();
        conv.run_strided(set, from, &mut output, stride, Some((&skip_padded, stride))).expect("fits");
        tolerance.compare(gather(&output, outputs), want(&input, true)).assert("residual before");
        for pixel in 0..pixels {
            let mut alone = vec![0.0; stride];
            let skip = &skip_padded[pixel * stride..];
            let one = px(&padded[pixel * from.stride..], from.stride, 1);
            conv.run_strided(set, one, &mut alone, stride, Some((skip, stride))).expect("fits");
            assert_eq!(alone[..outputs], output[pixel * stride..][..outputs], "pixel {pixel}");
        }
    }
}
