use super::{average, pool, resampled_average};
use crate::simd::testing::{ALL_SETS, TOLERANCE, numbers};
use crate::simd::{AlignedBuffer, InstructionSet};

#[test]
fn agrees_with_the_defining_sum() {
    let (height, width, channels) = (6, 9, 32);
    let input = numbers("input", height * width * channels);
    let (rows, columns) = (numbers("rows", height), numbers("columns", width));
    let want = (0..channels).map(|c| {
        (0..height * width)
            .map(|at| {
                let weight = f64::from(rows[at / width]) * f64::from(columns[at % width]);
                weight * f64::from(input[at * channels + c])
            })
            .sum::<f64>()
    });
    for set in ALL_SETS {
        let mut output = AlignedBuffer::zeroed(channels);
        pool(set, &input, &rows, &columns, channels, &mut output).expect("fits");
        TOLERANCE.compare(output.iter().map(|&x| f64::from(x)), want.clone()).assert(set.name());
    }
    let set = InstructionSet::detect();
    assert!(pool(set, &input[1..], &rows, &columns, channels, &mut [0.0; 32]).is_err());
    assert!(pool(set, &input, &rows, &columns, channels, &mut [0.0; 31]).is_err());
    assert!(pool(set, &input, &rows, &columns, 20, &mut [0.0; 32]).is_err());
}

/// By hand: three points at 0, 1, 2 of two; the middle one is half of each.
#[test]
fn resampling_weights_by_hand() {
    assert_eq!(resampled_average(2, 3), [0.5, 0.5]);
    // Two points of four: the corners alone.
    assert_eq!(resampled_average(4, 2), [0.5, 0.0, 0.0, 0.5]);
    assert_eq!(resampled_average(5, 1), [1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(resampled_average(1, 2), [1.0]);
    assert_eq!(resampled_average(3, 3), average(3));
}

#[test]
fn every_average_has_weights_that_sum_to_one() {
    for inputs in 1..40 {
        for outputs in 1..40 {
            let sum: f32 = resampled_average(inputs, outputs).iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{inputs} to {outputs}: {sum}");
        }
    }
}
