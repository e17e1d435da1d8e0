use proptest::prelude::*;

use super::DepthwiseConv;
use crate::simd::testing::{ALL_SETS, TOLERANCE, gather, numbers, spread};
use crate::simd::{Activation, AlignedBuffer, InstructionSet, padded_channels};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_with_the_defining_sum(
        channels in 1usize..40, size in 1usize..7, stride in 1usize..4, rows in 1usize..6, width in 1usize..20, spare in 0usize..3,
    ) {
        let input_width = (width - 1) * stride + size + spare;
        let input_rows = (rows - 1) * stride + size;
        let weight = numbers("weight", channels * size * size);
        let bias = numbers("bias", channels);
        let input = numbers("input", input_rows * input_width * channels);
        let activation = Activation::Silu;
        let mut want = Vec::new();
        for y in 0..rows {
            for x in 0..width {
                for c in 0..channels {
                    let mut sum = f64::from(bias[c]);
                    for ky in 0..size {
                        for kx in 0..size {
                            let pixel = (y * stride + ky) * input_width + x * stride + kx;
                            sum += f64::from(input[pixel * channels + c]) * f64::from(weight[(c * size + ky) * size + kx]);
                        }
                    }
                    want.push(activation.of(sum));
                }
            }
        }
        let conv = DepthwiseConv::new(&weight, &bias, channels, size, stride, activation).expect("fits");
        let padded = spread(&input, channels);
        for set in ALL_SETS {
            let mut output = AlignedBuffer::zeroed(rows * width * padded_channels(channels));
            let mut sums = AlignedBuffer::zeroed(padded_channels(channels));
            conv.run(set, &padded, input_width, &mut output, (rows, width), Some(&mut sums)).expect("fits");
            TOLERANCE.compare(gather(&output, channels), want.iter().copied()).assert(set.name());
            let total = |c: usize| want.iter().skip(c).step_by(channels).sum::<f64>();
            oodlab_base::Tolerance::absolute("1e-4", 1e-4)
                .compare(gather(&sums, channels), (0..channels).map(total))
                .assert("sums");
        }
    }
}

/// Strips of any height give the bits of the whole, output and sums.
#[test]
fn strips_join_to_the_whole() {
    let (channels, size, stride, rows, width) = (48, 5, 2, 9, 17);
    let (input_width, step) = ((width - 1) * stride + size, padded_channels(channels));
    let conv = DepthwiseConv::new(
        &numbers("w", channels * 25),
        &numbers("b", channels),
        channels,
        size,
        stride,
        Activation::Relu6,
    )
    .expect("fits");
    let input = numbers("x", ((rows - 1) * stride + size) * input_width * channels);
    for set in ALL_SETS {
        let run = |strip: usize| {
            let mut output = vec![0.0; rows * width * step];
            let mut sums = vec![0.0; step];
            for first in (0..rows).step_by(strip) {
                let count = strip.min(rows - first);
                let from = &input[first * stride * input_width * step..];
                let to = &mut output[first * width * step..];
                conv.run(set, from, input_width, to, (count, width), Some(&mut sums)).expect("fits");
            }
            (output, sums)
        };
        let whole = run(rows);
        for strip in 1..rows {
            assert_eq!(run(strip), whole, "{} strips of {strip}", set.name());
        }
    }
}

#[test]
fn slices_that_are_too_short_are_errors() {
    assert!(DepthwiseConv::new(&[0.0; 8], &[0.0; 1], 1, 3, 1, Activation::None).is_err());
    assert!(DepthwiseConv::new(&[0.0; 9], &[0.0; 1], 1, 3, 0, Activation::None).is_err());
    let conv = DepthwiseConv::new(&[0.0; 9], &[0.0; 1], 1, 3, 1, Activation::None).expect("fits");
    let set = InstructionSet::detect();
    let mut output = [0.0; 16];
    assert!(conv.run(set, &[0.0; 144], 3, &mut output, (1, 1), None).is_ok());
    assert!(conv.run(set, &[0.0; 143], 3, &mut output, (1, 1), None).is_err());
    assert!(conv.run(set, &[0.0; 144], 3, &mut output, (1, 2), None).is_err());
    assert!(conv.run(set, &[0.0; 144], 3, &mut output[..15], (1, 1), None).is_err());
    assert!(conv.run(set, &[0.0; 144], 3, &mut output, (1, 1), Some(&mut [0.0; 15])).is_err());
}
