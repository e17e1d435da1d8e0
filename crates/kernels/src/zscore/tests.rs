#![expect(clippy::single_range_in_vec_init, reason = "a list of one layer")]

use proptest::prelude::*;

use super::{ZscoreError, run};

#[test]
fn every_layer_has_mean_zero_and_deviation_one() {
    let raw: Vec<f32> = (0..3 * 40).map(|i| ((i * 37) % 101) as f32 * 0.1 + 5.0).collect();
    let layers = [0..8, 8..20, 20..40];
    let mut out = vec![0.0; raw.len()];
    run(&raw, &layers, &mut out).expect("good layers");
    for row in out.chunks(40) {
        for layer in &layers {
            let values = &row[layer.clone()];
            let n = values.len() as f64;
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / (n - 1.0);
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-4, "mean {mean}, variance {variance}");
        }
    }
}

#[test]
fn a_constant_layer_becomes_zero() {
    let mut out = [1.0; 4];
    run(&[7.0; 4], &[0..2, 2..4], &mut out).expect("good layers");
    assert_eq!(out, [0.0; 4]);
}

#[test]
fn bad_layers_and_lengths_are_refused() {
    let mut out = [0.0; 4];
    let narrow = run(&[0.0; 4], &[0..3, 3..4], &mut out);
    assert_eq!(narrow, Err(ZscoreError::TooNarrow { layer: 1, channels: 1 }));
    assert!(matches!(run(&[0.0; 4], &[0..2, 3..4], &mut out), Err(ZscoreError::NotConsecutive { layer: 1, .. })));
    assert!(matches!(run(&[0.0; 4], &[1..4], &mut out), Err(ZscoreError::NotConsecutive { layer: 0, .. })));
    let lying = [(0, usize::MAX), (usize::MAX, 2)].map(|(start, end)| std::ops::Range { start, end });
    assert!(run(&[0.0; 4], &lying, &mut out).is_err());
    assert!(run(&[0.0; 3], &[0..2], &mut [0.0; 3]).is_err());
    assert!(run(&[0.0; 4], &[0..2], &mut [0.0; 3]).is_err());
    assert!(run(&[0.0; 4], &[], &mut out).is_err());
    assert!(run(&[], &[], &mut []).is_ok());
}

proptest! {
    #[test]
    fn shift_and_scale_of_a_sample_do_not_matter(shift in -5.0f32..5.0, scale in 0.5f32..20.0) {
        let raw: Vec<f32> = (0..24).map(|i| ((i * 7) % 13) as f32).collect();
        let moved: Vec<f32> = raw.iter().map(|x| x * scale + shift).collect();
        let (mut a, mut b) = (vec![0.0; 24], vec![0.0; 24]);
        run(&raw, &[0..10, 10..24], &mut a).expect("good layers");
        run(&moved, &[0..10, 10..24], &mut b).expect("good layers");
        for (a, b) in a.iter().zip(&b) {
            prop_assert!((a - b).abs() < 1e-4);
        }
    }
}
