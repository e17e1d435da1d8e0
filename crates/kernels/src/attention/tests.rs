use super::run;
use crate::simd::testing::{ALL_SETS, TOLERANCE, numbers};
use crate::simd::{AlignedBuffer, InstructionSet};

/// The definition, in f64.
fn naive(qkv: &[f32], tokens: usize, heads: usize, head_width: usize) -> Vec<f64> {
    let width = heads * head_width;
    let at = |part: usize, token: usize, i: usize| f64::from(qkv[token * 3 * width + part * width + i]);
    let mut output = vec![0.0; tokens * width];
    for head in 0..heads {
        let channels = head * head_width..(head + 1) * head_width;
        for token in 0..tokens {
            let score = |other: usize| {
                let products = channels.clone().map(|i| at(0, token, i) * at(1, other, i));
                (products.sum::<f64>() / (head_width as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = (0..tokens).map(score).collect();
            let sum: f64 = scores.iter().sum();
            for i in channels.clone() {
                output[token * width + i] = scores.iter().enumerate().map(|(other, s)| s / sum * at(2, other, i)).sum();
            }
        }
    }
    output
}

#[test]
fn agrees_with_the_definition() {
    for (tokens, heads, head_width) in [(1, 1, 1), (2, 3, 5), (17, 2, 16), (50, 1, 64), (33, 3, 20)] {
        let qkv: Vec<f32> = numbers("qkv", tokens * 3 * heads * head_width).iter().map(|x| 3.0 * x).collect();
        let want = naive(&qkv, tokens, heads, head_width);
        let mut scratch = AlignedBuffer::default();
        for set in ALL_SETS {
            let mut output = vec![0.0; tokens * heads * head_width];
            run(set, &qkv, tokens, heads, head_width, &mut output, &mut scratch).expect("fits");
            let tolerance = oodlab_base::Tolerance::mixed("1e-5", 1e-5, 1e-5);
            tolerance.compare(output.iter().map(|&x| f64::from(x)), want.iter().copied()).assert(set.name());
        }
    }
}

/// Scores far beyond what the exponential can hold.
#[test]
fn large_scores_do_not_overflow() {
    let (tokens, head_width) = (3, 4);
    let mut qkv = vec![0.0f32; tokens * 3 * head_width];
    for token in 0..tokens {
        qkv[token * 12] = 1000.0;
        qkv[token * 12 + 4] = 100.0 * token as f32;
        qkv[token * 12 + 8] = token as f32;
    }
    for set in ALL_SETS {
        let mut output = vec![f32::NAN; tokens * head_width];
        run(set, &qkv, tokens, 1, head_width, &mut output, &mut AlignedBuffer::default()).expect("fits");
        let want = [2.0, 0.0, 0.0, 0.0].iter().copied().cycle().take(output.len());
        TOLERANCE.compare(output.iter().map(|&x| f64::from(x)), want).assert(set.name());
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let set = InstructionSet::detect();
    let mut scratch = AlignedBuffer::default();
    assert!(run(set, &[0.0; 24], 2, 2, 2, &mut [0.0; 8], &mut scratch).is_ok());
    assert!(run(set, &[0.0; 23], 2, 2, 2, &mut [0.0; 8], &mut scratch).is_err());
    assert!(run(set, &[0.0; 24], 2, 2, 2, &mut [0.0; 7], &mut scratch).is_err());
    assert!(run(set, &[0.0; 24], 0, 2, 2, &mut [0.0; 8], &mut scratch).is_err());
    assert!(run(set, &[0.0; 24], 2, 0, 2, &mut [0.0; 8], &mut scratch).is_err());
    assert!(run(set, &[0.0; 24], 2, 2, 0, &mut [0.0; 8], &mut scratch).is_err());
}
