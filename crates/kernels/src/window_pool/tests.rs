use proptest::prelude::*;

use super::{Kind, pool};
use crate::dense_conv::Padding;
use crate::simd::InstructionSet;
use crate::simd::testing::{ALL_SETS, TOLERANCE, numbers};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_its_definition(
        height in 1usize..10, width in 1usize..10, blocks in 1usize..4, size in 1usize..4, stride in 1usize..4,
        top in 0usize..3, bottom in 0usize..3, left in 0usize..3, right in 0usize..3,
    ) {
        let channels = 16 * blocks;
        let padding = Padding { top, bottom, left, right };
        // All negative, so that a padding that counted as 0 would show.
        let input: Vec<f32> = numbers("input", height * width * channels).iter().map(|x| x - 2.0).collect();
        let set = InstructionSet::detect();
        let lies_outside = [top, bottom, left, right].iter().any(|&side| side >= size);
        let Some((rows, columns)) = padding.output_size(height, width, size, stride).filter(|_| !lies_outside) else {
            prop_assert!(pool(set, Kind::Max, &input, (height, width), channels, size, stride, padding, &mut []).is_err());
            return Ok(());
        };
        for kind in [Kind::Max, Kind::Average] {
            let mut want = Vec::new();
            for at in 0..rows * columns * channels {
                let (y, x, c) = (at / channels / columns, at / channels % columns, at % channels);
                let window = (0..size * size).filter_map(|tap| {
                    let y = (y * stride + tap / size).checked_sub(top).filter(|&y| y < height)?;
                    let x = (x * stride + tap % size).checked_sub(left).filter(|&x| x < width)?;
                    Some(f64::from(input[(y * width + x) * channels + c]))
                });
                want.push(match kind {
                    Kind::Max => window.fold(f64::NEG_INFINITY, f64::max),
                    Kind::Average => window.sum::<f64>() / (size * size) as f64,
                });
            }
            for set in ALL_SETS {
                let mut output = vec![0.0; rows * columns * channels];
                let found = pool(set, kind, &input, (height, width), channels, size, stride, padding, &mut output);
                prop_assert_eq!(found, Ok((rows, columns)));
                TOLERANCE.compare(output.iter().map(|&x| f64::from(x)), want.iter().copied()).assert(set.name());
            }
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let set = InstructionSet::detect();
    let none = Padding::default();
    let run = |input: &[f32], channels: usize, size: usize, stride: usize, output: &mut [f32]| {
        pool(set, Kind::Max, input, (2, 2), channels, size, stride, none, output)
    };
    assert_eq!(run(&[0.0; 64], 16, 2, 2, &mut [0.0; 16]), Ok((1, 1)));
    assert!(run(&[0.0; 63], 16, 2, 2, &mut [0.0; 16]).is_err());
    assert!(run(&[0.0; 64], 16, 2, 2, &mut [0.0; 15]).is_err());
    assert!(run(&[0.0; 64], 15, 2, 2, &mut [0.0; 16]).is_err());
    assert!(run(&[0.0; 64], 16, 3, 2, &mut [0.0; 16]).is_err());
    assert!(run(&[0.0; 64], 16, 2, 0, &mut [0.0; 16]).is_err());
}
