use proptest::prelude::*;

use super::{Coefficients, run};

/// The four formulas as they stand in the papers, in f64.
fn step_by_step(x: f64, x0: f64, noise: f64, [ar, ac, ap, eta]: [f64; 4]) -> f64 {
    let e = (x / ar.sqrt() - x0) / (1.0 / ar - 1.0).sqrt();
    let p = (x - (1.0 - ac).sqrt() * e) / ac.sqrt();
    let s = eta * ((1.0 - ap) / (1.0 - ac) * (1.0 - ac / ap)).sqrt();
    ap.sqrt() * p + (1.0 - ap - s * s).max(0.0).sqrt() * e + s * noise
}

proptest! {
    #[test]
    fn the_linear_form_equals_the_formulas(
        ar in 0.3f64..0.99,
        gap in 0.001f64..0.005,
        jump in 0.0f64..0.004,
        eta in 0.0f64..=1.0,
        x in -3.0f32..3.0,
        x0 in -3.0f32..3.0,
        noise in -3.0f32..3.0,
    ) {
        let (ac, ap) = (ar + gap, ar + gap + jump);
        let mut state = [x];
        run(Coefficients::new(ar, ac, ap, eta), &mut state, &[x0], &[noise]).expect("one length");
        let want = step_by_step(x.into(), x0.into(), noise.into(), [ar, ac, ap, eta]);
        prop_assert!((f64::from(state[0]) - want).abs() < 1e-5, "{} instead of {}", state[0], want);
    }
}

#[test]
fn a_step_to_the_clean_level_is_the_prediction() {
    let mut x: Vec<f32> = (0..40_000).map(|i| i as f32 * 1e-3).collect();
    let x0: Vec<f32> = x.iter().map(|x| 2.0 - x).collect();
    let noise = vec![5.0; x.len()];
    run(Coefficients::new(0.9969, 0.9969, 1.0, 1.0), &mut x, &x0, &noise).expect("one length");
    for (x, x0) in x.iter().zip(&x0) {
        assert!((x - x0).abs() < 1e-5, "{x} instead of {x0}");
    }
}

#[test]
fn without_eta_no_noise_enters() {
    assert_eq!(Coefficients::new(0.98, 0.985, 0.99, 0.0).noise, 0.0);
}

#[test]
fn lengths_that_differ_are_refused() {
    let c = Coefficients { state: 1.0, prediction: 0.0, noise: 0.0 };
    assert!(run(c, &mut [0.0; 2], &[0.0; 3], &[0.0; 2]).is_err());
    assert!(run(c, &mut [0.0; 2], &[0.0; 2], &[0.0; 1]).is_err());
}
