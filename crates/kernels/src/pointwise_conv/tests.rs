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
