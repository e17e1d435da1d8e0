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
