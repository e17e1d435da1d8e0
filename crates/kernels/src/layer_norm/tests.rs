use super::rows;
use crate::simd::InstructionSet;
use crate::simd::testing::{ALL_SETS, TOLERANCE, numbers};

#[test]
fn agrees_with_its_formula() {
    for (count, stride, width) in [(1, 1, 1), (3, 20, 17), (2, 32, 32), (4, 768, 768), (2, 9, 5)] {
        let input = numbers("input", count * stride);
        let (weight, bias) = (numbers("weight", width), numbers("bias", width));
        let epsilon = 1e-3;
        let want = input.chunks_exact(stride).flat_map(|row| {
            let row: Vec<f64> = row[..width].iter().map(|&x| f64::from(x)).collect();
            let mean = row.iter().sum::<f64>() / width as f64;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / width as f64;
            let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
            let of = move |(x, (w, b)): (f64, (&f32, &f32))| (x - mean) * scale * f64::from(*w) + f64::from(*b);
            row.into_iter().zip(weight.iter().zip(&bias)).map(of).collect::<Vec<f64>>()
        });
        let want: Vec<f64> = want.collect();
        for set in ALL_SETS {
            let mut output = vec![7.0; count * stride];
            rows(set, &input, count, stride, width, &weight, &bias, epsilon, &mut output).expect("fits");
            let got = output.chunks_exact(stride).flat_map(|row| row[..width].iter().map(|&x| f64::from(x)));
            TOLERANCE.compare(got, want.iter().copied()).assert(set.name());
            assert!(output.chunks_exact(stride).all(|row| row[width..].iter().all(|&x| x == 7.0)), "{}", set.name());
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let set = InstructionSet::detect();
    let (input, ones) = ([1.0; 12], [1.0; 5]);
    let run = |input: &[f32], stride: usize, width: usize, weight: &[f32], bias: &[f32], output: &mut [f32]| {
        rows(set, input, 2, stride, width, weight, bias, 1e-5, output)
    };
    assert!(run(&input[..11], 6, 5, &ones, &ones, &mut [0.0; 11]).is_ok());
    assert!(run(&input[..10], 6, 5, &ones, &ones, &mut [0.0; 11]).is_err());
    assert!(run(&input, 4, 5, &ones, &ones, &mut [0.0; 11]).is_err());
    assert!(run(&input, 6, 0, &ones, &ones, &mut [0.0; 11]).is_err());
    assert!(run(&input, 6, 5, &ones[1..], &ones, &mut [0.0; 11]).is_err());
    assert!(run(&input, 6, 5, &ones, &ones[1..], &mut [0.0; 11]).is_err());
    assert!(run(&input, 6, 5, &ones, &ones, &mut [0.0; 10]).is_err());
}
