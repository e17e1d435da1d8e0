use super::{average, deviation, maximum, pool, resampled_average};
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

#[test]
fn maximum_and_deviation_agree_with_their_definitions() {
    for (pixels, channels) in [(1, 16), (7, 32), (100, 48)] {
        // Far from 0, where one pass would lose all digits of the variance.
        let input: Vec<f32> = numbers("input", pixels * channels).iter().map(|x| x - 50.0).collect();
        let column = |c: usize| -> Vec<f64> { input.iter().skip(c).step_by(channels).map(|&x| f64::from(x)).collect() };
        let most = (0..channels).map(|c| column(c).into_iter().fold(f64::NEG_INFINITY, f64::max));
        let spread = (0..channels).map(|c| {
            let column = column(c);
            let mean = column.iter().sum::<f64>() / pixels as f64;
            (column.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / pixels as f64).sqrt()
        });
        for set in ALL_SETS {
            let mut output = AlignedBuffer::zeroed(channels);
            maximum(set, &input, pixels, channels, &mut output).expect("fits");
            TOLERANCE.compare(output.iter().map(|&x| f64::from(x)), most.clone()).assert(set.name());
            deviation(set, &input, pixels, channels, &mut output).expect("fits");
            let tolerance = oodlab_base::Tolerance::absolute("1e-5", 1e-5);
            tolerance.compare(output.iter().map(|&x| f64::from(x)), spread.clone()).assert(set.name());
        }
    }
    let set = InstructionSet::detect();
    assert!(maximum(set, &[0.0; 16], 0, 16, &mut [0.0; 16]).is_err());
    assert!(maximum(set, &[0.0; 15], 1, 16, &mut [0.0; 16]).is_err());
    assert!(deviation(set, &[0.0; 16], 1, 16, &mut [0.0; 15]).is_err());
    assert!(deviation(set, &[0.0; 20], 1, 20, &mut [0.0; 20]).is_err());
}
