#![expect(clippy::single_range_in_vec_init, reason = "a list of one layer")]

use proptest::prelude::*;

use super::{layer_cosines, layer_squared_errors, squared_errors};

#[test]
fn by_hand() {
    let a = [3.0, 4.0, 1.0, 0.0, 0.0, 0.0, 2.0, 2.0];
    let b = [3.0, 4.0, 0.0, 1.0, 1.0, 1.0, -2.0, -2.0];
    let mut cosines = [f64::NAN; 4];
    layer_cosines(&a, &b, 4, &[0..2, 2..4], &mut cosines).expect("good shapes");
    for (got, want) in cosines.iter().zip([1.0, 0.0, 0.0, -1.0]) {
        assert!((got - want).abs() < 1e-12, "{cosines:?}");
    }
    let mut errors = [f64::NAN; 2];
    squared_errors(&a, &b, &mut errors).expect("good shapes");
    assert_eq!(errors, [2.0, 34.0]);
    let mut by_layer = [f64::NAN; 4];
    layer_squared_errors(&a, &b, 4, &[0..2, 2..4], &mut by_layer).expect("good shapes");
    assert_eq!(by_layer, [0.0, 2.0, 2.0, 32.0]);
    assert!(layer_squared_errors(&a, &b, 4, &[0..5], &mut by_layer[..2]).is_err());
}

#[test]
fn bad_shapes_are_refused() {
    assert!(squared_errors(&[0.0; 4], &[0.0; 3], &mut [0.0; 2]).is_err());
    assert!(squared_errors(&[0.0; 3], &[0.0; 3], &mut [0.0; 2]).is_err());
    assert!(layer_cosines(&[0.0; 4], &[0.0; 4], 3, &[0..2], &mut [0.0; 2]).is_err());
    assert!(layer_cosines(&[0.0; 4], &[0.0; 4], 2, &[0..2], &mut [0.0; 3]).is_err());
    assert!(layer_cosines(&[0.0; 4], &[0.0; 4], 2, &[1..3], &mut [0.0; 2]).is_err());
    assert!(layer_cosines(&[0.0; 4], &[0.0; 4], 2, &[5..7], &mut [0.0; 2]).is_err());
    assert!(layer_cosines(&[0.0; 4], &[0.0; 4], 0, &[], &mut []).is_err());
}

proptest! {
    #[test]
    fn the_cosine_ignores_scale_and_the_error_is_symmetric(scale in 0.1f32..50.0, n in 1usize..30) {
        let a: Vec<f32> = (0..n).map(|i| 1.0 + (i as f32).sin()).collect();
        let b: Vec<f32> = a.iter().map(|x| x * scale).collect();
        let mut cosine = [0.0];
        layer_cosines(&a, &b, n, &[0..n], &mut cosine).expect("good shapes");
        prop_assert!((cosine[0] - 1.0).abs() < 1e-6);
        let (mut one, mut other) = ([0.0], [0.0]);
        squared_errors(&a, &b, &mut one).expect("good shapes");
        squared_errors(&b, &a, &mut other).expect("good shapes");
        prop_assert_eq!(one, other);
    }
}
