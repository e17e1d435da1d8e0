use proptest::prelude::*;

use super::{Coefficients, run};

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let one = [Coefficients { signal: 1.0, noise: 0.0 }; 2];
    assert!(run(&[0.0; 3], &[0.0; 3], &one, &mut [0.0; 3]).is_err());
    assert!(run(&[0.0; 4], &[0.0; 3], &one, &mut [0.0; 4]).is_err());
    assert!(run(&[0.0; 4], &[0.0; 4], &one, &mut [0.0; 3]).is_err());
    assert!(run(&[0.0; 4], &[0.0; 4], &[], &mut [0.0; 4]).is_err());
    assert!(run(&[], &[], &[], &mut []).is_ok());
}

proptest! {
    #[test]
    fn every_row_uses_its_own_coefficients(
        rows in 1usize..70,
        width in 1usize..9,
        offset in -3.0f32..3.0,
    ) {
        let z: Vec<f32> = (0..rows * width).map(|i| offset + i as f32).collect();
        let noise: Vec<f32> = (0..rows * width).map(|i| 1.0 - i as f32 * 0.5).collect();
        let coefficients: Vec<Coefficients> =
            (0..rows).map(|r| Coefficients { signal: 1.0 / (1 + r) as f32, noise: r as f32 * 0.25 }).collect();
        let mut out = vec![0.0; rows * width];
        run(&z, &noise, &coefficients, &mut out).expect("the lengths agree");
        for (i, &x) in out.iter().enumerate() {
            let c = coefficients[i / width];
            prop_assert_eq!(x, c.signal * z[i] + c.noise * noise[i]);
        }
    }
}
